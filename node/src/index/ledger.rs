//! All the index knows, on top of a store: how far each sale is covered, live holds, chunks of what
//! has ended. Writes whole drains and parts of sales taken anew; `answer` reads it.

use std::collections::{BTreeMap, HashMap};

use domain::ids::SaleId;

use super::archive::{Archive, damaged};
use super::chunk::Filed;
use super::coalesce::Folded;
use super::keys;
use super::live::Live;
use super::row::{Row, RowState};
use super::store::{Batch, IndexStore, StoreFault};

/// How far a sale is covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    /// Everything up to this revision is in the index.
    pub revision: u64,
    /// Rows filed in another epoch are dead: the sale was taken anew.
    pub epoch: u32,
    /// Orders filed before the sale was last reopened are dead.
    pub reopened: u32,
    /// Orders cancelled after they were filed.
    pub cancellations: u64,
}

impl Cover {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.revision.to_le_bytes().to_vec();
        bytes.extend(self.epoch.to_le_bytes());
        bytes.extend(self.reopened.to_le_bytes());
        bytes.extend(self.cancellations.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Cover> {
        let (revision, rest) = bytes.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (reopened, rest) = rest.split_first_chunk()?;
        Some(Cover {
            revision: u64::from_le_bytes(*revision),
            epoch: u32::from_le_bytes(*epoch),
            reopened: u32::from_le_bytes(*reopened),
            cancellations: u64::from_le_bytes(rest.try_into().ok()?),
        })
    }
}

pub(super) struct Ledger {
    pub store: Box<dyn IndexStore>,
    pub archive: Archive,
    pub live: Live,
    covers: HashMap<u64, Cover>,
    next_epoch: u32,
    /// Sales that the store still takes for covered.
    uncovered: Vec<SaleId>,
    /// The next chunk to be swept; `None` while nothing died since the last round.
    sweep_from: Option<u64>,
    /// Something died behind the sweep.
    sweep_again: bool,
}

impl Ledger {
    /// `None` when another version wrote the store.
    pub fn open(mut store: Box<dyn IndexStore>) -> Result<Option<Ledger>, StoreFault> {
        match store.get(keys::STAMP)? {
            Some(written) if written == keys::FORMAT => {}
            Some(_) => return Ok(None),
            None => {
                let mut empty = true;
                store.scan(&[], None, &mut |_, _| {
                    empty = false;
                    false
                })?;
                if !empty {
                    return Ok(None);
                }
                let mut batch = Batch::default();
                batch.put(keys::STAMP.to_vec(), keys::FORMAT.to_vec());
                store.apply(batch)?;
            }
        }
        let next_epoch = match store.get(keys::NEXT_EPOCH)? {
            Some(bytes) => u32::from_le_bytes(bytes.try_into().map_err(|_| damaged())?),
            None => 0,
        };
        Ok(Some(Ledger {
            archive: Archive::open(&*store)?,
            live: Live::open(&*store)?,
            covers: covers(&*store)?,
            store,
            next_epoch,
            uncovered: Vec::new(),
            // Who knows how far the last sweep got.
            sweep_from: Some(0),
            sweep_again: false,
        }))
    }

    pub fn cover(&self, sale: SaleId) -> Option<Cover> {
        self.covers.get(&sale.0).copied()
    }

    pub fn covered_sales(&self) -> impl Iterator<Item = u64> {
        self.covers.keys().copied()
    }

    /// Nothing of the sale is found any more, until it was taken anew.
    pub fn uncover(&mut self, sale: SaleId) {
        if self.covers.remove(&sale.0).is_some() {
            self.uncovered.push(sale);
            self.rows_died();
        }
    }

    fn rows_died(&mut self) {
        self.sweep_again = self.sweep_from.is_some();
        self.sweep_from = self.sweep_from.or(Some(0));
    }

    pub fn lives(&self, filed: &Filed) -> bool {
        lives(&self.covers, filed)
    }

    /// Of a row that was filed: the state it has by now.
    pub fn state(&self, row: &Row) -> Result<RowState, StoreFault> {
        let cancellations = self.cover(row.sale).map_or(0, |cover| cover.cancellations);
        let Some(order) = row.order.filter(|_| cancellations > 0) else {
            return Ok(row.state);
        };
        let key = keys::cancellation(row.sale.0, order.0);
        Ok(match self.store.get(&key)? {
            Some(_) => RowState::Cancelled,
            None => row.state,
        })
    }

