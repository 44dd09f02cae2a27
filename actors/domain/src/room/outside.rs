//! Visitors of rooms that partners run themselves: their own token says that they were let in, and how
//! far. What was taken on it is kept here, so that a token shown anywhere buys no more than it says.
//!
//! They never stood in this room, so they are in no lane and in no evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::bugs::{Bug, planted};
use crate::ids::{PartnerId, VisitorId};
use crate::room::Refusal;

/// What a partner's token says; whoever made the command has checked its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub ends_ms: u64,
    pub tickets: u16,
}

/// Tokens may say what they like: one that lives longer is not taken, so that none is kept for ever.
pub const TOKEN_LIFE_MAX_MS: u64 = 86_400_000;

/// Tickets taken on tokens whose time is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outside {
    /// By partner and visitor: until when it counts, and tickets.
    taken: BTreeMap<(PartnerId, VisitorId), (u64, u16)>,
    /// In the sequence in which they end.
    ends: BTreeSet<(u64, PartnerId, VisitorId)>,
}

/// One of those who took tickets on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideState {
    pub partner: PartnerId,
    pub visitor: VisitorId,
    pub ends_ms: u64,
    pub taken: u16,
}

impl Outside {
    pub(super) fn may_take(
        &self,
        visitor: VisitorId,
        partner: PartnerId,
        token: Token,
        tickets: u32,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        if token.ends_ms <= now_ms {
            return Err(Refusal::PassExpired);
        }
        if token.ends_ms > now_ms.saturating_add(TOKEN_LIFE_MAX_MS) {
            return Err(Refusal::PassInvalid);
        }
        let known = self.taken.get(&(partner, visitor));
        let taken = known.map_or(0, |(_, taken)| *taken);
        let left = token.tickets.saturating_sub(taken);
        match tickets <= u32::from(left) {
            true => Ok(()),
            false => Err(Refusal::PassSpent { left }),
        }
    }

    pub(super) fn has_taken(&self, visitor: VisitorId, partner: PartnerId) -> bool {
        self.taken.contains_key(&(partner, visitor))
    }

    pub(super) fn take(
        &mut self,
        visitor: VisitorId,
        partner: PartnerId,
        token: Token,
        tickets: u32,
    ) {
        if planted(Bug::TokenUnspent) {
            return;
        }
        let tickets = u16::try_from(tickets).unwrap_or(u16::MAX);
        let (ends_ms, taken) = self.taken.entry((partner, visitor)).or_insert((0, 0));
        self.ends.remove(&(*ends_ms, partner, visitor));
        *ends_ms = (*ends_ms).max(token.ends_ms);
        self.ends.insert((*ends_ms, partner, visitor));
        *taken = taken.saturating_add(tickets);
    }

    /// Tickets came back unpaid; `false` when none were taken on a token.
    pub(super) fn give_back(
        &mut self,
        visitor: VisitorId,
        partner: PartnerId,
        tickets: u32,
    ) -> bool {
        let tickets = u16::try_from(tickets).unwrap_or(u16::MAX);
        match self.taken.get_mut(&(partner, visitor)) {
            Some((_, taken)) => {
                *taken = taken.saturating_sub(tickets);
                true
            }
            None => false,
        }
    }

    /// Whose time is over is forgotten: the token is not taken any more.
    pub(super) fn pass_time(&mut self, now_ms: u64) {
        while let Some(first) = self.ends.first().copied()
            && first.0 <= now_ms
        {
            let (_, partner, visitor) = first;
            self.ends.remove(&first);
            self.taken.remove(&(partner, visitor));
        }
    }

    /// When the next is forgotten.
    pub(super) fn next_end_ms(&self) -> Option<u64> {
        self.ends.first().map(|(ends_ms, ..)| *ends_ms)
    }

    pub(super) fn export(&self) -> Vec<OutsideState> {
        let taken = self.taken.iter();
        taken
            .map(|((partner, visitor), (ends_ms, taken))| OutsideState {
                partner: *partner,
                visitor: *visitor,
                ends_ms: *ends_ms,
                taken: *taken,
            })
            .collect()
    }

    /// `None` when somebody stands in the list twice or out of sequence.
    pub(super) fn restore(states: &[OutsideState]) -> Option<Outside> {
        let key = |state: &OutsideState| (state.partner, state.visitor);
        if !states.is_sorted_by(|a, b| key(a) < key(b)) {
            return None;
        }
        let mut outside = Outside::default();
        for state in states {
            let OutsideState {
                partner,
                visitor,
                ends_ms,
                taken,
            } = *state;
            outside.taken.insert((partner, visitor), (ends_ms, taken));
            outside.ends.insert((ends_ms, partner, visitor));
        }
        Some(outside)
    }
}
