//! The commands of the waiting room, and what it means for the sale: the room opens it, and who holds
//! seats must have been let in. A buyer and a visitor with one id are one person.

use crate::bugs::{Bug, planted};
use crate::change::Change;
use crate::command::{PlaceHold, Request, SetRoom};
use crate::hold::Hold;
use crate::ids::{BuyerId, PartnerId, VisitorId};
use crate::outcome::{Done, SeatRuns};
use crate::rejection::{Phase, Rejection};
use crate::room::merkle::Hash;
use crate::room::{Arrival, Plan, Refusal, Room, Token};
use crate::sale::Sale;

impl Sale {
    /// What log time alone does in the room. The room opens a sale that is only announced.
    #[inline]
    pub(super) fn pass_room_time(&mut self, changes: &mut Vec<Change>) {
        let Some(room) = &mut self.room else { return };
        if room
            .next_event_ms()
            .is_none_or(|event_ms| event_ms > self.now_ms)
        {
            return;
        }
        self.changing = true;
        room.pass_time(self.now_ms);
        self.open_with_room(changes);
        self.changing = false;
    }

    fn open_with_room(&mut self, changes: &mut Vec<Change>) {
        if self.phase == Phase::Announced && self.room.as_ref().is_some_and(|room| room.is_open()) {
            self.set_phase(Phase::Open, changes);
        }
    }

    pub(super) fn open_room(&mut self, plan: &Plan) -> Result<Done, Rejection> {
        if self.phase != Phase::Announced {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        if self.room.is_some() {
            return Err(Rejection::RoomExists);
        }
        if plan.open_at_ms <= self.now_ms {
            return Err(Rejection::RoomPlanInvalid);
        }
        let room = Room::new(self.hash_seed, plan.clone())?;
        self.changing = true;
        self.room = Some(Box::new(room));
        Ok(self.done(0, SeatRuns::default()))
    }

    pub(super) fn move_room(
        &mut self,
        lobby_at_ms: u64,
        open_at_ms: u64,
    ) -> Result<Done, Rejection> {
        self.in_room(|room, now_ms| match open_at_ms > now_ms {
            true => room.move_times(lobby_at_ms, open_at_ms),
            false => Err(Refusal::PlanInvalid),
        })
    }

    pub(super) fn set_room(&mut self, set: &SetRoom<'_>) -> Result<Done, Rejection> {
        let SetRoom {
            is_paused,
            is_closed,
            ceilings,
            weights,
        } = *set;
        self.in_room(|room, _| {
            if !weights.is_empty() {
                room.set_weights(weights)?;
            }
            room.set_paused(is_paused);
            room.set_closed(is_closed);
            room.set_ceilings(ceilings);
            Ok(())
        })
    }

    pub(super) fn set_beacon(
        &mut self,
        beacon: Hash,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        self.in_room(|room, _| room.set_beacon(beacon))?;
        self.open_with_room(changes);
        Ok(self.done(0, SeatRuns::default()))
    }

    pub(super) fn remove_visitor(
        &mut self,
        visitor: VisitorId,
        reason: u32,
    ) -> Result<Done, Rejection> {
        self.in_room(|room, now_ms| room.remove(visitor, reason, now_ms))
    }

    pub(super) fn join_room(
        &mut self,
        request: &Request<'_>,
        visitor: VisitorId,
        class: u8,
        party: u8,
    ) -> Result<Done, Rejection> {
        if self.phase == Phase::Closed {
            return Err(Rejection::NotOnSale { phase: self.phase });
        }
        let arrival = Arrival {
            visitor,
            partner: request.partner,
            channel: request.channel,
            class,
            party,
        };
        self.in_room(|room, now_ms| room.join(&arrival, now_ms).map(|_| ()))
    }

    pub(super) fn leave_room(
        &mut self,
        request: &Request<'_>,
        visitor: VisitorId,
    ) -> Result<Done, Rejection> {
        self.in_room(|room, now_ms| room.leave(visitor, request.partner, now_ms))
    }

    /// Nobody is let in to a sale that does not sell.
    pub(super) fn release_visitors(&mut self, up_to: u64) -> Result<Done, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::NotOnSale { phase: self.phase });
        }
        let free = self.counts().free;
        self.in_room(|room, now_ms| {
            room.release(up_to, free, now_ms, |_| {});
            Ok(())
        })
    }

    fn in_room(
        &mut self,
        act: impl FnOnce(&mut Room, u64) -> Result<(), Refusal>,
    ) -> Result<Done, Rejection> {
        let Some(room) = &mut self.room else {
            return Err(Rejection::NoRoom);
        };
        self.changing = true;
        act(room, self.now_ms)?;
        Ok(self.done(0, SeatRuns::default()))
    }

    /// Whether a buyer may hold so many seats as far as the room goes.
    #[inline]
    pub(super) fn check_pass(
        &self,
        ask: &PlaceHold<'_>,
        partner: PartnerId,
        seats: u32,
    ) -> Result<(), Rejection> {
        if planted(Bug::PassAtTheEdge) {
            return Ok(());
        }
        let visitor = VisitorId(ask.buyer.0);
        match (&self.room, ask.token) {
            (None, _) => Ok(()),
            (Some(room), None) => Ok(room.may_spend(visitor, partner, seats)?),
            (Some(room), Some(token)) => {
                Ok(room.may_take_outside(visitor, partner, token, seats, self.now_ms)?)
            }
        }
    }

    #[inline]
    pub(super) fn spend_pass(&mut self, hold: &Hold, token: Option<Token>, seats: u32) {
        if planted(Bug::PassAtTheEdge) {
            return;
        }
        let visitor = VisitorId(hold.buyer.0);
        match (&mut self.room, token) {
            (None, _) => {}
            (Some(room), None) => room.spend(visitor, seats),
            (Some(room), Some(token)) => room.take_outside(visitor, hold.partner, token, seats),
        }
    }

    /// Seats came back unpaid.
    #[inline]
    pub(super) fn give_pass_back(&mut self, buyer: BuyerId, partner: PartnerId, seats: u32) {
        if let Some(room) = &mut self.room {
            room.give_back(VisitorId(buyer.0), partner, seats);
        }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Rejection {
        match refusal {
            Refusal::PlanInvalid => Rejection::RoomPlanInvalid,
            Refusal::LobbyNotOpen { lobby_at_ms } => Rejection::LobbyNotOpen { lobby_at_ms },
            Refusal::LobbyClosed => Rejection::LobbyClosed,
            Refusal::NoBeaconAwaited => Rejection::NoBeaconAwaited,
            Refusal::UnknownVisitor => Rejection::UnknownVisitor,
            Refusal::ElsewhereAlready => Rejection::VisitorOfAnotherPartner,
            Refusal::Removed { reason } => Rejection::VisitorRemoved { reason },
            Refusal::NotAdmitted => Rejection::QueueRequired,
            Refusal::PassExpired => Rejection::PassExpired,
            Refusal::PassSpent { left } => Rejection::PassSpent { left },
            Refusal::PassInvalid => Rejection::PassInvalid,
            Refusal::Full => Rejection::RoomFull,
            Refusal::Closed => Rejection::RoomClosed,
        }
    }
}
