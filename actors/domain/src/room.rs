//! The waiting room of a sale: who waits, in which sequence, who was let in and what their passes
//! are still good for.
//!
//! Before the sale opens visitors gather in the lobby; when it closes, by log time, the lobby is
//! shuffled by a seed whose hash was published before (`shuffle`), and whoever comes later stands
//! behind in the sequence of coming. Visitors wait in lanes (a partner's share, members,
//! wheelchair users), which are served by weight, each in sequence. The room knows no seats and no
//! clock: who is to be let in, and when, is decided outside (`pace`) and comes as a command.
//!
//! A visitor costs 24 bytes and some 8 of index and lane, so that ten million fit into one node.
//!
//! ```text
//!   join ─► lobby ─(opening: shuffle)─► lanes ─ release by weight ─► pass ─ spend ─► served
//!             └────────── leave, remove: never without a reason ──────┘ └ time over ► expired
//! ```

mod gone;
mod index;
mod lane;
mod members;
pub mod merkle;
mod outside;
pub mod pace;
mod passes;
pub mod permutation;
pub mod shuffle;
pub mod state;
mod status;
mod visitors;

use std::collections::{BTreeMap, VecDeque};

use crate::bugs::{Bug, planted};
use crate::ids::{ChannelId, PartnerId, VisitorId};
use lane::{Lane, Next};
use merkle::Hash;
use outside::Outside;
pub use outside::{TOKEN_LIFE_MAX_MS, Token};
use pace::Ceilings;
use passes::Pass;
use shuffle::{Evidence, Seed};
pub use status::{Status, Turn};
pub use visitors::VisitorPhase;
use visitors::{Visitor, Visitors};

/// Lanes of a room at most.
pub const LANES_MAX: usize = 64;

/// Visitors passed over by one command at most, so that none takes long; the next goes on.
const PASSES_MAX: u32 = 4096;

/// What a room is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From when on visitors may come.
    pub lobby_at_ms: u64,
    /// When the lobby closes and the first are let in.
    pub open_at_ms: u64,
    /// Chosen at random by whoever proposes the room; secret until the lobby has closed.
    pub seed: Seed,
    /// An outside value is mixed into the seed after the lobby has closed; until then nobody is let in.
    pub waits_for_beacon: bool,
    /// A pass is good for so long, and for so many tickets.
    pub pass_life_ms: u32,
    pub pass_tickets: u16,
    pub ceilings: Ceilings,
    /// A visitor takes the first lane that is theirs; at least one is everybody's.
    pub lanes: Vec<LaneRules>,
}

/// Whose lane it is and how often its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRules {
    /// `None`: of any channel.
    pub channel: Option<ChannelId>,
    /// `None`: of any class.
    pub class: Option<u8>,
    /// Of all the weights of lanes where somebody waits, this share of those let in. At least 1.
    pub weight: u16,
}

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub visitor: VisitorId,
    pub partner: PartnerId,
    pub channel: ChannelId,
    /// A priority class that the partner vouches for; 0 is ordinary.
    pub class: u8,
    /// Tickets wanted together, at least 1: all or none.
    pub party: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Weights of 0, no lane for everybody, too many lanes, an opening before the lobby.
    PlanInvalid,
    LobbyNotOpen {
        lobby_at_ms: u64,
    },
    /// The time has come already.
    LobbyClosed,
    /// No beacon is waited for, or not yet.
    NoBeaconAwaited,
    UnknownVisitor,
    /// Came through another partner, whose visitor they stay.
    ElsewhereAlready,
    Removed {
        reason: u32,
    },
    /// Not let in yet.
    NotAdmitted,
    PassExpired,
    /// More tickets than the pass is still good for.
    PassSpent {
        left: u16,
    },
    /// A token that lives longer than any may, or of somebody who has a pass here, and the reverse.
    PassInvalid,
    Full,
    /// Takes nobody any more; who is here keeps their place.
    Closed,
}

/// Why somebody does not wait any more although nobody let them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// They went away.
    Left,
    /// By a rule; which one, the operator's record with this number says.
    Rule(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The visitor's number in the sequence of coming.
    pub number: u32,
    pub at_ms: u64,
    pub reason: Reason,
}

/// Where a visitor stands after coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// In the sequence of coming, all lanes together.
    pub number: u32,
    pub is_new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomPhase {
    /// Until the opening: visitors come, none is let in.
    Gathering,
    /// The lobby has closed and waits for the beacon.
    AwaitsBeacon,
    Open,
}

/// How many are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Have come, whatever became of them.
    pub joined: u64,
    pub waiting: u64,
    /// Were ever let in.
    pub released: u64,
    /// Have a pass and have not used it yet.
    pub at_the_desk: u64,
    /// Took tickets.
    pub served: u64,
    /// Let their pass run out unused: no-shows.
    pub expired: u64,
    pub left: u64,
    pub removed: u64,
}

