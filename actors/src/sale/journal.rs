//! The last good state and what followed it, so that a sale whose logic panics can be frozen at
//! that command and taken up again: the bytes of a half-changed sale are never read.
//!
//! The journal refers to the committed bytes; it is cut when it has grown by exporting the state
//! anew. An idle sale keeps only what it was created with.

use std::sync::Arc;

use bytes::Bytes;
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
    entries: Vec<JournalEntry>,
    bytes: usize,
    bytes_max: usize,
}

impl Journal {
    pub fn new(sale: &Sale, bytes_max: usize) -> Journal {
        Journal {
            checkpoint: Arc::new(sale.export()),
            checkpoint_hash: sale.full_hash(),
            entries: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub fn add(&mut self, at_ms: u64, records: Bytes) {
        self.bytes += records.len();
        self.entries.push(JournalEntry { at_ms, records });
    }

    /// Starts anew from the present state once the journal is long.
    pub fn cut_when_long(&mut self, sale: &Sale) {
        if self.bytes > self.bytes_max {
            *self = Journal::new(sale, self.bytes_max);
        }
    }

    pub fn freeze(&mut self, frost: Frost) -> Frozen {
        Frozen {
            frost,
            checkpoint: Arc::clone(&self.checkpoint),
            checkpoint_hash: self.checkpoint_hash,
            journal: std::mem::take(&mut self.entries),
        }
    }
}
