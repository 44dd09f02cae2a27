//! How many come to an event with one mark: from one address, or with one device.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::SaleId;
use tokio::time::Instant;

use super::{Generations, Verdict, harder};

/// Marks kept at most; the one that came longest ago is forgotten.
pub(super) const MARKS_MAX: usize = 1 << 16;
const WINDOW: Duration = Duration::from_secs(60);
/// Two joins of one mark within this come from a machine.
const HUMAN_LEAST: Duration = Duration::from_millis(20);

pub(super) struct Crowd {
    /// Joins in a minute that are welcome; 0: all are.
    per_min: u32,
    /// Beyond so many times of that they are slow; 0 is never.
    slow_beyond: u32,
    pub seen: Mutex<Generations<(SaleId, u128), Seen>>,
}

pub(super) struct Seen {
    begun: Instant,
    last: Instant,
    joins: u32,
    bursts: u32,
}

impl Crowd {
    pub fn new(per_min: u32, slow_beyond: u32) -> Crowd {
        Crowd {
            per_min,
            slow_beyond,
            seen: Mutex::new(Generations::new(MARKS_MAX)),
        }
    }

    /// Counts somebody who comes; who has no such mark is welcome.
    pub fn judge(&self, event: SaleId, mark: Option<u128>, now: Instant) -> Verdict {
        let (Some(mark), true) = (mark, self.per_min > 0) else {
            return Verdict::Welcome;
        };
        let joins = self.note((event, mark), now);
        if joins <= self.per_min {
            return Verdict::Welcome;
        }
        let times = joins / self.per_min;
        let hardness = harder(times);
        match self.slow_beyond > 0 && times >= self.slow_beyond {
            true => Verdict::Slow { hardness },
            false => Verdict::Prove { hardness },
        }
    }

    /// How many have come in this minute; who comes faster than people counts double.
    fn note(&self, key: (SaleId, u128), now: Instant) -> u32 {
        let mut table = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = table.touch(key, || Seen {
            begun: now,
            last: now,
            joins: 0,
            bursts: 0,
        });
        if now.duration_since(seen.begun) >= WINDOW {
            (seen.begun, seen.joins, seen.bursts) = (now, 0, 0);
        }
        if seen.joins > 0 && now.duration_since(seen.last) < HUMAN_LEAST {
            seen.bursts += 1;
        }
        seen.joins += 1;
        seen.last = now;
        seen.joins + seen.bursts
    }
}