#[derive(Clone, Debug)]
pub struct Room {
    plan: Plan,
    phase: RoomPhase,
    is_paused: bool,
    is_closed: bool,
    visitors: Visitors,
    lanes: Vec<Lane>,
    /// Over everybody who came before the lobby closed.
    tree: merkle::Tree,
    shuffled_by: Option<Seed>,
    beacon: Option<Hash>,
    removals: Vec<Removal>,
    /// Visitors' numbers in the sequence in which they were let in.
    released: Vec<u32>,
    /// Passes whose time is not over, by visitor's number.
    passes: BTreeMap<u32, Pass>,
    /// In the sequence in which they were given.
    ends: VecDeque<(u64, u32)>,
    outside: Outside,
    census: Census,
}

impl Room {
    /// A room where nobody is yet.
    pub fn new(hash_seed: u64, plan: Plan) -> Result<Room, Refusal> {
        if !is_valid(&plan) {
            return Err(Refusal::PlanInvalid);
        }
        Ok(Room {
            lanes: plan.lanes.iter().map(|rules| Lane::new(*rules)).collect(),
            visitors: Visitors::new(hash_seed),
            phase: RoomPhase::Gathering,
            is_paused: false,
            is_closed: false,
            tree: merkle::Tree::default(),
            shuffled_by: None,
            beacon: None,
            removals: Vec::new(),
            released: Vec::new(),
            passes: BTreeMap::new(),
            ends: VecDeque::new(),
            outside: Outside::default(),
            census: Census::default(),
            plan,
        })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn census(&self) -> Census {
        self.census
    }

    pub fn phase(&self) -> RoomPhase {
        self.phase
    }

    /// The lanes, and how many wait in each.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneRules, u64)> {
        let waiting = self.lanes.iter().map(|lane| u64::from(lane.waiting()));
        self.plan.lanes.iter().copied().zip(waiting)
    }

