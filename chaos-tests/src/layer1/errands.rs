//! Calls that will come later: payments, retries, second thoughts. By time, then by age.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::layer1::asked::Call;
use crate::layer1::faults::Fault;

/// More are dropped: their callers gave up.
const ERRANDS_MAX: usize = 4_096;

pub(super) struct Errand {
    pub due_ms: u64,
    number: u64,
    pub call: Call,
    /// The fault that this call is, if it is one.
    pub fault: Option<Fault>,
}

#[derive(Default)]
pub(super) struct Errands {
    heap: BinaryHeap<Reverse<Errand>>,
    number: u64,
}

impl Errands {
    pub fn add(&mut self, due_ms: u64, call: Call, fault: Option<Fault>) {
        if self.heap.len() < ERRANDS_MAX {
            self.number += 1;
            self.heap.push(Reverse(Errand {
                due_ms,
                number: self.number,
                call,
                fault,
            }));
        }
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|errand| errand.0.due_ms)
    }

    pub fn take_due(&mut self, now_ms: u64) -> Option<Errand> {
        match self.next_ms() {
            Some(due_ms) if due_ms <= now_ms => self.heap.pop().map(|errand| errand.0),
            _ => None,
        }
    }
}

impl Ord for Errand {
    fn cmp(&self, other: &Errand) -> std::cmp::Ordering {
        (self.due_ms, self.number).cmp(&(other.due_ms, other.number))
    }
}

impl PartialOrd for Errand {
    fn partial_cmp(&self, other: &Errand) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Errand {
    fn eq(&self, other: &Errand) -> bool {
        self.number == other.number
    }
}

impl Eq for Errand {}
