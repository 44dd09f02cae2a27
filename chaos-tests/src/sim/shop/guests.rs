//! What visitors of waiting rooms were told. Any node answers from its own copy, a moment old, so what
//! is told later may be older; but a number, a place and a pass, once told, are told so for ever.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::room::merkle::Hash;

use super::wires::Partner;

/// A visitor, and through whom they came first.
#[derive(Clone, Debug)]
pub struct Guest {
    pub partner: Partner,
    /// Somebody was told that they are in.
    pub is_in: bool,
    /// Asked to leave, so that they may stand there more than once.
    pub has_left: bool,
    pub number: Option<u32>,
    /// The rule by which an operator asked to remove them.
    pub removal: Option<u32>,
    /// Simulated milliseconds of the word that it was done.
    pub removed_ms: Option<u64>,
    pub told: Progress,
}

impl Guest {
    /// Somebody asked to have them away, so that they may be.
    pub fn may_be_away(&self) -> bool {
        self.has_left || self.removal.is_some()
    }
}

/// The furthest that anybody was told of a visitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Who waits before them: with time only fewer.
    pub ahead: Option<u32>,
}

/// From coming to the end, never back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Unknown,
    Lobby,
    Waiting,
    Admitted,
    Over,
}

/// What was published of a room with somebody's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub commitment: Bytes,
    /// Once the lobby has closed.
    pub closed: Option<LobbyTold>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LobbyTold {
    pub root: Bytes,
    pub len: u64,
    pub seed: Bytes,
    pub beacon: Bytes,
}

/// A time in which newcomers may have been turned away.
#[derive(Clone, Copy, Debug)]
struct Closing {
    sale: u64,
    /// Simulated milliseconds of the word that the room takes visitors again.
    ended_ms: Option<u64>,
}

/// A line of the room as visitors were told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTold {
    pub visitor: u128,
    pub lane: u32,
    pub place: Option<u32>,
    /// Of who was let in.
    pub pass_ends_ms: Option<u64>,
}

#[derive(Default)]
pub struct GuestBook {
    /// By sale and visitor.
    pub guests: BTreeMap<(u64, u128), Guest>,
    /// By sale and number.
    pub lines: BTreeMap<(u64, u32), LineTold>,
    /// Passes as they were handed out, by sale and number.
    pub passes: BTreeMap<(u64, u32), String>,
    /// Tickets that tokens of the shop's own room are good for, by sale and visitor.
    pub tokens: BTreeMap<(u64, u128), u32>,
    /// Who came with a device that is counted, by sale and visitor.
    pub suspects: BTreeSet<(u64, u128)>,
    /// By sale.
    pub notices: BTreeMap<u64, Notice>,
    /// Beacons that were told to be made known, by sale.
    pub beacons: BTreeMap<u64, Hash>,
    /// Simulated milliseconds of each word that somebody is in.
    came_ms: Vec<u64>,
    closings: Vec<Closing>,
}

/// What an answer says of a visitor who is in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub number: u32,
    pub lane: u32,
    pub place: Option<u32>,
    pub pass_ends_ms: Option<u64>,
}

impl GuestBook {
    /// Before the first call for them is made.
    pub fn expect(&mut self, sale: u64, visitor: u128, partner: Partner) {
        let guest = Guest {
            partner,
            is_in: false,
            has_left: false,
            number: None,
            removal: None,
            removed_ms: None,
            told: Progress::default(),
        };
        self.guests.entry((sale, visitor)).or_insert(guest);
    }

