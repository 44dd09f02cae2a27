//! `PlaceHold`: seats set aside for a buyer until a deadline. All lines or none.
//!
//! Checked in this sequence, the first that fails is the answer: the sale is open; the hold id is
//! not in use; the lines ask for something and for not too much; the hold time; the seats and
//! sections exist and are of the right kind; the buyer was let in, if there is a waiting room; the
//! buyer's limit and the channel's quota; then line by line whether the seats are to be had. Later
//! lines see the seats of earlier lines as taken.
//! Which seats a line gets is decided in `place_hold/lines.rs`.

mod lines;

pub(super) use lines::{set_sections, split_off};

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact, SeatState};
use crate::command::{HoldLine, PlaceHold, Request};
use crate::hold::Hold;
use crate::ids::SeatRef;
use crate::outcome::{Done, SeatRun, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;
use crate::sale::block_seats::check_distinct;
use crate::seats::{Seats, Section};

/// Earlier lines' seats are kept out of later lines' reach in this state until all lines are
/// served. Not `Held`, so that a rejection counts as held only what may come back.
const RESERVED: SeatState = SeatState::Sold;

#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    /// What the lines got so far.
    pub(super) picked: Vec<SeatRun>,
    /// How many of `picked` are reserved in the planes already.
    pub(super) reserved: usize,
    pub(super) sorted: Vec<SeatRef>,
    pub(super) sections: Vec<u16>,
}

/// What the check found out.
pub(super) struct Terms {
    pub(super) seats: u32,
    pub(super) ttl_ms: u32,
}

impl Sale {
    #[inline]
    pub(super) fn place_hold(
        &mut self,
        request: &Request<'_>,
        ask: &PlaceHold<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        let terms = self.check_place_hold(request, ask)?;
        if let Err(rejection) = self.pick_lines(ask) {
            self.give_up_picked();
            return Err(rejection);
        }

        self.changing = true;
        self.hold_picked();
        let seats = SeatRuns::from_slice(&self.scratch.picked);
        for run in seats.as_slice() {
            let (from, to) = (SeatState::Free, SeatState::Held);
            self.emit(
                changes,
                Fact::SeatsChanged {
                    run: *run,
                    from,
                    to,
                },
            );
        }
        let deadline_ms = self.now_ms.saturating_add(u64::from(terms.ttl_ms));
        let hold = Hold {
            id: ask.hold,
            buyer: ask.buyer,
            partner: request.partner,
            channel: request.channel,
            placed_at_ms: self.now_ms,
            deadline_ms,
            seats: seats.clone(),
        };
        self.usage.take(hold.buyer, hold.channel, terms.seats);
        self.spend_pass(&hold, ask.token, terms.seats);
        self.keep_hold(hold);
        let (partner, channel) = (request.partner, request.channel);
        let (hold, buyer, count) = (ask.hold, ask.buyer, terms.seats);
        self.emit(
            changes,
            Fact::HoldPlaced {
                hold,
                buyer,
                partner,
                channel,
                seats: count,
                deadline_ms,
            },
        );
        Ok(self.done(deadline_ms, seats))
    }