    /// Writes a drain.
    pub fn write(&mut self, folded: Folded) -> Result<(), StoreFault> {
        let Folded {
            mut batch,
            filed,
            ended,
            live,
            covers,
            reopened,
            rows: _,
        } = folded;
        self.live.write(&*self.store, ended, &live, &mut batch)?;
        self.archive.file(filed, &mut batch);
        for (sale, cover) in &covers {
            batch.put(keys::cover(*sale), cover.encode());
        }
        if reopened {
            self.rows_died();
        }
        self.covers.extend(covers);
        match batch.is_empty() {
            true => Ok(()),
            false => self.store.apply(batch),
        }
    }

    /// The sale is about to be taken anew, in the epoch that comes back.
    pub fn begin(&mut self, sale: SaleId) -> Result<u32, StoreFault> {
        self.uncover(sale);
        let epoch = self.next_epoch;
        self.next_epoch = self.next_epoch.wrapping_add(1);
        let mut batch = Batch::default();
        batch.remove(keys::cover(sale.0));
        batch.put(
            keys::NEXT_EPOCH.to_vec(),
            self.next_epoch.to_le_bytes().to_vec(),
        );
        self.store.apply(batch)?;
        Ok(epoch)
    }

    /// Removes up to `max` live holds and cancellations of the sale.
    pub fn clear(&mut self, sale: SaleId, max: usize) -> Result<usize, StoreFault> {
        let mut batch = Batch::default();
        let mut cleared = self.live.clear(sale, max, &mut batch);
        if cleared < max {
            let prefix = keys::cancellations(sale.0);
            let end = keys::behind(&prefix);
            self.store.scan(&prefix, end.as_deref(), &mut |key, _| {
                batch.remove(key.to_vec());
                cleared += 1;
                cleared < max
            })?;
        }
        self.store.apply(batch)?;
        Ok(cleared)
    }

    /// Adds rows of a sale that is being taken anew.
    pub fn add(&mut self, rows: Vec<Filed>) -> Result<(), StoreFault> {
        let mut batch = Batch::default();
        let held = rows.iter().map(|filed| filed.row);
        let held: Vec<Row> = held.filter(|row| row.state == RowState::Held).collect();
        self.live
            .write(&*self.store, Vec::new(), &held, &mut batch)?;
        self.archive.file(rows, &mut batch);
        self.store.apply(batch)
    }

    /// From here on the sale is found.
    pub fn finish(&mut self, sale: SaleId, cover: Cover) -> Result<(), StoreFault> {
        let mut batch = Batch::default();
        batch.put(keys::cover(sale.0), cover.encode());
        self.covers.insert(sale.0, cover);
        self.store.apply(batch)
    }

    /// Looks at one chunk, and throws it away when most of it is dead. False when there is nothing
    /// to do until more dies.
    pub fn sweep(&mut self) -> Result<bool, StoreFault> {
        let Some(from) = self.sweep_from else {
            return Ok(false);
        };
        let next = self.archive.metas.range(from..).next();
        let Some(number) = next.map(|(number, _)| *number) else {
            self.sweep_from = self.sweep_again.then_some(0);
            self.sweep_again = false;
            return Ok(self.sweep_from.is_some());
        };
        self.sweep_from = Some(number + 1);
        let mut batch = Batch::default();
        // What is thrown away must not be taken for covered after a restart.
        for sale in self.uncovered.drain(..) {
            if !self.covers.contains_key(&sale.0) {
                batch.remove(keys::cover(sale.0));
            }
        }
        let covers = &self.covers;
        let lives = |filed: &Filed| lives(covers, filed);
        self.archive
            .sweep(&*self.store, number, lives, &mut batch)?;
        match batch.is_empty() {
            true => Ok(true),
            false => self.store.apply(batch).map(|()| true),
        }
    }
}

fn lives(covers: &HashMap<u64, Cover>, filed: &Filed) -> bool {
    covers.get(&filed.row.sale.0).is_some_and(|cover| {
        let forgotten = filed.row.order.is_some() && filed.reopened != cover.reopened;
        filed.epoch == cover.epoch && !forgotten
    })
}

fn covers(store: &dyn IndexStore) -> Result<HashMap<u64, Cover>, StoreFault> {
    let (mut covers, mut sound) = (HashMap::new(), true);
    let end = keys::behind(keys::COVERS);
    store.scan(keys::COVERS, end.as_deref(), &mut |key, value| {
        match (keys::number(key), Cover::decode(value)) {
            (Some(sale), Some(cover)) => sound = covers.insert(sale, cover).is_none(),
            _ => sound = false,
        }
        sound
    })?;
    match sound {
        true => Ok(covers),
        false => Err(damaged()),
    }
}

/// By sale.
pub(super) type Covers = BTreeMap<u64, Cover>;
