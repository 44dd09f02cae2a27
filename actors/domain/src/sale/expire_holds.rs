//! Holds past their deadline: expired before every command, in sequence of (deadline, hold).
//!
//! So a hold past its deadline *is* expired, swept or not; the command `ExpireHolds` itself does
//! nothing but move `now`.

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact, SeatState};
use crate::digest::mix;
use crate::ended::Ending;
use crate::hold::KeptHold;
use crate::sale::Sale;

impl Sale {
    #[inline]
    pub(super) fn expire_due(&mut self, changes: &mut Vec<Change>) {
        let now_ms = match planted(Bug::DeadlineOffByOne) {
            true => self.now_ms.saturating_sub(1),
            false => self.now_ms,
        };
        if self
            .deadlines
            .next_ms()
            .is_none_or(|deadline_ms| deadline_ms > now_ms)
        {
            return;
        }
        self.changing = true;
        let mut due = self.deadlines.take_due(now_ms);
        if planted(Bug::TableOrder) {
            let place = |id: u128| self.holds.entries().position(|(other, _)| other == id);
            due.sort_by_key(|(_, id)| place(id.0));
        }
        for (_, id) in due {
            let Some(KeptHold { hold, .. }) = self.holds.remove(id.0) else {
                continue;
            };
            self.shift_seats(
                hold.seats.as_slice(),
                SeatState::Held,
                SeatState::Free,
                changes,
            );
            self.usage
                .give_back(hold.buyer, hold.channel, hold.seats.seats());
            self.give_pass_back(hold.buyer, hold.partner, hold.seats.seats());
            self.ended.record(id, Ending::Expired);
            self.emit(changes, Fact::HoldExpired { hold: id });
            self.digest = mix(self.digest ^ id.0 as u64, hold.deadline_ms);
        }
        self.changing = false;
    }
}
