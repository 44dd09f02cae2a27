//! What buyers made of their holds: a partner's buyer who mostly lets seats go again blocks them for
//! others. It is known of holds that ended while this node ran, and of the buyers seen last.

use std::sync::{Mutex, PoisonError};

use domain::ids::{PartnerId, VisitorId};

use super::{Fate, Generations, HoldEnded, RiskLimits, Verdict, harder};

/// Buyers kept at most; the one whose holds ended longest ago is forgotten.
const BUYERS_MAX: usize = 1 << 16;

pub(super) struct Habit {
    /// Abandoned holds before anything is made of them; 0: nothing ever is.
    least: u32,
    /// Of a hundred, more than this is too many; 0: nothing is.
    per_100: u32,
    is_on: bool,
    holds: Mutex<Generations<(PartnerId, u128), Holds>>,
}

#[derive(Default)]
struct Holds {
    kept: u32,
    abandoned: u32,
}

impl Habit {
    pub fn new(limits: &RiskLimits) -> Habit {
        Habit {
            least: limits.abandoned_least,
            per_100: limits.abandoned_per_100,
            is_on: limits.minds_holds(),
            holds: Mutex::new(Generations::new(BUYERS_MAX)),
        }
    }

    pub fn learn(&self, ended: &HoldEnded) {
        // Who names no buyer is nobody in particular.
        if !self.is_on || ended.buyer.0 == 0 {
            return;
        }
        let key = (ended.partner, ended.buyer.0);
        let mut table = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = table.touch(key, Holds::default);
        let count = match ended.fate {
            Fate::Kept => &mut holds.kept,
            Fate::Abandoned => &mut holds.abandoned,
        };
        *count = count.saturating_add(1);
    }

    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.holds.lock().unwrap().kept()
    }

    pub fn judge(&self, partner: PartnerId, visitor: VisitorId) -> Verdict {
        if !self.is_on {
            return Verdict::Welcome;
        }
        let table = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Holds { kept, abandoned }) = table.get(&(partner, visitor.0)) else {
            return Verdict::Welcome;
        };
        let all = u64::from(*kept) + u64::from(*abandoned);
        let is_too_many = u64::from(*abandoned) * 100 > all * u64::from(self.per_100);
        match *abandoned >= self.least && is_too_many {
            true => Verdict::Prove {
                hardness: harder(*abandoned / self.least),
            },
            false => Verdict::Welcome,
        }
    }
}
