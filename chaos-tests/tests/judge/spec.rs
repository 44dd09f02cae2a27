//! A sale of a few seats for the general linearizability tester. It shares no code with the judge.
//!
//! A window's seats are chosen by the caller, and its answers tell log time except for reads, so that
//! every step is decided.

use std::collections::BTreeMap;

use chaos_tests::history::record::{Call, Id, Op, Outcome, Reason, Run};
use stateright::semantics::SequentialSpec;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Seat {
    Free,
    Held(Id),
    Sold(Id),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Confirmed,
    Released,
    Expired,
}

#[derive(Clone, Debug)]
pub struct Spec {
    revision: u64,
    index: u64,
    now_ms: u64,
    seats: Vec<Seat>,
    /// Deadlines.
    holds: BTreeMap<Id, u64>,
    /// Seats, and whether they are paid.
    orders: BTreeMap<Id, (Vec<usize>, bool)>,
    ended: BTreeMap<Id, Ending>,
}

fn seats_of(runs: &[Run]) -> Vec<usize> {
    let seats = |Run(_, first, count): &Run| *first as usize..*first as usize + *count as usize;
    runs.iter().flat_map(seats).collect()
}

/// How many runs the sorted seats make.
fn runs(seats: &[usize]) -> u64 {
    let starts = |at: &usize| *at == 0 || seats[at - 1] + 1 != seats[*at];
    (0..seats.len()).filter(starts).count() as u64
}

