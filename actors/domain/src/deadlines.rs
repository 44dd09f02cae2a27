//! When holds end: the sequence in which they expire.
//!
//! By (deadline, hold), whatever the sequence they were placed in. Called by the sale.

use std::collections::BTreeSet;

use crate::ids::HoldId;

#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    due: BTreeSet<(u64, HoldId)>,
}

impl Deadlines {
    pub(crate) fn insert(&mut self, deadline_ms: u64, hold: HoldId) {
        self.due.insert((deadline_ms, hold));
    }

    pub(crate) fn remove(&mut self, deadline_ms: u64, hold: HoldId) {
        self.due.remove(&(deadline_ms, hold));
    }

    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Takes the next hold that is due at `now_ms`.
    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<HoldId> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.due.pop_first().map(|(_, hold)| hold)
    }

    /// In the sequence of expiry.
    pub(crate) fn sequence(&self) -> Vec<(u64, HoldId)> {
        self.due.iter().copied().collect()
    }
}
