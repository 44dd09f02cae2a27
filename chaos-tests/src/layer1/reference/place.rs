//! Placing a hold: the checks in their sequence, then line by line.

use domain::command::HoldLine;
use domain::ids::SeatRef;
use domain::outcome::{Outcome, SeatRun};
use domain::rejection::{Phase, Rejection};

use crate::layer1::asked::{Call, Place};
use crate::layer1::reference::seating::{self, Wish};
use crate::layer1::reference::{Held, Reference, Section, State, joined};

/// What the lines got so far.
#[derive(Default)]
struct Picked {
    seats: Vec<SeatRef>,
    general: Vec<SeatRun>,
}

impl Reference {
    pub(super) fn place(&mut self, call: &Call, place: &Place) -> Result<Outcome, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::NotOnSale { phase: self.phase });
        }
        if self.holds.contains_key(&place.hold) {
            return Err(Rejection::HoldIdInUse);
        }
        let asked = asked(place).ok_or(Rejection::EmptyHold)?;
        let max = self.rules.hold_seats_max;
        if asked > max {
            return Err(Rejection::TooManySeats { asked, max });
        }
        let ttl_ms = self.ttl_ms(call.channel, place.ttl_ms);
        let life_max_ms = u64::from(self.rules.hold_life_max_ms);
        if ttl_ms > life_max_ms {
            return Err(Rejection::ExtensionTooLong {
                latest_deadline_ms: self.now_ms + life_max_ms,
            });
        }
        self.seats_once(&place.seats)?;
        for section in &place.sections {
            self.check_kind(*section, true)?;
        }
        for line in &place.lines {
            if let HoldLine::General { section, .. } = line {
                self.check_kind(*section, false)?;
            }
        }
        self.check_limits(place.buyer, call.channel, asked)?;
        let mut picked = Picked::default();
        let result = self.pick(place, &mut picked);
        self.put_back(&picked);
        result?;
        picked.seats.sort();
        let runs = joined(&picked.seats, summed(&picked.general));
        self.shift(&runs, State::Free, State::Held);
        self.revision += 1;
        let deadline_ms = self.now_ms + ttl_ms;
        self.used.take(place.buyer, call.channel, asked);
        self.deadlines.insert((deadline_ms, place.hold));
        let hold = Held {
            buyer: place.buyer,
            partner: call.partner,
            channel: call.channel,
            placed_at_ms: self.now_ms,
            deadline_ms,
            runs: runs.clone(),
        };
        self.holds.insert(place.hold, hold);
        Ok(self.done(deadline_ms, runs))
    }

    fn check_kind(&self, section: u16, seated: bool) -> Result<(), Rejection> {
        match self.sections.get(usize::from(section)) {
            None => Err(Rejection::UnknownSection { section }),
            Some(found) if matches!(found, Section::Seats(_)) != seated => {
                Err(Rejection::WrongSectionKind { section })
            }
            Some(_) => Ok(()),
        }
    }

    /// Marks what it picks as sold, so that later lines do not see it.
    fn pick(&mut self, place: &Place, picked: &mut Picked) -> Result<(), Rejection> {
        let (mut seats, mut sections) = (place.seats.as_slice(), place.sections.as_slice());
        for line in &place.lines {
            match line {
                HoldLine::Seats { count } => {
                    let (chosen, rest) = seats.split_at(usize::from(*count));
                    seats = rest;
                    self.check_chosen(chosen)?;
                    for seat in chosen {
                        self.sell(usize::from(seat.section), seat.seat as usize, 1, picked);
                    }
                }
                HoldLine::General { section, quantity } => {
                    self.stand(*section, *quantity, picked)?;
                }
                HoldLine::BestAvailable {
                    quantity,
                    category,
                    section_count,
                    accessible,
                    split,
                } => {
                    let (wanted, rest) = sections.split_at(usize::from(*section_count));
                    sections = rest;
                    let wish = Wish {
                        accessible: *accessible,
                        category: *category,
                        sections: wanted,
                    };
                    self.pick_best(usize::from(*quantity), &wish, *split, picked)?;
                }
            }
        }
        Ok(())
    }

    fn put_back(&mut self, picked: &Picked) {
        for seat in &picked.seats {
            if let Section::Seats(seats) = &mut self.sections[usize::from(seat.section)] {
                seats[seat.seat as usize].state = State::Free;
            }
        }
        for run in &picked.general {
            if let Section::General { sold, .. } = &mut self.sections[usize::from(run.section)] {
                *sold -= u32::from(run.count);
            }
        }
    }

    fn check_chosen(&self, chosen: &[SeatRef]) -> Result<(), Rejection> {
        let first_in = |wanted: &[State]| {
            let found = |seat: &SeatRef| {
                let state = self.state(*seat);
                state.is_ok_and(|state| wanted.contains(&state))
            };
            let first = chosen.iter().position(found)?;
            let (mut count, mut which) = (0, 0);
            for (behind, seat) in chosen[first..].iter().enumerate() {
                if found(seat) {
                    count += 1;
                    which |= if behind < 64 { 1 << behind } else { 0 };
                }
            }
            Some((chosen[first], count, which))
        };
        if let Some((seat, count, which)) = first_in(&[State::Held, State::Sold]) {
            return Err(Rejection::SeatTaken { seat, count, which });
        }
        match first_in(&[State::Blocked]) {
            Some((seat, count, which)) => Err(Rejection::SeatBlocked { seat, count, which }),
            None => Ok(()),
        }
    }

    fn stand(&mut self, section: u16, quantity: u16, picked: &mut Picked) -> Result<(), Rejection> {
        let Section::General {
            capacity,
            held,
            sold,
        } = &mut self.sections[usize::from(section)]
        else {
            return Err(Rejection::WrongSectionKind { section });
        };
        let (free, held) = (*capacity - *held - *sold, *held);
        if free < u32::from(quantity) {
            return Err(self.sold_out(free, held));
        }
        *sold += u32::from(quantity);
        picked.general.push(SeatRun {
            section,
            count: quantity,
            first: 0,
        });
        Ok(())
    }

    fn sold_out(&self, free: u32, held: u32) -> Rejection {
        let next_deadline_ms = match held {
            0 => 0,
            _ => self
                .deadlines
                .first()
                .map_or(0, |(deadline_ms, _)| *deadline_ms),
        };
        Rejection::SoldOut {
            free,
            held,
            next_deadline_ms,
        }
    }

    fn sell(&mut self, section: usize, first: usize, count: usize, picked: &mut Picked) {
        let Section::Seats(seats) = &mut self.sections[section] else {
            return;
        };
        for (at, seat) in seats.iter_mut().enumerate().skip(first).take(count) {
            seat.state = State::Sold;
            picked.seats.push(SeatRef {
                section: section as u16,
                seat: at as u32,
            });
        }
    }

    fn pick_best(
        &mut self,
        quantity: usize,
        wish: &Wish<'_>,
        split: bool,
        picked: &mut Picked,
    ) -> Result<(), Rejection> {
        if let Some((section, first)) = seating::best(&self.sections, wish, quantity) {
            self.sell(section, first, quantity, picked);
            return Ok(());
        }
        let (free, held, runs) = seating::stock(&self.sections, wish);
        if (free as usize) < quantity {
            return Err(self.sold_out(free, held));
        }
        let pieces = match split {
            true => seating::split(&runs, quantity),
            false => None,
        };
        let Some((section, sizes)) = pieces else {
            let longest = runs.iter().map(|(_, len)| *len).max().unwrap_or(0) as u16;
            return Err(Rejection::NotEnoughAdjacent { longest, free });
        };
        let only = section.map(|section| [section as u16]);
        let narrowed = Wish {
            sections: only.as_ref().map_or(wish.sections, |only| only.as_slice()),
            ..*wish
        };
        for size in sizes {
            if let Some((section, first)) = seating::best(&self.sections, &narrowed, size) {
                self.sell(section, first, size, picked);
            }
        }
        Ok(())
    }
}

/// Seats of all lines; none if a line asks for nothing or does not match the lists.
fn asked(place: &Place) -> Option<u32> {
    let (mut asked, mut chosen, mut named) = (0, 0, 0);
    for line in &place.lines {
        let quantity = match line {
            HoldLine::Seats { count } => {
                chosen += usize::from(*count);
                *count
            }
            HoldLine::BestAvailable {
                quantity,
                section_count,
                ..
            } => {
                named += usize::from(*section_count);
                *quantity
            }
            HoldLine::General { quantity, .. } => *quantity,
        };
        if quantity == 0 {
            return None;
        }
        asked += u32::from(quantity);
    }
    (asked > 0 && chosen == place.seats.len() && named == place.sections.len()).then_some(asked)
}

/// One run for each general-admission section.
fn summed(general: &[SeatRun]) -> Vec<SeatRun> {
    let mut runs: Vec<SeatRun> = Vec::new();
    for run in general {
        match runs.iter_mut().find(|known| known.section == run.section) {
            Some(known) => known.count += run.count,
            None => runs.push(*run),
        }
    }
    runs
}
