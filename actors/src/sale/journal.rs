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
    Live(Arc<SaleState>),
    Frozen(Frozen),
}

/// A frozen sale: its last good state, what followed, and where it stopped.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub frost: Frost,
    pub checkpoint: Arc<SaleState>,
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
        Journal::behind(Arc::new(sale.export()), Vec::new(), bytes_max)
    }

    fn behind(checkpoint: Arc<SaleState>, entries: Vec<u8>, bytes_max: usize) -> Journal {
        let cut_at = (2 * ROW_BYTES * rows(&checkpoint)).max(CUT_MIN_BYTES);
        Journal {
            checkpoint,
            entries,
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
            self.begin_anew(Arc::new(sale.export()));
        }
    }

    /// The present state was exported for another reason: a journal that would soon need one too takes
    /// it along. Others keep what they have, so that a sale at rest is not kept twice.
    pub fn take_along(&mut self, present: &Arc<SaleState>) {
        if self.entries.len() > self.cut_at / 4 {
            self.begin_anew(Arc::clone(present));
        }
    }

    fn begin_anew(&mut self, present: Arc<SaleState>) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.clear();
        *self = Journal::behind(present, entries, self.bytes_max);
    }

    pub fn freeze(&mut self, frost: Frost) -> Frozen {
        Frozen {
            frost,
            checkpoint: Arc::clone(&self.checkpoint),
            journal: split(std::mem::take(&mut self.entries).into()),
        }
    }
}

/// Visitors are shared with the room: of a state that is kept they cost next to nothing, and to hash
/// them little.
const VISITORS_A_ROW: usize = 48;

/// What makes a state large.
fn rows(state: &SaleState) -> usize {
    state.successes.len()
        + state.rejections.len()
        + state.orders.len()
        + state.holds.len()
        + state.ended.len()
        + state
            .room
            .as_ref()
            .map_or(0, |room| room.visitors.len() / VISITORS_A_ROW)
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

#[cfg(test)]
mod tests {
    use domain::rules::SaleRules;
    use domain::venue::{SectionPlan, Venue};

    use super::*;

    fn sale() -> Sale {
        let venue = Venue {
            sections: vec![SectionPlan::General {
                capacity: 10,
                category: 0,
            }],
        };
        Sale::new(&venue, SaleRules::default(), 1).expect("a valid venue")
    }

    fn frost() -> Frost {
        Frost {
            log_index: 1,
            command: 0,
            why: String::new(),
        }
    }

    #[test]
    fn what_was_added_comes_back_entry_by_entry() {
        let mut journal = Journal::new(&sale(), 1 << 20);
        let entries: [(u64, &[u8]); 3] = [(5, b"one"), (5, b""), (9, b"three")];
        for (at_ms, records) in entries {
            journal.add(at_ms, records);
        }
        let back = journal.freeze(frost()).journal;
        let back: Vec<(u64, &[u8])> = back
            .iter()
            .map(|entry| (entry.at_ms, &entry.records[..]))
            .collect();
        assert_eq!(back, entries);
        assert!(journal.freeze(frost()).journal.is_empty(), "handed over");
    }

    #[test]
    fn a_long_journal_begins_anew_from_the_present_state() {
        let mut sale = sale();
        let mut journal = Journal::new(&sale, 1 << 20);
        journal.add(1, &vec![0; CUT_MIN_BYTES - 2 * ENTRY_HEADER_LEN]);
        journal.cut_when_long(&sale);
        assert_eq!(journal.freeze(frost()).journal.len(), 1, "not long yet");
        let mut journal = Journal::new(&sale, 1 << 20);
        journal.add(1, &vec![0; CUT_MIN_BYTES]);
        let sweep = domain::command::Request {
            partner: domain::ids::PartnerId(0),
            channel: domain::ids::ChannelId(0),
            key: domain::ids::IdempotencyKey(0),
            hash: 0,
            command: domain::command::Command::ExpireHolds,
        };
        sale.apply(77, &sweep, &mut Vec::new());
        journal.cut_when_long(&sale);
        let frozen = journal.freeze(frost());
        assert!(frozen.journal.is_empty());
        assert_eq!(frozen.checkpoint.now_ms, 77);
        assert_eq!(frozen.checkpoint.hash(), sale.full_hash());
    }

    #[test]
    fn a_state_exported_for_another_reason_cuts_a_journal_that_is_not_short() {
        let sale = sale();
        let mut journal = Journal::new(&sale, 1 << 20);
        let present = Arc::new(sale.export());
        let short = CUT_MIN_BYTES / 4 - ENTRY_HEADER_LEN;
        journal.add(1, &vec![0; short]);
        journal.take_along(&present);
        assert!(!Arc::ptr_eq(&journal.checkpoint, &present), "short");
        journal.add(2, b"one");
        journal.take_along(&present);
        let frozen = journal.freeze(frost());
        assert!(Arc::ptr_eq(&frozen.checkpoint, &present));
        assert!(frozen.journal.is_empty());
    }

    #[test]
    fn no_journal_outgrows_what_is_allowed() {
        let sale = sale();
        let mut journal = Journal::new(&sale, 100);
        journal.add(1, &[0; 100]);
        journal.cut_when_long(&sale);
        assert!(journal.freeze(frost()).journal.is_empty());
    }
}
