//! How many calls a partner may make per second on this node: a filter in front, so that one
//! partner's flood does not take the others' room. Limits that must hold are decided in apply.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::ids::PartnerId;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use tokio::time::Instant;

/// Tokio's monotonic clock: stands still and moves with simulated time.
#[derive(Clone)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

type Limiter =
    RateLimiter<PartnerId, HashMapStateStore<PartnerId>, TokioClock, NoOpMiddleware<Duration>>;

/// One second's worth may come at once; then the rate holds.
pub struct PartnerLimit {
    limiter: Option<(Limiter, TokioClock, NonZeroU32)>,
}

/// Too many calls: none of them was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    pub retry_after: Duration,
}

impl PartnerLimit {
    /// `calls_per_s` 0 is no limit.
    pub fn new(calls_per_s: u32) -> PartnerLimit {
        let limiter = NonZeroU32::new(calls_per_s).map(|rate| {
            let clock = TokioClock {
                start: Instant::now(),
            };
            let quota = Quota::per_second(rate);
            (
                RateLimiter::hashmap_with_clock(quota, clock.clone()),
                clock,
                rate,
            )
        });
        PartnerLimit { limiter }
    }

    pub fn is_on(&self) -> bool {
        self.limiter.is_some()
    }

    /// Lets `calls` in, all or none. More than a second's worth at once count as a second's.
    pub fn check(&self, partner: PartnerId, calls: usize) -> Result<(), OverLimit> {
        let Some((limiter, clock, burst)) = &self.limiter else {
            return Ok(());
        };
        let Some(calls) = NonZeroU32::new(u32::try_from(calls).unwrap_or(u32::MAX)) else {
            return Ok(());
        };
        match limiter.check_key_n(&partner, calls.min(*burst)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(OverLimit {
                retry_after: wait(&not_until, clock),
            }),
            // Excluded by `min` above.
            Err(_) => Err(OverLimit {
                retry_after: Duration::from_secs(1),
            }),
        }
    }
}

fn wait(not_until: &NotUntil<Duration>, clock: &TokioClock) -> Duration {
    not_until
        .wait_time_from(clock.now())
        .max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_partner_over_its_rate_waits_and_others_do_not() {
        let limit = PartnerLimit::new(100);
        assert_eq!(limit.check(PartnerId(1), 100), Ok(()));
        let over = limit.check(PartnerId(1), 10).unwrap_err();
        assert_eq!(over.retry_after, Duration::from_millis(100));
        assert_eq!(limit.check(PartnerId(2), 100), Ok(()));
        tokio::time::advance(over.retry_after).await;
        assert_eq!(limit.check(PartnerId(1), 10), Ok(()));
        // A burst larger than a second's worth gets through once a second has gathered.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.check(PartnerId(1), 5000), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = PartnerLimit::new(0);
        assert_eq!(limit.check(PartnerId(1), usize::MAX), Ok(()));
    }
}
