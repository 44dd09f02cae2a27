//! What became of visitors, by the tenth of a second in which each came, and how long those waited who
//! were served. One thread: shared by all connections without a lock.

use std::cell::RefCell;
use std::ops::Range;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Length of a slot.
pub const SLOT_US: u64 = 100_000;
/// Who is served within this time has not waited.
const AT_ONCE_US: u64 = 1_000_000;
const LATENCY_MAX_US: u64 = 120_000_000;

/// Visitors of a time. Each ends in one of: served, late, refused, sold out, unknown, not taken, given
/// up; or it is still waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Who came.
    pub offered: u64,
    /// Calls put on the wire, those made again included.
    pub sent: u64,
    /// Made again.
    pub retried: u64,
    /// Told that the place is held, in time.
    pub served: u64,
    /// Of those, told within a second of coming.
    pub at_once: u64,
    /// Told so when it was too late.
    pub late: u64,
    /// Told to come back.
    pub refused: u64,
    /// Told that there is no place.
    pub sold_out: u64,
    /// Told that nobody knows.
    pub unknown: u64,
    /// Never reached a node: the connection was full or down.
    pub not_taken: u64,
    /// Stopped calling again.
    pub gave_up: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        let Counts {
            offered,
            sent,
            retried,
            served,
            at_once,
            late,
            refused,
            sold_out,
            unknown,
            not_taken,
            gave_up,
        } = other;
        self.offered += offered;
        self.sent += sent;
        self.retried += retried;
        self.served += served;
        self.at_once += at_once;
        self.late += late;
        self.refused += refused;
        self.sold_out += sold_out;
        self.unknown += unknown;
        self.not_taken += not_taken;
        self.gave_up += gave_up;
    }
}

pub struct Tally {
    slots: RefCell<Vec<Counts>>,
    /// Served by the time of the answer, for how goodput recovers.
    answered: RefCell<Vec<u64>>,
    latency: RefCell<Histogram<u64>>,
    /// Only who came within this time counts for the latency.
    measured_us: Range<u64>,
}

impl Tally {
    pub fn new(measured_us: Range<u64>) -> anyhow::Result<Tally> {
        Ok(Tally {
            slots: RefCell::default(),
            answered: RefCell::default(),
            latency: RefCell::new(Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?),
            measured_us,
        })
    }

    /// Counts something about who came at this time.
    pub fn count(&self, came_us: u64, what: impl FnOnce(&mut Counts)) {
        let mut slots = self.slots.borrow_mut();
        let at = (came_us / SLOT_US) as usize;
        if slots.len() <= at {
            slots.resize(at + 1, Counts::default());
        }
        what(&mut slots[at]);
    }

    /// A visitor was served.
    pub fn served(&self, came_us: u64, now_us: u64) {
        let at_once = now_us.saturating_sub(came_us) <= AT_ONCE_US;
        self.count(came_us, |counts| {
            counts.served += 1;
            counts.at_once += u64::from(at_once);
        });
        if self.measured_us.contains(&came_us) {
            let waited_us = now_us.saturating_sub(came_us).max(1);
            self.latency.borrow_mut().saturating_record(waited_us);
        }
        let mut answered = self.answered.borrow_mut();
        let at = (now_us / SLOT_US) as usize;
        if answered.len() <= at {
            answered.resize(at + 1, 0);
        }
        answered[at] += 1;
    }

    /// Sums over the visitors who came in this time.
    pub fn sum(&self, us: Range<u64>) -> Counts {
        let slots = self.slots.borrow();
        let mut sum = Counts::default();
        let (from, to) = ((us.start / SLOT_US) as usize, (us.end / SLOT_US) as usize);
        for slot in slots.iter().take(to).skip(from) {
            sum.add(slot);
        }
        sum
    }

    /// Visitors told in this time that they are served, a second.
    pub fn goodput_per_s(&self, us: Range<u64>) -> f64 {
        let answered = self.answered.borrow();
        let (from, to) = ((us.start / SLOT_US) as usize, (us.end / SLOT_US) as usize);
        let served: u64 = answered.iter().take(to).skip(from).sum();
        served as f64 * 1e6 / ((to - from).max(1) as f64 * SLOT_US as f64)
    }

    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.borrow().value_at_quantile(quantile) as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_count_when_they_came_and_goodput_when_they_are_told() {
        let tally = Tally::new(0..SLOT_US * 2).expect("bounds that are good");
        for came_us in [0, SLOT_US, SLOT_US * 2] {
            tally.count(came_us, |counts| counts.offered += 1);
            tally.served(came_us, came_us + SLOT_US);
        }
        assert_eq!(tally.sum(0..SLOT_US * 2).served, 2);
        assert_eq!(tally.sum(0..SLOT_US * 3).offered, 3);
        assert_eq!(tally.goodput_per_s(0..SLOT_US), 0.0);
        assert_eq!(tally.goodput_per_s(SLOT_US..SLOT_US * 4), 10.0);
        assert_eq!(tally.latency_ms(0.5).round(), 100.0);
    }

    #[test]
    fn who_has_waited_for_longer_than_a_second_was_not_served_at_once() {
        let tally = Tally::new(0..1).expect("bounds that are good");
        tally.served(7, 7 + AT_ONCE_US);
        tally.served(7, 8 + AT_ONCE_US);
        let counts = tally.sum(0..SLOT_US);
        assert_eq!((counts.served, counts.at_once), (2, 1));
    }
}
