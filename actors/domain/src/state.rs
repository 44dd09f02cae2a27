//! A sale's whole state as plain values: what snapshots, moves and full hashes are made of.
//!
//! Caches and sums are not in it: trees, indexes, counts per buyer and channel are derived again
//! on restore. This crate gives it no byte format; the outermost crates convert it.

mod export;
mod hash;
mod restore;

pub use crate::ended::{EndedHold, Ending};
pub use restore::StateFault;

use crate::hold::Hold;
use crate::ids::{IdempotencyKey, PartnerId, Revision};
use crate::order::Order;
use crate::outcome::Done;
use crate::rejection::{Phase, Rejection};
use crate::room::state::RoomState;
use crate::rules::SaleRules;
use crate::seats::SectionPlanes;
use crate::venue::Venue;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleState {
    pub venue: Venue,
    pub rules: SaleRules,
    pub hash_seed: u64,
    pub phase: Phase,
    pub now_ms: u64,
    pub revision: Revision,
    pub digest: u64,
    /// By section.
    pub planes: Vec<SectionPlanes>,
    /// In the sequence in which they expire: by (deadline, id).
    pub holds: Vec<Hold>,
    /// In the sequence in which they were placed.
    pub orders: Vec<Order>,
    /// Oldest first: the confirmed ones, then the released and expired ones.
    pub ended: Vec<EndedHold>,
    /// Oldest first.
    pub successes: Vec<RememberedSuccess>,
    /// Oldest first.
    pub rejections: Vec<RememberedRejection>,
    /// Sorted by partner, each at most once.
    pub watermarks: Vec<Watermark>,
    pub room: Option<RoomState>,
}

/// A success the idempotency table remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedSuccess {
    pub partner: PartnerId,
    pub key: IdempotencyKey,
    pub request_hash: u64,
    /// Log time, Unix milliseconds.
    pub at_ms: u64,
    pub done: Done,
}

/// A rejection the idempotency table remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedRejection {
    pub partner: PartnerId,
    pub key: IdempotencyKey,
    pub request_hash: u64,
    pub rejection: Rejection,
}

/// Keys of the partner that are not newer than this may have been forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    pub partner: PartnerId,
    /// Unix milliseconds, as the key claims.
    pub made_at_ms: u64,
}
