//! What is counted while the load runs. One thread: shared by all connections without a lock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

pub struct Tally {
    /// Nothing is counted while false: warm-up, re-openings.
    measuring: Cell<bool>,
    pub ops: Cell<u64>,
    pub refused: Cell<u64>,
    /// Attempts that certainly had no effect and were made again.
    pub failed: Cell<u64>,
    /// Outcomes that were unknown; the call was repeated with its key.
    pub unknown: Cell<u64>,
    /// Refusals since the start, measured or not.
    refused_ever: Cell<u64>,
    /// Measured refusals by reason.
    reasons: RefCell<BTreeMap<u16, u64>>,
    /// Microseconds from the first call of an operation to its last answer.
    latency: RefCell<Histogram<u64>>,
}

const LATENCY_MAX_US: u64 = 60_000_000;

impl Tally {
    pub fn new() -> anyhow::Result<Tally> {
        Ok(Tally {
            measuring: Cell::new(false),
            ops: Cell::new(0),
            refused: Cell::new(0),
            failed: Cell::new(0),
            unknown: Cell::new(0),
            refused_ever: Cell::new(0),
            reasons: RefCell::new(BTreeMap::new()),
            latency: RefCell::new(Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?),
        })
    }

    pub fn measure(&self, on: bool) {
        self.measuring.set(on);
    }

    pub fn operation(&self, took: Duration) {
        if self.measuring.get() {
            self.ops.set(self.ops.get() + 1);
            let took_us = took.as_micros() as u64;
            self.latency.borrow_mut().saturating_record(took_us.max(1));
        }
    }

    pub fn refusal(&self, reason: u16) {
        self.refused_ever.set(self.refused_ever.get() + 1);
        if self.measuring.get() {
            self.refused.set(self.refused.get() + 1);
            *self.reasons.borrow_mut().entry(reason).or_insert(0) += 1;
        }
    }

    pub fn refusals_ever(&self) -> u64 {
        self.refused_ever.get()
    }

    pub fn reasons(&self) -> Vec<(u16, u64)> {
        let reasons = self.reasons.borrow();
        reasons
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }

    pub fn failure(&self) {
        self.count(&self.failed);
    }

    pub fn unknown(&self) {
        self.count(&self.unknown);
    }

    fn count(&self, what: &Cell<u64>) {
        if self.measuring.get() {
            what.set(what.get() + 1);
        }
    }

    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.borrow().value_at_quantile(quantile) as f64 / 1000.0
    }

    pub fn latency_max_ms(&self) -> f64 {
        self.latency.borrow().max() as f64 / 1000.0
    }
}
