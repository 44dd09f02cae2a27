//! The changes of one drain, folded into what has to be written: a hold that was placed, extended
//! and confirmed since the last drain is one row written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::change::{Change, Fact};
use domain::ids::{HoldId, OrderId, SaleId};

use super::chunk::Filed;
use super::keys;
use super::ledger::{Cover, Covers, Ledger};
use super::row::{Row, RowState};
use super::store::{Batch, StoreFault};

/// A hold or an order that the drain touched.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// It was stored as a live hold before.
    stored: Option<HoldId>,
    /// `None`: forgotten again.
    now: Option<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Hold(HoldId),
    Order(OrderId),
}

/// What a step of a sale led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Folded,
    /// The changes do not fit what is stored: the sale has to be taken anew.
    Doubt,
}

/// What a drain writes.
pub(super) struct Folded {
    /// All but the live holds, what is filed, and the covers.
    pub batch: Batch,
    pub filed: Vec<Filed>,
    /// Live holds that were stored and ended, by sale and hold.
    pub ended: Vec<(u64, u128)>,
    /// Live holds as they are now.
    pub live: Vec<Row>,
    pub covers: Covers,
    /// Orders died.
    pub reopened: bool,
    pub rows: usize,
}

pub(super) struct Drain<'l> {
    ledger: &'l Ledger,
    touched: HashMap<(u64, Of), Pending>,
    /// Ended holds whose id was used again in the same drain.
    replaced: Vec<Pending>,
    cancelled: BTreeSet<(u64, OrderId)>,
    reopened: BTreeSet<u64>,
    /// Nothing of these sales is written but that they are not covered.
    doubted: BTreeSet<u64>,
    covers: Covers,
}

