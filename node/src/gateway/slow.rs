//! The log of slow batches of sessions: which event, how many calls, how long, at which attempt, and the
//! trace where there is one. Nothing of the calls' content. Single calls are told where they come in
//! (`grpc`). A node on which everything is slow tells ten a second and how many it left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::observe::Ration;

const TOLD_A_SECOND: u32 = 10;

pub struct SlowBatches {
    /// Zero is never.
    limit: Duration,
    second: Mutex<Ration>,
}

/// A batch, or as much of it as was answered together.
pub struct Answered {
    pub event: u64,
    pub calls: u32,
    pub attempt: u32,
    pub took: Duration,
    pub trace_id: Option<u128>,
}

impl SlowBatches {
    pub fn new(limit: Duration) -> SlowBatches {
        SlowBatches {
            limit,
            second: Mutex::new(Ration::new(Instant::now())),
        }
    }

    pub fn is_slow(&self, took: Duration) -> bool {
        took > self.limit && !self.limit.is_zero()
    }

    pub fn tell(&self, answered: Answered) {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = second.pass(TOLD_A_SECOND, Instant::now()) else {
            return;
        };
        drop(second);
        let Answered {
            event,
            calls,
            attempt,
            took,
            trace_id,
        } = answered;
        tracing::warn!(
            event,
            calls,
            attempt,
            took_ms = took.as_millis() as u64,
            trace_id = trace_id.map(|id| format!("{id:032x}")),
            left_out,
            "slow calls of a session"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_the_limit_is_slow_and_without_one_nothing() {
        let limit = Duration::from_millis(1000);
        let slow = SlowBatches::new(limit);
        assert!(!slow.is_slow(limit));
        assert!(slow.is_slow(limit + Duration::from_millis(1)));
        let never = SlowBatches::new(Duration::ZERO);
        assert!(!never.is_slow(Duration::from_secs(600)));
    }
}
