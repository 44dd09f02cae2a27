//! What the index needs of a store, and the one in memory that stands beside sled in tests.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Changes that become visible together. Later ones win over earlier ones of the same key.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push((key, Some(value)));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.push((key, None));
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// The store cannot be trusted any more: throw it away.
#[derive(Debug, thiserror::Error)]
#[error("the index store: {0}")]
pub struct StoreFault(pub String);

/// Takes a key and a value; false ends the scan.
pub type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

/// A map with keys in sequence. All calls are made by one thread and may block.
pub trait IndexStore: Send {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault>;
    /// All or nothing.
    fn apply(&mut self, batch: Batch) -> Result<(), StoreFault>;
    /// From `from` on, below `end` (`None`: to the end).
    fn scan(&self, from: &[u8], end: Option<&[u8]>, each: Each<'_>) -> Result<(), StoreFault>;
}

/// Opens the store, or a new and empty one in its place.
pub trait Opener: Send {
    fn open(&mut self) -> Result<Box<dyn IndexStore>, StoreFault>;
    /// Deletes what is there first. The store that was open has been dropped.
    fn renew(&mut self) -> Result<Box<dyn IndexStore>, StoreFault>;
}

#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl IndexStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.map.get(key).cloned())
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreFault> {
        for (key, value) in batch.writes {
            match value {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, each: Each<'_>) -> Result<(), StoreFault> {
        if end.is_some_and(|end| end <= from) {
            return Ok(());
        }
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.map.range::<[u8], _>((Bound::Included(from), end));
        for (key, value) in range {
            if !each(key, value) {
                break;
            }
        }
        Ok(())
    }
}

/// Opens an empty store every time.
impl Opener for MemoryStore {
    fn open(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        Ok(Box::new(MemoryStore::default()))
    }

    fn renew(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        self.open()
    }
}
