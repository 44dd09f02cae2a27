//! One lane of the room: its visitors by rank (the sequence of coming) and by place (the sequence of
//! being let in). The two differ for the lobby, once it was shuffled.

use crate::room::LaneRules;
use crate::room::gone::Gone;
use crate::room::permutation::Permutation;
use crate::room::shuffle::Seed;

#[derive(Clone, Debug)]
pub(super) struct Lane {
    weight: i64,
    /// See `Room::next`.
    credit: i64,
    /// Visitors' numbers by rank.
    members: Vec<u32>,
    /// How many were there when the lobby closed: they have the first ranks, and are shuffled.
    closed_len: Option<u32>,
    shuffle: Option<Permutation>,
    /// The first place that was not let in.
    cursor: u32,
    /// By place; until the shuffle by rank.
    gone: Gone,
    waiting: u32,
}

impl Lane {
    pub(super) fn new(rules: LaneRules) -> Lane {
        Lane {
            weight: i64::from(rules.weight),
            credit: 0,
            members: Vec::new(),
            closed_len: None,
            shuffle: None,
            cursor: 0,
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

    /// Adds a visitor; returns the rank.
    pub(super) fn add(&mut self, number: u32) -> u32 {
        let rank = self.members.len() as u32;
        self.members.push(number);
        self.waiting = self.waiting.saturating_add(1);
        rank
    }

    /// A visitor who waited does not any more.
    pub(super) fn drop_out(&mut self, rank: u32) {
        let at = self.place(rank).unwrap_or(rank);
        self.gone.set(at);
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whoever comes from here on stands behind the lobby.
    pub(super) fn close_lobby(&mut self) {
        self.closed_len = Some(self.members.len() as u32);
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
        self.closed_len.unwrap_or(self.members.len() as u32)
    }

    /// Where a rank stands; `None` until the lobby has closed.
    pub(super) fn place(&self, rank: u32) -> Option<u32> {
        self.shuffle.map(|shuffle| shuffle.place(rank))
    }

    /// How many wait before a place.
    pub(super) fn ahead_of(&self, place: u32) -> u32 {
        place
            .saturating_sub(self.cursor)
            .saturating_sub(self.gone.between(self.cursor, place))
    }

    /// While a lane is restored: the next who was let in; `false` if that was not their turn.
    pub(super) fn restore_release(&mut self, rank: u32) -> bool {
        match self.place(rank) {
            Some(place) if place >= self.cursor => {
                self.cursor = place.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// While a lane is restored: whether the turn of that rank is over.
    pub(super) fn is_over(&self, rank: u32) -> bool {
        self.place(rank).is_some_and(|place| place < self.cursor)
    }

    /// While a lane is restored: who waits is counted when all are there.
    pub(super) fn recount(&mut self) {
        let len = self.members.len() as u32;
        self.waiting = self.ahead_of(len);
    }

    /// Takes out the visitor with the lowest place.
    pub(super) fn next(&mut self) -> Option<u32> {
        let shuffle = self.shuffle?;
        while (self.cursor as usize) < self.members.len() {
            let place = self.cursor;
            self.cursor = self.cursor.saturating_add(1);
            if !self.gone.contains(place) {
                self.waiting = self.waiting.saturating_sub(1);
                return self.members.get(shuffle.rank(place) as usize).copied();
            }
        }
        None
    }
}