    pub fn is_open(&self) -> bool {
        self.phase == RoomPhase::Open
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// While paused nobody is let in; passes that were given go on.
    pub fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Whether newcomers are turned away.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Closed to newcomers the room is drained by letting in who waits.
    pub fn set_closed(&mut self, is_closed: bool) {
        self.is_closed = is_closed;
    }

    pub fn set_ceilings(&mut self, ceilings: Ceilings) {
        self.plan.ceilings = ceilings;
    }

    /// Moves lobby and opening, as long as the lobby has not closed: who waits keeps waiting.
    pub fn move_times(&mut self, lobby_at_ms: u64, open_at_ms: u64) -> Result<(), Refusal> {
        if self.phase != RoomPhase::Gathering {
            return Err(Refusal::LobbyClosed);
        }
        if open_at_ms < lobby_at_ms {
            return Err(Refusal::PlanInvalid);
        }
        self.plan.lobby_at_ms = lobby_at_ms;
        self.plan.open_at_ms = open_at_ms;
        Ok(())
    }

    /// New weights, by lane; whose lane it is stays.
    pub fn set_weights(&mut self, weights: &[u16]) -> Result<(), Refusal> {
        if weights.len() != self.lanes.len() || weights.contains(&0) {
            return Err(Refusal::PlanInvalid);
        }
        for ((lane, rules), weight) in self.lanes.iter_mut().zip(&mut self.plan.lanes).zip(weights)
        {
            rules.weight = *weight;
            lane.set_weight(*weight);
        }
        Ok(())
    }

    /// When log time alone changes something next: the opening, or the end of a pass.
    pub fn next_event_ms(&self) -> Option<u64> {
        let opening = (self.phase == RoomPhase::Gathering).then_some(self.plan.open_at_ms);
        let end = self.ends.front().map(|(ends_ms, _)| *ends_ms);
        let outside = self.outside.next_end_ms();
        [opening, end, outside].into_iter().flatten().min()
    }

    /// What log time alone does. Called before every command of the sale.
    pub fn pass_time(&mut self, now_ms: u64) {
        if self.phase == RoomPhase::Gathering && now_ms >= self.plan.open_at_ms {
            self.lanes.iter_mut().for_each(Lane::close_lobby);
            match self.plan.waits_for_beacon {
                true => self.phase = RoomPhase::AwaitsBeacon,
                false => self.open(),
            }
        }
        self.outside.pass_time(now_ms);
        while let Some((ends_ms, number)) = self.ends.front().copied()
            && ends_ms <= now_ms
        {
            self.ends.pop_front();
            self.end_pass(number);
            self.drop_ended();
        }
    }

    /// The outside value, made known after the lobby has closed.
    pub fn set_beacon(&mut self, beacon: Hash) -> Result<(), Refusal> {
        if self.phase != RoomPhase::AwaitsBeacon {
            return Err(Refusal::NoBeaconAwaited);
        }
        self.beacon = Some(beacon);
        self.open();
        Ok(())
    }

    /// Somebody comes. Who is here already keeps their place; who has left and comes back stands at
    /// the end.
    pub fn join(&mut self, arrival: &Arrival, now_ms: u64) -> Result<Joined, Refusal> {
        if now_ms < self.plan.lobby_at_ms {
            return Err(Refusal::LobbyNotOpen {
                lobby_at_ms: self.plan.lobby_at_ms,
            });
        }
        let before = self.visitors.find(arrival.visitor);
        if let Some((number, known)) = before {
            match known.phase() {
                VisitorPhase::Removed => return Err(self.removal_of(number)),
                VisitorPhase::Left => {}
                _ if known.partner != arrival.partner => {
                    return Err(Refusal::ElsewhereAlready);
                }
                _ => {
                    return Ok(Joined {
                        number,
                        is_new: false,
                    });
                }
            }
        }
        if self.is_closed {
            return Err(Refusal::Closed);
        }
        let left = self.plan.pass_tickets;
        if u16::from(arrival.party) > left {
            return Err(Refusal::PassSpent { left });
        }
        let before = before.map(|(before, _)| before);
        let Some(at) = self.lane_of(arrival) else {
            return Err(Refusal::PlanInvalid);
        };
        let Some(lane) = self.lanes.get_mut(at) else {
            return Err(Refusal::PlanInvalid);
        };
        let Some(number) = self.visitors.next_number() else {
            return Err(Refusal::Full);
        };
        lane.add(number);
        let lane = at as u8;
        let seconds = now_ms
            .saturating_sub(self.plan.lobby_at_ms)
            .checked_div(1000);
        let joined_s = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let visitor = Visitor::new(arrival, lane);
        self.visitors
            .push(visitor, joined_s.unwrap_or(u32::MAX), before);
        if self.phase == RoomPhase::Gathering {
            let leaf = shuffle::leaf(number, arrival.visitor, lane, arrival.party.max(1));
            self.tree.push(leaf);
        }
        self.census.joined = self.census.joined.saturating_add(1);
        self.census.waiting = self.census.waiting.saturating_add(1);
        Ok(Joined {
            number,
            is_new: true,
        })
    }

    /// Somebody goes away: nothing is left to do for who was let in already.
    pub fn leave(
        &mut self,
        visitor: VisitorId,
        partner: PartnerId,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        match self.visitors.find(visitor) {
            None => return Err(Refusal::UnknownVisitor),
            Some((_, known)) if known.partner != partner => return Err(Refusal::ElsewhereAlready),
            Some(_) => {}
        }
        self.take_away(visitor, Reason::Left, now_ms)
    }

    /// Takes somebody out by a rule, with a pass or without.
    pub fn remove(&mut self, visitor: VisitorId, reason: u32, now_ms: u64) -> Result<(), Refusal> {
        self.take_away(visitor, Reason::Rule(reason), now_ms)
    }

    fn take_away(
        &mut self,
        visitor: VisitorId,
        reason: Reason,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let Some((number, known)) = self.visitors.find(visitor) else {
            return Err(Refusal::UnknownVisitor);
        };
        let (phase, lane) = (known.phase(), known.lane);
        match phase {
            VisitorPhase::Left => return Ok(()),
            VisitorPhase::Removed => return Err(self.removal_of(number)),
            VisitorPhase::Served | VisitorPhase::Expired => return Ok(()),
            VisitorPhase::Waiting => {
                if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
                    lane.drop_out(number);
                }
                self.census.waiting = self.census.waiting.saturating_sub(1);
            }
            VisitorPhase::Admitted => {
                let spent = self.passes.remove(&number).map_or(0, |pass| pass.spent);
                if spent == 0 {
                    self.census.at_the_desk = self.census.at_the_desk.saturating_sub(1);
                }
                self.drop_ended();
            }
        }
        let phase = match reason {
            Reason::Left => {
                self.census.left = self.census.left.saturating_add(1);
                VisitorPhase::Left
            }
            Reason::Rule(_) => {
                self.census.removed = self.census.removed.saturating_add(1);
                VisitorPhase::Removed
            }
        };
        self.visitors.set_phase(number, phase);
        if !planted(Bug::RemovalUntold) {
            self.removals.push(Removal {
                number,
                at_ms: now_ms,
                reason,
            });
        }
        Ok(())
    }

    /// Whether anybody may be let in while so many tickets are left.
    pub fn may_let_in(&self, left: u32) -> bool {
        left > 0 && self.lanes.iter().any(|lane| lane.may_let_in(left))
    }

