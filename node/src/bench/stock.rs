//! How many operations may still be started before an event must be re-opened, counted by the
//! client so that nothing is refused. One thread: plain cells.

use std::cell::Cell;

use tokio::sync::Notify;

/// The count of one event that is re-opened while it sells.
pub struct Stock {
    per_opening: u64,
    /// Operations started so far.
    started: Cell<u64>,
    /// Operations that may be started before the next re-opening is done.
    limit: Cell<u64>,
    asked: Cell<bool>,
    /// For who re-opens: it is time.
    pub low: Notify,
    /// For who waits for seats: there are more.
    pub more: Notify,
}

impl Stock {
    pub fn new(per_opening: u64) -> Stock {
        Stock {
            per_opening,
            started: Cell::new(0),
            limit: Cell::new(per_opening),
            asked: Cell::new(false),
            low: Notify::new(),
            more: Notify::new(),
        }
    }

    /// An event that never runs out: after the sell-out everything is refused.
    pub fn endless() -> Stock {
        Stock::new(u64::MAX)
    }

    /// An event, or several, sold in rounds: nothing is started before `release`.
    pub fn in_rounds(per_round: u64) -> Stock {
        let stock = Stock::new(per_round);
        stock.limit.set(0);
        stock.asked.set(true);
        stock
    }

    /// The next round.
    pub fn release(&self) {
        self.limit.set(self.started.get() + self.per_opening);
        self.more.notify_waiters();
    }

    /// Nothing is started any more.
    pub fn close(&self) {
        self.limit.set(0);
        self.asked.set(true);
    }

    pub fn is_exhausted(&self) -> bool {
        self.started.get() >= self.limit.get()
    }

    /// The number of the operation that starts now; `None` until the event is re-opened.
    pub fn start(&self) -> Option<u64> {
        let number = self.started.get();
        let limit = self.limit.get();
        // Asked for while more than half of an opening is left: the answer comes before the end.
        if number + self.per_opening / 2 >= limit && !self.asked.get() {
            self.asked.set(true);
            self.low.notify_one();
        }
        if number >= limit {
            return None;
        }
        self.started.set(number + 1);
        Some(number)
    }

    pub fn started(&self) -> u64 {
        self.started.get()
    }

    /// The event was re-opened. When that was asked for, every operation below `done_below` had
    /// ended: their seats are free again. All others are counted as if they still had theirs.
    pub fn reopened(&self, done_below: u64) {
        self.limit.set(done_below + self.per_opening);
        self.asked.set(false);
        self.more.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_an_opening_has() {
        let stock = Stock::new(10);
        let started: Vec<u64> = std::iter::from_fn(|| stock.start()).collect();
        assert_eq!(started, (0..10).collect::<Vec<_>>());
        // Operations 7 to 9 were under way when the re-opening was asked for.
        stock.reopened(7);
        let started: Vec<u64> = std::iter::from_fn(|| stock.start()).collect();
        assert_eq!(started, (10..17).collect::<Vec<_>>());
        assert_eq!(stock.started(), 17);
    }

    #[test]
    fn a_round_at_a_time() {
        let stock = Stock::in_rounds(3);
        assert!(stock.start().is_none() && stock.is_exhausted());
        for round in 0..2 {
            stock.release();
            assert_eq!(std::iter::from_fn(|| stock.start()).count(), 3);
            assert_eq!(stock.started(), 3 * (round + 1));
        }
    }
}
