//! The log of slow calls: which method, how it ended, how long it took, and the caller's trace, so that
//! it can be found in the caller's own records. Nothing of the call's content. A node on which
//! everything is slow tells ten a second and how many it left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::observe::Ration;

const TOLD_A_SECOND: u32 = 10;

pub struct SlowCalls {
    /// Zero is never.
    limit: Duration,
    second: Mutex<Ration>,
}

impl SlowCalls {
    pub fn new(limit: Duration) -> SlowCalls {
        SlowCalls {
            limit,
            second: Mutex::new(Ration::new(Instant::now())),
        }
    }

    pub fn answered(
        &self,
        method: &str,
        code: Code,
        took: Duration,
        trace_id: impl FnOnce() -> Option<u128>,
    ) {
        if self.limit.is_zero() || took <= self.limit {
            return;
        }
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = second.pass(TOLD_A_SECOND, Instant::now()) else {
            return;
        };
        drop(second);
        tracing::warn!(
            method,
            ?code,
            took_ms = took.as_millis() as u64,
            trace_id = trace_id().map(|id| format!("{id:032x}")),
            left_out,
            "slow call"
        );
    }
}
