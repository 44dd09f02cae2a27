//! A room's whole state as plain values, and back: what snapshots are made of. Lanes, places, the tree
//! and all counts are derived again, and nonsense is refused.

use std::collections::{BTreeMap, VecDeque};

use crate::bugs::{Bug, planted};
use crate::ids::ChannelId;
use crate::room::lane::Lane;
use crate::room::merkle::{self, Hash};
use crate::room::outside::Outside;
pub use crate::room::outside::OutsideState;
use crate::room::shuffle;
use crate::room::visitors::{Visitor, Visitors};
pub use crate::room::visitors::{VisitorList, VisitorState};
use crate::room::{Arrival, Census, Pass, Plan, Removal, Room, RoomPhase, VisitorPhase, is_valid};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    pub plan: Plan,
    pub phase: RoomPhase,
    pub is_paused: bool,
    pub is_closed: bool,
    pub beacon: Option<Hash>,
    /// How many of the visitors came before the lobby closed.
    pub lobby_len: u32,
    /// In the sequence of coming.
    pub visitors: VisitorList,
    /// By lane: what its turns have earned.
    pub credits: Vec<i64>,
    /// In the sequence in which they happened.
    pub removals: Vec<Removal>,
    /// Numbers in the sequence of being let in.
    pub released: Vec<u32>,
    /// By number.
    pub passes: Vec<PassState>,
    /// By partner and visitor.
    pub outside: Vec<OutsideState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassState {
    pub number: u32,
    pub ends_ms: u64,
    pub spent: u16,
}

/// Why a state cannot have been a room's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomFault {
    Plan,
    /// The lobby is longer than the list, or its length does not fit the phase.
    Lobby,
    Credits,
    /// A visitor of a lane that does not exist.
    Visitor {
        number: u32,
    },
    /// Let in twice, before the opening, or out of sequence.
    Released {
        number: u32,
    },
    /// A pass of somebody who was not let in, or none of somebody who was.
    Pass {
        number: u32,
    },
    /// Somebody took tickets on two tokens at once, or out of sequence.
    Outside,
    /// Of somebody who is there, or of nobody.
    Removal {
        number: u32,
    },
}

impl Room {
    pub fn export(&self) -> RoomState {
        RoomState {
            plan: self.plan.clone(),
            phase: self.phase,
            is_paused: self.is_paused,
            is_closed: self.is_closed,
            beacon: self.beacon,
            lobby_len: self.tree.len() as u32,
            visitors: self.visitors.list(),
            credits: self.lanes.iter().map(Lane::credit).collect(),
            removals: self.removals.clone(),
            released: self.released.clone(),
            passes: self
                .passes
                .iter()
                .map(|(number, Pass { ends_ms, spent })| PassState {
                    number: *number,
                    ends_ms: *ends_ms,
                    spent: *spent,
                })
                .collect(),
            outside: self.outside.export(),
        }
    }

    /// A room that goes on exactly as the exported one would have.
    pub fn restore(hash_seed: u64, state: RoomState) -> Result<Room, RoomFault> {
        let RoomState {
            plan,
            phase,
            is_paused,
            is_closed,
            beacon,
            lobby_len,
            visitors,
            credits,
            removals,
            released,
            passes,
            outside,
        } = state;
        if !is_valid(&plan) {
            return Err(RoomFault::Plan);
        }
        let mut room = Room {
            lanes: plan.lanes.iter().map(|rules| Lane::new(*rules)).collect(),
            visitors: Visitors::new(hash_seed),
            phase: RoomPhase::Gathering,
            is_paused: is_paused && !planted(Bug::PauseNotInSnapshot),
            is_closed,
            tree: merkle::Tree::default(),
            shuffled_by: None,
            beacon,
            removals,
            released: Vec::new(),
            passes: BTreeMap::new(),
            ends: VecDeque::new(),
            outside: Outside::restore(&outside).ok_or(RoomFault::Outside)?,
            census: Census::default(),
            plan,
        };
        let gathers = phase == RoomPhase::Gathering;
        if lobby_len as usize > visitors.len() || gathers && lobby_len as usize != visitors.len() {
            return Err(RoomFault::Lobby);
        }
        for (number, visitor) in (0_u32..).zip(visitors.iter()) {
            if number == lobby_len {
                room.lanes.iter_mut().for_each(Lane::close_lobby);
            }
            room.restore_visitor(number, &visitor, number < lobby_len)?;
        }
        if !gathers && lobby_len as usize == visitors.len() {
            room.lanes.iter_mut().for_each(Lane::close_lobby);
        }
        room.phase = phase;
        if phase == RoomPhase::Open {
            room.open();
        }
        room.restore_releases(released, &passes)?;
        room.restore_passed(&visitors)?;
        room.restore_removals(&visitors)?;
        if credits.len() != room.lanes.len() {
            return Err(RoomFault::Credits);
        }
        for (lane, credit) in room.lanes.iter_mut().zip(credits) {
            lane.set_credit(credit);
        }
        Ok(room)
    }

