//! One sale taken anew: its old rows go, the rows of an export come, in steps that leave time for
//! the other sales. Until the last step the sale has no watermark, so a crash in between starts it
//! again.

use std::sync::Arc;

use domain::change::Change;
use domain::ids::SaleId;
use domain::order::OrderState;

use super::coalesce::rows_of;
use super::keys;
use super::row::{Row, RowState};
use super::source::Export;
use super::store::{Batch, IndexStore, StoreFault};

/// Rows of one step.
const STEP_ROWS: usize = 2_000;
/// Changes that may wait until the rows are there.
const WAITING_CHANGES_MAX: usize = 200_000;

pub(super) struct Rebuild {
    pub sale: SaleId,
    /// `None`: the sale is gone, its rows only go.
    pub revision: Option<u64>,
    /// Changes that came since, in sequence.
    pub waiting: Vec<Arc<[Change]>>,
    waiting_changes: usize,
    old_rows_left: bool,
    rows: std::vec::IntoIter<Row>,
    pub started_tick: u64,
}

/// How far a step got.
pub(super) enum Progress {
    /// So many rows were touched, and there are more.
    More(usize),
    Done(usize),
}

impl Rebuild {
    pub fn new(sale: SaleId, export: Option<Export>, started_tick: u64) -> Rebuild {
        let revision = export.as_ref().map(|export| export.revision.0);
        let rows = export.map_or(Vec::new(), |export| rows(sale, &export));
        Rebuild {
            sale,
            revision,
            waiting: Vec::new(),
            waiting_changes: 0,
            old_rows_left: true,
            rows: rows.into_iter(),
            started_tick,
        }
    }

    /// False when more wait than the rebuild is worth.
    pub fn wait(&mut self, changes: Arc<[Change]>) -> bool {
        self.waiting_changes += changes.len();
        self.waiting.push(changes);
        self.waiting_changes <= WAITING_CHANGES_MAX
    }

    pub fn step(&mut self, store: &mut dyn IndexStore) -> Result<Progress, StoreFault> {
        let mut batch = Batch::default();
        if self.old_rows_left {
            batch.remove(keys::watermark_key(self.sale.0));
            let old = rows_of(store, self.sale.0, STEP_ROWS)?;
            old.iter().for_each(|row| keys::remove_row(&mut batch, row));
            self.old_rows_left = old.len() == STEP_ROWS;
            store.apply(batch)?;
            return Ok(Progress::More(old.len()));
        }
        let mut written = 0;
        for row in self.rows.by_ref().take(STEP_ROWS) {
            keys::put_row(&mut batch, &row);
            written += 1;
        }
        let last = self.rows.len() == 0;
        if let Some(revision) = self.revision.filter(|_| last) {
            let revision = revision.to_be_bytes().to_vec();
            batch.put(keys::watermark_key(self.sale.0), revision);
        }
        store.apply(batch)?;
        Ok(match last {
            true => Progress::Done(written),
            false => Progress::More(written),
        })
    }
}

/// The rows of what is alive: the active holds and all orders.
fn rows(sale: SaleId, export: &Export) -> Vec<Row> {
    let orders = export.orders.iter().map(|order| Row {
        sale,
        at_ms: order.placed_at_ms,
        hold: order.hold,
        order: Some(order.id),
        state: match order.state {
            OrderState::Paid => RowState::Paid,
            OrderState::Cancelled => RowState::Cancelled,
        },
        partner: order.partner,
        channel: order.channel,
        buyer: order.buyer,
        seats: order.seats.seats(),
        held_at_ms: order.placed_at_ms,
        deadline_ms: 0,
    });
    let holds = export.holds.iter().map(|hold| Row {
        sale,
        at_ms: hold.placed_at_ms,
        hold: hold.id,
        order: None,
        state: RowState::Held,
        partner: hold.partner,
        channel: hold.channel,
        buyer: hold.buyer,
        seats: hold.seats.seats(),
        held_at_ms: hold.placed_at_ms,
        deadline_ms: hold.deadline_ms,
    });
    // Holds last: a hold's id may have been used by an order's hold before.
    orders.chain(holds).collect()
}
