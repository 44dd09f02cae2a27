//! The sale as far as the history tells: seats, holds, orders, and a lower bound of log time.

use std::collections::{BTreeSet, HashMap};

use crate::history::check::attempts::{Item, Pending, What};
use crate::history::record::{Call, Done, Final, House, Id, Reason, Run, SectionSize, Seen};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    Free,
    Held,
    Sold,
    Blocked,
}

#[derive(Clone, Debug)]
enum Section {
    Seats(Vec<Seat>),
    General { capacity: u32, held: u32, sold: u32 },
}

#[derive(Clone, Debug)]
struct Hold {
    deadline_ms: u64,
    /// It cannot run out before, if nobody was told its deadline.
    not_before_ms: u64,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Confirmed,
    Released,
    Expired,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub revision: u64,
    now_ms: u64,
    sections: Vec<Section>,
    holds: HashMap<Id, Hold>,
    /// By (deadline, hold): the sequence of expiry.
    deadlines: BTreeSet<(u64, Id)>,
    orders: HashMap<Id, (Vec<Run>, bool)>,
    fates: HashMap<Id, Fate>,
    /// Calls of unknown outcome that may still happen, by number.
    pub open: Vec<usize>,
    /// Runs of each hold that nobody names: their seats are not known.
    phantoms: Vec<u64>,
    phantoms_ever: usize,
}

impl State {
    /// The deadline of a hold that nobody was told.
    pub const DEADLINE_UNKNOWN: u64 = u64::MAX;

    pub fn new(house: &House, pending: usize) -> State {
        let section = |size: &SectionSize| match size {
            SectionSize::Seats(seats) => Section::Seats(vec![Seat::Free; *seats as usize]),
            SectionSize::Capacity(capacity) => Section::General {
                capacity: *capacity,
                held: 0,
                sold: 0,
            },
        };
        State {
            revision: 0,
            now_ms: 0,
            sections: house.sections.iter().map(section).collect(),
            holds: HashMap::new(),
            deadlines: BTreeSet::new(),
            orders: HashMap::new(),
            fates: HashMap::new(),
            open: (0..pending).collect(),
            phantoms: Vec::new(),
            phantoms_ever: 0,
        }
    }

    /// The hold that must run out next, its deadline, and the revisions that takes.
    pub fn next_expiry(&self) -> Option<(u64, u64)> {
        let (deadline_ms, id) = self.deadlines.first()?;
        let hold = self.holds.get(id)?;
        (*deadline_ms < State::DEADLINE_UNKNOWN)
            .then_some((*deadline_ms, hold.runs.len() as u64 + 1))
    }

    /// The revisions that each hold takes that runs out, in their sequence.
    pub fn expiry_widths(&self) -> impl Iterator<Item = u64> {
        let told = self
            .deadlines
            .iter()
            .take_while(|(deadline_ms, _)| *deadline_ms < State::DEADLINE_UNKNOWN);
        told.filter_map(|(_, id)| Some(self.holds.get(id)?.runs.len() as u64 + 1))
    }

    /// Holds whose deadline nobody was told, and the revisions that each takes that runs out.
    pub fn untold(&self) -> impl Iterator<Item = (Id, u64)> {
        let from = (State::DEADLINE_UNKNOWN, Id(0));
        let untold = self.deadlines.range(from..);
        untold.filter_map(|(_, id)| Some((*id, self.holds.get(id)?.runs.len() as u64 + 1)))
    }

    pub fn has_untold(&self) -> bool {
        self.untold().next().is_some() || !self.phantoms.is_empty()
    }

    pub fn phantoms(&self) -> &[u64] {
        &self.phantoms
    }

    pub fn phantoms_ever(&self) -> usize {
        self.phantoms_ever
    }

    pub fn place_phantom(&mut self, runs: u64) {
        self.phantoms.push(runs);
        self.phantoms_ever += 1;
        self.revision += runs + 1;
    }

    pub fn expire_phantom(&mut self, runs: u64) {
        if let Some(at) = self.phantoms.iter().position(|found| *found == runs) {
            self.phantoms.swap_remove(at);
            self.revision += runs + 1;
        }
    }

    pub fn run_out(&mut self, hold: Id) -> Result<(), String> {
        let not_before_ms = self.holds.get(&hold).map_or(0, |hold| hold.not_before_ms);
        self.now_ms = self.now_ms.max(not_before_ms);
        self.end(hold, Fate::Expired, Seat::Free).map(|_| ())
    }

