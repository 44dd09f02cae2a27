//! Holds past their deadline: expired before every command, in sequence of (deadline, hold).
//!
//! So a hold past its deadline *is* expired, swept or not; the command `ExpireHolds` itself does
//! nothing but move `now`.

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact, SeatState};
use crate::digest::mix;
use crate::ended::Ending;
use crate::hold::KeptHold;
use crate::ids::HoldId;
use crate::sale::Sale;

/// Holds that are looked at before the first of them ends, a power of two: their reads overlap.
const AHEAD: usize = 16;

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
        for (at, (_, id)) in due.iter().enumerate() {
            if at & AHEAD.wrapping_sub(1) == 0 {
                self.warm_due(due.iter().skip(at).take(AHEAD));
            }
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
            self.ended.record(*id, Ending::Expired);
            self.emit(changes, Fact::HoldExpired { hold: *id });
            self.digest = mix(self.digest ^ id.0 as u64, hold.deadline_ms);
        }
        self.changing = false;
    }

    /// See `Sale::warm`: one pass for each read that waits for the one before.
    fn warm_due<'a>(&self, due: impl Iterator<Item = &'a (u64, HoldId)> + Clone) {
        for (_, id) in due.clone() {
            self.holds.warm_id(id.0);
        }
        for (_, id) in due {
            if let Some(hold) = self.hold(*id) {
                self.usage.warm_buyer(hold.buyer);
            }
        }
    }
}
