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

/// Hands every group this node leads to its most advanced follower that answers, and waits until it
/// leads none. What cannot be handed over in time is left to an election.
pub async fn hand_over(cluster: &Cluster) {
    let led: Vec<GroupStatus> = led(cluster);
    let gone = async {
        let handed = join_all(led.iter().map(|group| hand_over_one(cluster, group))).await;
        let taken = led.iter().zip(handed).filter(|(_, taken)| *taken);
        let taken: Vec<&GroupStatus> = taken.map(|(group, _)| group).collect();
        while taken.iter().any(|group| leads(cluster, group)) {
            sleep(LOOK_AGAIN).await;
        }
    };
    if timeout(HAND_OVER_LIMIT, gone).await.is_err() {
        tracing::warn!("not all leadership was taken over in time");
    }
}

/// Whether somebody takes it.
async fn hand_over_one(cluster: &Cluster, group: &GroupStatus) -> bool {
    for to in successors(cluster.node_id(), group) {
        match cluster.transfer_leader(group.group, to).await {
            Ok(()) => return true,
            Err(failure) => {
                tracing::warn!(group = group.group, to, %failure, "leadership stays");
            }
        }
    }
    false
}

fn led(cluster: &Cluster) -> Vec<GroupStatus> {
    let mut status = cluster.status();
    status.retain(|group| group.state == ReplicaState::Leader);
    status
}

fn leads(cluster: &Cluster, group: &GroupStatus) -> bool {
    led(cluster).iter().any(|led| led.group == group.group)
}

/// The other voters, who is least behind first.
fn successors(this: u64, group: &GroupStatus) -> Vec<u64> {
    let others = group.voters.iter().copied().filter(|node| *node != this);
    let mut others: Vec<u64> = others.collect();
    others.sort_by_key(|node| group.lag.get(node).copied().unwrap_or(u64::MAX));
    others
}
