//! Who comes like a bot: a port, and a reference of plain rules. A score never turns anybody away: it
//! asks for a challenge, or moves a visitor to a slower class.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::{PartnerId, SaleId, VisitorId};
use tokio::time::Instant;

/// Somebody who wants to join.
#[derive(Clone, Copy, Debug)]
pub struct Comer {
    pub event: SaleId,
    pub partner: PartnerId,
    pub visitor: VisitorId,
    /// What the partner says of the address; `None` when it says nothing.
    pub address: Option<u128>,
    pub now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Welcome,
    /// After a challenge of this hardness (see `Challenge`).
    Prove {
        hardness: u8,
    },
    /// In the class of the slow; a challenge of this hardness comes first.
    Slow {
        hardness: u8,
    },
}

/// Judges who comes. Called once for each join, before the log; it may keep what it sees, bounded.
pub trait RiskScorer: Send + Sync + 'static {
    fn judge(&self, comer: &Comer) -> Verdict;
}

/// The reference: many from one address in a minute, or faster than people come.
pub struct Rules {
    limits: RiskLimits,
    seen: Mutex<Seen>,
}

/// What the reference goes by; 0 switches a rule off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskLimits {
    /// Joins from one address in a minute that are welcome; twice as many cost one bit more.
    pub address_per_min: u32,
    /// Beyond so many times of that they are slow.
    pub slow_beyond: u32,
}

/// Addresses kept at most; the one that came longest ago is forgotten.
const ADDRESSES_MAX: usize = 1 << 16;
const WINDOW: Duration = Duration::from_secs(60);
/// Two joins from one address within this come from a machine.
const HUMAN_LEAST: Duration = Duration::from_millis(20);
/// Bits of the first challenge: some 65,000 hashes, a tenth of a second of a telephone.
pub const HARDNESS_FIRST: u8 = 16;
pub const HARDNESS_MAX: u8 = 24;

#[derive(Default)]
struct Seen {
    by_address: HashMap<(SaleId, u128), Address>,
    /// In the sequence of the last join.
    order: VecDeque<(Instant, (SaleId, u128))>,
}

struct Address {
    begun: Instant,
    last: Instant,
    joins: u32,
    bursts: u32,
}

impl Rules {
    pub fn new(limits: RiskLimits) -> Rules {
        Rules {
            limits,
            seen: Mutex::default(),
        }
    }
}

impl RiskScorer for Rules {
    fn judge(&self, comer: &Comer) -> Verdict {
        let limit = self.limits.address_per_min;
        let (Some(address), true) = (comer.address, limit > 0) else {
            return Verdict::Welcome;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let joins = seen.note((comer.event, address), comer.now);
        if joins <= limit {
            return Verdict::Welcome;
        }
        let times = joins / limit;
        let hardness = HARDNESS_FIRST
            .saturating_add(times.ilog2() as u8)
            .min(HARDNESS_MAX);
        match self.limits.slow_beyond > 0 && times >= self.limits.slow_beyond {
            true => Verdict::Slow { hardness },
            false => Verdict::Prove { hardness },
        }
    }
}

impl Seen {
    /// How many have come from there in this minute; who comes faster than people counts double.
    fn note(&mut self, key: (SaleId, u128), now: Instant) -> u32 {
        self.forget(now);
        let address = self.by_address.entry(key).or_insert(Address {
            begun: now,
            last: now.checked_sub(WINDOW).unwrap_or(now),
            joins: 0,
            bursts: 0,
        });
        if now.duration_since(address.begun) >= WINDOW {
            (address.begun, address.joins, address.bursts) = (now, 0, 0);
        }
        if address.joins > 0 && now.duration_since(address.last) < HUMAN_LEAST {
            address.bursts += 1;
        }
        address.joins += 1;
        address.last = now;
        let counted = address.joins + address.bursts;
        self.order.push_back((now, key));
        counted
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.order.front().copied()
            && (now.duration_since(at) >= WINDOW || self.order.len() >= ADDRESSES_MAX)
        {
            self.order.pop_front();
            if self
                .by_address
                .get(&key)
                .is_some_and(|address| address.last <= at)
            {
                self.by_address.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comer(visitor: u128, address: Option<u128>, now: Instant) -> Comer {
        Comer {
            event: SaleId(1),
            partner: PartnerId(1),
            visitor: VisitorId(visitor),
            address,
            now,
        }
    }

    #[test]
    fn many_from_one_address_prove_themselves_and_then_are_slow() {
        let rules = Rules::new(RiskLimits {
            address_per_min: 10,
            slow_beyond: 8,
        });
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut verdicts = (0..100).map(|n| rules.judge(&comer(n, Some(7), at(100 * n as u64))));
        assert!(verdicts.by_ref().take(10).all(|v| v == Verdict::Welcome));
        let hardness = HARDNESS_FIRST;
        assert_eq!(verdicts.next(), Some(Verdict::Prove { hardness }));
        let last = verdicts.last();
        assert!(
            matches!(last, Some(Verdict::Slow { hardness: 19 })),
            "{last:?}"
        );
        assert_eq!(rules.judge(&comer(1, Some(8), at(0))), Verdict::Welcome);
        assert_eq!(rules.judge(&comer(2, None, at(0))), Verdict::Welcome);
        let later = rules.judge(&comer(3, Some(7), at(75_000)));
        assert_eq!(later, Verdict::Welcome, "a minute later all is forgotten");
    }

    #[test]
    fn who_comes_faster_than_people_counts_double() {
        let rules = Rules::new(RiskLimits {
            address_per_min: 10,
            slow_beyond: 0,
        });
        let now = Instant::now();
        let welcome = (0..10).filter(|n| rules.judge(&comer(*n, Some(7), now)) == Verdict::Welcome);
        assert_eq!(welcome.count(), 5);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rules = Rules::new(RiskLimits {
            address_per_min: 1,
            slow_beyond: 0,
        });
        let now = Instant::now();
        for address in 0..(ADDRESSES_MAX as u128 * 2) {
            rules.judge(&comer(1, Some(address), now));
        }
        let seen = rules.seen.lock().unwrap();
        assert!(seen.by_address.len() <= ADDRESSES_MAX && seen.order.len() <= ADDRESSES_MAX);
    }
}
