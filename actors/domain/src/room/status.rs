//! What a visitor is told of their own place.

use crate::ids::{PartnerId, VisitorId};
use crate::room::{Refusal, Room, VisitorPhase};

/// Where a visitor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// In the sequence of coming, all lanes together.
    pub number: u32,
    /// Through whom they came.
    pub partner: PartnerId,
    pub lane: u8,
    pub turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody has a place before the lobby is shuffled.
    Lobby,
    Waiting {
        /// In the lane, from 0; for good.
        place: u32,
        /// Who waits in the lane before this place.
        ahead: u32,
    },
    Admitted {
        ends_ms: u64,
        /// Tickets that the pass is still good for.
        tickets_left: u16,
    },
    Served,
    /// The pass ran out unused.
    Expired,
    Left,
    Removed {
        reason: u32,
    },
}

impl Room {
    pub fn status(&self, visitor: VisitorId) -> Option<Status> {
        let (number, known) = self.visitors.find(visitor)?;
        let turn = match known.phase() {
            VisitorPhase::Waiting => self.waiting(known.lane, known.rank),
            VisitorPhase::Admitted => self.admitted(number),
            VisitorPhase::Served => Turn::Served,
            VisitorPhase::Expired => Turn::Expired,
            VisitorPhase::Left => Turn::Left,
            VisitorPhase::Removed => match self.removal_of(number) {
                Refusal::Removed { reason } => Turn::Removed { reason },
                _ => Turn::Left,
            },
        };
        Some(Status {
            number,
            partner: known.partner,
            lane: known.lane,
            turn,
        })
    }

    fn waiting(&self, lane: u8, rank: u32) -> Turn {
        let lane = self.lanes.get(usize::from(lane));
        match lane.and_then(|lane| Some((lane, lane.place(rank)?))) {
            Some((lane, place)) => Turn::Waiting {
                place,
                ahead: lane.ahead_of(place),
            },
            None => Turn::Lobby,
        }
    }

    fn admitted(&self, number: u32) -> Turn {
        match self.passes.get(&number) {
            Some(pass) => Turn::Admitted {
                ends_ms: pass.ends_ms,
                tickets_left: self.plan.pass_tickets.saturating_sub(pass.spent),
            },
            None => Turn::Expired,
        }
    }

    /// The list of all who came, as it is published once the lobby has closed.
    pub fn lines(&self) -> Vec<super::shuffle::Line> {
        let mut released_as = vec![None; self.census.joined as usize];
        for (ordinal, number) in (0_u64..).zip(&self.released) {
            if let Some(line) = released_as.get_mut(*number as usize) {
                *line = Some(ordinal);
            }
        }
        (0_u32..)
            .zip(released_as)
            .filter_map(|(number, released_as)| {
                let visitor = self.visitors.get(number)?;
                let lane = self.lanes.get(usize::from(visitor.lane))?;
                Some(super::shuffle::Line {
                    visitor: visitor.id(),
                    lane: visitor.lane,
                    place: lane.place(visitor.rank)?,
                    released_as,
                })
            })
            .collect()
    }
}
