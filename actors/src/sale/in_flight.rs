//! Proposals under way and the callers that wait for them.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::answering::Piece;
use crate::bugs::{Bug, planted};
use crate::codec::answer::FailureReason;
use crate::trace::TracedBatch;

/// One proposal that was handed to the group.
pub(crate) struct InFlight {
    pub proposal: u64,
    pub pieces: Vec<Piece>,
    pub traced: Option<Box<TracedBatch>>,
    /// It holds a command that may free seats, or open the sale: no refusal may overtake it.
    pub frees: bool,
    /// It holds a command that takes seats: a retry of it may not be refused before it is decided.
    pub takes: bool,
    /// When the first of its calls came, where that is counted.
    pub since: Option<Instant>,
}

/// In the sequence of proposing, which is the sequence of the log.
#[derive(Default)]
pub(crate) struct InFlights {
    proposals: VecDeque<InFlight>,
}

impl InFlights {
    pub fn len(&self) -> usize {
        self.proposals.len()
    }

    pub fn push(&mut self, in_flight: InFlight) {
        self.proposals.push_back(in_flight);
    }

    /// Takes out a proposal, wherever it stands: one that was lost may stand before it.
    pub fn take(&mut self, proposal: u64) -> Option<InFlight> {
        let at = self
            .proposals
            .iter()
            .position(|in_flight| in_flight.proposal == proposal)?;
        self.proposals.remove(at)
    }

    pub fn drain(&mut self) -> impl Iterator<Item = InFlight> + '_ {
        self.proposals.drain(..)
    }

    pub fn any_frees_or_takes(&self) -> bool {
        self.proposals
            .iter()
            .any(|in_flight| in_flight.frees || in_flight.takes)
    }

    pub fn give_up(&mut self, now: Instant) {
        for in_flight in &mut self.proposals {
            in_flight.give_up(now);
        }
    }
}

impl InFlight {
    /// Answers callers whose deadline passed while their commands were under way: unknown.
    pub fn give_up(&mut self, now: Instant) {
        for piece in &mut self.pieces {
            if piece.deadline <= now && planted(Bug::OverdueIsFailed) {
                piece.answer_failed(FailureReason::DeadlinePassed, 0);
            } else if piece.deadline <= now {
                piece.answer_unknown();
            }
        }
    }

    /// Whether all who waited for it have given up; nobody ever waits for what the sale itself asks.
    pub fn is_overdue(&self, now: Instant) -> bool {
        !self.pieces.is_empty() && self.pieces.iter().all(|piece| piece.deadline <= now)
    }
}
