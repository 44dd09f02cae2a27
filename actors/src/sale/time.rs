//! A sale's time as its leader tells it: the node's clock, unless that is behind what the log has
//! seen already. A node whose clock was set back must not make the sale's time stand still, or no
//! hold would end before its clock has caught up; so time then goes on from the last stamp, a
//! little slower than the monotonic clock, and the node's clock takes over when it gets there.

use tokio::time::Instant;

/// Of each 100 milliseconds that pass, 99 count while the node's clock is behind.
const SLOWER_BY_PERCENT: u64 = 1;

pub(super) struct SaleTime {
    /// The latest stamp seen in the log or put on a batch, and when that was.
    last_ms: u64,
    seen: Instant,
}

impl SaleTime {
    /// `now_ms` is where the sale's own time stands.
    pub fn new(now_ms: u64) -> SaleTime {
        SaleTime {
            last_ms: now_ms,
            seen: Instant::now(),
        }
    }

    /// The time by which this leader decides.
    pub fn now_ms(&self, clock_ms: u64) -> u64 {
        if clock_ms >= self.last_ms {
            return clock_ms;
        }
        let passed_ms = u64::try_from(self.seen.elapsed().as_millis()).unwrap_or(u64::MAX);
        let counted_ms =
            passed_ms.saturating_sub(passed_ms.saturating_mul(SLOWER_BY_PERCENT) / 100);
        self.last_ms.saturating_add(counted_ms)
    }

    /// The stamp of the next batch; never earlier than one before it.
    pub fn stamp(&mut self, clock_ms: u64) -> u64 {
        let now_ms = self.now_ms(clock_ms);
        self.see(now_ms);
        now_ms
    }

    /// The log's time has come this far.
    pub fn see(&mut self, at_ms: u64) {
        if at_ms > self.last_ms {
            *self = SaleTime::new(at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_goes_on_from_the_log_while_the_clock_is_behind() {
        let mut time = SaleTime::new(0);
        assert_eq!(time.stamp(7_200_000), 7_200_000);
        // Another leader, two hours behind.
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(time.now_ms(10_000), 7_209_900);
        assert_eq!(time.stamp(10_000), 7_209_900);
        // A stamp from the log that is ahead of that.
        time.see(7_300_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(time.stamp(11_000), 7_300_990);
        assert_eq!(time.stamp(7_400_000), 7_400_000);
    }
}
