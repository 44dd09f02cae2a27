//! The desk of one room: what its operator is at, and what the room was told to be.

use std::time::Duration;

use actors::sale::RoomReport;
use domain::room::pace::Ceilings;

use super::act::Act;
use super::look::Look;

/// One room's.
pub(super) struct Desk {
    pub(super) sale: u64,
    /// As it was told to be last; unknown until the first look.
    pub(super) known: Option<Known>,
    pub(super) next: Duration,
    pub(super) act: Option<Act>,
    pub(super) look: Option<Look>,
    pub(super) next_look: Duration,
    /// Rises with each command: a look that was begun before says nothing of it.
    pub(super) turn: u64,
}

pub(super) struct Known {
    /// The log index from which on it is so.
    pub(super) index: u64,
    pub(super) is_paused: bool,
    pub(super) is_closed: bool,
    pub(super) ceilings: Ceilings,
    pub(super) open_at_ms: u64,
    pub(super) lobby_at_ms: u64,
    /// While paused: how many had been let in; while closed: how many had come.
    pub(super) released: Option<u64>,
    pub(super) joined: Option<u64>,
    pub(super) owes_beacon: bool,
    /// When it was last looked at.
    pub(super) gathers: bool,
}

impl Desk {
    pub(super) fn of(sale: u64) -> Desk {
        Desk {
            sale,
            known: None,
            next: Duration::ZERO,
            act: None,
            look: None,
            next_look: Duration::ZERO,
            turn: 0,
        }
    }
}

impl Known {
    /// Before the first command.
    pub(super) fn of(report: &RoomReport) -> Known {
        let RoomReport { room, plan, .. } = report;
        Known {
            index: room.applied_index,
            is_paused: room.is_paused,
            is_closed: room.is_closed,
            ceilings: plan.ceilings,
            open_at_ms: room.open_at_ms,
            lobby_at_ms: room.lobby_at_ms,
            released: None,
            joined: None,
            owes_beacon: plan.waits_for_beacon,
            gathers: true,
        }
    }

    /// What a look shows otherwise than it was told to be.
    pub(super) fn wrong(&mut self, index: u64, report: &RoomReport) -> Option<String> {
        let room = &report.room;
        if index < self.index {
            return None;
        }
        let set = (
            room.is_paused,
            room.is_closed,
            room.open_at_ms,
            room.lobby_at_ms,
        );
        let told = (
            self.is_paused,
            self.is_closed,
            self.open_at_ms,
            self.lobby_at_ms,
        );
        if set != told {
            return Some(format!(
                "paused, closed, opening and lobby are {set:?}, and were told to be {told:?}"
            ));
        }
        let (released, joined) = (room.census.released, room.census.joined);
        if self.is_paused && *self.released.get_or_insert(released) != released {
            let before = self.released;
            return Some(format!(
                "{released} were let in, {before:?} before, while it was paused"
            ));
        }
        if self.is_closed && *self.joined.get_or_insert(joined) != joined {
            let before = self.joined;
            return Some(format!(
                "{joined} have come, {before:?} before, while it was closed"
            ));
        }
        None
    }
}
