//! What a command led to: done, or a replicated, deterministic "no".

use crate::ids::Revision;
use crate::rejection::Rejection;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Done),
    Rejected(Rejection),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The sale's revision after this command (of its first execution, for a retry).
    pub revision: Revision,
    /// Of the hold that was placed or extended, log time in Unix milliseconds; else 0.
    pub deadline_ms: u64,
    /// What was held, sold or freed.
    pub seats: SeatRuns,
}

/// `count` seats of one section from `first` on; for general admission `first` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatRun {
    pub section: u16,
    pub count: u16,
    pub first: u32,
}

/// A few runs; one is stored in place, because most holds are one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatRuns {
    One(SeatRun),
    Many(Box<[SeatRun]>),
}

impl Default for SeatRuns {
    fn default() -> Self {
        SeatRuns::Many(Box::default())
    }
}

impl SeatRuns {
    pub fn from_slice(runs: &[SeatRun]) -> SeatRuns {
        match runs {
            [run] => SeatRuns::One(*run),
            runs => SeatRuns::Many(runs.into()),
        }
    }

    pub fn as_slice(&self) -> &[SeatRun] {
        match self {
            SeatRuns::One(run) => core::slice::from_ref(run),
            SeatRuns::Many(runs) => runs,
        }
    }

    /// Seats in all.
    pub fn seats(&self) -> u32 {
        self.as_slice().iter().map(|run| u32::from(run.count)).sum()
    }
}
