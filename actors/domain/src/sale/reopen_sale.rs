//! `ReopenSale`, for trials: what is sold is free again, orders are forgotten, the sale is open.
//! Holds stay as they are. The outcome names no seats, because they may be many thousand runs; the
//! changes do.

use crate::change::{Change, Fact, SeatState};
use crate::outcome::{Done, SeatRun, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;

impl Sale {
    pub(super) fn reopen_sale(&mut self, changes: &mut Vec<Change>) -> Result<Done, Rejection> {
        if !self.rules.test_mode {
            return Err(Rejection::OnlyInTestMode);
        }
        if self.phase == Phase::Announced {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.changing = true;
        let runs = self.sold_runs();
        let seats = runs
            .iter()
            .map(|run| u32::from(run.count))
            .fold(0, u32::saturating_add);
        self.shift_seats(&runs, SeatState::Sold, SeatState::Free, changes);
        self.orders.clear();
        self.recount_usage();
        if self.phase != Phase::Open {
            self.set_phase(Phase::Open, changes);
        }
        self.emit(changes, Fact::SaleReopened { seats });
        Ok(self.done(0, SeatRuns::default()))
    }

    fn sold_runs(&self) -> Vec<SeatRun> {
        let mut runs = Vec::new();
        for section in 0..self.seats.layout.sections.len() as u16 {
            match self.seats.general(section) {
                Some(general) => push_runs(&mut runs, section, None, general.sold),
                None => {
                    for (first, count) in self.seats.runs_in(section, SeatState::Sold) {
                        push_runs(&mut runs, section, Some(first), count);
                    }
                }
            }
        }
        runs
    }
}

/// A run counts in 16 bits, so a longer one is cut.
fn push_runs(runs: &mut Vec<SeatRun>, section: u16, first: Option<u32>, count: u32) {
    let mut done = 0_u32;
    while done < count {
        let part = count.saturating_sub(done).min(u32::from(u16::MAX));
        let first = first.map_or(0, |first| first.saturating_add(done));
        runs.push(SeatRun {
            section,
            count: part as u16,
            first,
        });
        done = done.saturating_add(part);
    }
}
