//! How holds that are gone ended, so that a late caller is told more than "unknown".
//!
//! Two rings of the last 1,024 each: confirmed holds, and released or expired ones; apart, so that
//! a rush of purchases does not push out the expired holds that callers ask about. Older ones are
//! unknown. The rings are read only when a hold is not found, by scanning. A hold id may be used
//! again once its hold has ended: the idempotency key, not this ring, guards against repetition.

use core::hint::black_box;
use std::collections::VecDeque;

use crate::ids::HoldId;
use crate::rejection::Rejection;

pub(crate) const ENDED_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Confirmed,
    Released,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedHold {
    pub hold: HoldId,
    pub ending: Ending,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    confirmed: VecDeque<EndedHold>,
    given_back: VecDeque<EndedHold>,
}

impl Ended {
    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        black_box(self.confirmed.back().copied());
    }

    pub(crate) fn record(&mut self, hold: HoldId, ending: Ending) {
        let ring = match ending {
            Ending::Confirmed => &mut self.confirmed,
            Ending::Released | Ending::Expired => &mut self.given_back,
        };
        if ring.len() >= ENDED_MAX {
            ring.pop_front();
        }
        ring.push_back(EndedHold { hold, ending });
    }

    /// Why this hold is not there.
    pub(crate) fn explain(&self, hold: HoldId) -> Rejection {
        let latest = |ring: &VecDeque<EndedHold>| {
            ring.iter()
                .rev()
                .find(|ended| ended.hold == hold)
                .map(|ended| ended.ending)
        };
        match latest(&self.given_back).or_else(|| latest(&self.confirmed)) {
            Some(Ending::Confirmed) => Rejection::HoldConfirmed,
            Some(Ending::Released) => Rejection::HoldReleased,
            Some(Ending::Expired) => Rejection::HoldExpired,
            None => Rejection::UnknownHold,
        }
    }

    /// Oldest first: the confirmed ones, then the others.
    pub(crate) fn iter(&self) -> impl Iterator<Item = EndedHold> {
        self.confirmed.iter().chain(self.given_back.iter()).copied()
    }
}
