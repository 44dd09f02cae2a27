//! A naive sale: one entry a seat, no planes, no trees, no packed table.
//!
//! It shares the words (commands, rejections, runs) with the domain and no decision. It foretells every
//! answer exactly, which seats included. It is fast because the houses of layer 1 are small, not
//! because it is clever: every search looks at every seat.

mod keys;
mod limits;
mod place;
mod seating;

use std::collections::{BTreeSet, HashMap};

use domain::ids::{Revision, SeatRef};
use domain::outcome::{Done, Outcome, SeatRun, SeatRuns};
use domain::rejection::{Phase, Rejection};
use domain::rules::SaleRules;
use domain::venue::Venue;

use crate::layer1::asked::{Action, Asked, Call};
pub use crate::layer1::reference::keys::COMMANDS_MAX;
use crate::layer1::reference::keys::Keys;
use crate::layer1::reference::limits::Used;
pub use crate::layer1::reference::seating::{Section, State};

/// How many ended holds of either kind are still told apart from unknown ones.
const ENDED_MAX: u64 = 1_024;

#[derive(Clone, Debug)]
pub struct Held {
    buyer: u128,
    partner: u32,
    channel: u16,
    placed_at_ms: u64,
    pub deadline_ms: u64,
    pub runs: SeatRuns,
}

#[derive(Clone, Debug)]
pub struct Ordered {
    buyer: u128,
    partner: u32,
    channel: u16,
    pub runs: SeatRuns,
    pub paid: bool,
}

/// How holds ended: by id the last ending, and how many had ended by then.
#[derive(Default)]
struct Ended {
    count: u64,
    last: HashMap<u128, (u64, Rejection)>,
}

impl Ended {
    fn record(&mut self, hold: u128, why: Rejection) {
        self.count += 1;
        self.last.insert(hold, (self.count, why));
    }

    fn explain(&self, hold: u128) -> Option<Rejection> {
        let (number, why) = self.last.get(&hold)?;
        (self.count - number < ENDED_MAX).then_some(*why)
    }
}

pub struct Reference {
    pub sections: Vec<Section>,
    rules: SaleRules,
    phase: Phase,
    pub now_ms: u64,
    pub revision: u64,
    pub holds: HashMap<u128, Held>,
    /// By (deadline, hold).
    pub deadlines: BTreeSet<(u64, u128)>,
    pub orders: HashMap<u128, Ordered>,
    /// In the sequence in which they were placed.
    pub order_ids: Vec<u128>,
    /// Free, held, sold, blocked seats.
    pub totals: [u32; 4],
    used: Used,
    confirmed: Ended,
    given_back: Ended,
    keys: Keys,
}

impl Reference {
    pub fn new(venue: &Venue, rules: SaleRules) -> Reference {
        let sections = seating::sections(venue);
        let seats = sections.iter().map(Section::seats).sum();
        Reference {
            sections,
            rules,
            phase: Phase::Announced,
            now_ms: 0,
            revision: 0,
            holds: HashMap::new(),
            deadlines: BTreeSet::new(),
            orders: HashMap::new(),
            order_ids: Vec::new(),
            totals: [seats, 0, 0, 0],
            used: Used::default(),
            confirmed: Ended::default(),
            given_back: Ended::default(),
            keys: Keys::default(),
        }
    }

    /// The answer that must be given.
    pub fn apply(&mut self, asked: &Asked) -> Outcome {
        let call = &asked.call;
        self.now_ms = self.now_ms.max(asked.at_ms);
        self.expire_due();
        if call.action == Action::Expire {
            return self.done(0, SeatRuns::default());
        }
        if let Some(outcome) = self.keys.recall(call, self.now_ms) {
            return outcome;
        }
        let outcome = match self.decide(call) {
            Ok(outcome) => outcome,
            Err(rejection) => Outcome::Rejected(rejection),
        };
        self.keys.remember(call, self.now_ms, &outcome);
        outcome
    }

    fn expire_due(&mut self) {
        while let Some((deadline_ms, id)) = self.deadlines.first().copied()
            && deadline_ms <= self.now_ms
        {
            if let Some(hold) = self.take_hold(id) {
                self.shift(&hold.runs, State::Held, State::Free);
                self.used
                    .give_back(hold.buyer, hold.channel, hold.runs.seats());
                self.given_back.record(id, Rejection::HoldExpired);
                self.revision += 1;
            }
        }
    }

