//! What was given to those who were let in, and what is left of it: tickets are taken on a pass, come
//! back to it unpaid, and end with its time.

use crate::ids::{PartnerId, VisitorId};
use crate::room::visitors::Visitor;
use crate::room::{Refusal, Room, Token, VisitorPhase};

/// Over so long a rate is remembered.
const RECENT_MS: u64 = 30_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) ends_ms: u64,
    pub(super) spent: u16,
}

impl Room {
    /// The first that ends is a pass that is still there.
    pub(super) fn drop_ended(&mut self) {
        while let Some((_, number)) = self.ends.front()
            && !self.passes.contains_key(number)
        {
            self.ends.pop_front();
        }
    }

    /// Visitors a second, in thousandths, who were let in on the average of the last half minute: what a
    /// new leader may go on with.
    pub fn recent_rate(&self, now_ms: u64) -> u64 {
        let life_ms = u64::from(self.plan.pass_life_ms);
        let since = now_ms.saturating_add(life_ms).saturating_sub(RECENT_MS);
        // Passes end in the sequence in which they were given, so the first of them is soon found.
        let before = self.ends.partition_point(|(ends_ms, _)| *ends_ms <= since);
        let let_in = self.ends.len().saturating_sub(before) as u64;
        let_in
            .saturating_mul(1_000_000)
            .checked_div(RECENT_MS)
            .unwrap_or(0)
    }

    /// Whether a visitor's pass is good for so many tickets.
    pub fn may_spend(
        &self,
        visitor: VisitorId,
        partner: PartnerId,
        tickets: u32,
    ) -> Result<(), Refusal> {
        let Some((number, known)) = self.visitors.find(visitor) else {
            return Err(Refusal::NotAdmitted);
        };
        match known.phase() {
            VisitorPhase::Removed => return Err(self.removal_of(number)),
            VisitorPhase::Waiting | VisitorPhase::Left => return Err(Refusal::NotAdmitted),
            VisitorPhase::Admitted | VisitorPhase::Served | VisitorPhase::Expired => {}
        }
        if known.partner != partner {
            return Err(Refusal::ElsewhereAlready);
        }
        let Some(pass) = self.passes.get(&number) else {
            return Err(Refusal::PassExpired);
        };
        if self.outside.has_taken(visitor, partner) {
            return Err(Refusal::PassInvalid);
        }
        let left = self.plan.pass_tickets.saturating_sub(pass.spent);
        match tickets <= u32::from(left) {
            true => Ok(()),
            false => Err(Refusal::PassSpent { left }),
        }
    }

    /// The same for a visitor of a partner's own room.
    pub fn may_take_outside(
        &self,
        visitor: VisitorId,
        partner: PartnerId,
        token: Token,
        tickets: u32,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        // Seats that come back find what they were taken on.
        let has_pass = |(number, known): (u32, &Visitor)| {
            known.partner == partner && self.passes.contains_key(&number)
        };
        if self.visitors.find(visitor).is_some_and(has_pass) {
            return Err(Refusal::PassInvalid);
        }
        self.outside
            .may_take(visitor, partner, token, tickets, now_ms)
    }

    pub fn take_outside(
        &mut self,
        visitor: VisitorId,
        partner: PartnerId,
        token: Token,
        tickets: u32,
    ) {
        self.outside.take(visitor, partner, token, tickets);
    }

    /// Takes tickets on a visitor's pass; the caller has asked whether it may.
    pub fn spend(&mut self, visitor: VisitorId, tickets: u32) {
        let tickets = u16::try_from(tickets).unwrap_or(u16::MAX);
        let Some((number, _)) = self.visitors.find(visitor) else {
            return;
        };
        let Some(pass) = self.passes.get_mut(&number) else {
            return;
        };
        if pass.spent == 0 && tickets > 0 {
            self.census.at_the_desk = self.census.at_the_desk.saturating_sub(1);
        }
        pass.spent = pass.spent.saturating_add(tickets);
    }

    /// Tickets taken on the pass came back unpaid: it is good for them again while its time lasts.
    pub fn give_back(&mut self, visitor: VisitorId, partner: PartnerId, tickets: u32) {
        if self.outside.give_back(visitor, partner, tickets) {
            return;
        }
        let tickets = u16::try_from(tickets).unwrap_or(u16::MAX);
        let Some((number, _)) = self.visitors.find(visitor) else {
            return;
        };
        let Some(pass) = self.passes.get_mut(&number) else {
            return;
        };
        if pass.spent > 0 && pass.spent <= tickets {
            self.census.at_the_desk = self.census.at_the_desk.saturating_add(1);
        }
        pass.spent = pass.spent.saturating_sub(tickets);
    }

    pub(super) fn end_pass(&mut self, number: u32) {
        let Some(pass) = self.passes.remove(&number) else {
            return;
        };
        let phase = match pass.spent {
            0 => {
                self.census.at_the_desk = self.census.at_the_desk.saturating_sub(1);
                self.census.expired = self.census.expired.saturating_add(1);
                VisitorPhase::Expired
            }
            _ => {
                self.census.served = self.census.served.saturating_add(1);
                VisitorPhase::Served
            }
        };
        self.visitors.set_phase(number, phase);
    }
}
