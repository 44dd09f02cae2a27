//! The last good state and what followed it, so that a sale whose logic panics can be frozen at
//! that command and taken up again: the bytes of a half-changed sale are never read.
//!
//! The journal copies the committed bytes, because they are parts of entries and frames that would
//! all have to be kept for one sale's part. It is cut by an image of the present sale once it is twice
//! as long as what it follows, so a small sale keeps little: an image keeps what the sale has left
//! behind since. An idle sale keeps only what it was created with.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use domain::{Sale, SaleImage};

use super::view::Frost;

/// What a sale is on this replica.
pub(crate) enum Body {
    Live(Arc<SaleImage>),
    Frozen(Frozen),
}

/// A frozen sale: its last good state, what followed, and where it stopped.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub frost: Frost,
    pub checkpoint: Arc<SaleImage>,
    pub journal: Vec<JournalEntry>,
}

/// Command records that were applied at one time.
#[derive(Clone, Debug)]
pub(crate) struct JournalEntry {
    pub at_ms: u64,
    pub records: Bytes,
}

pub(crate) struct Journal {
    checkpoint: Arc<SaleImage>,
    /// One after the other: `at_ms` u64 and length u32, little-endian, then the records. In chunks,
    /// because one array that grows is copied as a whole now and then, and the sale waits.
    chunks: Vec<Vec<u8>>,
    /// Bytes of all of them.
    len: usize,
    bytes_max: usize,
    cut_at: usize,
}

const ENTRY_HEADER_LEN: usize = 12;
/// No chunk grows beyond this, unless a single entry is longer.
const CHUNK_BYTES: usize = 1 << 20;
/// A journal is not cut below this.
const CUT_MIN_BYTES: usize = 64 << 10;
/// A row of a checkpoint takes about so many bytes.
const ROW_BYTES: usize = 96;

impl Journal {
    pub fn new(sale: &Sale, bytes_max: usize) -> Journal {
        Journal::behind(Arc::new(sale.image()), bytes_max)
    }

    fn behind(checkpoint: Arc<SaleImage>, bytes_max: usize) -> Journal {
        let cut_at = (2 * ROW_BYTES * checkpoint.rows()).max(CUT_MIN_BYTES);
        Journal {
            checkpoint,
            chunks: Vec::new(),
            len: 0,
            bytes_max,
            cut_at: cut_at.min(bytes_max),
        }
    }

    /// See `Sale::warm`.
    pub fn warm(&self) {
        black_box(self.chunks.last().map(|chunk| chunk.last().copied()));
    }

    pub fn add(&mut self, at_ms: u64, records: &[u8]) {
        let len = ENTRY_HEADER_LEN + records.len();
        let begun = self.chunks.last();
        if begun.is_none_or(|chunk| chunk.len() + len > CHUNK_BYTES) {
            // The first begins small, as most sales are.
            let room = begun.map_or(len, |_| CHUNK_BYTES.max(len));
            self.chunks.push(Vec::with_capacity(room));
        }
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        chunk.extend_from_slice(&at_ms.to_le_bytes());
        // The records of one entry: far below 4 GiB.
        chunk.extend_from_slice(&(records.len() as u32).to_le_bytes());
        chunk.extend_from_slice(records);
        self.len += len;
    }

    /// Starts anew from the present state once the journal is long.
    pub fn cut_when_long(&mut self, sale: &Sale) {
        if self.len > self.cut_at {
            *self = Journal::new(sale, self.bytes_max);
        }
    }

    /// An image of the present was made for another reason: a journal that would soon need one too takes
    /// it along. Others keep what they have, so that a sale at rest is not kept twice.
    pub fn take_along(&mut self, present: &Arc<SaleImage>) {
        if self.len > self.cut_at / 4 {
            *self = Journal::behind(Arc::clone(present), self.bytes_max);
        }
    }

    pub fn freeze(&mut self, frost: Frost) -> Frozen {
        self.len = 0;
        let chunks = std::mem::take(&mut self.chunks).into_iter();
        Frozen {
            frost,
            checkpoint: Arc::clone(&self.checkpoint),
            journal: chunks.flat_map(|chunk| split(chunk.into())).collect(),
        }
    }
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
    fn a_journal_of_many_chunks_comes_back_as_it_was() {
        let mut journal = Journal::new(&sale(), 1 << 30);
        let lens = [1, CHUNK_BYTES / 2, CHUNK_BYTES / 2, 3 * CHUNK_BYTES, 0, 7];
        let entry = |number: usize| vec![number as u8; lens[number % lens.len()]];
        for number in 0..20 {
            journal.add(number as u64, &entry(number));
        }
        let len: usize = (0..20)
            .map(|number| ENTRY_HEADER_LEN + entry(number).len())
            .sum();
        assert_eq!(journal.len, len);
        assert!(journal.chunks.len() > 6, "{}", journal.chunks.len());
        let back = journal.freeze(frost()).journal;
        assert_eq!(back.len(), 20);
        for (number, JournalEntry { at_ms, records }) in back.iter().enumerate() {
            assert!(*at_ms == number as u64 && records[..] == entry(number));
        }
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
        assert_eq!(frozen.checkpoint.now_ms(), 77);
        assert_eq!(frozen.checkpoint.state().hash(), sale.full_hash());
    }

    #[test]
    fn an_image_made_for_another_reason_cuts_a_journal_that_is_not_short() {
        let sale = sale();
        let mut journal = Journal::new(&sale, 1 << 20);
        let present = Arc::new(sale.image());
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
