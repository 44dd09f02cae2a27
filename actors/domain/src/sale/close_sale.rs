//! `CloseSale`: no new holds and no extensions any more. A hold is a promise: it may still be
//! confirmed until its deadline.

use crate::change::Change;
use crate::outcome::{Done, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;

impl Sale {
    pub(super) fn close_sale(&mut self, changes: &mut Vec<Change>) -> Result<Done, Rejection> {
        if self.phase == Phase::Closed {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.changing = true;
        self.set_phase(Phase::Closed, changes);
        Ok(self.done(0, SeatRuns::default()))
    }
}
