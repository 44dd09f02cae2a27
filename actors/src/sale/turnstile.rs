//! What the leader of a sale counts of those who were let in, between two looks of the admission
//! actor: who used their pass, how long holds took, how busy the sale was. No part of its state: a
//! new leader begins with nothing.

use std::time::Duration;

use domain::Sale;
use domain::ids::{BuyerId, Revision, VisitorId};
use domain::outcome::Outcome;
use domain::room::Turn;

/// Uses kept until somebody looks. More than a sale serves in a second.
const USED_MAX: usize = 1 << 16;

/// Since the last look, unless it says otherwise.
#[derive(Default)]
pub(super) struct Turnstile {
    /// When those were let in who used their pass.
    used: Vec<u64>,
    /// Since this node leads: passes used, and tickets taken on them.
    uses: u64,
    tickets: u64,
    holds: Latencies,
    busy: Duration,
}

/// What a look takes along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub used: Vec<u64>,
    pub uses: u64,
    pub tickets: u64,
    /// 99 of 100 holds took no longer; 0 when there was none.
    pub hold_p99_ms: u32,
    pub busy: Duration,
}

impl Turnstile {
    /// A hold was decided. `before` is the sale's revision before it: a repeated answer moves nothing.
    pub fn pass(&mut self, sale: &Sale, before: Revision, buyer: BuyerId, outcome: &Outcome) {
        let (Some(room), Outcome::Done(done)) = (sale.room(), outcome) else {
            return;
        };
        if sale.revision() == before {
            return;
        }
        let Some(status) = room.status(VisitorId(buyer.0)) else {
            return;
        };
        let Turn::Admitted {
            ends_ms,
            tickets_left,
        } = status.turn
        else {
            return;
        };
        let (seats, plan) = (done.seats.seats(), room.plan());
        self.tickets += u64::from(seats);
        let is_first = u32::from(tickets_left) + seats == u32::from(plan.pass_tickets);
        if is_first {
            self.uses += 1;
            if self.used.len() < USED_MAX {
                self.used
                    .push(ends_ms.saturating_sub(u64::from(plan.pass_life_ms)));
            }
        }
    }

    /// So many commands took so long, from their coming to their answer.
    pub fn serve(&mut self, commands: u32, took: Duration) {
        self.holds.add(took, u64::from(commands));
    }

    pub fn work(&mut self, took: Duration) {
        self.busy += took;
    }

    pub fn take(&mut self) -> Passed {
        Passed {
            used: std::mem::take(&mut self.used),
            uses: self.uses,
            tickets: self.tickets,
            hold_p99_ms: std::mem::take(&mut self.holds).p99_ms(),
            busy: std::mem::take(&mut self.busy),
        }
    }
}

/// Milliseconds in steps of a quarter of a power of two: never a fifth too long.
const STEPS: usize = 64;

struct Latencies([u64; STEPS]);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies([0; STEPS])
    }
}

impl Latencies {
    fn add(&mut self, took: Duration, count: u64) {
        let ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let step = (0..STEPS - 1).find(|step| ms <= end_of(*step));
        self.0[step.unwrap_or(STEPS - 1)] += count;
    }

    fn p99_ms(&self) -> u32 {
        let all: u64 = self.0.iter().sum();
        let mut left = all - all / 100;
        for (step, count) in self.0.iter().enumerate() {
            if left > 0 && left <= *count {
                return end_of(step);
            }
            left = left.saturating_sub(*count);
        }
        0
    }
}

/// The longest that belongs to a step.
fn end_of(step: usize) -> u32 {
    let (power, quarter) = (step / 4, step % 4);
    ((4 + quarter as u32) << power) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_of_a_hundred_is_told_and_a_look_begins_anew() {
        let mut turnstile = Turnstile::default();
        assert_eq!(turnstile.take(), Passed::default());
        turnstile.serve(98, Duration::from_millis(9));
        turnstile.serve(1, Duration::from_millis(100));
        turnstile.serve(1, Duration::from_secs(3));
        turnstile.work(Duration::from_millis(7));
        let passed = turnstile.take();
        assert!((100..=125).contains(&passed.hold_p99_ms), "{passed:?}");
        assert_eq!(passed.busy, Duration::from_millis(7));
        assert_eq!(turnstile.take(), Passed::default());
    }

    #[test]
    fn steps_are_close_to_each_other() {
        assert!((0..STEPS - 1).all(|step| end_of(step) <= end_of(step + 1)));
        assert!((8..STEPS - 1).all(|step| end_of(step + 1) * 4 <= end_of(step) * 5));
        assert!(end_of(STEPS - 2) > 40_000);
    }
}
