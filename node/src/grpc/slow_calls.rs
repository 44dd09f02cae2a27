//! The log of slow calls: which method, how it ended, how long it took, and the caller's trace, so that
//! it can be found in the caller's own records. Nothing of the call's content. A node on which
//! everything is slow tells ten a second and how many it left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use tonic::codegen::http::HeaderValue;

/// W3C Trace Context.
pub const TRACE_HEADER: &str = "traceparent";
const TOLD_A_SECOND: u32 = 10;

pub struct SlowCalls {
    /// Zero is never.
    limit: Duration,
    second: Mutex<Second>,
}

/// What was told in the second that goes on.
struct Second {
    begun: Instant,
    told: u32,
    left_out: u64,
}

impl SlowCalls {
    pub fn new(limit: Duration) -> SlowCalls {
        SlowCalls {
            limit,
            second: Mutex::new(Second {
                begun: Instant::now(),
                told: 0,
                left_out: 0,
            }),
        }
    }

    pub fn answered(&self, method: &str, code: Code, took: Duration, trace: Option<&HeaderValue>) {
        if self.limit.is_zero() || took <= self.limit {
            return;
        }
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = second.pass(Instant::now()) else {
            return;
        };
        drop(second);
        tracing::warn!(
            method,
            ?code,
            took_ms = took.as_millis() as u64,
            trace_id = trace.and_then(trace_id),
            left_out,
            "slow call"
        );
    }
}

impl Second {
    /// Whether one more may be told, and how many were left out before it.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.begun) >= Duration::from_secs(1) {
            (self.begun, self.told) = (now, 0);
        }
        if self.told == TOLD_A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The trace id of `version-trace-parent-flags`.
fn trace_id(header: &HeaderValue) -> Option<&str> {
    let id = header.to_str().ok()?.split('-').nth(1)?;
    let is_sound = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sound.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_a_second_are_told_and_the_others_counted() {
        let mut second = SlowCalls::new(Duration::from_secs(1))
            .second
            .into_inner()
            .unwrap();
        let told = (0..25).filter(|_| second.pass(Instant::now()) == Some(0));
        assert_eq!(told.count(), 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(second.pass(Instant::now()), Some(15));
        assert_eq!(second.pass(Instant::now()), Some(0));
    }

    #[test]
    fn only_a_sound_trace_is_told() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |text: &str| {
            let header = HeaderValue::from_str(text).unwrap();
            trace_id(&header).map(str::to_owned)
        };
        let whole = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(read(&whole).as_deref(), Some(id));
        for odd in ["", "00", "00-zz", "00-4bf9-1-01", "somebody@example.org"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
