//! What visitors of waiting rooms were told. Any node answers from its own copy, a moment old, so what
//! is told later may be older; but a number, a place and a pass, once told, are told so for ever.

use std::collections::BTreeMap;

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
    /// Simulated milliseconds of each word that somebody is in.
    came_ms: Vec<u64>,
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
        };
        self.guests.entry((sale, visitor)).or_insert(guest);
    }

    pub fn came(&mut self, sale: u64, visitor: u128, now_ms: u64) {
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            guest.is_in = true;
        }
        self.came_ms.push(now_ms);
    }

    /// Before the first call that takes them away is made.
    pub fn leaves(&mut self, sale: u64, visitor: u128) {
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            guest.has_left = true;
        }
    }

    pub fn came_since(&self, ms: u64) -> usize {
        self.came_ms.iter().filter(|came| **came >= ms).count()
    }

    /// Takes down what was told; says what contradicts an earlier word.
    pub fn told(&mut self, sale: u64, visitor: u128, now: Standing) -> Option<String> {
        let number = now.number;
        if let Some(guest) = self.guests.get_mut(&(sale, visitor)) {
            let before = guest.number.replace(number);
            if let Some(before) = before.filter(|before| !guest.has_left && *before != number) {
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
