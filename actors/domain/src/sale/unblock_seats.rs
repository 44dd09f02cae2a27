//! `UnblockSeats`: blocked seats are on sale again. All of them or none.

use crate::change::{Change, SeatState};
use crate::ids::SeatRef;
use crate::outcome::{Done, SeatRuns};
use crate::rejection::Rejection;
use crate::sale::Sale;

impl Sale {
    pub(super) fn unblock_seats(
        &mut self,
        seats: &[SeatRef],
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        let runs = self.runs_all_in(seats, SeatState::Blocked, |seat| {
            Rejection::SeatNotBlocked { seat }
        })?;
        self.changing = true;
        self.shift_seats(&runs, SeatState::Blocked, SeatState::Free, changes);
        Ok(self.done(0, SeatRuns::from_slice(&runs)))
    }
}
