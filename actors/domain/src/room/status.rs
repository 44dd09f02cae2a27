//! What a visitor is told of their own place.

use crate::ids::{PartnerId, VisitorId};
use crate::room::visitors::Visitor;
use crate::room::{Refusal, Room, VisitorPhase};

/// Where a visitor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// In the sequence of coming, all lanes together.
    pub number: u32,
    /// Through whom they came.
    pub partner: PartnerId,
    pub lane: u8,
    /// Tickets wanted together.
    pub party: u8,
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
        /// Who is to be let in before, over all lanes: as the lanes' weights say, and if nobody else comes.
        before: u32,
        /// So much was left, too little for the party, when others were let in before it.
        passed_with: Option<u8>,
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
            VisitorPhase::Waiting => self.waiting(number, known),
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
            party: known.party,
            turn,
        })
    }

    fn waiting(&self, number: u32, known: &Visitor) -> Turn {
        let lane = self.lanes.get(usize::from(known.lane));
        match lane.and_then(|lane| Some((lane, lane.place(number)?))) {
            Some((lane, place)) => {
                let ahead = lane.ahead_of(place);
                Turn::Waiting {
                    place,
                    ahead,
                    before: self.before(known.lane, ahead),
                    passed_with: known.passed_with(),
                }
            }
            None => Turn::Lobby,
        }
    }

    /// How many are let in of all lanes before somebody with so many ahead of them in their own. Lanes where
    /// somebody waits have turns by their weights, whichever others there are, so each lane counts by itself.
    fn before(&self, own: u8, ahead: u32) -> u32 {
        let Some(of) = self.lanes.get(usize::from(own)) else {
            return ahead;
        };
        let others = (0_u8..)
            .zip(&self.lanes)
            .filter(|(number, _)| *number != own);
        others.fold(ahead, |before, (_, lane)| {
            before.saturating_add(lane.let_in_beside(of, ahead))
        })
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
                    place: lane.place(number)?,
                    party: visitor.party,
                    passed_with: visitor.passed_with(),
                    released_as,
                })
            })
            .collect()
    }
}
