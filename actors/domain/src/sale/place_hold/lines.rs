//! Which seats each line of a hold gets, or what is in the way.

use crate::best_available::{Choice, SplitPlan};
use crate::bugs::{Bug, planted};
use crate::change::SeatState;
use crate::command::{CategoryChoice, HoldLine, PlaceHold};
use crate::ids::SeatRef;
use crate::outcome::SeatRun;
use crate::rejection::Rejection;
use crate::sale::Sale;
use crate::sale::block_seats::push_seats;

/// Where a party may sit.
pub(in crate::sale) enum Offer {
    Together(SeatRun),
    Apart(SplitPlan),
}

/// Chosen seats that cannot be had.
struct InTheWay {
    first_at: u32,
    seat: SeatRef,
    count: u16,
    which: u64,
}

impl InTheWay {
    fn add(&mut self, at: u32) {
        self.count = self.count.saturating_add(1);
        let behind = at.saturating_sub(self.first_at);
        self.which |= 1_u64.checked_shl(behind).unwrap_or(0);
    }
}

impl Sale {
    /// Picks seats for every line; on rejection the caller gives up what was picked.
    #[inline]
    pub(super) fn pick_lines(&mut self, ask: &PlaceHold<'_>) -> Result<(), Rejection> {
        self.scratch.picked.clear();
        self.scratch.reserved = 0;
        let (mut seats, mut sections) = (ask.seats, ask.sections);
        let mut is_first = true;
        for line in ask.lines {
            if !is_first {
                self.reserve_picked();
            }
            is_first = false;
            match line {
                HoldLine::Seats { count } => {
                    let (chosen, rest) = split_off(seats, *count);
                    seats = rest;
                    self.check_chosen(chosen)?;
                    self.scratch.sorted.clear();
                    self.scratch.sorted.extend_from_slice(chosen);
                    self.scratch.sorted.sort_unstable();
                    push_seats(&self.scratch.sorted, &mut self.scratch.picked);
                }
                HoldLine::BestAvailable {
                    quantity,
                    category,
                    section_count,
                    accessible,
                    split,
                } => {
                    let (wanted, rest) = split_off(sections, *section_count);
                    sections = rest;
                    self.pick_best(*quantity, *category, wanted, *accessible, *split)?;
                }
                HoldLine::General { section, quantity } => {
                    self.check_general(*section, *quantity)?;
                    let run = SeatRun {
                        section: *section,
                        count: *quantity,
                        first: 0,
                    };
                    self.scratch.picked.push(run);
                }
            }
        }
        Ok(())
    }

    fn pick_best(
        &mut self,
        quantity: u16,
        category: CategoryChoice,
        wanted: &[u16],
        accessible: bool,
        split: bool,
    ) -> Result<(), Rejection> {
        let mut sections = core::mem::take(&mut self.scratch.sections);
        set_sections(&mut sections, wanted);
        let choice = Choice {
            accessible,
            category,
            sections: &sections,
        };
        let result = match self.offer(&choice, quantity, split) {
            Ok(Offer::Together(run)) => {
                self.scratch.picked.push(run);
                Ok(())
            }
            Ok(Offer::Apart(plan)) => self.pick_pieces(&choice, &plan),
            Err(rejection) => Err(rejection),
        };
        self.scratch.sections = sections;
        result
    }

    /// The best place for the party, or what is in the way.
    #[inline]
    pub(in crate::sale) fn offer(
        &mut self,
        choice: &Choice<'_>,
        quantity: u16,
        split: bool,
    ) -> Result<Offer, Rejection> {
        if let Some(run) = self.seats.best(choice, quantity) {
            return Ok(Offer::Together(run));
        }
        let (free, held) = self.seats.free_and_held(choice);
        if free < u32::from(quantity) {
            return Err(self.sold_out(free, held));
        }
        if split && let Some(plan) = self.seats.split(choice, quantity) {
            return Ok(Offer::Apart(plan));
        }
        Err(Rejection::NotEnoughAdjacent {
            longest: self.seats.longest(choice),
            free,
        })
    }

    fn pick_pieces(&mut self, choice: &Choice<'_>, plan: &SplitPlan) -> Result<(), Rejection> {
        let section = plan.section.map(|section| [section]);
        let sections = section
            .as_ref()
            .map_or(choice.sections, |section| section.as_slice());
        let narrowed = Choice {
            sections,
            ..*choice
        };
        for size in &plan.sizes {
            let Some(run) = self.seats.best(&narrowed, *size) else {
                // Cannot be: see the proof in `best_available/split.rs`.
                let (free, _) = self.seats.free_and_held(choice);
                return Err(Rejection::NotEnoughAdjacent {
                    longest: self.seats.longest(choice),
                    free,
                });
            };
            self.scratch.picked.push(run);
            self.reserve_picked();
        }
        Ok(())
    }

    /// Whether all chosen seats are free; names those that are taken, else those that are blocked.
    pub(in crate::sale) fn check_chosen(&self, seats: &[SeatRef]) -> Result<(), Rejection> {
        let mut taken: Option<InTheWay> = None;
        let mut blocked: Option<InTheWay> = None;
        for (at, seat) in (0_u32..).zip(seats) {
            let found = match self.seats.state(*seat) {
                Some(SeatState::Free) => continue,
                Some(SeatState::Blocked) => &mut blocked,
                Some(SeatState::Held | SeatState::Sold) | None => &mut taken,
            };
            found
                .get_or_insert(InTheWay {
                    first_at: at,
                    seat: *seat,
                    count: 0,
                    which: 0,
                })
                .add(at);
        }
        match (taken, blocked) {
            (Some(taken), _) => Err(Rejection::SeatTaken {
                seat: taken.seat,
                count: taken.count,
                which: taken.which,
            }),
            (None, Some(blocked)) => Err(Rejection::SeatBlocked {
                seat: blocked.seat,
                count: blocked.count,
                which: blocked.which,
            }),
            (None, None) => Ok(()),
        }
    }

    pub(in crate::sale) fn check_general(
        &self,
        section: u16,
        quantity: u16,
    ) -> Result<(), Rejection> {
        let Some(general) = self.seats.general(section) else {
            return Err(Rejection::WrongSectionKind { section });
        };
        let free = match planted(Bug::StandingOversold) {
            true => general.free().saturating_add(1),
            false => general.free(),
        };
        match free < u32::from(quantity) {
            true => Err(self.sold_out(general.free(), general.held)),
            false => Ok(()),
        }
    }

    fn sold_out(&self, free: u32, held: u32) -> Rejection {
        let next_deadline_ms = match held {
            0 => 0,
            _ => self.deadlines.next_ms().unwrap_or(0),
        };
        Rejection::SoldOut {
            free,
            held,
            next_deadline_ms,
        }
    }
}

/// A choice wants its sections ascending and each once.
pub(in crate::sale) fn set_sections(sections: &mut Vec<u16>, wanted: &[u16]) {
    sections.clear();
    sections.extend_from_slice(wanted);
    sections.sort_unstable();
    sections.dedup();
}

/// The first `count` of a list, and the rest. The lists were checked to be long enough.
pub(in crate::sale) fn split_off<T>(list: &[T], count: u16) -> (&[T], &[T]) {
    list.split_at_checked(usize::from(count))
        .unwrap_or((list, &[]))
}
