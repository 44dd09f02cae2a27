//! One sale taken anew: its old rows go, what it holds now comes, in steps that leave time for
//! the other sales. Until the last step the sale has no watermark, so a crash in between starts it
//! again.

use std::sync::Arc;

use actors::sale::Bookings;
use domain::change::Change;
use domain::ids::SaleId;
use domain::order::OrderState;

use super::chunk::Filed;
use super::ledger::{Cover, Ledger};
use super::row::{Row, RowState};
use super::store::StoreFault;

/// Rows of one step.
const STEP_ROWS: usize = 2_000;
/// Changes that may wait until the rows are there.
const WAITING_CHANGES_MAX: usize = 200_000;

pub(super) struct Rebuild {
    pub sale: SaleId,
    pub started_tick: u64,
    /// Changes that came since, in sequence.
    pub waiting: Vec<Arc<[Change]>>,
    waiting_changes: usize,
    /// `None`: the sale is gone, its rows only go.
    revision: Option<u64>,
    epoch: u32,
    cleared: bool,
    rows: std::vec::IntoIter<Row>,
}

/// How far a step got.
pub(super) enum Progress {
    /// So many rows were touched, and there are more.
    More(usize),
    Done(usize),
}

impl Rebuild {
    pub fn begin(
        ledger: &mut Ledger,
        sale: SaleId,
        bookings: Option<Bookings>,
        started_tick: u64,
    ) -> Result<Rebuild, StoreFault> {
        let epoch = ledger.begin(sale)?;
        let revision = bookings.as_ref().map(|taken| taken.revision.0);
        let rows = bookings.map_or(Vec::new(), |taken| rows(sale, &taken));
        Ok(Rebuild {
            sale,
            started_tick,
            waiting: Vec::new(),
            waiting_changes: 0,
            revision,
            epoch,
            cleared: false,
            rows: rows.into_iter(),
        })
    }

    /// False when more wait than the rebuild is worth.
    pub fn wait(&mut self, changes: Arc<[Change]>) -> bool {
        self.waiting_changes += changes.len();
        self.waiting.push(changes);
        self.waiting_changes <= WAITING_CHANGES_MAX
    }

    pub fn step(&mut self, ledger: &mut Ledger) -> Result<Progress, StoreFault> {
        if !self.cleared {
            let cleared = ledger.clear(self.sale, STEP_ROWS)?;
            self.cleared = cleared < STEP_ROWS;
            return Ok(Progress::More(cleared));
        }
        let epoch = self.epoch;
        let file = |row| Filed {
            row,
            epoch,
            reopened: 0,
        };
        let rows: Vec<Filed> = self.rows.by_ref().take(STEP_ROWS).map(file).collect();
        let written = rows.len();
        if written > 0 {
            ledger.add(rows)?;
        }
        if self.rows.len() > 0 {
            return Ok(Progress::More(written));
        }
        if let Some(revision) = self.revision {
            let cover = Cover {
                revision,
                epoch,
                ..Cover::default()
            };
            ledger.finish(self.sale, cover)?;
        }
        Ok(Progress::Done(written))
    }

    /// Whether there was a sale to take.
    pub fn is_here(&self) -> bool {
        self.revision.is_some()
    }
}

/// The rows of what is alive: the active holds and all orders.
fn rows(sale: SaleId, bookings: &Bookings) -> Vec<Row> {
    let orders = bookings.orders.iter().map(|order| Row {
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
    let holds = bookings.holds.iter().map(|hold| Row {
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
