//! The chunks: what is in them is kept in memory, some five bytes a row; the rows of the newest,
//! short ones too, until they are enough for a full one. Everything goes into the caller's batch;
//! should that fail, the whole store is thrown away, and with it this.

use std::collections::BTreeMap;

use super::chunk::{self, Family, Filed, Meta};
use super::keys;
use super::store::{Batch, IndexStore, StoreFault};

/// Rows of a full chunk: some 50 KB. Tests have few rows and want many chunks.
const CHUNK_ROWS: usize = if cfg!(test) { 4 } else { 512 };

#[derive(Default)]
pub(super) struct Archive {
    pub metas: BTreeMap<u64, Meta>,
    tails: [Tail; Family::ALL.len()],
    next_number: u64,
}

/// The rows of a family that do not yet fill a chunk.
#[derive(Default)]
struct Tail {
    rows: Vec<Filed>,
    /// The short chunks they are stored in.
    numbers: Vec<u64>,
}

impl Archive {
    pub fn open(store: &dyn IndexStore) -> Result<Archive, StoreFault> {
        let mut archive = Archive::default();
        let mut sound = true;
        let end = keys::behind(keys::METAS);
        store.scan(keys::METAS, end.as_deref(), &mut |key, value| {
            match (keys::number(key), Meta::decode(value)) {
                (Some(number), Some(meta)) => {
                    archive.next_number = archive.next_number.max(number + 1);
                    archive.metas.insert(number, meta);
                }
                _ => sound = false,
            }
            sound
        })?;
        let end = keys::behind(keys::SHORT_CHUNKS);
        store.scan(keys::SHORT_CHUNKS, end.as_deref(), &mut |key, value| {
            match (keys::number(key), chunk::decode(value)) {
                (Some(number), Some(rows)) => {
                    archive.next_number = archive.next_number.max(number + 1);
                    sound = archive.remember(number, rows);
                }
                _ => sound = false,
            }
            sound
        })?;
        match sound {
            true => Ok(archive),
            false => Err(damaged()),
        }
    }

    fn remember(&mut self, number: u64, rows: Vec<Filed>) -> bool {
        let family = rows.first().and_then(|filed| Family::of(filed.row.state));
        let Some(family) = family else { return false };
        let tail = &mut self.tails[family as usize];
        tail.rows.extend(rows);
        tail.numbers.push(number);
        true
    }

    /// Files rows that are no live holds.
    pub fn file(&mut self, rows: Vec<Filed>, batch: &mut Batch) {
        let mut by_family: [Vec<Filed>; Family::ALL.len()] = Default::default();
        for filed in rows {
            if let Some(family) = Family::of(filed.row.state) {
                by_family[family as usize].push(filed);
            }
        }
        for (family, rows) in Family::ALL.into_iter().zip(by_family) {
            if !rows.is_empty() {
                self.file_family(family, rows, batch);
            }
        }
    }

    fn file_family(&mut self, family: Family, rows: Vec<Filed>, batch: &mut Batch) {
        let tail = &mut self.tails[family as usize];
        if tail.rows.len() + rows.len() < CHUNK_ROWS {
            let number = self.next_number;
            self.next_number += 1;
            batch.put(keys::short_chunk(number), chunk::encode(&rows));
            tail.rows.extend(rows);
            tail.numbers.push(number);
            return;
        }
        let Tail {
            rows: mut all,
            numbers,
        } = std::mem::take(tail);
        for number in numbers {
            batch.remove(keys::short_chunk(number));
        }
        all.extend(rows);
        all.sort_by_key(|filed| filed.row.place());
        let full = all.len() - all.len() % CHUNK_ROWS;
        let rest = all.split_off(full);
        for rows in all.chunks(CHUNK_ROWS) {
            let number = self.next_number;
            self.next_number += 1;
            if let Some(meta) = Meta::of(family, rows) {
                batch.put(keys::chunk(number), chunk::encode(rows));
                batch.put(keys::meta(number), meta.encode());
                self.metas.insert(number, meta);
            }
        }
        if !rest.is_empty() {
            self.file_family(family, rest, batch);
        }
    }

    /// Rows that are in no full chunk.
    pub fn tail(&self) -> impl Iterator<Item = &Filed> {
        self.tails.iter().flat_map(|tail| &tail.rows)
    }

    pub fn read(&self, store: &dyn IndexStore, number: u64) -> Result<Vec<Filed>, StoreFault> {
        let bytes = store.get(&keys::chunk(number))?;
        bytes
            .and_then(|bytes| chunk::decode(&bytes))
            .ok_or_else(damaged)
    }

    /// Throws a chunk away, all but the rows that live, when fewer than half of them do.
    pub fn sweep(
        &mut self,
        store: &dyn IndexStore,
        number: u64,
        lives: impl Fn(&Filed) -> bool,
        batch: &mut Batch,
    ) -> Result<(), StoreFault> {
        let mut rows = self.read(store, number)?;
        let before = rows.len();
        rows.retain(lives);
        if rows.len() * 2 < before {
            self.metas.remove(&number);
            batch.remove(keys::meta(number));
            batch.remove(keys::chunk(number));
            self.file(rows, batch);
        }
        Ok(())
    }
}

pub(super) fn damaged() -> StoreFault {
    StoreFault("a row is missing or damaged".into())
}
