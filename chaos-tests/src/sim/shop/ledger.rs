//! What buyers asked for and what they were told.

use std::collections::BTreeMap;

use super::guests::GuestBook;
use crate::sim::deed;

/// What a buyer asks of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Place {
        lines: Vec<Line>,
        ttl_s: u32,
        /// Who was let in to a sale with a waiting room.
        guest: Option<Admitted>,
    },
    Extend,
    Release,
    Confirm {
        order: u128,
    },
    Cancel {
        order: u128,
    },
}

impl Wish {
    pub fn name(&self) -> &'static str {
        match self {
            Wish::Place { .. } => "place",
            Wish::Extend => "extend",
            Wish::Release => "release",
            Wish::Confirm { .. } => "confirm",
            Wish::Cancel { .. } => "cancel",
        }
    }
}

/// A visitor with a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub visitor: u128,
    pub pass: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Best(u32),
    Seat(u32),
    Standing(u32),
}

/// One wish under one key, over all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub sale: u64,
    pub key: u128,
    pub hold: u128,
    pub wish: Wish,
    /// Simulated milliseconds of the first attempt and of the last word.
    pub asked_ms: u64,
    pub told_ms: u64,
    pub told: Told,
}

/// The last word on a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Done(Receipt),
    Rejected(String),
    /// Certainly without effect, whatever was tried.
    Failed(String),
    /// May have happened, may still happen.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub seats: Vec<Run>,
    pub deadline_ms: u64,
    pub revision: u64,
    pub log_index: u64,
}

impl Receipt {
    /// Whether both tell of the same deed.
    pub fn same_as(&self, other: &Receipt) -> bool {
        let Receipt {
            seats,
            deadline_ms,
            revision,
            log_index: _,
        } = self;
        (seats, deadline_ms, revision) == (&other.seats, &other.deadline_ms, &other.revision)
    }
}

/// Seats side by side; in the standing section only the count means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub section: u32,
    pub first: u32,
    pub count: u32,
}

/// The section of rows, and the one of places to stand.
pub const SEATED: u32 = 0;
pub const STANDING: u32 = 1;

/// An order as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSeen {
    pub is_paid: bool,
    pub seats: Vec<Run>,
}

/// The seats of a sale as they were read, proved current.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatsSeen {
    pub revision: u64,
    pub held: u32,
    pub sold: u32,
    /// Numbers of the sold seats of the seated section.
    pub sold_seats: Vec<u32>,
}

#[derive(Default)]
pub struct Ledger {
    pub acts: Vec<Act>,
    /// Found wrong on the way.
    pub violations: Vec<String>,
    /// Calls sent, retries and reads too.
    pub calls: u64,
    /// Calls sent again although they had been answered.
    pub duplicates: u64,
    /// The highest revision of each sale that anybody was told of.
    pub revisions: BTreeMap<u64, u64>,
    /// Read at the end: `None` is an order that is not there.
    pub orders: BTreeMap<(u64, u128), Option<OrderSeen>>,
    pub seats: BTreeMap<u64, SeatsSeen>,
    pub guests: GuestBook,
    /// What visitors met.
    pub deeds: deed::Counts,
}

impl Ledger {
    pub fn see_revision(&mut self, sale: u64, revision: u64) {
        let known = self.revisions.entry(sale).or_default();
        *known = revision.max(*known);
    }

    /// Wishes carried out and visitors taken in since this simulated time.
    pub fn done_since(&self, ms: u64) -> usize {
        let acts = self.acts.iter();
        let done = acts.filter(|act| act.told_ms >= ms && matches!(act.told, Told::Done(_)));
        done.count() + self.guests.came_since(ms)
    }
}