impl<'l> Drain<'l> {
    pub fn new(ledger: &'l Ledger) -> Drain<'l> {
        Drain {
            ledger,
            touched: HashMap::new(),
            replaced: Vec::new(),
            cancelled: BTreeSet::new(),
            reopened: BTreeSet::new(),
            doubted: BTreeSet::new(),
            covers: BTreeMap::new(),
        }
    }

    /// Takes changes of a sale that is covered. After a doubt nothing more of it may be taken.
    pub fn take(&mut self, sale: SaleId, changes: &[Change]) -> Step {
        let step = self.fold_all(sale, changes);
        if step == Step::Doubt {
            self.doubted.insert(sale.0);
        }
        step
    }

    fn fold_all(&mut self, sale: SaleId, changes: &[Change]) -> Step {
        let before = self.covers.get(&sale.0).copied();
        let Some(mut cover) = before.or_else(|| self.ledger.cover(sale)) else {
            return Step::Doubt;
        };
        for change in changes {
            // Seen before: the log is read again after a restart.
            if change.revision.0 <= cover.revision {
                continue;
            }
            if change.revision.0 != cover.revision + 1 {
                return Step::Doubt;
            }
            if self.fold(sale, &mut cover, change) == Step::Doubt {
                return Step::Doubt;
            }
            cover.revision = change.revision.0;
        }
        self.covers.insert(sale.0, cover);
        Step::Folded
    }

    fn fold(&mut self, sale: SaleId, cover: &mut Cover, change: &Change) -> Step {
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
                self.insert(Of::Hold(hold), row, None);
                Step::Folded
            }
            Fact::HoldExtended { hold, deadline_ms } => {
                self.change_hold(sale, hold, |row| row.deadline_ms = deadline_ms)
            }
            Fact::HoldReleased { hold } => {
                self.change_hold(sale, hold, |row| row.state = RowState::Released)
            }
            Fact::HoldExpired { hold } => {
                self.change_hold(sale, hold, |row| row.state = RowState::Expired)
            }
            Fact::OrderPlaced { order, hold, seats } => self.confirm(sale, hold, |held| Row {
                at_ms: change.at_ms,
                order: Some(order),
                state: RowState::Paid,
                seats,
                ..held
            }),
            Fact::OrderCancelled { order } => {
                self.cancel(sale, cover, order);
                Step::Folded
            }
            Fact::SaleReopened { .. } => {
                self.reopen(sale, cover);
                Step::Folded
            }
            Fact::SeatsChanged { .. } | Fact::PhaseChanged { .. } | Fact::RulesSet => Step::Folded,
        }
    }

    fn insert(&mut self, of: Of, row: Row, stored: Option<HoldId>) {
        let now = Some(row);
        let before = self
            .touched
            .insert((row.sale.0, of), Pending { stored, now });
        self.replaced.extend(before);
    }

    fn change_hold(&mut self, sale: SaleId, hold: HoldId, change: impl FnOnce(&mut Row)) -> Step {
        let held = self.load(sale, hold);
        match held.and_then(|pending| pending.now.as_mut()) {
            Some(row) => {
                change(row);
                Step::Folded
            }
            None => Step::Doubt,
        }
    }

    fn confirm(&mut self, sale: SaleId, hold: HoldId, order: impl FnOnce(Row) -> Row) -> Step {
        let held = self.load(sale, hold).copied();
        let Some((pending, row)) = held.and_then(|held| Some((held, held.now?))) else {
            return Step::Doubt;
        };
        self.touched.remove(&(sale.0, Of::Hold(hold)));
        let row = order(row);
        self.insert(
            Of::Order(row.order.unwrap_or_default()),
            row,
            pending.stored,
        );
        Step::Folded
    }

    fn cancel(&mut self, sale: SaleId, cover: &mut Cover, order: OrderId) {
        let pending = self.touched.get_mut(&(sale.0, Of::Order(order)));
        match pending.and_then(|pending| pending.now.as_mut()) {
            Some(row) => row.state = RowState::Cancelled,
            None => {
                cover.cancellations += 1;
                self.cancelled.insert((sale.0, order));
            }
        }
    }

    /// Every order of the sale so far was forgotten.
    fn reopen(&mut self, sale: SaleId, cover: &mut Cover) {
        cover.reopened = cover.reopened.wrapping_add(1);
        cover.cancellations = 0;
        self.reopened.insert(sale.0);
        self.cancelled.retain(|(of, _)| *of != sale.0);
        for ((of, id), pending) in &mut self.touched {
            if *of == sale.0 && matches!(id, Of::Order(_)) {
                pending.now = None;
            }
        }
        for pending in &mut self.replaced {
            let order = pending
                .now
                .filter(|row| row.sale == sale && row.order.is_some());
            if order.is_some() {
                pending.now = None;
            }
        }
    }

    /// The live hold: touched already, or stored.
    fn load(&mut self, sale: SaleId, hold: HoldId) -> Option<&mut Pending> {
        use std::collections::hash_map::Entry;
        match self.touched.entry((sale.0, Of::Hold(hold))) {
            Entry::Occupied(pending) => Some(pending.into_mut()),
            Entry::Vacant(vacant) => {
                let row = self.ledger.live.get(sale.0, hold.0);
                let pending = |row| Pending {
                    stored: Some(hold),
                    now: Some(row),
                };
                row.map(|row| vacant.insert(pending(row)))
            }
        }
    }

    pub fn finish(mut self) -> Result<Folded, StoreFault> {
        let mut batch = Batch::default();
        for sale in &self.doubted {
            self.covers.remove(sale);
            batch.remove(keys::cover(*sale));
        }
        for sale in self.reopened.difference(&self.doubted) {
            let prefix = keys::cancellations(*sale);
            let end = keys::behind(&prefix);
            self.ledger
                .store
                .scan(&prefix, end.as_deref(), &mut |key, _| {
                    batch.remove(key.to_vec());
                    true
                })?;
        }
        for (sale, order) in &self.cancelled {
            if !self.doubted.contains(sale) {
                batch.put(keys::cancellation(*sale, order.0), Vec::new());
            }
        }
        let mut rows = self.cancelled.len();
        let mut filed = Vec::new();
        let (mut ended, mut live) = (Vec::new(), Vec::new());
        let touched = self
            .touched
            .iter()
            .map(|((sale, _), pending)| (*sale, pending));
        let replaced = self
            .replaced
            .iter()
            .filter_map(|p| Some((p.now?.sale.0, p)));
        for (sale, pending) in touched.chain(replaced) {
            let Some(cover) = self.covers.get(&sale) else {
                continue;
            };
            rows += 1;
            let Pending { stored, now } = *pending;
            ended.extend(stored.map(|hold| (sale, hold.0)));
            match now {
                None => {}
                Some(row) if row.state == RowState::Held => live.push(row),
                Some(row) => filed.push(Filed {
                    row,
                    epoch: cover.epoch,
                    reopened: cover.reopened,
                }),
            }
        }
        Ok(Folded {
            batch,
            filed,
            ended,
            live,
            covers: self.covers,
            reopened: !self.reopened.is_empty(),
            rows,
        })
    }
}
