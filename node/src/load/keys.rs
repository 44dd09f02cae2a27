//! UUIDv7 ids and idempotency keys from a seeded generator and the wall clock it is given.

use std::sync::Arc;
use std::time::Duration;

use cluster::components::WallClock;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::call::Id;

/// Makes ids that rise. The wall clock is read once and then advanced by monotonic time, so that a
/// clock that jumps does not make keys that are refused as expired or from the future.
pub struct Keys {
    rng: StdRng,
    began: Instant,
    began_ms: u64,
    now_ms: u64,
    count: u16,
}

impl Keys {
    pub fn new(seed: u64, wall: &Arc<dyn WallClock>) -> Keys {
        let began_ms = wall.now_ms();
        Keys {
            rng: StdRng::seed_from_u64(seed),
            began: Instant::now(),
            began_ms,
            now_ms: began_ms,
            count: 0,
        }
    }

    /// Reads the time; once per message is enough.
    pub fn tick(&mut self, now: Instant) {
        let since: Duration = now.saturating_duration_since(self.began);
        let now_ms = self.began_ms + since.as_millis() as u64;
        if now_ms > self.now_ms {
            self.now_ms = now_ms;
            self.count = 0;
        }
    }

    pub fn make(&mut self) -> Id {
        // 12 bits count within a millisecond; when they are used up the time moves ahead.
        if self.count == 0x0fff {
            self.now_ms += 1;
            self.count = 0;
        }
        self.count += 1;
        let high = self.now_ms << 16 | 0x7000 | u64::from(self.count);
        let low = self.rng.next_u64() >> 2 | 1 << 63;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&low.to_be_bytes());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl WallClock for Fixed {
        fn now_ms(&self) -> u64 {
            1_700_000_000_000
        }
    }

    #[test]
    fn keys_rise_are_version_7_and_repeat_by_seed() {
        let wall: Arc<dyn WallClock> = Arc::new(Fixed);
        let made = |seed| {
            let mut keys = Keys::new(seed, &wall);
            (0..10_000).map(|_| keys.make()).collect::<Vec<_>>()
        };
        let keys = made(1);
        assert!(keys.is_sorted() && keys.windows(2).all(|two| two[0] != two[1]));
        let first = uuid::Uuid::from_bytes(keys[0]);
        assert_eq!(first.get_version_num(), 7);
        assert_eq!(first.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(keys, made(1));
        assert_ne!(keys, made(2));
    }
}
