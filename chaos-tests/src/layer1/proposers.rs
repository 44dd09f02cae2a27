//! Leaders over terms, and the clocks they stamp with.
//!
//! A leader stamps a batch with the maximum of its last stamp and its clock. The next leader knows no
//! stamp of the last one, and its clock may be behind: only the sale sees to it that time never goes
//! back.

use rand::RngExt as _;

use crate::layer1::Draw;
use crate::layer1::faults::{Counts, Fault};
use crate::layer1::plan::{Plan, Strengths};

pub struct Proposers {
    draw: Draw,
    strengths: Strengths,
    /// By node: how far its clock is from true time.
    offsets_ms: Vec<i64>,
    pub leader: usize,
    pub term: u64,
    stamp_ms: u64,
    /// Commands left of the batch that is being closed; they share a stamp.
    left_in_batch: u32,
}

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    AnswerLost,
    Discarded,
}

impl Proposers {
    pub fn new(plan: &Plan, mut draw: Draw) -> Proposers {
        let offsets_ms = (0..plan.replicas)
            .map(|_| draw.random_range(-2_000..2_000))
            .collect();
        Proposers {
            draw,
            strengths: plan.faults,
            offsets_ms,
            leader: 0,
            term: 1,
            stamp_ms: 0,
            left_in_batch: 0,
        }
    }

    fn hits(&mut self, in_10_000: u32) -> bool {
        in_10_000 > 0 && self.draw.random_range(0..10_000) < in_10_000
    }

    /// The stamp of the next command. A new leader comes only between batches.
    pub fn stamp(&mut self, true_ms: u64, happened: &mut Counts) -> u64 {
        if self.left_in_batch > 0 {
            self.left_in_batch -= 1;
            return self.stamp_ms;
        }
        self.left_in_batch = match self.draw.random_range(0..8) {
            0 => self.draw.random_range(0..64),
            _ => self.draw.random_range(0..4),
        };
        if self.hits(self.strengths.leader_change) {
            happened.count(Fault::LeaderChange);
            self.leader = self.draw.random_range(0..self.offsets_ms.len());
            self.term += 1;
            self.stamp_ms = 0;
        }
        if self.hits(self.strengths.clock_jump) {
            self.jump(happened);
        }
        let clock_ms = true_ms.saturating_add_signed(self.offsets_ms[self.leader]);
        if self.hits(self.strengths.clock_strobe) {
            // A clock out of discipline: the stamp goes anywhere, also behind the last one.
            happened.count(Fault::ClockStrobe);
            return clock_ms.saturating_add_signed(self.draw.random_range(-120_000..2_000));
        }
        self.stamp_ms = self.stamp_ms.max(clock_ms);
        self.stamp_ms
    }

    /// Forward from where it should be, or back to about there.
    fn jump(&mut self, happened: &mut Counts) {
        let by_ms = match self.draw.random_range(0..4) {
            0 => 2 * 3_600_000,
            _ => self.draw.random_range(1_000..600_000),
        };
        let offset_ms = &mut self.offsets_ms[self.leader];
        match *offset_ms > 0 {
            true => {
                happened.count(Fault::ClockJumpBack);
                *offset_ms = self.draw.random_range(-60_000..2_000);
                self.stamp_ms = 0;
            }
            false => {
                happened.count(Fault::ClockJumpForward);
                *offset_ms += by_ms;
            }
        }
    }

    pub fn fate(&mut self, happened: &mut Counts) -> Fate {
        if self.hits(self.strengths.discarded) {
            happened.count(Fault::ProposalDiscarded);
            return Fate::Discarded;
        }
        if self.hits(self.strengths.answer_lost) {
            happened.count(Fault::AnswerLost);
            return Fate::AnswerLost;
        }
        Fate::Answered
    }
}