    fn take_hold(&mut self, id: u128) -> Option<Held> {
        let hold = self.holds.remove(&id)?;
        self.deadlines.remove(&(hold.deadline_ms, id));
        Some(hold)
    }

    fn done(&self, deadline_ms: u64, seats: SeatRuns) -> Outcome {
        Outcome::Done(Done {
            revision: Revision(self.revision),
            deadline_ms,
            seats,
        })
    }

    fn decide(&mut self, call: &Call) -> Result<Outcome, Rejection> {
        match &call.action {
            Action::Open => self.phase_to(&[Phase::Announced], Phase::Open),
            Action::Pause => self.phase_to(&[Phase::Open], Phase::Paused),
            Action::Resume => self.phase_to(&[Phase::Paused], Phase::Open),
            Action::Close => self.phase_to(
                &[Phase::Announced, Phase::Open, Phase::Paused],
                Phase::Closed,
            ),
            Action::Reopen => self.reopen(),
            Action::SetRules(rules) => self.set_rules(rules),
            Action::Block(seats) => self.mark(seats, State::Free, State::Blocked),
            Action::Unblock(seats) => self.mark(seats, State::Blocked, State::Free),
            Action::Place(place) => self.place(call, place),
            Action::Extend { hold, ttl_ms } => self.extend(call, *hold, *ttl_ms),
            Action::Release { hold } => self.release(call, *hold),
            Action::Confirm { hold, order } => self.confirm(call, *hold, *order),
            Action::Cancel { order } => self.cancel(call, *order),
            Action::Expire => Ok(self.done(0, SeatRuns::default())),
        }
    }

