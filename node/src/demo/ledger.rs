//! What buyers were told, kept by the process that told them: the one side of the audit. Also what
//! the box office saw: latencies, silences, what went wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::load::Run;
use crate::load::call::Id;

/// An order a buyer was told is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub order: Id,
    pub seats: Vec<Run>,
}

/// All buyers write here; short steps under one lock.
pub struct Ledger(Mutex<Book>);

pub struct Book {
    pub orders: Vec<Told>,
    pub seats_sold: u64,
    pub parties: u64,
    /// Holds that were placed.
    pub holds: u64,
    pub released: u64,
    /// Holds nobody wanted any more, and holds that ran out while their buyer paid.
    pub expired: u64,
    /// Parties of two or more that took seats apart.
    pub split_groups: u64,
    pub went_home: u64,
    /// Were let in and never came.
    pub no_shows: u64,
    /// Orders of what was left over, which no party waited for.
    pub latecomers: u64,
    /// Calls made twice with one key, and how often the answers differed.
    pub pressed_twice: u64,
    pub told_differently: u64,
    /// Calls given up without an answer.
    pub given_up: u64,
    pub last_trouble: Option<String>,
    /// Refusals by reason.
    pub refusals: std::collections::BTreeMap<u16, u64>,
    hold_us: Histogram<u64>,
    last_acknowledged: Option<Instant>,
    silence: Option<Silence>,
}

/// The longest pause between acknowledged writes since a kill.
struct Silence {
    last: Instant,
    longest: Duration,
}

const HOLD_US_MAX: u64 = 120_000_000;

impl Ledger {
    pub fn new() -> anyhow::Result<Ledger> {
        Ok(Ledger(Mutex::new(Book {
            orders: Vec::new(),
            seats_sold: 0,
            parties: 0,
            holds: 0,
            released: 0,
            expired: 0,
            split_groups: 0,
            went_home: 0,
            no_shows: 0,
            latecomers: 0,
            pressed_twice: 0,
            told_differently: 0,
            given_up: 0,
            last_trouble: None,
            refusals: std::collections::BTreeMap::new(),
            hold_us: Histogram::new_with_bounds(1, HOLD_US_MAX, 3)?,
            last_acknowledged: None,
            silence: None,
        })))
    }

    /// The book is plain counts: it stays readable whatever a writer did.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// A hold was placed; `took` is from the buyer's first attempt.
    pub fn held(&mut self, took: Duration, now: Instant) {
        self.holds += 1;
        let took_us = took.as_micros() as u64;
        self.hold_us.saturating_record(took_us.max(1));
        self.acknowledged(now);
    }

    pub fn sold(&mut self, told: Told, now: Instant) {
        self.seats_sold += told
            .seats
            .iter()
            .map(|run| u64::from(run.count))
            .sum::<u64>();
        self.orders.push(told);
        self.acknowledged(now);
    }

    pub fn refused(&mut self, reason: u16) {
        *self.refusals.entry(reason).or_insert(0) += 1;
    }

    pub fn acknowledged(&mut self, now: Instant) {
        if let Some(silence) = &mut self.silence {
            let pause = now.saturating_duration_since(silence.last);
            silence.longest = silence.longest.max(pause);
            silence.last = now;
        }
        self.last_acknowledged = Some(now);
    }

    pub fn last_acknowledged(&self) -> Option<Instant> {
        self.last_acknowledged
    }

    /// A node is killed now: listen for the silence from the last acknowledged write on.
    pub fn listen(&mut self, now: Instant) {
        self.silence = Some(Silence {
            last: self.last_acknowledged.unwrap_or(now),
            longest: Duration::ZERO,
        });
    }

    /// The longest pause since `listen`.
    pub fn silence(&self) -> Option<Duration> {
        self.silence.as_ref().map(|silence| silence.longest)
    }

    pub fn hold_ms(&self, quantile: f64) -> f64 {
        self.hold_us.value_at_quantile(quantile) as f64 / 1000.0
    }

    pub fn hold_max_ms(&self) -> f64 {
        self.hold_us.max() as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_around_a_kill_is_the_longest_pause() {
        let ledger = Ledger::new().unwrap();
        let mut book = ledger.book();
        let at = Instant::now();
        let ms = |ms: u64| at + Duration::from_millis(ms);
        book.acknowledged(ms(0));
        book.listen(ms(10));
        // On the wire when the node died.
        book.acknowledged(ms(12));
        book.acknowledged(ms(1512));
        book.acknowledged(ms(1520));
        assert_eq!(book.silence(), Some(Duration::from_millis(1500)));
        book.listen(ms(3000));
        book.acknowledged(ms(3001));
        assert_eq!(book.silence(), Some(Duration::from_millis(1481)));
    }
}