    pub fn came(&mut self, sale: u64, visitor: u128, now_ms: u64) {
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            guest.is_in = true;
            guest.told.stage = guest.told.stage.max(Stage::Lobby);
        }
        self.came_ms.push(now_ms);
    }

    /// Before the first call that takes them away is made.
    pub fn leaves(&mut self, sale: u64, visitor: u128) {
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            guest.has_left = true;
        }
    }

    /// Before a room is first asked to turn newcomers away.
    pub fn closes(&mut self, sale: u64) {
        let ended_ms = None;
        self.closings.push(Closing { sale, ended_ms });
    }

    /// The room was told to take visitors again.
    pub fn reopened(&mut self, sale: u64, now_ms: u64) {
        let closings = self.closings.iter_mut();
        for closing in closings.filter(|closing| closing.sale == sale) {
            closing.ended_ms.get_or_insert(now_ms);
        }
    }

    /// Whether somebody who came at that time, or later, may have been turned away.
    pub fn may_be_closed(&self, sale: u64, asked_ms: u64) -> bool {
        let mut closings = self.closings.iter().filter(|closing| closing.sale == sale);
        closings.any(|closing| closing.ended_ms.is_none_or(|ended| ended >= asked_ms))
    }

    /// What anybody was told of a visitor, to compare a later proved word with; `None` of whoever may
    /// be away.
    pub fn progress(&self, sale: u64, visitor: u128) -> Option<Progress> {
        let guest = self.guests.get(&(sale, visitor))?;
        (!guest.may_be_away()).then_some(guest.told)
    }

    /// Takes down how far a visitor is, and what a proved word takes back of what had been told before
    /// it was asked for.
    pub fn goes(
        &mut self,
        sale: u64,
        visitor: u128,
        now: Progress,
        known: Option<Progress>,
    ) -> Option<String> {
        let guest = self.guests.get_mut(&(sale, visitor))?;
        if guest.may_be_away() {
            return None;
        }
        let told = &mut guest.told;
        told.stage = told.stage.max(now.stage);
        let least = [told.ahead, now.ahead].into_iter().flatten().min();
        told.ahead = least;
        let known = known?;
        let more = |(ahead, known)| ahead > known;
        let is_back = now.stage < known.stage || now.ahead.zip(known.ahead).is_some_and(more);
        is_back.then(|| format!("is at {now:?}, which is proved, and was at {known:?} before"))
    }

    /// Takes down what was published; says what contradicts an earlier word.
    pub fn publish(&mut self, sale: u64, now: Notice) -> Option<String> {
        let known = self.notices.entry(sale).or_insert_with(|| now.clone());
        let differs = |known: &LobbyTold, now: &LobbyTold| known != now;
        let lobbies = known.closed.as_ref().zip(now.closed.as_ref());
        if known.commitment != now.commitment || lobbies.is_some_and(|(a, b)| differs(a, b)) {
            return Some(format!("published {known:?} and now {now:?}"));
        }
        if known.closed.is_none() {
            known.closed = now.closed;
        }
        None
    }

    pub fn came_since(&self, ms: u64) -> usize {
        self.came_ms.iter().filter(|came| **came >= ms).count()
    }

    /// Takes down what was told; says what contradicts an earlier word.
    pub fn told(&mut self, sale: u64, visitor: u128, now: Standing) -> Option<String> {
        let number = now.number;
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            let before = guest.number.replace(number);
            if let Some(before) = before.filter(|before| !guest.may_be_away() && *before != number)
            {
                return Some(format!("had number {before} and has {number}"));
            }
        }
        let new = LineTold {
            visitor,
            lane: now.lane,
            place: now.place,
            pass_ends_ms: now.pass_ends_ms,
        };
        let known = self.lines.entry((sale, number)).or_insert(new.clone());
        let differs = |known: Option<u64>, new: Option<u64>| {
            known.zip(new).is_some_and(|(known, new)| known != new)
        };
        let is_other = (known.visitor, known.lane) != (visitor, now.lane)
            || differs(known.place.map(u64::from), now.place.map(u64::from))
            || differs(known.pass_ends_ms, now.pass_ends_ms);
        if is_other {
            return Some(format!("number {number} was {known:?} and is {new:?}"));
        }
        known.place = known.place.or(now.place);
        known.pass_ends_ms = known.pass_ends_ms.or(now.pass_ends_ms);
        None
    }
}
