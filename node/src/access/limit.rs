//! How often a caller may call on this node: a filter in front, so that one caller's flood does not take
//! the others' room. Limits that must hold are decided in apply.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, TokioClock, NoOpMiddleware<Duration>>;

/// After so many checks those are forgotten who have not come for so long that all is allowed again.
const FORGET_EVERY: u32 = 1 << 14;

/// The period's worth may come at once; then the rate holds.
pub struct RateLimit<K: Clone + Hash + Eq> {
    limited: Option<Limited<K>>,
}

struct Limited<K: Clone + Hash + Eq> {
    limiter: Limiter<K>,
    clock: TokioClock,
    burst: NonZeroU32,
    checks: AtomicU32,
}

/// Too many calls: none of them was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    pub retry_after: Duration,
}

impl<K: Clone + Hash + Eq> RateLimit<K> {
    /// 0 is no limit.
    pub fn per_second(calls: u32) -> RateLimit<K> {
        RateLimit::new(calls, Quota::per_second)
    }

    /// 0 is no limit.
    pub fn per_minute(calls: u32) -> RateLimit<K> {
        RateLimit::new(calls, Quota::per_minute)
    }

    fn new(calls: u32, quota: impl FnOnce(NonZeroU32) -> Quota) -> RateLimit<K> {
        let limited = NonZeroU32::new(calls).map(|burst| {
            let clock = TokioClock {
                start: Instant::now(),
            };
            Limited {
                limiter: RateLimiter::hashmap_with_clock(quota(burst), clock.clone()),
                clock,
                burst,
                checks: AtomicU32::new(0),
            }
        });
        RateLimit { limited }
    }

    pub fn is_on(&self) -> bool {
        self.limited.is_some()
    }

    /// Lets `calls` in, all or none. More than a period's worth at once count as a period's.
    pub fn check(&self, caller: K, calls: usize) -> Result<(), OverLimit> {
        let Some(limited) = &self.limited else {
            return Ok(());
        };
        let Some(calls) = NonZeroU32::new(u32::try_from(calls).unwrap_or(u32::MAX)) else {
            return Ok(());
        };
        let Limited {
            limiter,
            clock,
            burst,
            checks,
        } = limited;
        if checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        match limiter.check_key_n(&caller, calls.min(*burst)) {
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
    use domain::ids::PartnerId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_partner_over_its_rate_waits_and_others_do_not() {
        let limit = RateLimit::per_second(100);
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
        let limit = RateLimit::per_second(0);
        assert_eq!(limit.check(PartnerId(1), usize::MAX), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_long_gone_is_forgotten() {
        let limit = RateLimit::per_second(10);
        for caller in 0..FORGET_EVERY - 1 {
            assert_eq!(limit.check(caller, 10), Ok(()));
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(limit.check(0, 1), Ok(()));
        assert!(limit.limited.unwrap().limiter.len() <= 1);
    }
}