    /// Lets visitors in until so many were let in over all time, or nobody waits whose party would find
    /// enough while so many tickets are left; tells each to `released`. Said twice it does nothing the
    /// second time.
    pub fn release(&mut self, up_to: u64, left: u32, now_ms: u64, mut released: impl FnMut(u32)) {
        if self.phase != RoomPhase::Open || self.is_paused || left == 0 {
            return;
        }
        let mut passes = PASSES_MAX;
        while self.census.released < up_to {
            let Some(number) = self.next(left, &mut passes) else {
                return;
            };
            let ends_ms = now_ms.saturating_add(u64::from(self.plan.pass_life_ms));
            self.passes.insert(number, Pass { ends_ms, spent: 0 });
            self.ends.push_back((ends_ms, number));
            self.visitors.set_phase(number, VisitorPhase::Admitted);
            self.released.push(number);
            self.census.released = self.census.released.saturating_add(1);
            self.census.waiting = self.census.waiting.saturating_sub(1);
            self.census.at_the_desk = self.census.at_the_desk.saturating_add(1);
            released(number);
        }
    }

    /// Takes the next visitor out of the lane whose turn it is: smooth weighted round robin over the
    /// lanes where somebody waits for whom enough is left, so that turns are spread evenly and none is
    /// saved up.
    fn next(&mut self, left: u32, passes: &mut u32) -> Option<u32> {
        let mut total = 0_i64;
        let mut turn: Option<(&mut Lane, Next)> = None;
        for lane in &mut self.lanes {
            let Some(next) = lane.turn(left, &mut self.visitors, passes) else {
                continue;
            };
            total = total.saturating_add(lane.earn());
            turn = match turn {
                Some((best, its)) if best.credit() >= lane.credit() => Some((best, its)),
                _ => Some((lane, next)),
            };
        }
        let (lane, next) = turn?;
        lane.pay(total);
        lane.take(next);
        Some(next.number)
    }

    /// Shuffles the lobby: from here on places are known.
    fn open(&mut self) {
        let seed = self.plan.seed.mixed_with(self.beacon.as_ref());
        #[cfg(feature = "bugs")]
        let seed = match planted(Bug::SeedOfReplica) {
            true => seed.mixed_with(Some(&crate::bugs::draw())),
            false => seed,
        };
        for (number, lane) in (0_u8..).zip(&mut self.lanes) {
            lane.shuffle(&seed, number);
        }
        self.shuffled_by = Some(seed);
        self.phase = RoomPhase::Open;
    }

    fn lane_of(&self, arrival: &Arrival) -> Option<usize> {
        self.plan.lanes.iter().position(|rules| {
            rules
                .channel
                .is_none_or(|channel| channel == arrival.channel)
                && rules.class.is_none_or(|class| class == arrival.class)
        })
    }

    fn removal_of(&self, number: u32) -> Refusal {
        let removal = self
            .removals
            .iter()
            .rev()
            .find(|removal| removal.number == number);
        match removal.map(|removal| removal.reason) {
            Some(Reason::Rule(reason)) => Refusal::Removed { reason },
            Some(Reason::Left) | None => Refusal::UnknownVisitor,
        }
    }

    /// What anybody needs to compute the sequence anew. The seed only once the lobby has closed.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            commitment: self.plan.seed.commitment(),
            lobby_root: self.tree.root(),
            lobby_len: self.tree.len(),
            lane_lens: self.lanes.iter().map(Lane::lobby_len).collect(),
            seed: self.shuffled_by.map(|_| self.plan.seed),
            beacon: self.beacon,
            removals: self.removals.clone(),
        }
    }

    /// The path of a visitor's line to the lobby's root; `None` for who came later.
    pub fn path(&self, visitor: VisitorId) -> Option<(u32, Vec<Hash>)> {
        let (number, _) = self.visitors.find(visitor)?;
        let leaf = |number: u64| self.leaf(number as u32);
        Some((number, self.tree.path(u64::from(number), leaf)?))
    }

    fn leaf(&self, number: u32) -> Hash {
        self.visitors.get(number).map_or([0; 32], |visitor| {
            shuffle::leaf(number, visitor.id(), visitor.lane, visitor.party)
        })
    }
}

fn is_valid(plan: &Plan) -> bool {
    let for_everybody = |rules: &LaneRules| rules.channel.is_none() && rules.class.is_none();
    plan.open_at_ms >= plan.lobby_at_ms
        && plan.lanes.len() <= LANES_MAX
        && plan.lanes.iter().all(|rules| rules.weight > 0)
        && plan.lanes.iter().any(for_everybody)
        && plan.pass_tickets > 0
        && plan.pass_life_ms > 0
}
