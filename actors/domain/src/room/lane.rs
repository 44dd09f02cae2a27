//! One lane of the room: its visitors by rank (the sequence of coming) and by place (the sequence of
//! being let in). The two differ for the lobby, once it was shuffled.
//!
//! Parties are let in whole or not at all: one for which too little is left is passed over. It keeps
//! its place before all who come behind, and is let in as soon as enough is left for it.

use std::collections::{BTreeMap, VecDeque};

use crate::bugs::{Bug, planted};
use crate::room::LaneRules;
use crate::room::gone::Gone;
use crate::room::members::Members;
use crate::room::permutation::Permutation;
use crate::room::shuffle::Seed;
use crate::room::visitors::Visitors;

/// Whose turn it is in a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    place: u32,
    pub(super) number: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Lane {
    weight: i64,
    /// See `Room::next`.
    credit: i64,
    /// Visitors' numbers by rank.
    members: Members,
    /// How many were there when the lobby closed: they have the first ranks, and are shuffled.
    closed_len: Option<u32>,
    shuffle: Option<Permutation>,
    /// The first place whose turn has not come.
    cursor: u32,
    /// Places before the cursor that were passed over and wait, by party, each in sequence.
    passed: BTreeMap<u8, VecDeque<u32>>,
    /// By place; until the shuffle by rank.
    gone: Gone,
    waiting: u32,
}

impl Lane {
    pub(super) fn new(rules: LaneRules) -> Lane {
        Lane {
            weight: i64::from(rules.weight),
            credit: 0,
            members: Members::default(),
            closed_len: None,
            shuffle: None,
            cursor: 0,
            passed: BTreeMap::new(),
            gone: Gone::default(),
            waiting: 0,
        }
    }

