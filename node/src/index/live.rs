//! The live holds: in memory, because each is looked up once more before long; on disk as pages of
//! what came and went since, in sequence. Pages of which most is gone are written anew, the oldest
//! first. Everything goes into the caller's batch; should that fail, the whole store is thrown
//! away, and with it this.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use domain::ids::{BuyerId, ChannelId, HoldId, PartnerId, SaleId};

use super::archive::damaged;
use super::chunk::take;
use super::keys;
use super::row::{Row, RowState};
use super::store::{Batch, IndexStore, StoreFault};

/// Entries of a page: some 40 KB. Tests have few holds and want many pages.
const PAGE_ENTRIES: usize = if cfg!(test) { 4 } else { 512 };
/// Entries that may be on disk beside two for each live hold.
const SLACK_ENTRIES: usize = if cfg!(test) { 8 } else { 8_192 };

/// By sale and hold.
type Key = (u64, u128);

#[derive(Default)]
pub(super) struct Live {
    holds: BTreeMap<Key, Held>,
    pages: VecDeque<Page>,
    next_number: u64,
    /// Of all pages.
    entries: usize,
}

/// What of a hold's row is not in its key or known of every live hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    buyer: BuyerId,
    at_ms: u64,
    deadline_ms: u64,
    /// Where its newest entry is.
    page: u64,
    partner: PartnerId,
    seats: u32,
    channel: ChannelId,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    number: u64,
    entries: usize,
}

/// What a page says of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Came(Row),
    Went(Key),
}

impl Live {
    pub fn open(store: &dyn IndexStore) -> Result<Live, StoreFault> {
        let mut live = Live::default();
        let mut sound = true;
        let end = keys::behind(keys::LIVE);
        store.scan(keys::LIVE, end.as_deref(), &mut |key, value| {
            match (keys::number(key), decode(value)) {
                (Some(number), Some(entries)) => live.replay(number, &entries),
                _ => sound = false,
            }
            sound
        })?;
        match sound {
            true => Ok(live),
            false => Err(damaged()),
        }
    }

    fn replay(&mut self, number: u64, entries: &[Entry]) {
        for entry in entries {
            self.take_note(number, entry);
        }
        self.next_number = number + 1;
        self.entries += entries.len();
        self.pages.push_back(Page {
            number,
            entries: entries.len(),
        });
    }

    fn take_note(&mut self, page: u64, entry: &Entry) {
        match entry {
            Entry::Came(row) => {
                self.holds.insert(key(row), Held::of(row, page));
            }
            Entry::Went(key) => {
                self.holds.remove(key);
            }
        }
    }

    pub fn get(&self, sale: u64, hold: u128) -> Option<Row> {
        let key = (sale, hold);
        self.holds.get(&key).map(|held| held.row(key))
    }

    /// All of one sale, or of all sales.
    pub fn rows(&self, sale: Option<SaleId>) -> impl Iterator<Item = Row> {
        let (from, to) = match sale {
            Some(SaleId(sale)) => ((sale, 0), Bound::Included((sale, u128::MAX))),
            None => ((0, 0), Bound::Unbounded),
        };
        let range = self.holds.range((Bound::Included(from), to));
        range.map(|(key, held)| held.row(*key))
    }

    /// What came and went in one drain: a hold that went may have come again.
    pub fn write(
        &mut self,
        store: &dyn IndexStore,
        went: Vec<Key>,
        came: &[Row],
        batch: &mut Batch,
    ) -> Result<(), StoreFault> {
        let went = went.into_iter().map(Entry::Went);
        let came = came.iter().copied().map(Entry::Came);
        self.append(went.chain(came).collect(), batch);
        while self.entries > 2 * self.holds.len() + SLACK_ENTRIES {
            self.clean(store, batch)?;
        }
        Ok(())
    }

    /// Lets up to `max` holds of a sale go; how many there were.
    pub fn clear(&mut self, sale: SaleId, max: usize, batch: &mut Batch) -> usize {
        let held = self.rows(Some(sale)).take(max);
        let went: Vec<Entry> = held.map(|row| Entry::Went(key(&row))).collect();
        let cleared = went.len();
        self.append(went, batch);
        cleared
    }

    fn append(&mut self, entries: Vec<Entry>, batch: &mut Batch) {
        for entries in entries.chunks(PAGE_ENTRIES) {
            batch.put(keys::live(self.next_number), encode(entries));
            self.replay(self.next_number, entries);
        }
    }

    /// The oldest page goes. What of it lives is written again; that something went needs to be
    /// said no more, because whatever it ended was in this page or before.
    fn clean(&mut self, store: &dyn IndexStore, batch: &mut Batch) -> Result<(), StoreFault> {
        let Some(page) = self.pages.pop_front() else {
            return Ok(());
        };
        self.entries -= page.entries;
        let name = keys::live(page.number);
        // A page of this very batch is not in the store yet.
        let written = batch
            .writes
            .iter()
            .find(|(key, value)| *key == name && value.is_some())
            .and_then(|(_, value)| value.clone());
        let bytes = match written {
            Some(bytes) => Some(bytes),
            None => store.get(&name)?,
        };
        let entries = bytes.and_then(|bytes| decode(&bytes)).ok_or_else(damaged)?;
        batch.remove(name);
        let lives = entries.into_iter().filter(|entry| match entry {
            Entry::Came(row) => {
                let held = self.holds.get(&key(row));
                held.is_some_and(|held| held.page == page.number)
            }
            Entry::Went(_) => false,
        });
        let lives: Vec<Entry> = lives.collect();
        self.append(lives, batch);
        Ok(())
    }
}

