//! The last good state and what followed it, so that a sale whose logic panics can be frozen at
//! that command and taken up again: the bytes of a half-changed sale are never read.
//!
//! The journal copies the committed bytes, because they are parts of entries and frames that would
//! all have to be kept for one sale's part. It is cut by exporting the state anew once it is twice
//! as long as what it follows, so a small sale keeps little and no sale exports often. An idle sale
//! keeps only what it was created with.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use domain::Sale;
use domain::state::SaleState;

use super::view::Frost;

/// What a sale is on this replica.
pub(crate) enum Body {
    Live {
        state: Arc<SaleState>,
        full_hash: u64,
    },
    Frozen(Frozen),
}

/// A frozen sale: its last good state, what followed, and where it stopped.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub frost: Frost,
    pub checkpoint: Arc<SaleState>,
    pub checkpoint_hash: u64,
    pub journal: Vec<JournalEntry>,
}

/// Command records that were applied at one time.
#[derive(Clone, Debug)]
pub(crate) struct JournalEntry {
    pub at_ms: u64,
    pub records: Bytes,
}

pub(crate) struct Journal {
    checkpoint: Arc<SaleState>,
    checkpoint_hash: u64,
    /// One after the other: `at_ms` u64 and length u32, little-endian, then the records.
    entries: Vec<u8>,
    bytes_max: usize,
    cut_at: usize,
}

const ENTRY_HEADER_LEN: usize = 12;
/// A journal is not cut below this.
const CUT_MIN_BYTES: usize = 64 << 10;
/// A row of a checkpoint takes about so many bytes.
const ROW_BYTES: usize = 96;

impl Journal {
    pub fn new(sale: &Sale, bytes_max: usize) -> Journal {
        let checkpoint = sale.export();
        let cut_at = (2 * ROW_BYTES * rows(&checkpoint)).max(CUT_MIN_BYTES);
        Journal {
            checkpoint: Arc::new(checkpoint),
            checkpoint_hash: sale.full_hash(),
            entries: Vec::new(),
            bytes_max,
            cut_at: cut_at.min(bytes_max),
        }
    }

    /// See `Sale::warm`.
    pub fn warm(&self) {
        black_box(self.entries.last().copied());
    }

    pub fn add(&mut self, at_ms: u64, records: &[u8]) {
        self.entries.extend_from_slice(&at_ms.to_le_bytes());
        // The records of one entry: far below 4 GiB.
        self.entries
            .extend_from_slice(&(records.len() as u32).to_le_bytes());
        self.entries.extend_from_slice(records);
    }

    /// Starts anew from the present state once the journal is long.
    pub fn cut_when_long(&mut self, sale: &Sale) {
        if self.entries.len() > self.cut_at {
            let mut entries = std::mem::take(&mut self.entries);
            entries.clear();
            *self = Journal {
                entries,
                ..Journal::new(sale, self.bytes_max)
            };
        }
    }

    pub fn freeze(&mut self, frost: Frost) -> Frozen {
        Frozen {
            frost,
            checkpoint: Arc::clone(&self.checkpoint),
            checkpoint_hash: self.checkpoint_hash,
            journal: split(std::mem::take(&mut self.entries).into()),
        }
    }
}

/// What makes a state large.
fn rows(state: &SaleState) -> usize {
    state.successes.len()
        + state.rejections.len()
        + state.orders.len()
        + state.holds.len()
        + state.ended.len()
}

fn split(mut entries: Bytes) -> Vec<JournalEntry> {
    let mut journal = Vec::new();
    while entries.len() >= ENTRY_HEADER_LEN {
        let at_ms = entries.get_u64_le();
        let len = entries.get_u32_le() as usize;
        let records = entries.split_to(len.min(entries.len()));
        journal.push(JournalEntry { at_ms, records });
    }
    journal
}
