//! Whether a hold would be refused for want of seats, decided without a log entry.
//!
//! Changes no state: `&mut` is for the caches of best available. It answers only with what `apply`
//! would answer on the present state for lack of seats or of an open sale; everything else, and
//! everything in doubt, goes through the log. The caller sees to it that the state is current and
//! that no command in flight could matter.

use crate::best_available::Choice;
use crate::command::{Command, HoldLine, PlaceHold, Request};
use crate::idempotency::Recall;
use crate::rejection::Rejection;
use crate::sale::place_hold::{set_sections, split_off};
use crate::sale::{Sale, TIME_MAX_MS};

impl Sale {
    /// The rejection of a `PlaceHold` at `now_ms` if that is sure: `SoldOut`, `SeatTaken`,
    /// `SeatBlocked`, `NotEnoughAdjacent` or `NotOnSale`. `None` if the hold may succeed, if a
    /// hold is due, if the key is known or in question, or for any other command.
    pub fn hopeless(&mut self, request: &Request<'_>, now_ms: u64) -> Option<Rejection> {
        let Command::PlaceHold(ask) = &request.command else {
            return None;
        };
        let now_ms = self.now_ms.max(now_ms.min(TIME_MAX_MS));
        if self
            .next_deadline_ms()
            .is_some_and(|deadline_ms| deadline_ms <= now_ms)
        {
            return None;
        }
        // What `apply` forgets first may make this key one that nobody knows of any more.
        if self.memory.has_old(now_ms) {
            return None;
        }
        if self
            .memory
            .recall(request.partner, request.key, request.hash, now_ms)
            != Recall::Fresh
        {
            return None;
        }
        match self.check_place_hold(request, ask) {
            Ok(_) => self.hopeless_line(ask),
            Err(rejection @ Rejection::NotOnSale { .. }) => Some(rejection),
            Err(_) => None,
        }
    }

    /// The first line that could not be served even if it were alone.
    fn hopeless_line(&mut self, ask: &PlaceHold<'_>) -> Option<Rejection> {
        let (mut seats, mut sections) = (ask.seats, ask.sections);
        for line in ask.lines {
            let result = match line {
                HoldLine::Seats { count } => {
                    let (chosen, rest) = split_off(seats, *count);
                    seats = rest;
                    self.check_chosen(chosen)
                }
                HoldLine::General { section, quantity } => self.check_general(*section, *quantity),
                HoldLine::BestAvailable {
                    quantity,
                    category,
                    section_count,
                    accessible,
                    split,
                } => {
                    let (wanted, rest) = split_off(sections, *section_count);
                    sections = rest;
                    let mut wanted_sections = core::mem::take(&mut self.scratch.sections);
                    set_sections(&mut wanted_sections, wanted);
                    let choice = Choice {
                        accessible: *accessible,
                        category: *category,
                        sections: &wanted_sections,
                    };
                    let result = self.offer(&choice, *quantity, *split).map(|_| ());
                    self.scratch.sections = wanted_sections;
                    result
                }
            };
            if let Err(rejection) = result {
                return Some(rejection);
            }
        }
        None
    }
}
