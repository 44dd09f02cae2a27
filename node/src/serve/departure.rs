//! Leaving in good order: leadership first, so that partners notice nothing; then the calls in
//! flight; then the log. A second signal ends the process at once.

use std::time::Duration;

use cluster::{Cluster, GroupStatus, ReplicaState};
use futures::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

/// Longer than this nobody waits for followers to take over.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next SIGTERM or SIGINT.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Hands every group this node leads to its most advanced follower, and waits until it leads none.
/// What cannot be handed over in time is left to an election.
pub async fn hand_over(cluster: &Cluster) {
    let led: Vec<GroupStatus> = led(cluster);
    let handed = led.iter().filter_map(|group| {
        let to = successor(cluster.node_id(), group)?;
        Some(async move {
            if let Err(failure) = cluster.transfer_leader(group.group, to).await {
                tracing::warn!(group = group.group, to, %failure, "leadership stays");
            }
        })
    });
    let gone = async {
        join_all(handed).await;
        while led
            .iter()
            .any(|group| successor(cluster.node_id(), group).is_some() && leads(cluster, group))
        {
            sleep(LOOK_AGAIN).await;
        }
    };
    if timeout(HAND_OVER_LIMIT, gone).await.is_err() {
        tracing::warn!("not all leadership was taken over in time");
    }
}

fn led(cluster: &Cluster) -> Vec<GroupStatus> {
    let mut status = cluster.status();
    status.retain(|group| group.state == ReplicaState::Leader);
    status
}

fn leads(cluster: &Cluster, group: &GroupStatus) -> bool {
    led(cluster).iter().any(|led| led.group == group.group)
}

/// The other voter that is least behind.
fn successor(this: u64, group: &GroupStatus) -> Option<u64> {
    let others = group.voters.iter().copied().filter(|node| *node != this);
    others.min_by_key(|node| group.lag.get(node).copied().unwrap_or(u64::MAX))
}
