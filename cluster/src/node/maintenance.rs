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
                self.snapshot_grown().await;
            }
        }
    }

    async fn snapshot_grown(&self) {
        // The one that holds on to the most old entries, when the log has grown over several.
        let pinning = self.log.pinning();
        let pinned = pinning.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let grown = pinned > self.config.snapshot_after_bytes;
        let pinning: BTreeSet<GroupId> = pinning.into_iter().map(|(group, _)| group).collect();
        for (group, replica) in self.replicas.all() {
            let since = replica.bytes_since_snapshot();
            let due = since >= self.config.snapshot_after_bytes;
            // A snapshot without entries since would purge nothing.
            let pins = grown && pinning.contains(&group) && since > 0;
            if !due && !pins {
                continue;
            }
            if let Err(why) = replica.take_snapshot().await {
                tracing::warn!(group, why, "no snapshot is taken");
            }
        }
    }
}