    /// The hold was placed now or later, for so long.
    pub fn lasts(&mut self, hold: Id, ttl_ms: u64) {
        if let Some(hold) = self.holds.get_mut(&hold) {
            hold.not_before_ms = self.now_ms.saturating_add(ttl_ms);
        }
    }

    /// The hold lasts longer, nobody knows for how long.
    pub fn extend_unknown(&mut self, hold: Id) -> Result<(), String> {
        let done = Done {
            deadline_ms: State::DEADLINE_UNKNOWN,
            runs: self.runs_of(hold).unwrap_or_default().to_vec(),
            ..Done::default()
        };
        self.carry_out(Call::Extend { hold }, &done)
    }

    /// Strikes off calls that can no longer happen, because what they name has ended.
    pub fn close_impossible(&mut self, pending: &[Pending<'_>]) {
        let (fates, orders) = (&self.fates, &self.orders);
        self.open.retain(|at| match pending[*at].call {
            Call::Place { hold } => pending[*at].runs.is_some() && !fates.contains_key(&hold),
            Call::Extend { hold } | Call::Release { hold } | Call::Confirm { hold, .. } => {
                !fates.contains_key(&hold)
            }
            Call::Cancel { order } => !matches!(orders.get(&order), Some((_, false))),
            Call::Block | Call::Unblock | Call::Read { .. } => false,
            Call::Govern => true,
        });
    }

    /// The seats of a hold that is there.
    pub fn runs_of(&self, hold: Id) -> Option<&[Run]> {
        self.holds.get(&hold).map(|hold| hold.runs.as_slice())
    }

    pub fn runs_of_order(&self, order: Id) -> Option<&[Run]> {
        let (runs, paid) = self.orders.get(&order)?;
        paid.then_some(runs.as_slice())
    }

    pub fn expire_next(&mut self) -> Result<(), String> {
        let Some((deadline_ms, id)) = self.deadlines.first().copied() else {
            return Err("no hold is left to run out".to_owned());
        };
        self.now_ms = self.now_ms.max(deadline_ms);
        self.end(id, Fate::Expired, Seat::Free)?;
        Ok(())
    }

    fn end(&mut self, id: Id, fate: Fate, to: Seat) -> Result<Hold, String> {
        let Some(hold) = self.holds.remove(&id) else {
            let fate = self.fates.get(&id);
            return Err(format!("hold {id} is not there ({fate:?})"));
        };
        self.deadlines.remove(&(hold.deadline_ms, id));
        self.shift(&hold.runs, Seat::Held, to)?;
        self.fates.insert(id, fate);
        self.revision += hold.runs.len() as u64 + 1;
        Ok(hold)
    }

    fn shift(&mut self, runs: &[Run], from: Seat, to: Seat) -> Result<(), String> {
        for Run(section, first, count) in runs {
            let wrong = |why: &str| {
                Err(format!(
                    "{count} seats of section {section} from {first} on {why}"
                ))
            };
            match self.sections.get_mut(usize::from(*section)) {
                Some(Section::Seats(seats)) => {
                    let (first, count) = (*first as usize, usize::from(*count));
                    let Some(moved) = seats.get_mut(first..first + count) else {
                        return wrong("do not exist");
                    };
                    if moved.is_empty() || moved.iter().any(|seat| *seat != from) {
                        return wrong(&format!("are not all {from:?}"));
                    }
                    moved.fill(to);
                }
                Some(Section::General {
                    capacity,
                    held,
                    sold,
                }) => {
                    let count = u32::from(*count);
                    for (state, places) in [(Seat::Held, &mut *held), (Seat::Sold, &mut *sold)] {
                        if from == state {
                            *places = match places.checked_sub(count) {
                                Some(left) => left,
                                None => return wrong("are more than there are"),
                            };
                        }
                        if to == state {
                            *places += count;
                        }
                    }
                    if *held + *sold > *capacity {
                        return wrong("are more than the capacity");
                    }
                }
                None => return wrong("are in no section"),
            }
        }
        Ok(())
    }

    /// Carries out a call that was done. Its revisions are counted.
    pub fn carry_out(&mut self, call: Call, done: &Done) -> Result<(), String> {
        match call {
            Call::Place { hold } => {
                if self.holds.contains_key(&hold) {
                    return Err(format!("hold {hold} is there already"));
                }
                if done.runs.is_empty() {
                    return Err("a hold of nothing".to_owned());
                }
                self.shift(&done.runs, Seat::Free, Seat::Held)?;
                self.fates.remove(&hold);
                self.deadlines.insert((done.deadline_ms, hold));
                self.holds.insert(
                    hold,
                    Hold {
                        deadline_ms: done.deadline_ms,
                        not_before_ms: 0,
                        runs: done.runs.clone(),
                    },
                );
                self.revision += done.runs.len() as u64 + 1;
            }
            Call::Extend { hold } => {
                let Some(found) = self.holds.get_mut(&hold) else {
                    return Err(format!("hold {hold} is not there"));
                };
                let before_ms = found.deadline_ms;
                if found.runs != done.runs {
                    return Err(format!("the seats of hold {hold} are others"));
                }
                if done.deadline_ms < before_ms && before_ms < State::DEADLINE_UNKNOWN {
                    return Err(format!("hold {hold} is made shorter"));
                }
                found.deadline_ms = done.deadline_ms;
                if before_ms < State::DEADLINE_UNKNOWN {
                    found.not_before_ms = before_ms;
                }
                self.deadlines.remove(&(before_ms, hold));
                self.deadlines.insert((done.deadline_ms, hold));
                self.revision += 1;
            }
            Call::Release { hold } => {
                let ended = self.end(hold, Fate::Released, Seat::Free)?;
                same_seats(&ended.runs, &done.runs)?;
            }
            Call::Confirm { hold, order } => {
                if self.orders.contains_key(&order) {
                    return Err(format!("order {order} is there already"));
                }
                let ended = self.end(hold, Fate::Confirmed, Seat::Sold)?;
                same_seats(&ended.runs, &done.runs)?;
                self.orders.insert(order, (ended.runs, true));
            }
            Call::Cancel { order } => {
                let Some((runs, paid @ true)) = self.orders.get_mut(&order) else {
                    return Err(format!("order {order} is not there, or cancelled"));
                };
                *paid = false;
                let runs = runs.clone();
                same_seats(&runs, &done.runs)?;
                self.shift(&runs, Seat::Sold, Seat::Free)?;
                self.revision += runs.len() as u64 + 1;
            }
            Call::Block => {
                self.shift(&done.runs, Seat::Free, Seat::Blocked)?;
                self.revision += done.runs.len() as u64;
            }
            Call::Unblock => {
                self.shift(&done.runs, Seat::Blocked, Seat::Free)?;
                self.revision += done.runs.len() as u64;
            }
            Call::Govern => self.revision += 1,
            Call::Read { .. } => {}
        }
        Ok(())
    }

    /// Whether the item is true now, and what it changes. All revisions before it are accounted for.
    pub fn follow(&mut self, item: &Item<'_>) -> Result<(), String> {
        if self.revision + item.width() != item.revision {
            let before = item.revision - item.width().min(item.revision);
            return Err(format!(
                "nothing that is known leads from revision {} to {before}",
                self.revision
            ));
        }
        if let Some(at_ms) = item.at_ms() {
            if at_ms < self.now_ms {
                return Err(format!(
                    "log time goes back from {} to {at_ms}",
                    self.now_ms
                ));
            }
            self.now_ms = at_ms;
        }
        if let Some((deadline_ms, id)) = self.deadlines.first()
            && *deadline_ms <= self.now_ms
        {
            return Err(format!(
                "hold {id} outlives its deadline {deadline_ms} at {}",
                self.now_ms
            ));
        }
        match &item.what {
            What::Done { call, done } => self.carry_out(*call, done),
            What::Rejected { call, rejected } => self.refuses(*call, &rejected.reason),
            What::Read { seen, .. } => self.shows(seen),
            What::Final(end) => self.ends(end),
        }
    }

    fn refuses(&self, call: Call, reason: &Reason) -> Result<(), String> {
        let (hold, order) = match call {
            Call::Place { hold } | Call::Extend { hold } | Call::Release { hold } => (hold, Id(0)),
            Call::Confirm { hold, order } => (hold, order),
            Call::Cancel { order } => (Id(0), order),
            _ => (Id(0), Id(0)),
        };
        let gone = !self.holds.contains_key(&hold);
        let fate = self.fates.get(&hold).copied();
        let is_true = match reason {
            Reason::SeatTaken { section, seat } => match self.sections.get(usize::from(*section)) {
                Some(Section::Seats(seats)) => {
                    let found = seats.get(*seat as usize);
                    matches!(found, Some(Seat::Held | Seat::Sold))
                        || (found == Some(&Seat::Free) && !self.phantoms.is_empty())
                }
                _ => false,
            },
            Reason::HoldInUse => !gone,
            Reason::HoldReleased => gone && fate == Some(Fate::Released),
            Reason::HoldExpired => gone && fate == Some(Fate::Expired),
            Reason::HoldConfirmed => gone && fate == Some(Fate::Confirmed),
            Reason::UnknownHold => gone,
            Reason::OrderInUse => self.orders.contains_key(&order),
            Reason::UnknownOrder => !self.orders.contains_key(&order),
            Reason::OrderCancelled => matches!(self.orders.get(&order), Some((_, false))),
            Reason::Other { .. } => true,
        };
        match is_true {
            true => Ok(()),
            false => Err(format!("that is not so: {reason:?}, hold ended: {fate:?}")),
        }
    }

    fn shows(&self, seen: &Seen) -> Result<(), String> {
        let mut expected = [0_u64; 3];
        for section in &self.sections {
            match section {
                Section::Seats(seats) => {
                    for seat in seats {
                        match seat {
                            Seat::Free => {}
                            Seat::Held => expected[0] += 1,
                            Seat::Sold => expected[1] += 1,
                            Seat::Blocked => expected[2] += 1,
                        }
                    }
                }
                Section::General { held, sold, .. } => {
                    expected[0] += u64::from(*held);
                    expected[1] += u64::from(*sold);
                }
            }
        }
        let kinds = [
            (Seat::Held, &seen.held),
            (Seat::Sold, &seen.sold),
            (Seat::Blocked, &seen.blocked),
        ];
        for ((state, runs), expected) in kinds.into_iter().zip(expected) {
            let mut shown = 0;
            // Seats that nobody named may be held beside those that are known.
            let may_be_more = state == Seat::Held && !self.phantoms.is_empty();
            for run in runs {
                shown += u64::from(run.2);
                if !may_be_more && !self.is_in(*run, state) {
                    return Err(format!("{run:?} is not {state:?}"));
                }
            }
            if shown < expected || (shown > expected && !may_be_more) {
                return Err(format!("{shown} seats are {state:?}, must be {expected}"));
            }
        }
        Ok(())
    }

    fn is_in(&self, Run(section, first, count): Run, state: Seat) -> bool {
        match self.sections.get(usize::from(section)) {
            Some(Section::Seats(seats)) => {
                let (first, count) = (first as usize, usize::from(count));
                seats
                    .get(first..first + count)
                    .is_some_and(|seats| seats.iter().all(|seat| *seat == state))
            }
            Some(Section::General { held, sold, .. }) => match state {
                Seat::Held => u32::from(count) == *held,
                Seat::Sold => u32::from(count) == *sold,
                Seat::Free | Seat::Blocked => false,
            },
            None => false,
        }
    }

    /// A replica at the end: its seats, every hold, every order.
    fn ends(&self, end: &Final) -> Result<(), String> {
        self.shows(&end.seen)?;
        if end.holds.len() != self.holds.len() || end.orders.len() != self.orders.len() {
            return Err(format!(
                "{} holds and {} orders, must be {} and {}",
                end.holds.len(),
                end.orders.len(),
                self.holds.len(),
                self.orders.len()
            ));
        }
        for hold in &end.holds {
            let same = self.holds.get(&hold.hold).is_some_and(|known| {
                known.runs == hold.runs
                    && (known.deadline_ms == hold.deadline_ms
                        || known.deadline_ms == State::DEADLINE_UNKNOWN)
            });
            if !same || hold.deadline_ms <= end.now_ms {
                return Err(format!("hold {} is another, or due", hold.hold));
            }
        }
        for order in &end.orders {
            let known = self.orders.get(&order.order);
            if known != Some(&(order.runs.clone(), order.paid)) {
                return Err(format!("order {} is another: {known:?}", order.order));
            }
        }
        Ok(())
    }
}

fn same_seats(has: &[Run], told: &[Run]) -> Result<(), String> {
    match has == told {
        true => Ok(()),
        false => Err(format!("the seats are {has:?}, not {told:?}")),
    }
}
