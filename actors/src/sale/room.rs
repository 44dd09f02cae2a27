//! The waiting room as its sale's actor has it: what is read of it, and who may hold seats at all.

use std::sync::atomic::Ordering;

use domain::Sale;
use domain::ids::VisitorId;
use domain::rejection::Phase;
use domain::room::merkle::Hash;
use domain::room::shuffle::{Evidence, Line};
use domain::room::{Census, LaneRules, Plan, Room, RoomPhase, Status};

use super::handle::ReadFailure;
use super::message::ReadRoom;
use super::owner::{Owner, State};
use super::turnstile::Passed;
use crate::codec::record::{self, kind};

/// A room and what is left to sell, on one replica at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    pub applied_index: u64,
    /// Log time of the last command.
    pub now_ms: u64,
    /// Of the sale.
    pub sale_phase: Phase,
    pub phase: RoomPhase,
    pub is_paused: bool,
    pub is_closed: bool,
    pub lobby_at_ms: u64,
    pub open_at_ms: u64,
    pub pass_life_ms: u32,
    pub pass_tickets: u16,
    pub census: Census,
    pub free: u32,
    pub held: u32,
    pub sold: u32,
    /// Whether what is free is enough for the party of anybody who waits, as far as is known.
    pub finds_enough: bool,
}

impl RoomView {
    /// Whether anybody can be let in: the lobby is shuffled and the sale sells.
    pub fn lets_in(&self) -> bool {
        self.phase == RoomPhase::Open && self.sale_phase == Phase::Open
    }
}

/// Where some visitors stand, in the sequence they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub room: RoomView,
    /// `None` for who never came.
    pub statuses: Vec<Option<Status>>,
}

/// All an operator sees of a room.
#[derive(Clone, Debug)]
pub struct RoomReport {
    pub room: RoomView,
    /// With the seed, which is no operator's to see before the lobby has closed.
    pub plan: Plan,
    /// With those who wait.
    pub lanes: Vec<(LaneRules, u64)>,
}

/// What anybody may check a room by.
#[derive(Clone, Debug)]
pub struct Published {
    pub evidence: Evidence,
    /// Empty until the lobby has been shuffled.
    pub lines: Vec<Line>,
}

/// A visitor's own line and its path to the root.
#[derive(Clone, Debug)]
pub struct Proof {
    pub number: u32,
    pub status: Status,
    /// Empty for who came after the lobby had closed.
    pub path: Vec<Hash>,
    pub evidence: Evidence,
}

/// What the admission actor looks at.
#[derive(Clone, Debug)]
pub struct RoomLook {
    pub room: RoomView,
    /// See `Room::recent_rate`.
    pub recent_rate: u64,
    pub plan: Plan,
    pub passed: Passed,
}

impl Owner {
    /// Whether anybody is let in here: only then it is worth counting.
    pub(super) fn has_room(&self) -> bool {
        self.room().is_some()
    }

    fn room(&self) -> Option<(&Sale, &Room)> {
        match &self.state {
            State::Live { sale, .. } => Some((sale, sale.room()?)),
            State::Frozen(_) => None,
        }
    }

    pub(super) fn read_room(&mut self, read: ReadRoom) {
        // Who asked may have given up; nothing depends on it here.
        match read {
            ReadRoom::Places(visitors, reply) => {
                let _ = reply.send(self.found(self.places(&visitors)));
            }
            ReadRoom::Report(reply) => {
                let _ = reply.send(self.found(self.room_report()));
            }
            ReadRoom::Published(reply) => {
                let _ = reply.send(self.found(self.published()));
            }
            ReadRoom::Proof(visitor, reply) => {
                let _ = reply.send(self.found(self.proof(visitor)));
            }
            ReadRoom::Look(reply) => {
                let _ = reply.send(self.room_look());
            }
        }
    }

    /// Of a frozen sale nobody knows.
    fn found<T>(&self, found: Option<T>) -> Result<Option<T>, ReadFailure> {
        match self.state.is_frozen() {
            true => Err(ReadFailure::Frozen),
            false => Ok(found),
        }
    }

    pub(super) fn room_view(&self) -> Option<RoomView> {
        let (sale, room) = self.room()?;
        let (plan, counts) = (room.plan(), sale.counts());
        Some(RoomView {
            applied_index: self.applied_index,
            now_ms: sale.now_ms(),
            sale_phase: sale.phase(),
            phase: room.phase(),
            is_paused: room.is_paused(),
            is_closed: room.is_closed(),
            lobby_at_ms: plan.lobby_at_ms,
            open_at_ms: plan.open_at_ms,
            pass_life_ms: plan.pass_life_ms,
            pass_tickets: plan.pass_tickets,
            census: room.census(),
            free: counts.free,
            held: counts.held,
            sold: counts.sold,
            finds_enough: room.may_let_in(counts.free),
        })
    }

    fn places(&self, visitors: &[VisitorId]) -> Option<Places> {
        let (_, room) = self.room()?;
        Some(Places {
            room: self.room_view()?,
            statuses: visitors.iter().map(|id| room.status(*id)).collect(),
        })
    }

    fn room_report(&self) -> Option<RoomReport> {
        let (_, room) = self.room()?;
        Some(RoomReport {
            room: self.room_view()?,
            plan: room.plan().clone(),
            lanes: room.lanes().collect(),
        })
    }

    fn published(&self) -> Option<Published> {
        let (_, room) = self.room()?;
        Some(Published {
            evidence: room.evidence(),
            lines: room.lines(),
        })
    }

    fn proof(&self, visitor: VisitorId) -> Option<Proof> {
        let (_, room) = self.room()?;
        let status = room.status(visitor)?;
        Some(Proof {
            number: status.number,
            status,
            path: room.path(visitor).map_or(Vec::new(), |(_, path)| path),
            evidence: room.evidence(),
        })
    }

    /// Only while this replica leads.
    fn room_look(&mut self) -> Option<RoomLook> {
        self.term?;
        let room = self.room_view()?;
        let (sale, known) = self.room()?;
        let (plan, recent_rate) = (known.plan().clone(), known.recent_rate(sale.now_ms()));
        Some(RoomLook {
            room,
            recent_rate,
            plan,
            passed: self.turnstile.take(),
        })
    }

    /// Whether a command asks for seats without a pass where one is needed. That a sale has a room
    /// never ends and holds are refused before it opens, so this needs no proof of leadership.
    pub(super) fn lacks_pass(&self, kind: u8) -> bool {
        kind == kind::PLACE_HOLD && self.has_room()
    }

    /// Tells the node's admissions whether this replica is to let visitors in.
    pub(super) fn show_room(&self) {
        let leads = self.term.is_some() && self.room().is_some();
        let shown = &self.shared.leads_a_room;
        if shown.load(Ordering::Relaxed) != leads {
            shown.store(leads, Ordering::Release);
        }
    }
}

/// Who holds seats by this record, if it is one that does.
pub(super) fn buyer_of(bytes: &[u8]) -> Option<domain::ids::BuyerId> {
    let (header, body) = record::split(bytes)?;
    match header.kind {
        kind::PLACE_HOLD | kind::PLACE_HOLD_WITH_PASS => record::buyer(body),
        _ => None,
    }
}
