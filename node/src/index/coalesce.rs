//! The changes of one drain, folded into what has to be written: a hold that was placed, extended
//! and confirmed since the last drain is one row written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::change::{Change, Fact};
use domain::ids::SaleId;

use super::answer;
use super::keys::{self, IdOf, List, Place};
use super::row::{Row, RowState};
use super::store::{Batch, IndexStore, StoreFault};

/// A row before and after the drain.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    stored: Option<Row>,
    now: Option<Row>,
}

/// What a step of a sale led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Folded,
    /// The changes do not fit what is stored: the sale has to be taken anew.
    Doubt,
}

pub(super) struct Drain<'s> {
    store: &'s dyn IndexStore,
    /// By whose id and which.
    rows: HashMap<(u64, IdOf, u128), Pending>,
    /// Ended holds whose id was used again in the same drain.
    replaced: Vec<Pending>,
    reopened: BTreeSet<u64>,
    /// Nothing of these sales is written but that they are not covered.
    doubted: BTreeSet<u64>,
    watermarks: BTreeMap<u64, u64>,
}

impl<'s> Drain<'s> {
    pub fn new(store: &'s dyn IndexStore) -> Drain<'s> {
        Drain {
            store,
            rows: HashMap::new(),
            replaced: Vec::new(),
            reopened: BTreeSet::new(),
            doubted: BTreeSet::new(),
            watermarks: BTreeMap::new(),
        }
    }

    /// `covered`: the revision of the sale that the index covers so far. After a doubt nothing more
    /// of the sale may be taken.
    pub fn take(
        &mut self,
        sale: SaleId,
        covered: u64,
        changes: &[Change],
    ) -> Result<Step, StoreFault> {
        let step = self.fold_all(sale, covered, changes)?;
        if step == Step::Doubt {
            self.doubted.insert(sale.0);
        }
        Ok(step)
    }

    fn fold_all(
        &mut self,
        sale: SaleId,
        covered: u64,
        changes: &[Change],
    ) -> Result<Step, StoreFault> {
        let mut covered = self.watermarks.get(&sale.0).copied().unwrap_or(covered);
        for change in changes {
            // Seen before: the log is read again after a restart.
            if change.revision.0 <= covered {
                continue;
            }
            if change.revision.0 != covered + 1 {
                return Ok(Step::Doubt);
            }
            if self.fold(sale, change)? == Step::Doubt {
                return Ok(Step::Doubt);
            }
            covered = change.revision.0;
        }
        self.watermarks.insert(sale.0, covered);
        Ok(Step::Folded)
    }

    fn fold(&mut self, sale: SaleId, change: &Change) -> Result<Step, StoreFault> {
        match change.fact {
            Fact::HoldPlaced {
                hold,
                buyer,
                partner,
                channel,
                seats,
                deadline_ms,
            } => {
                let row = Row {
                    sale,
                    at_ms: change.at_ms,
                    hold,
                    order: None,
                    state: RowState::Held,
                    partner,
                    channel,
                    buyer,
                    seats,
                    held_at_ms: change.at_ms,
                    deadline_ms,
                };
                self.insert(IdOf::Hold, row, None);
                Ok(Step::Folded)
            }
            Fact::HoldExtended { hold, deadline_ms } => {
                self.change(sale, IdOf::Hold, hold.0, |row| {
                    row.deadline_ms = deadline_ms
                })
            }
            Fact::HoldReleased { hold } => self.change(sale, IdOf::Hold, hold.0, |row| {
                row.state = RowState::Released
            }),
            Fact::HoldExpired { hold } => self.change(sale, IdOf::Hold, hold.0, |row| {
                row.state = RowState::Expired
            }),
            Fact::OrderPlaced { order, hold, seats } => {
                let Some(pending) = self.load(sale, IdOf::Hold, hold.0)?.copied() else {
                    return Ok(Step::Doubt);
                };
                let Some(held) = pending.now else {
                    return Ok(Step::Doubt);
                };
                self.rows.remove(&(sale.0, IdOf::Hold, hold.0));
                let row = Row {
                    at_ms: change.at_ms,
                    order: Some(order),
                    state: RowState::Paid,
                    seats,
                    ..held
                };
                self.insert(IdOf::Order, row, pending.stored);
                Ok(Step::Folded)
            }
            Fact::OrderCancelled { order } => self.change(sale, IdOf::Order, order.0, |row| {
                row.state = RowState::Cancelled
            }),
            Fact::SaleReopened { .. } => {
                self.reopen(sale);
                Ok(Step::Folded)
            }
            Fact::SeatsChanged { .. } | Fact::PhaseChanged { .. } | Fact::RulesSet => {
                Ok(Step::Folded)
            }
        }
    }

    fn insert(&mut self, of: IdOf, row: Row, stored: Option<Row>) {
        let now = Some(row);
        let key = (row.sale.0, of, row.id());
        self.replaced
            .extend(self.rows.insert(key, Pending { stored, now }));
    }

    fn change(
        &mut self,
        sale: SaleId,
        of: IdOf,
        id: u128,
        change: impl FnOnce(&mut Row),
    ) -> Result<Step, StoreFault> {
        let row = self
            .load(sale, of, id)?
            .and_then(|pending| pending.now.as_mut());
        Ok(match row {
            Some(row) => {
                change(row);
                Step::Folded
            }
            None => Step::Doubt,
        })
    }

    fn load(
        &mut self,
        sale: SaleId,
        of: IdOf,
        id: u128,
    ) -> Result<Option<&mut Pending>, StoreFault> {
        use std::collections::hash_map::Entry;
        match self.rows.entry((sale.0, of, id)) {
            Entry::Occupied(pending) => Ok(Some(pending.into_mut())),
            Entry::Vacant(vacant) => {
                let key = keys::id_key(of, id, sale.0);
                let Some(value) = self.store.get(&key)? else {
                    return Ok(None);
                };
                let place = keys::id_place(&key, &value).ok_or_else(answer::damaged)?;
                let row = Some(answer::row(self.store, &place)?);
                Ok(Some(vacant.insert(Pending {
                    stored: row,
                    now: row,
                })))
            }
        }
    }

    /// Every order of the sale so far was forgotten.
    fn reopen(&mut self, sale: SaleId) {
        self.reopened.insert(sale.0);
        for ((_, of, _), pending) in &mut self.rows {
            let row = pending.now.or(pending.stored);
            if *of == IdOf::Order && row.is_some_and(|row| row.sale == sale) {
                pending.now = None;
            }
        }
    }

    /// The batch, the number of rows in it and the revisions it covers.
    pub fn finish(mut self) -> Result<(Batch, usize, BTreeMap<u64, u64>), StoreFault> {
        let mut batch = Batch::default();
        for sale in &self.doubted {
            self.watermarks.remove(sale);
            batch.remove(keys::watermark_key(*sale));
        }
        let certain = |row: &Row| !self.doubted.contains(&row.sale.0);
        let mut rows = 0;
        for sale in self.reopened.difference(&self.doubted) {
            for row in rows_of(self.store, *sale, usize::MAX)? {
                if row.order.is_some() {
                    rows += 1;
                    keys::remove_row(&mut batch, &row);
                }
            }
        }
        // Rows go before rows come: a hold's id may lead to its order or to a newer hold.
        let pending = || self.replaced.iter().chain(self.rows.values());
        for pending in pending() {
            if let Some(stored) = pending.stored.filter(certain) {
                keys::remove_row(&mut batch, &stored);
            }
        }
        for pending in pending() {
            rows += usize::from(pending.stored.is_some() || pending.now.is_some());
            if let Some(now) = pending.now.filter(certain) {
                keys::put_row(&mut batch, &now);
            }
        }
        for (sale, revision) in &self.watermarks {
            let revision = revision.to_be_bytes().to_vec();
            batch.put(keys::watermark_key(*sale), revision);
        }
        Ok((batch, rows, self.watermarks))
    }
}

/// The first rows of a sale.
pub(super) fn rows_of(
    store: &dyn IndexStore,
    sale: u64,
    max: usize,
) -> Result<Vec<Row>, StoreFault> {
    let list = List::Event(sale);
    let prefix = list.prefix();
    let (mut rows, mut damaged) = (Vec::new(), false);
    store.scan(
        &prefix,
        keys::behind(&prefix).as_deref(),
        &mut |key, value| {
            let place: Option<Place> = list.place(key);
            match place.and_then(|place| Row::from_parts(place, value)) {
                Some(row) => rows.push(row),
                None => damaged = true,
            }
            !damaged && rows.len() < max
        },
    )?;
    match damaged {
        true => Err(answer::damaged()),
        false => Ok(rows),
    }
}
