//! `OpenSale`: from announced to open.

use crate::change::Change;
use crate::outcome::{Done, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;

impl Sale {
    pub(super) fn open_sale(&mut self, changes: &mut Vec<Change>) -> Result<Done, Rejection> {
        if self.phase != Phase::Announced {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.changing = true;
        self.set_phase(Phase::Open, changes);
        Ok(self.done(0, SeatRuns::default()))
    }
}