fn key(row: &Row) -> Key {
    (row.sale.0, row.hold.0)
}

impl Held {
    fn of(row: &Row, page: u64) -> Held {
        Held {
            buyer: row.buyer,
            at_ms: row.at_ms,
            deadline_ms: row.deadline_ms,
            page,
            partner: row.partner,
            seats: row.seats,
            channel: row.channel,
        }
    }

    fn row(&self, (sale, hold): Key) -> Row {
        let Held {
            buyer,
            at_ms,
            deadline_ms,
            page: _,
            partner,
            seats,
            channel,
        } = *self;
        Row {
            sale: SaleId(sale),
            at_ms,
            hold: HoldId(hold),
            order: None,
            state: RowState::Held,
            partner,
            channel,
            buyer,
            seats,
            held_at_ms: at_ms,
            deadline_ms,
        }
    }
}

const CAME: u8 = 1;
const WENT: u8 = 2;

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * 71);
    for entry in entries {
        let (kind, (sale, hold)) = match entry {
            Entry::Came(row) => (CAME, key(row)),
            Entry::Went(key) => (WENT, *key),
        };
        bytes.push(kind);
        bytes.extend(sale.to_le_bytes());
        bytes.extend(hold.to_le_bytes());
        if let Entry::Came(row) = entry {
            bytes.extend(row.at_ms.to_le_bytes());
            bytes.extend(row.deadline_ms.to_le_bytes());
            bytes.extend(row.buyer.0.to_le_bytes());
            bytes.extend(row.partner.0.to_le_bytes());
            bytes.extend(row.seats.to_le_bytes());
            bytes.extend(row.channel.0.to_le_bytes());
        }
    }
    bytes
}

/// `None` for bytes that are no page: a damaged store.
fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let bytes = &mut bytes;
    while !bytes.is_empty() {
        let [kind] = take(bytes)?;
        let key = (
            u64::from_le_bytes(take(bytes)?),
            u128::from_le_bytes(take(bytes)?),
        );
        entries.push(match kind {
            CAME => {
                let held = Held {
                    at_ms: u64::from_le_bytes(take(bytes)?),
                    deadline_ms: u64::from_le_bytes(take(bytes)?),
                    buyer: BuyerId(u128::from_le_bytes(take(bytes)?)),
                    partner: PartnerId(u32::from_le_bytes(take(bytes)?)),
                    seats: u32::from_le_bytes(take(bytes)?),
                    channel: ChannelId(u16::from_le_bytes(take(bytes)?)),
                    page: 0,
                };
                Entry::Came(held.row(key))
            }
            WENT => Entry::Went(key),
            _ => return None,
        });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MemoryStore;
    use super::*;

    fn row(sale: u64, hold: u8, seats: u32) -> Row {
        let held = Held {
            buyer: BuyerId(7),
            at_ms: 1,
            deadline_ms: 2,
            page: 0,
            partner: PartnerId(3),
            seats,
            channel: ChannelId(4),
        };
        held.row((sale, hold.into()))
    }

    fn pages(store: &MemoryStore) -> usize {
        let mut count = 0;
        let end = keys::behind(keys::LIVE);
        let counted = store.scan(keys::LIVE, end.as_deref(), &mut |_, _| {
            count += 1;
            true
        });
        counted.expect("memory reads");
        count
    }

    proptest! {
        #[test]
        fn what_lives_is_what_came_and_did_not_go(
            drains in prop::collection::vec(
                (
                    prop::collection::vec((0..2_u64, 0..20_u8), 0..8),
                    prop::collection::vec((0..2_u64, 0..20_u8), 0..8),
                ),
                0..40,
            ),
        ) {
            let mut store = MemoryStore::default();
            let mut live = Live::default();
            let mut naive: BTreeMap<Key, Row> = BTreeMap::new();
            for (number, (went, came)) in drains.into_iter().enumerate() {
                let went: Vec<Key> = went.into_iter().map(|(sale, hold)| (sale, hold.into())).collect();
                let came: Vec<Row> = came
                    .into_iter()
                    .map(|(sale, hold)| row(sale, hold, number as u32))
                    .collect();
                for key in &went {
                    naive.remove(key);
                }
                naive.extend(came.iter().map(|row| (key(row), *row)));
                let mut batch = Batch::default();
                live.write(&store, went, &came, &mut batch).expect("memory writes");
                store.apply(batch).expect("memory writes");
                prop_assert!(live.entries <= 2 * naive.len() + SLACK_ENTRIES);
                prop_assert_eq!(pages(&store), live.pages.len());
                let opened = Live::open(&store).expect("a sound store");
                for live in [&live, &opened] {
                    let all: Vec<Row> = live.rows(None).collect();
                    let expected: Vec<Row> = naive.values().copied().collect();
                    prop_assert_eq!(all, expected);
                    let of_one = live.rows(Some(SaleId(1))).count();
                    prop_assert_eq!(of_one, naive.keys().filter(|(sale, _)| *sale == 1).count());
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_page_are_damage() {
        let page = encode(&[Entry::Came(row(1, 2, 3)), Entry::Went((1, 2))]);
        assert_eq!(decode(&page).map(|entries| entries.len()), Some(2));
        assert_eq!(decode(&page[1..]), None);
        assert_eq!(decode(&page[..page.len() - 1]), None);
    }
}