impl Spec {
    pub fn new(seats: usize) -> Spec {
        Spec {
            revision: 0,
            index: 0,
            now_ms: 0,
            seats: vec![Seat::Free; seats],
            holds: BTreeMap::new(),
            orders: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn held_by(&self, hold: Id) -> Vec<usize> {
        let held = |at: &usize| self.seats[*at] == Seat::Held(hold);
        (0..self.seats.len()).filter(held).collect()
    }

    fn end(&mut self, hold: Id, ending: Ending, to: Seat) -> Vec<usize> {
        let seats = self.held_by(hold);
        for at in &seats {
            self.seats[*at] = to;
        }
        self.holds.remove(&hold);
        self.ended.insert(hold, ending);
        seats
    }

    /// The hold with the first deadline runs out.
    fn expire_one(&mut self) -> bool {
        let first = self
            .holds
            .iter()
            .map(|(id, deadline_ms)| (*deadline_ms, *id));
        let Some((deadline_ms, id)) = first.min() else {
            return false;
        };
        self.now_ms = self.now_ms.max(deadline_ms);
        let seats = self.end(id, Ending::Expired, Seat::Free);
        self.revision += runs(&seats) + 1;
        true
    }

    /// Carries the call out if it can be: the seats concerned, and the revisions it takes.
    fn apply(&mut self, op: &Op, deadline_ms: u64) -> Option<(Vec<usize>, u64)> {
        match op.call {
            Call::Govern => Some((Vec::new(), 1)),
            Call::Place { hold } => {
                let seats = seats_of(op.asked.as_deref()?);
                let free = |at: &usize| self.seats.get(*at) == Some(&Seat::Free);
                if self.holds.contains_key(&hold) || !seats.iter().all(free) {
                    return None;
                }
                for at in &seats {
                    self.seats[*at] = Seat::Held(hold);
                }
                self.holds.insert(hold, deadline_ms);
                let width = runs(&seats) + 1;
                Some((seats, width))
            }
            Call::Extend { hold } => {
                let old_ms = *self.holds.get(&hold)?;
                if deadline_ms < old_ms {
                    return None;
                }
                self.holds.insert(hold, deadline_ms);
                Some((self.held_by(hold), 1))
            }
            Call::Release { hold } => {
                self.holds.get(&hold)?;
                let seats = self.end(hold, Ending::Released, Seat::Free);
                let width = runs(&seats) + 1;
                Some((seats, width))
            }
            Call::Confirm { hold, order } => {
                self.holds.get(&hold)?;
                if self.orders.contains_key(&order) {
                    return None;
                }
                let seats = self.end(hold, Ending::Confirmed, Seat::Sold(order));
                self.orders.insert(order, (seats.clone(), true));
                let width = runs(&seats) + 1;
                Some((seats, width))
            }
            Call::Cancel { order } => {
                let (seats, paid) = self.orders.get_mut(&order)?;
                if !std::mem::take(paid) {
                    return None;
                }
                let seats = seats.clone();
                for at in &seats {
                    self.seats[*at] = Seat::Free;
                }
                let width = runs(&seats) + 1;
                Some((seats, width))
            }
            Call::Block | Call::Unblock | Call::Read { .. } => None,
        }
    }

    /// Holds run out until `revision` is reached; then log time is as told.
    fn advance(&mut self, revision: u64, at_ms: Option<u64>) -> bool {
        while self.revision < revision {
            if !self.expire_one() {
                return false;
            }
        }
        if let Some(at_ms) = at_ms {
            if at_ms < self.now_ms {
                return false;
            }
            self.now_ms = at_ms;
        }
        let due = self
            .holds
            .values()
            .any(|deadline_ms| *deadline_ms <= self.now_ms);
        self.revision == revision && !due
    }

    fn is_true(&self, call: Call, reason: &Reason) -> bool {
        let (hold, order) = match call {
            Call::Place { hold } | Call::Extend { hold } | Call::Release { hold } => (hold, Id(0)),
            Call::Confirm { hold, order } => (hold, order),
            Call::Cancel { order } => (Id(0), order),
            _ => (Id(0), Id(0)),
        };
        let ended =
            |ending| !self.holds.contains_key(&hold) && self.ended.get(&hold) == Some(&ending);
        match reason {
            Reason::SeatTaken { seat, .. } => self
                .seats
                .get(*seat as usize)
                .is_some_and(|seat| *seat != Seat::Free),
            Reason::HoldInUse => self.holds.contains_key(&hold),
            Reason::HoldReleased => ended(Ending::Released),
            Reason::HoldExpired => ended(Ending::Expired),
            Reason::HoldConfirmed => ended(Ending::Confirmed),
            Reason::UnknownHold => !self.holds.contains_key(&hold),
            Reason::OrderInUse => self.orders.contains_key(&order),
            Reason::UnknownOrder => !self.orders.contains_key(&order),
            Reason::OrderCancelled => self.orders.get(&order).is_some_and(|(_, paid)| !paid),
            Reason::Other { .. } => true,
        }
    }
}

impl SequentialSpec for Spec {
    type Op = Op;
    type Ret = Outcome;

    /// A call that was never answered: it happens, or it is refused.
    fn invoke(&mut self, op: &Op) -> Outcome {
        let deadline_ms = u64::MAX;
        let mut next = self.clone();
        if let Some((_, width)) = next.apply(op, deadline_ms) {
            *self = next;
            self.revision += width;
        }
        Outcome::Unknown
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Outcome) -> bool {
        match ret {
            Outcome::Done(done) => {
                let told = seats_of(&done.runs);
                let width = match op.call {
                    Call::Govern | Call::Extend { .. } => 1,
                    _ => done.runs.len() as u64 + 1,
                };
                let Some(before) = done.revision.checked_sub(width) else {
                    return false;
                };
                if done.index < self.index || !self.advance(before, done.at_ms) {
                    return false;
                }
                let chosen = op.asked.as_ref().is_none_or(|asked| *asked == done.runs);
                let applied = self.apply(op, done.deadline_ms);
                self.revision = done.revision;
                self.index = done.index;
                chosen && applied == Some((told, width))
            }
            Outcome::Rejected(rejected) => {
                rejected.index >= self.index
                    && self.advance(rejected.revision, rejected.at_ms)
                    && self.is_true(op.call, &rejected.reason)
            }
            Outcome::Seen(seen) => {
                if seen.index < self.index || !self.advance(seen.revision, None) {
                    return false;
                }
                let has = |state: fn(&Seat) -> bool| -> Vec<usize> {
                    let seats = 0..self.seats.len();
                    seats.filter(|at| state(&self.seats[*at])).collect()
                };
                has(|seat| matches!(seat, Seat::Held(_))) == seats_of(&seen.held)
                    && has(|seat| matches!(seat, Seat::Sold(_))) == seats_of(&seen.sold)
            }
            Outcome::Failed | Outcome::Unknown => false,
        }
    }
}