    pub(super) fn set_weight(&mut self, weight: u16) {
        self.weight = i64::from(weight);
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(super) fn credit(&self) -> i64 {
        self.credit
    }

    pub(super) fn set_credit(&mut self, credit: i64) {
        self.credit = credit;
    }

    /// Adds the weight to the credit; returns the weight.
    pub(super) fn earn(&mut self) -> i64 {
        self.credit = self.credit.saturating_add(self.weight);
        self.weight
    }

    pub(super) fn pay(&mut self, price: i64) {
        self.credit = self.credit.saturating_sub(price);
        if self.waiting <= 1 {
            // Who comes to an empty lane finds no debt and no savings.
            self.credit = 0;
        }
    }

    /// Adds a visitor behind all who are there.
    pub(super) fn add(&mut self, number: u32) {
        self.members.add(number);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// A visitor who waited does not any more.
    pub(super) fn drop_out(&mut self, number: u32) {
        let rank = self.members.rank(number);
        let at = self.shuffle.map_or(rank, |shuffle| shuffle.place(rank));
        self.gone.set(at);
        self.waiting = self.waiting.saturating_sub(1);
        if at < self.cursor {
            self.unpass(at);
        }
    }

    fn unpass(&mut self, place: u32) {
        for places in self.passed.values_mut() {
            if let Ok(at) = places.binary_search(&place) {
                places.remove(at);
            }
        }
        self.passed.retain(|_, places| !places.is_empty());
    }

    /// Whoever comes from here on stands behind the lobby.
    pub(super) fn close_lobby(&mut self) {
        self.closed_len = Some(self.members.len());
    }

    pub(super) fn shuffle(&mut self, seed: &Seed, lane: u8) {
        let len = self.lobby_len();
        let permutation = Permutation::new(seed.key(lane, len), len);
        let mut gone = Gone::default();
        for rank in self.gone.iter() {
            gone.set(permutation.place(rank));
        }
        self.gone = gone;
        self.shuffle = Some(permutation);
    }

    /// How many of the lobby are in the lane.
    pub(super) fn lobby_len(&self) -> u32 {
        self.closed_len.unwrap_or(self.members.len())
    }

    /// Where a visitor of the lane stands; `None` until the lobby has closed.
    pub(super) fn place(&self, number: u32) -> Option<u32> {
        let shuffle = self.shuffle?;
        Some(shuffle.place(self.members.rank(number)))
    }

    /// How many wait before a place.
    pub(super) fn ahead_of(&self, place: u32) -> u32 {
        let passed: usize = self
            .passed
            .values()
            .map(|places| places.partition_point(|passed| *passed < place))
            .sum();
        place
            .saturating_sub(self.cursor)
            .saturating_sub(self.gone.between(self.cursor, place))
            .saturating_add(passed as u32)
    }

    /// How many of this lane are let in until the turn comes, in another lane, of who stands there behind so
    /// many.
    pub(super) fn let_in_beside(&self, other: &Lane, ahead: u32) -> u32 {
        // Turns of a lane are spread evenly: each stands in the middle of its share.
        let half_turns = u64::from(ahead).saturating_mul(2).saturating_add(1);
        let turns = half_turns
            .saturating_mul(self.weight.unsigned_abs())
            .checked_div(other.weight.unsigned_abs().saturating_mul(2));
        let turns = turns.and_then(|turns| u32::try_from(turns).ok());
        turns.unwrap_or(u32::MAX).min(self.waiting)
    }

    /// While a lane is restored: the next who was let in; `false` if that was not their turn, which
    /// comes in sequence but for who was passed over.
    pub(super) fn restore_release(&mut self, number: u32, was_passed: bool) -> bool {
        match self.place(number) {
            Some(place) if place >= self.cursor => {
                self.cursor = place.saturating_add(1);
                true
            }
            Some(_) => was_passed,
            None => false,
        }
    }

    /// While a lane is restored, behind all who were let in: who was passed over and waits; `false`
    /// before the lobby is shuffled.
    pub(super) fn restore_passed(&mut self, number: u32, party: u8) -> bool {
        let Some(place) = self.place(number) else {
            return false;
        };
        let places = self.passed.entry(party).or_default();
        places.push_back(place);
        self.cursor = self.cursor.max(place.saturating_add(1));
        true
    }

    /// While a lane is restored: whether the turn of that visitor is over.
    pub(super) fn is_over(&self, number: u32) -> bool {
        self.place(number).is_some_and(|place| place < self.cursor)
    }

    /// While a lane is restored: what follows from who is where, when all are there.
    pub(super) fn recount(&mut self) {
        for places in self.passed.values_mut() {
            places.make_contiguous().sort_unstable();
        }
        let len = self.members.len();
        self.waiting = self.ahead_of(len);
        if planted(Bug::PlacesRepeated) {
            let waits = |place| place >= self.cursor && !self.gone.contains(place);
            let behind = (self.lobby_len()..len).rev().take_while(|at| !waits(*at));
            self.members.forget_last(behind.count() as u32);
        }
    }

    /// Whether anybody may be let in while so much is left, as far as is known: who has not been looked
    /// at may want more.
    pub(super) fn may_let_in(&self, left: u32) -> bool {
        self.cursor < self.members.len() || self.first_passed(left).is_some()
    }

    /// The first place that was passed over and for which enough is left now.
    fn first_passed(&self, left: u32) -> Option<u32> {
        let left = u8::try_from(left).unwrap_or(u8::MAX);
        let fits = self.passed.range(..=left);
        fits.filter_map(|(_, places)| places.front()).min().copied()
    }

    /// The first for whose party enough is left. On the way there whoever wants more is passed over, as
    /// long as `passes` lasts.
    pub(super) fn turn(
        &mut self,
        left: u32,
        visitors: &mut Visitors,
        passes: &mut u32,
    ) -> Option<Next> {
        let shuffle = self.shuffle?;
        // Whoever was passed over stands before all whose turn has not come.
        if let Some(place) = self.first_passed(left) {
            let number = self.members.number(shuffle.rank(place))?;
            return Some(Next { place, number });
        }
        while self.cursor < self.members.len() {
            let place = self.cursor;
            if !self.gone.contains(place) {
                let number = self.members.number(shuffle.rank(place))?;
                let party = visitors.get(number)?.party;
                let fits = u32::from(party) <= left;
                if fits && !(planted(Bug::PassedOverNeedlessly) && u32::from(party) == left) {
                    return Some(Next { place, number });
                }
                *passes = passes.checked_sub(1)?;
                if !planted(Bug::PassedOverUntold) {
                    visitors.set_passed_with(number, left as u8);
                }
                self.passed.entry(party).or_default().push_back(place);
            }
            self.cursor = self.cursor.saturating_add(1);
        }
        None
    }

    /// Takes out the visitor whom `turn` told.
    pub(super) fn take(&mut self, next: Next) {
        let Next { place, number: _ } = next;
        if place < self.cursor {
            self.unpass(place);
        } else {
            self.cursor = place.saturating_add(1);
        }
        self.waiting = self.waiting.saturating_sub(1);
    }
}
