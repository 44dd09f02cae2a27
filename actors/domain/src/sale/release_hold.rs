//! `ReleaseHold`: its seats are free at once. In every phase.

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact, SeatState};
use crate::command::Request;
use crate::ended::Ending;
use crate::ids::HoldId;
use crate::outcome::{Done, SeatRuns};
use crate::rejection::Rejection;
use crate::sale::Sale;

impl Sale {
    pub(super) fn release_hold(
        &mut self,
        request: &Request<'_>,
        id: HoldId,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        self.hold_of(request, id)?;

        self.changing = true;
        let Some(hold) = self.take_hold(id) else {
            return Ok(self.done(0, SeatRuns::default()));
        };
        self.shift_seats(
            hold.seats.as_slice(),
            SeatState::Held,
            SeatState::Free,
            changes,
        );
        if !planted(Bug::ReleaseKeepsLimit) {
            self.usage
                .give_back(hold.buyer, hold.channel, hold.seats.seats());
        }
        self.give_pass_back(hold.buyer, hold.partner, hold.seats.seats());
        self.ended.record(id, Ending::Released);
        self.emit(changes, Fact::HoldReleased { hold: id });
        Ok(self.done(0, hold.seats))
    }
}
