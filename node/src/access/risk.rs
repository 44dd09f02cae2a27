//! Who comes like a bot: a port, and a reference of plain rules. A score never turns anybody away: it
//! asks for a challenge, or moves a visitor to a slower class.

mod crowd;
mod generations;
mod habit;

use domain::ids::{BuyerId, PartnerId, SaleId, VisitorId};
use tokio::time::Instant;

use crate::bugs::{Bug, planted};
use crowd::Crowd;
pub use generations::Generations;
use habit::Habit;

/// Somebody who wants to join.
#[derive(Clone, Copy, Debug)]
pub struct Comer {
    pub event: SaleId,
    pub partner: PartnerId,
    pub visitor: VisitorId,
    /// What the partner says of the address and of the device; `None` when it says nothing.
    pub address: Option<u128>,
    pub device: Option<u128>,
    pub now: Instant,
}

/// A hold is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldEnded {
    pub partner: PartnerId,
    /// One person with the visitor of the same id.
    pub buyer: BuyerId,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It became an order.
    Kept,
    /// It expired, or was released unpaid.
    Abandoned,
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

impl Verdict {
    /// The stricter of two in each respect.
    fn and(self, other: Verdict) -> Verdict {
        use Verdict::{Prove, Slow, Welcome};
        match (self, other) {
            (Welcome, verdict) | (verdict, Welcome) => verdict,
            (Prove { hardness: one }, Prove { hardness: two }) => Prove {
                hardness: one.max(two),
            },
            (
                Prove { hardness: one } | Slow { hardness: one },
                Prove { hardness: two } | Slow { hardness: two },
            ) => Slow {
                hardness: one.max(two),
            },
        }
    }
}

/// Judges who comes. Called once for each join, before the log; it may keep what it sees, bounded.
pub trait RiskScorer: Send + Sync + 'static {
    fn judge(&self, comer: &Comer) -> Verdict;

    /// Told of holds that end on sales with a replica here, soon after; a node that lags leaves some
    /// out, and one that reads its log again tells some twice.
    fn learn(&self, _ended: &HoldEnded) {}
}

/// What the reference goes by; 0 switches a rule off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskLimits {
    /// Joins from one address, and with one device, in a minute that are welcome; twice as many cost
    /// one bit more.
    pub address_per_min: u32,
    pub device_per_min: u32,
    /// Beyond so many times of that they are slow.
    pub slow_beyond: u32,
    /// Holds that a buyer let go before it counts, and how many of a hundred are too many then.
    pub abandoned_least: u32,
    pub abandoned_per_100: u32,
}

impl RiskLimits {
    /// Whether it matters what becomes of holds.
    pub fn minds_holds(&self) -> bool {
        self.abandoned_least > 0 && self.abandoned_per_100 > 0
    }
}

/// Bits of the first challenge: some 65,000 hashes, a tenth of a second of a telephone.
pub const HARDNESS_FIRST: u8 = 16;
pub const HARDNESS_MAX: u8 = 24;

/// The hardness for somebody so many times over a limit.
fn harder(times: u32) -> u8 {
    HARDNESS_FIRST
        .saturating_add(times.max(1).ilog2() as u8)
        .min(HARDNESS_MAX)
}

/// The reference: many from one address or with one device in a minute, faster than people come, or
/// buyers who mostly let their holds go again.
pub struct Rules {
    addresses: Crowd,
    devices: Crowd,
    habit: Habit,
}

impl Rules {
    pub fn new(limits: RiskLimits) -> Rules {
        Rules {
            addresses: Crowd::new(limits.address_per_min, limits.slow_beyond),
            devices: Crowd::new(limits.device_per_min, limits.slow_beyond),
            habit: Habit::new(&limits),
        }
    }
}

impl RiskScorer for Rules {
    fn judge(&self, comer: &Comer) -> Verdict {
        let Comer {
            event,
            partner,
            visitor,
            address,
            device,
            now,
        } = *comer;
        let by_address = self.addresses.judge(event, address, now);
        let device = device.filter(|_| !planted(Bug::DevicesUncounted));
        let by_device = self.devices.judge(event, device, now);
        let by_habit = self.habit.judge(partner, visitor);
        by_address.and(by_device).and(by_habit)
    }

    fn learn(&self, ended: &HoldEnded) {
        if !planted(Bug::HoldsUnminded) {
            self.habit.learn(ended);
        }
    }
}

#[cfg(test)]
mod tests;