    fn phase_to(&mut self, from: &[Phase], to: Phase) -> Result<Outcome, Rejection> {
        if !from.contains(&self.phase) {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.phase = to;
        self.revision += 1;
        Ok(self.done(0, SeatRuns::default()))
    }

    /// The partner's hold must be there.
    fn own_hold(&self, call: &Call, id: u128) -> Result<&Held, Rejection> {
        match self.holds.get(&id) {
            Some(hold) if hold.partner == call.partner => Ok(hold),
            Some(_) => Err(Rejection::HoldOfAnotherPartner),
            // Released and expired holds are told before confirmed ones.
            None => Err(self
                .given_back
                .explain(id)
                .or_else(|| self.confirmed.explain(id))
                .unwrap_or(Rejection::UnknownHold)),
        }
    }

    fn extend(&mut self, call: &Call, id: u128, ttl_ms: u32) -> Result<Outcome, Rejection> {
        if self.phase != Phase::Open && self.phase != Phase::Paused {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        let hold = self.own_hold(call, id)?;
        let (before_ms, runs) = (hold.deadline_ms, hold.runs.clone());
        let wanted_ms = self.now_ms + self.ttl_ms(hold.channel, ttl_ms);
        let latest_deadline_ms = hold.placed_at_ms + u64::from(self.rules.hold_life_max_ms);
        let mut deadline_ms = before_ms;
        if wanted_ms > before_ms {
            if wanted_ms > latest_deadline_ms {
                return Err(Rejection::ExtensionTooLong { latest_deadline_ms });
            }
            deadline_ms = wanted_ms;
        }
        self.deadlines.remove(&(before_ms, id));
        self.deadlines.insert((deadline_ms, id));
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.deadline_ms = deadline_ms;
        }
        self.revision += 1;
        Ok(self.done(deadline_ms, runs))
    }

    fn release(&mut self, call: &Call, id: u128) -> Result<Outcome, Rejection> {
        self.own_hold(call, id)?;
        let Some(hold) = self.take_hold(id) else {
            return Err(Rejection::UnknownHold);
        };
        self.shift(&hold.runs, State::Held, State::Free);
        self.used
            .give_back(hold.buyer, hold.channel, hold.runs.seats());
        self.given_back.record(id, Rejection::HoldReleased);
        self.revision += 1;
        Ok(self.done(0, hold.runs))
    }

    fn confirm(&mut self, call: &Call, id: u128, order: u128) -> Result<Outcome, Rejection> {
        self.own_hold(call, id)?;
        if self.orders.contains_key(&order) {
            return Err(Rejection::OrderIdInUse);
        }
        let Some(hold) = self.take_hold(id) else {
            return Err(Rejection::UnknownHold);
        };
        self.shift(&hold.runs, State::Held, State::Sold);
        self.confirmed.record(id, Rejection::HoldConfirmed);
        self.revision += 1;
        let outcome = self.done(0, hold.runs.clone());
        self.order_ids.push(order);
        self.orders.insert(
            order,
            Ordered {
                buyer: hold.buyer,
                partner: hold.partner,
                channel: hold.channel,
                runs: hold.runs,
                paid: true,
            },
        );
        Ok(outcome)
    }

    fn cancel(&mut self, call: &Call, id: u128) -> Result<Outcome, Rejection> {
        let order = self.orders.get_mut(&id).ok_or(Rejection::UnknownOrder)?;
        if order.partner != call.partner {
            return Err(Rejection::OrderOfAnotherPartner);
        }
        if !order.paid {
            return Err(Rejection::OrderCancelled);
        }
        order.paid = false;
        let Ordered {
            buyer,
            channel,
            runs,
            ..
        } = order.clone();
        self.shift(&runs, State::Sold, State::Free);
        self.used.give_back(buyer, channel, runs.seats());
        self.revision += 1;
        Ok(self.done(0, runs))
    }

    fn reopen(&mut self) -> Result<Outcome, Rejection> {
        if !self.rules.test_mode {
            return Err(Rejection::OnlyInTestMode);
        }
        if self.phase == Phase::Announced {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        for id in std::mem::take(&mut self.order_ids) {
            if let Some(order) = self.orders.remove(&id)
                && order.paid
            {
                self.used
                    .give_back(order.buyer, order.channel, order.runs.seats());
            }
        }
        // One change for each run of sold seats, whoever had them.
        for section in &mut self.sections {
            let (runs, seats) = section.free_the_sold();
            self.revision += runs;
            self.totals[State::Sold as usize] -= seats;
            self.totals[State::Free as usize] += seats;
        }
        self.revision += 1 + u64::from(self.phase != Phase::Open);
        self.phase = Phase::Open;
        Ok(self.done(0, SeatRuns::default()))
    }

    fn mark(&mut self, seats: &[SeatRef], from: State, to: State) -> Result<Outcome, Rejection> {
        if seats.is_empty() {
            return Err(Rejection::EmptyHold);
        }
        let sorted = self.seats_once(seats)?;
        for seat in seats {
            if self.state(*seat)? != from {
                return Err(match from {
                    State::Free => Rejection::SeatNotFree { seat: *seat },
                    _ => Rejection::SeatNotBlocked { seat: *seat },
                });
            }
        }
        let runs = joined(&sorted, Vec::new());
        self.shift(&runs, from, to);
        Ok(self.done(0, runs))
    }

    fn state(&self, seat: SeatRef) -> Result<State, Rejection> {
        match self.sections.get(usize::from(seat.section)) {
            None => Err(Rejection::UnknownSection {
                section: seat.section,
            }),
            Some(Section::General { .. }) => Err(Rejection::WrongSectionKind {
                section: seat.section,
            }),
            Some(Section::Seats(seats)) => match seats.get(seat.seat as usize) {
                None => Err(Rejection::UnknownSeat { seat }),
                Some(found) => Ok(found.state),
            },
        }
    }

    /// The seats sorted, if all of them exist and none is named twice.
    fn seats_once(&self, seats: &[SeatRef]) -> Result<Vec<SeatRef>, Rejection> {
        for seat in seats {
            self.state(*seat)?;
        }
        let mut sorted = seats.to_vec();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Rejection::DuplicateSeat { seat: pair[0] }),
            None => Ok(sorted),
        }
    }

    /// Moves the seats of the runs, one change for each.
    fn shift(&mut self, runs: &SeatRuns, from: State, to: State) {
        for run in runs.as_slice() {
            self.sections[usize::from(run.section)].shift(*run, from, to);
            self.totals[from as usize] -= u32::from(run.count);
            self.totals[to as usize] += u32::from(run.count);
            self.revision += 1;
        }
    }
}

/// Sorted seats as runs beside those of general admission.
fn joined(sorted: &[SeatRef], mut runs: Vec<SeatRun>) -> SeatRuns {
    for seat in sorted {
        match runs.last_mut() {
            Some(run)
                if run.section == seat.section && run.first + u32::from(run.count) == seat.seat =>
            {
                run.count += 1;
            }
            _ => runs.push(SeatRun {
                section: seat.section,
                count: 1,
                first: seat.seat,
            }),
        }
    }
    runs.sort_by_key(|run| (run.section, run.first));
    SeatRuns::from_slice(&runs)
}