    fn restore_visitor(
        &mut self,
        number: u32,
        visitor: &VisitorState,
        is_of_lobby: bool,
    ) -> Result<(), RoomFault> {
        let VisitorState {
            visitor: id,
            partner,
            joined_s,
            lane,
            phase,
            party,
            passed_with,
        } = *visitor;
        if party == 0 || passed_with >= party {
            return Err(RoomFault::Visitor { number });
        }
        let Some(found) = self.lanes.get_mut(usize::from(lane)) else {
            return Err(RoomFault::Visitor { number });
        };
        found.add(number);
        let arrival = Arrival {
            visitor: id,
            partner,
            channel: ChannelId(0),
            class: 0,
            party,
        };
        let before = self.visitors.find(id).map(|(before, _)| before);
        let visitor = Visitor::new(&arrival, lane);
        self.visitors.push(visitor, joined_s, before);
        self.visitors.set_phase(number, phase);
        self.visitors.set_passed_with(number, passed_with);
        if is_of_lobby {
            self.tree.push(shuffle::leaf(number, id, lane, party));
        }
        let Census {
            joined,
            waiting,
            released: _,
            at_the_desk: _,
            served,
            expired,
            left,
            removed,
        } = &mut self.census;
        *joined = joined.saturating_add(1);
        let count = match phase {
            VisitorPhase::Waiting => waiting,
            VisitorPhase::Served => served,
            VisitorPhase::Expired => expired,
            VisitorPhase::Left => left,
            VisitorPhase::Removed => removed,
            VisitorPhase::Admitted => return Ok(()),
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Each lane in the sequence of its places, as far as the list of those let in says.
    fn restore_releases(
        &mut self,
        released: Vec<u32>,
        passes: &[PassState],
    ) -> Result<(), RoomFault> {
        if !passes.is_sorted_by(|a, b| a.number < b.number) {
            let number = passes.first().map_or(0, |pass| pass.number);
            return Err(RoomFault::Pass { number });
        }
        for number in &released {
            let fault = RoomFault::Released { number: *number };
            let visitor = *self.visitors.get(*number).ok_or(fault)?;
            let lane = self.lanes.get_mut(usize::from(visitor.lane)).ok_or(fault)?;
            if self.phase != RoomPhase::Open
                || visitor.phase() == VisitorPhase::Waiting
                || !lane.restore_release(*number, visitor.passed_with().is_some())
            {
                return Err(fault);
            }
            let at = passes.binary_search_by_key(number, |pass| pass.number);
            match at.ok().and_then(|at| passes.get(at)) {
                Some(pass) if visitor.phase() == VisitorPhase::Admitted => {
                    let PassState { ends_ms, spent, .. } = *pass;
                    // Given later it ends later.
                    if self
                        .ends
                        .back()
                        .is_some_and(|(last_ms, _)| *last_ms > ends_ms)
                    {
                        return Err(RoomFault::Pass { number: *number });
                    }
                    self.passes.insert(*number, Pass { ends_ms, spent });
                    self.ends.push_back((ends_ms, *number));
                    if spent == 0 {
                        self.census.at_the_desk = self.census.at_the_desk.saturating_add(1);
                    }
                }
                None if visitor.phase() != VisitorPhase::Admitted => {}
                _ => return Err(RoomFault::Pass { number: *number }),
            }
        }
        if let Some(pass) = passes
            .iter()
            .find(|pass| !self.passes.contains_key(&pass.number))
        {
            let number = pass.number;
            return Err(RoomFault::Pass { number });
        }
        self.census.released = released.len() as u64;
        self.released = released;
        Ok(())
    }

    /// Whoever waits and was passed over stands before those whose turn has not come.
    fn restore_passed(&mut self, visitors: &VisitorList) -> Result<(), RoomFault> {
        for (number, visitor) in (0_u32..).zip(visitors.iter()) {
            if visitor.phase != VisitorPhase::Waiting || visitor.passed_with == 0 {
                continue;
            }
            let lane = self.lanes.get_mut(usize::from(visitor.lane));
            let is_restored = lane.is_some_and(|lane| lane.restore_passed(number, visitor.party));
            if !is_restored {
                return Err(RoomFault::Visitor { number });
            }
        }
        Ok(())
    }

    /// Whoever is gone without having been let in is skipped.
    fn restore_removals(&mut self, visitors: &VisitorList) -> Result<(), RoomFault> {
        for removal in &self.removals {
            let number = removal.number;
            let state = self.visitors.get(number).map(Visitor::phase);
            if !matches!(state, Some(VisitorPhase::Left | VisitorPhase::Removed)) {
                return Err(RoomFault::Removal { number });
            }
        }
        let mut was_released = vec![false; visitors.len()];
        for number in &self.released {
            if let Some(was_released) = was_released.get_mut(*number as usize) {
                *was_released = true;
            }
        }
        for ((number, visitor), was_released) in (0_u32..).zip(visitors.iter()).zip(was_released) {
            let known = self.visitors.get(number);
            let lane = self.lanes.get_mut(usize::from(visitor.lane));
            let (Some(known), Some(lane)) = (known, lane) else {
                return Err(RoomFault::Visitor { number });
            };
            match visitor.phase {
                VisitorPhase::Waiting if known.passed_with().is_some() || !lane.is_over(number) => {
                }
                VisitorPhase::Left | VisitorPhase::Removed => {
                    if !was_released {
                        lane.drop_out(number);
                    }
                }
                VisitorPhase::Admitted | VisitorPhase::Served | VisitorPhase::Expired
                    if was_released => {}
                _ => return Err(RoomFault::Released { number }),
            }
        }
        for lane in &mut self.lanes {
            lane.recount();
        }
        Ok(())
    }
}
