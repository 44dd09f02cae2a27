//! What was answered to whom, by a plain map.
//!
//! It has no rings: a run is shorter than they are long. It forgets by time alone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use domain::outcome::Outcome;
use domain::rejection::Rejection;

use crate::layer1::asked::Call;

const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;
const AHEAD_MAX_MS: u64 = 5 * 60 * 1000;

/// From this many commands on the domain's rings could forget what this map remembers.
pub const COMMANDS_MAX: usize = 60_000;

#[derive(Default)]
pub(super) struct Keys {
    answers: HashMap<(u32, u128), (u64, Outcome)>,
    /// Successes with their times, oldest first.
    successes: VecDeque<(u64, u32, u128)>,
    watermarks: BTreeMap<u32, u64>,
}

fn made_at_ms(key: u128) -> u64 {
    (key >> 80) as u64
}

impl Keys {
    /// The answer that the key alone decides.
    pub fn recall(&mut self, call: &Call, now_ms: u64) -> Option<Outcome> {
        self.forget_old(now_ms);
        let refused = |rejection| Some(Outcome::Rejected(rejection));
        if call.key == 0 {
            return refused(Rejection::KeyMissing);
        }
        if let Some((hash, outcome)) = self.answers.get(&(call.partner, call.key)) {
            return match *hash == call.hash {
                true => Some(outcome.clone()),
                false => refused(Rejection::KeyReused),
            };
        }
        if made_at_ms(call.key) > now_ms + AHEAD_MAX_MS {
            return refused(Rejection::KeyFromFuture);
        }
        let watermark_ms = self.watermarks.get(&call.partner);
        if watermark_ms.is_some_and(|watermark_ms| made_at_ms(call.key) <= *watermark_ms) {
            return refused(Rejection::KeyExpired);
        }
        None
    }

    pub fn remember(&mut self, call: &Call, now_ms: u64, outcome: &Outcome) {
        self.answers
            .insert((call.partner, call.key), (call.hash, outcome.clone()));
        if matches!(outcome, Outcome::Done(_)) {
            self.successes.push_back((now_ms, call.partner, call.key));
        }
    }

    fn forget_old(&mut self, now_ms: u64) {
        while let Some((at_ms, partner, key)) = self.successes.front().copied()
            && at_ms + REMEMBERED_MS <= now_ms
        {
            self.successes.pop_front();
            self.answers.remove(&(partner, key));
            let watermark_ms = self.watermarks.entry(partner).or_default();
            *watermark_ms = (*watermark_ms).max(made_at_ms(key));
        }
    }
}
