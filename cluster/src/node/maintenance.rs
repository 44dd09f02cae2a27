//! Watches the log: a sync that hangs costs this node its leaderships and then its life; a group
//! whose log has grown is snapshotted.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use super::Inner;
use crate::types::GroupId;

/// How often the logs' sizes are looked at.
const SIZES_PERIOD: Duration = Duration::from_secs(1);

/// How long a sync has hung while this process was there to see it. One that was stopped, or got no
/// processor, finds its sync as old as its sleep was long, and must not blame the disk for that.
struct Watch {
    looked: Instant,
    hangs: Duration,
    /// What may pass between two looks and count as watched.
    gap_max: Duration,
}

impl Watch {
    fn begin(now: Instant, gap_max: Duration) -> Watch {
        Watch {
            looked: now,
            hangs: Duration::ZERO,
            gap_max,
        }
    }

    /// `writing_for` is how long the present sync has taken, if there is one.
    fn look(&mut self, now: Instant, writing_for: Option<Duration>) -> Duration {
        let watched = (now - self.looked).min(self.gap_max);
        self.looked = now;
        // A sync younger than what was counted is another one.
        self.hangs = match writing_for {
            Some(writing_for) => (self.hangs + watched).min(writing_for),
            None => Duration::ZERO,
        };
        self.hangs
    }
}

impl Inner {
    pub(super) async fn maintenance_loop(self: Arc<Self>) {
        let mut tick = interval(self.config.heartbeat() / 2);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sized = Instant::now();
        // How long the sync had hung when leaderships were last handed over for it.
        let mut retreated: Option<Duration> = None;
        let mut watch = Watch::begin(Instant::now(), self.config.heartbeat());
        loop {
            tick.tick().await;
            let hangs = watch.look(Instant::now(), self.log.writing_for());
            self.log.metrics().set_under_way(hangs);
            if hangs > self.config.sync_max() {
                // A leader with a hung disk must not go on, and a follower is of no use.
                self.components.halt.halt("the log's sync hangs");
                return;
            }
            let slow = hangs > self.config.election_min() / 2;
            // Again when it did not succeed: an heir may have been behind for a moment.
            let due = retreated.is_none_or(|at| hangs >= at + self.config.election_max());
            if slow && due {
                retreated = Some(hangs);
                tracing::warn!(?hangs, "the log's sync hangs: handing leaderships over");
                // In a task of its own: this loop must go on watching.
                let inner = self.clone();
                self.components
                    .spawn(async move { inner.hand_all_over().await });
            }
            if !slow {
                retreated = None;
            }
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
        let snapshot_after = in_turn(self.config.snapshot_after_bytes, self.config.node_id);
        for (group, replica) in self.replicas.all() {
            let status = replica.status();
            let grown = replica.bytes_since_snapshot() >= snapshot_after;
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

/// Replicas of a group are fed alike: so that not all of them write their snapshots at one time, each
/// node waits for up to a third less, by its number.
fn in_turn(bytes: u64, node_id: u64) -> u64 {
    bytes - bytes / 9 * (node_id % 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_take_their_snapshots_one_after_the_other() {
        let after: Vec<u64> = (1..=4).map(|node| in_turn(900, node)).collect();
        assert_eq!(after, [800, 700, 600, 900]);
        assert_eq!(in_turn(8, 3), 8, "what is small stays");
    }

    const TICK_MS: u64 = 20;

    struct Night {
        watch: Watch,
        began: Instant,
    }

    impl Night {
        fn begin() -> Night {
            let began = Instant::now();
            let watch = Watch::begin(began, Duration::from_millis(2 * TICK_MS));
            Night { watch, began }
        }

        /// Looks at this millisecond at a sync that began at `since_ms`.
        fn look(&mut self, at_ms: u64, since_ms: Option<u64>) -> u64 {
            let writing_for = since_ms.map(|since_ms| Duration::from_millis(at_ms - since_ms));
            let now = self.began + Duration::from_millis(at_ms);
            self.watch.look(now, writing_for).as_millis() as u64
        }
    }

    #[test]
    fn a_sync_that_hangs_is_counted_from_when_it_began() {
        let mut night = Night::begin();
        assert_eq!(night.look(TICK_MS, None), 0);
        assert_eq!(night.look(2 * TICK_MS, Some(25)), 15);
        for tick in 3..30 {
            let hangs = night.look(tick * TICK_MS, Some(25));
            assert_eq!(hangs, tick * TICK_MS - 25);
        }
        assert_eq!(night.look(30 * TICK_MS, Some(595)), 5, "the next one");
    }

    #[test]
    fn a_process_that_was_stopped_does_not_blame_its_disk() {
        let mut night = Night::begin();
        assert_eq!(night.look(TICK_MS, Some(10)), 10);
        let woke_ms = 4_000;
        assert!(night.look(woke_ms, Some(10)) <= 10 + 2 * TICK_MS);
        // If the disk hangs all the same, that is seen from now on.
        for tick in 1..20 {
            let hangs = night.look(woke_ms + tick * TICK_MS, Some(10));
            assert!(hangs >= tick * TICK_MS, "{hangs}");
        }
    }
}
