//! What buyers asked and were told, in the judge's format, and when they were told it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::history::record::{Call, Id, Op, Outcome, Record, Run};

pub struct Chronicle {
    began: Instant,
    pages: Mutex<Pages>,
    done: AtomicU64,
}

#[derive(Default)]
struct Pages {
    records: Vec<Record>,
    /// When wishes were carried out, nanoseconds.
    acknowledged: Vec<u64>,
    orders: BTreeMap<(u64, Id), Bought>,
    last_trouble: String,
}

/// An order that a buyer was told is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    pub seats: Vec<Run>,
    /// Somebody tried to cancel it: it may be cancelled, and must be there all the same.
    pub cancel_tried: bool,
}

impl Chronicle {
    pub fn new() -> Chronicle {
        Chronicle {
            began: Instant::now(),
            pages: Mutex::default(),
            done: AtomicU64::new(0),
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    pub fn ns_of(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_nanos() as u64
    }

    pub fn write(&self, op: Op) {
        let mut pages = self.pages();
        if let (Outcome::Done(done), Some(returned)) = (&op.outcome, op.returned) {
            if op.call != Call::Govern {
                pages.acknowledged.push(returned);
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            if let Call::Confirm { order, .. } = op.call {
                let bought = Bought {
                    seats: done.runs.clone(),
                    cancel_tried: false,
                };
                pages.orders.entry((op.sale, order)).or_insert(bought);
            }
        }
        if let Call::Cancel { order } = op.call
            && let Some(bought) = pages.orders.get_mut(&(op.sale, order))
        {
            bought.cancel_tried = true;
        }
        pages.records.push(Record::Op(op));
    }

    pub fn complain(&self, what: String) {
        self.pages().last_trouble = what;
    }

    /// Wishes carried out.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub fn last_trouble(&self) -> String {
        self.pages().last_trouble.clone()
    }

    pub fn records(&self) -> Vec<Record> {
        self.pages().records.clone()
    }

    /// Orders that were acknowledged.
    pub fn orders(&self) -> BTreeMap<(u64, Id), Bought> {
        self.pages().orders.clone()
    }

    /// The longest time without an acknowledgement that touches the span, from the last one before it
    /// to the first one after; `None` while none has come after it.
    pub fn longest_silence_ns(&self, from: u64, to: u64) -> Option<u64> {
        let mut moments = self.pages().acknowledged.clone();
        moments.sort_unstable();
        if moments.last().is_none_or(|last| *last < to) {
            return None;
        }
        let pairs = moments.windows(2);
        pairs
            .filter(|pair| pair[1] >= from && pair[0] <= to)
            .map(|pair| pair[1] - pair[0])
            .max()
    }

    /// Forgets acknowledgements before this moment, so that a long run stays quick.
    pub fn forget_before(&self, ns: u64) {
        self.pages().acknowledged.retain(|moment| *moment >= ns);
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Chronicle {
    fn default() -> Self {
        Chronicle::new()
    }
}
