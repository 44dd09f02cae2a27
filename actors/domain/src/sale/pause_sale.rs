//! `PauseSale`: no new holds for the time being. Holds that exist go on, and may be confirmed.

use crate::change::Change;
use crate::outcome::{Done, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;

impl Sale {
    pub(super) fn pause_sale(&mut self, changes: &mut Vec<Change>) -> Result<Done, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.changing = true;
        self.set_phase(Phase::Paused, changes);
        Ok(self.done(0, SeatRuns::default()))
    }
}
