//! Watches the log: a sync that hangs costs this node its leaderships and then its life; a group
//! whose log has grown is snapshotted.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use super::Inner;
use crate::types::GroupId;

/// How often the logs' sizes are looked at.
const SIZES_PERIOD: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) async fn maintenance_loop(self: Arc<Self>) {
        let mut tick = interval(self.config.heartbeat() / 2);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sized = Instant::now();
        let mut retreated = false;
        loop {
            tick.tick().await;
            let hangs = self.log.writing_for().unwrap_or(Duration::ZERO);
            if hangs > self.config.election_max() {
                // A leader with a hung disk must not go on, and a follower is of no use.
                self.components.halt.halt("the log's sync hangs");
                return;
            }
            let slow = hangs > self.config.election_min() / 2;
            if slow && !retreated {
                tracing::warn!(?hangs, "the log's sync hangs: handing leaderships over");
                // In a task of its own: this loop must go on watching.
                let inner = self.clone();
                self.components
                    .spawn(async move { inner.hand_all_over().await });
            }
            retreated = slow;
            if sized.elapsed() >= SIZES_PERIOD {
                sized = Instant::now();
                self.shorten_log().await;
            }
        }
    }

    async fn shorten_log(&self) {
        // Few old entries of an idle group hold on to a whole segment: when the log has grown
        // beyond what busy groups need, they let go.
        let log_bytes = self.log.segments() as u64 * self.config.log.segment_bytes;
        let needed = 2 * (self.config.snapshot_after_bytes + self.config.log.segment_bytes);
        let pinning: BTreeSet<GroupId> = if log_bytes > needed {
            let pinning = self.log.pinning().into_iter();
            pinning.map(|(group, _)| group).collect()
        } else {
            BTreeSet::new()
        };
        for (group, replica) in self.replicas.all() {
            let status = replica.status();
            let grown = replica.bytes_since_snapshot() >= self.config.snapshot_after_bytes;
            let pins = pinning.contains(&group);
            let done = if grown || (pins && status.snapshot < status.applied) {
                replica.take_snapshot().await
            } else if pins && status.purged < status.snapshot {
                // Its snapshot has all: the entries kept for followers a little behind go too.
                replica.purge(status.snapshot).await
            } else {
                Ok(())
            };
            if let Err(why) = done {
                tracing::warn!(group, why, "the log is not shortened");
            }
        }
    }
}
