//! Whoever runs the waiting rooms of a run while faults strike: pauses them, turns newcomers away, moves
//! the opening, takes visitors out by a rule, makes the beacon known. One command of a room at a time,
//! under one key until it is answered. Between two commands a look at any node must show what was told
//! to be done, and what a pause or a closed door means. Driven by `run`, between ticks.

mod act;
mod desk;
mod look;
mod rotation;

use std::sync::Arc;
use std::time::Duration;

use cluster::types::NodeId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::deed::{Counts, Deed as Kind};
use super::plan::Plan;
use super::shop::Shop;
use super::world::World;
use desk::{Desk, Known};
use rotation::Rotation;

const SEED: u64 = 0x6465_736b_7300_0000;
/// Its keys, apart from the setup's and the shop's.
const KEYS: u64 = 1 << 41;
/// A call may take so long before it is made again.
const PATIENCE: Duration = Duration::from_secs(7);
const AGAIN: Duration = Duration::from_millis(200);
/// What may be done at any time, so that a run that has not seen it goes on for a while.
const OWED: [Kind; 5] = [
    Kind::Pause,
    Kind::Resume,
    Kind::Close,
    Kind::Reopen,
    Kind::Remove,
];

pub struct Operator {
    desks: Vec<Desk>,
    rng: StdRng,
    shop: Shop,
    keys: u64,
    /// After it only what is owed is begun.
    until: Duration,
    /// Nothing new is begun, and what was begun is undone.
    is_ending: bool,
    counts: Counts,
    /// The second key that signs passes, where there is to be one.
    rotation: Option<Rotation>,
}

impl Operator {
    pub fn new(plan: &Arc<Plan>, shop: &Shop) -> Operator {
        let rooms = plan.room_ids().filter(|_| plan.operators);
        Operator {
            desks: rooms.map(Desk::of).collect(),
            rng: StdRng::seed_from_u64(plan.seed ^ SEED),
            shop: shop.clone(),
            keys: KEYS,
            until: Duration::MAX,
            is_ending: false,
            counts: Counts::default(),
            rotation: plan.rotates_key().then(|| Rotation::of(plan)),
        }
    }

    /// Deeds are drawn until then; after it only those that are missing.
    pub fn plays_until(&mut self, until: Duration) {
        self.until = until;
    }

    /// Whether something that can be done at any time was not done yet.
    pub fn owes(&self) -> bool {
        let is_missing = |deed: &Kind| self.counts.of(*deed) == 0;
        let rotates = self.rotation.as_ref();
        !self.desks.is_empty() && OWED.iter().any(is_missing)
            || rotates.is_some_and(|rotation| !rotation.is_done)
    }

    /// What was done.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Called between ticks.
    pub fn tend(&mut self, world: &World) {
        for at in 0..self.desks.len() {
            self.see_look(world, at);
            self.see_act(world, at);
            self.look(world, at);
            self.begin(world, at);
        }
        self.rotate(world);
    }

    /// From now on rooms are left as they shall stay: neither paused nor closed.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// Where something is left to be done.
    pub fn unfinished(&self) -> Option<u64> {
        let is_done = |desk: &&Desk| {
            let known = desk.known.as_ref();
            let is_left = |known: &Known| known.is_paused || known.is_closed || known.owes_beacon;
            desk.act.is_none() && known.is_some_and(|known| !is_left(known))
        };
        let desk = self.desks.iter().find(|desk| !is_done(desk));
        desk.map(|desk| desk.sale)
    }

    fn any_up(&mut self, world: &World) -> Option<NodeId> {
        let up = world.up();
        (!up.is_empty()).then(|| up[self.rng.random_range(0..up.len())])
    }
}