    /// All that does not depend on which seats are free.
    pub(super) fn check_place_hold(
        &mut self,
        request: &Request<'_>,
        ask: &PlaceHold<'_>,
    ) -> Result<Terms, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::NotOnSale { phase: self.phase });
        }
        if self.holds.contains(ask.hold.0) {
            return Err(Rejection::HoldIdInUse);
        }
        let seats = asked_seats(ask)?;
        let max = self.rules.hold_seats_max;
        if seats > max {
            return Err(Rejection::TooManySeats { asked: seats, max });
        }
        let ttl_ms = match ask.ttl_ms {
            0 => self.default_ttl_ms(request.channel),
            ttl_ms => ttl_ms,
        };
        if ttl_ms > self.rules.hold_life_max_ms {
            let life_max_ms = u64::from(self.rules.hold_life_max_ms);
            let latest_deadline_ms = self.now_ms.saturating_add(life_max_ms);
            return Err(Rejection::ExtensionTooLong { latest_deadline_ms });
        }
        self.check_places(ask)?;
        self.check_pass(ask, request.partner, seats)?;
        self.check_limits(ask.buyer, request.channel, seats)?;
        Ok(Terms { seats, ttl_ms })
    }

    /// Whether the seats and sections exist, are of the right kind and named once.
    fn check_places(&mut self, ask: &PlaceHold<'_>) -> Result<(), Rejection> {
        for seat in ask.seats {
            self.check_seat(*seat)?;
        }
        if ask.seats.len() > 1 {
            let sorted = &mut self.scratch.sorted;
            sorted.clear();
            sorted.extend_from_slice(ask.seats);
            sorted.sort_unstable();
            check_distinct(sorted)?;
        }
        for section in ask.sections {
            check_kind(&self.seats, *section, true)?;
        }
        for line in ask.lines {
            if let HoldLine::General { section, .. } = line {
                check_kind(&self.seats, *section, false)?;
            }
        }
        Ok(())
    }

    /// Moves all picked seats to held and joins neighbours in `picked`.
    fn hold_picked(&mut self) {
        let Scratch {
            picked, reserved, ..
        } = &mut self.scratch;
        for (at, run) in picked.iter().enumerate() {
            let from = if at < *reserved {
                RESERVED
            } else {
                SeatState::Free
            };
            self.seats.shift(*run, from, SeatState::Held);
        }
        *reserved = 0;
        if picked.len() > 1 {
            picked.sort_unstable_by_key(|run| (run.section, run.first));
            let seats = &self.seats;
            picked.dedup_by(|next, run| join(seats, run, *next));
        }
    }

    /// Makes what the lines picked so far unavailable to those that follow.
    fn reserve_picked(&mut self) {
        // From here on a panic would leave the planes wrong.
        self.changing = true;
        let Scratch {
            picked, reserved, ..
        } = &mut self.scratch;
        for run in picked.iter().skip(*reserved) {
            self.seats.shift(*run, SeatState::Free, RESERVED);
        }
        *reserved = picked.len();
    }

    /// Puts everything back as it was before the first line.
    fn give_up_picked(&mut self) {
        let Scratch {
            picked, reserved, ..
        } = &mut self.scratch;
        for run in picked.iter().take(*reserved) {
            if planted(Bug::HalfAHold) {
                break;
            }
            self.seats.shift(*run, RESERVED, SeatState::Free);
        }
        *reserved = 0;
        picked.clear();
        self.changing = false;
    }
}

/// The seats of all lines; refuses lines that ask for nothing or do not match the lists.
fn asked_seats(ask: &PlaceHold<'_>) -> Result<u32, Rejection> {
    let (mut asked, mut chosen, mut sections) = (0_u32, 0_usize, 0_usize);
    for line in ask.lines {
        let quantity = match line {
            HoldLine::Seats { count } => {
                chosen = chosen.saturating_add(usize::from(*count));
                *count
            }
            HoldLine::BestAvailable {
                quantity,
                section_count,
                ..
            } => {
                sections = sections.saturating_add(usize::from(*section_count));
                *quantity
            }
            HoldLine::General { quantity, .. } => *quantity,
        };
        if quantity == 0 {
            return Err(Rejection::EmptyHold);
        }
        asked = asked.saturating_add(u32::from(quantity));
    }
    match asked > 0 && chosen == ask.seats.len() && sections == ask.sections.len() {
        true => Ok(asked),
        false => Err(Rejection::EmptyHold),
    }
}

fn check_kind(seats: &Seats, section: u16, is_seated: bool) -> Result<(), Rejection> {
    match seats.layout.sections.get(usize::from(section)) {
        None => Err(Rejection::UnknownSection { section }),
        Some(found) if matches!(found, Section::Seated { .. }) != is_seated => {
            Err(Rejection::WrongSectionKind { section })
        }
        Some(_) => Ok(()),
    }
}

/// Adds `next` to `run` if it goes on where `run` ends.
fn join(seats: &Seats, run: &mut SeatRun, next: SeatRun) -> bool {
    let goes_on = run.section == next.section
        && (seats.general(run.section).is_some()
            || run.first.saturating_add(u32::from(run.count)) == next.first);
    match run.count.checked_add(next.count) {
        Some(count) if goes_on => {
            run.count = count;
            true
        }
        _ => false,
    }
}
