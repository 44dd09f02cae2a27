//! How fast visitors are let in: a control law over what was measured, without a clock of its own.
//!
//! The operator sets ceilings; the rest follows from the sale. Three things bound the flow:
//!
//! 1. **What the sale can serve.** Each look tells how many passes were used since the last one and how
//!    busy the busiest part of the sale was meanwhile: their quotient is its capacity, known long
//!    before anything is overloaded. The flow aims at `BUSY_AIM` of it, counted in visitors by the
//!    share of those who show up.
//! 2. **What is left.** Tickets that the visitors at the desk are expected to take are promised; no
//!    more are promised than are free, and a little over, because some find nothing they like.
//! 3. **How it goes.** The flow grows by half a second at most. When holds take longer than they
//!    may, it falls by a fifth a second until they do not.
//!
//! Nothing is decided here by a float or by chance. Called by the admission actor of the leader, about
//! every quarter of a second; after a failover it learns anew, goes on at the rate that the room shows, and
//! its burst is empty.

mod presence;

use presence::{ONE, Presence};

/// Of all that is counted in thousandths.
const WHOLE: u64 = 1000;

/// How busy the sale may be, in thousandths.
const BUSY_AIM: u64 = 965;

/// Below this much of use the quotient says little.
const BUSY_LEAST: u64 = 5;

/// Visitors a second with which a room begins, in thousandths.
const RATE_FIRST: u64 = 50_000;
const RATE_LEAST: u64 = 1_000;

/// The most that the flow grows, and what it falls to when holds are slow; thousandths a second.
const GROWTH: u64 = 1_500;
const FALL: u64 = 800;

/// Promised beyond what is free: what the sale serves in so many milliseconds, so that the last seats
/// do not wait for one visitor after the other; and ten tickets.
const OVER_MS: u64 = 2_000;
const OVER_TICKETS: u64 = 10;

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// Visitors let in a minute.
    pub per_minute: Option<u32>,
    /// Visitors with a pass that they have not used yet.
    pub at_the_desk: Option<u32>,
    /// How long a hold may take, 99 of 100.
    pub hold_ms: u32,
}

impl Default for Ceilings {
    fn default() -> Ceilings {
        Ceilings {
            per_minute: None,
            at_the_desk: None,
            hold_ms: 250,
        }
    }
}

/// What one look at the sale tells. Counts are of all time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look<'a> {
    pub at_ms: u64,
    pub waiting: u64,
    pub released: u64,
    /// Have a pass that they have not used.
    pub at_the_desk: u64,
    /// When those were let in who used their passes since the last look.
    pub used: &'a [u64],
    /// Passes that were used, and tickets that were taken on them.
    pub uses: u64,
    pub tickets: u64,
    /// Seats and places that are free.
    pub free: u64,
    /// How much of the time since the last look the busiest part of the sale was busy, in thousandths.
    pub busy: u64,
    /// Of holds since the last look; 0 when there was none.
    pub hold_p99_ms: u32,
}

#[derive(Clone, Debug)]
pub struct Pace {
    ceilings: Ceilings,
    /// Visitors a second, in thousandths.
    rate: u64,
    /// Passes used a second at full use, in thousandths; 0 while it is not known.
    capacity: u64,
    /// Visitors a second, in thousandths: what the last look aimed at.
    aim: u64,
    /// Of a visitor, in thousandths: what has come together for the next.
    credit: u64,
    presence: Presence,
    /// (time, released) at the last look.
    last: Option<(u64, u64)>,
}

impl Pace {
    pub fn new(ceilings: Ceilings) -> Pace {
        Pace {
            ceilings,
            rate: RATE_FIRST,
            capacity: 0,
            aim: 0,
            credit: 0,
            presence: Presence::default(),
            last: None,
        }
    }

    /// Goes on at the rate, in thousandths a second, at which another leader let visitors in; what it
    /// knew of the sale is learned anew, and nothing is saved up.
    pub fn resume(mut self, rate: u64) -> Pace {
        self.rate = self.rate.max(rate);
        self
    }

    pub fn set_ceilings(&mut self, ceilings: Ceilings) {
        self.ceilings = ceilings;
    }

    /// Visitors a second, in thousandths, as the last look left it.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Visitors a second, in thousandths, that the last look aimed to let in: the rate, or less where
    /// fewer wait or what is left is promised to those at the desk. Nothing before the second look.
    pub fn aim(&self) -> u64 {
        self.aim
    }

    /// What the sale can serve, in passes a second and thousandths; `None` while it is not known.
    pub fn capacity(&self) -> Option<u64> {
        (self.capacity > 0).then_some(self.capacity)
    }

    /// Up to which number visitors are to be let in now (see `Room::release`).
    pub fn look(&mut self, look: &Look<'_>) -> u64 {
        self.presence.pass_time(look.at_ms);
        look.used
            .iter()
            .for_each(|released_ms| self.presence.use_pass(*released_ms));
        let Some((last_ms, released)) = self.last.replace((look.at_ms, look.released)) else {
            return look.released;
        };
        self.presence
            .release(look.released.saturating_sub(released));
        let passed_ms = look.at_ms.saturating_sub(last_ms);
        if passed_ms == 0 {
            return look.released;
        }
        self.measure(look, passed_ms);
        self.steer(look, passed_ms);
        let earned = ratio(self.rate, passed_ms, 1000);
        // What could not be let in at once is not saved up for long.
        self.credit = self
            .credit
            .saturating_add(earned)
            .min(self.rate.saturating_add(WHOLE));
        let most = look.waiting.min(self.room_at_the_desk(look));
        let most_a_second = ratio(most.saturating_mul(WHOLE), 1000, passed_ms);
        self.aim = self.rate.min(most_a_second);
        let may = ratio(self.credit, 1, WHOLE).min(most);
        self.credit = self.credit.saturating_sub(may.saturating_mul(WHOLE));
        look.released.saturating_add(may)
    }

    /// What the sale can serve, from what it served and how busy that kept it.
    fn measure(&mut self, look: &Look<'_>, passed_ms: u64) {
        let used = look.used.len() as u64;
        if look.busy < BUSY_LEAST || used == 0 {
            return;
        }
        let rate = ratio(used.saturating_mul(WHOLE), 1000, passed_ms);
        let capacity = ratio(rate, WHOLE, look.busy);
        self.capacity = match self.capacity {
            0 => capacity,
            known => {
                // A tenth of what a second tells: looks are noisy.
                let share = passed_ms.min(1000);
                let old = known.saturating_mul(10_000_u64.saturating_sub(share));
                ratio(
                    old.saturating_add(capacity.saturating_mul(share)),
                    1,
                    10_000,
                )
            }
        };
    }

    fn steer(&mut self, look: &Look<'_>, passed_ms: u64) {
        let grown = scaled(self.rate, GROWTH, passed_ms);
        let fallen = scaled(self.rate, FALL, passed_ms);
        let aim = match self.capacity {
            0 => grown,
            capacity => ratio(ratio(capacity, BUSY_AIM, WHOLE), ONE, self.shows_up()),
        };
        let ceiling = self.ceilings.per_minute.map_or(u64::MAX, |per_minute| {
            ratio(u64::from(per_minute), WHOLE, 60)
        });
        self.rate = match look.hold_p99_ms > self.ceilings.hold_ms {
            true => fallen,
            false => grown.min(aim),
        }
        .max(RATE_LEAST)
        .min(ceiling);
    }

    /// How many more may be at the desk.
    fn room_at_the_desk(&self, look: &Look<'_>) -> u64 {
        let by_operator = self.ceilings.at_the_desk.map_or(u64::MAX, |most| {
            u64::from(most).saturating_sub(look.at_the_desk)
        });
        if look.free == 0 {
            return 0;
        }
        // Passes that are yet to be used for all that is free to be taken, and visitors for those.
        let may_promise = look.free.saturating_add(OVER_TICKETS);
        let passes = match look.uses {
            0 => may_promise,
            uses => ratio(may_promise, uses, look.tickets.max(1)),
        };
        let over = ratio(self.capacity, OVER_MS, WHOLE.saturating_mul(1000));
        // Nobody comes any more whose pass has ended, which only the desk knows.
        let expected = self.presence.expected().min(look.at_the_desk);
        let more = passes.saturating_add(over).saturating_sub(expected);
        by_operator.min(ratio(more, ONE, self.shows_up()))
    }

    /// The share of visitors who use their pass, in millionths; all of them until it is known.
    fn shows_up(&self) -> u64 {
        self.presence.share().unwrap_or(ONE)
    }
}

/// `value * over / under`, rounded down.
fn ratio(value: u64, over: u64, under: u64) -> u64 {
    let product = u128::from(value).saturating_mul(u128::from(over));
    let quotient = product.checked_div(u128::from(under)).unwrap_or(0);
    u64::try_from(quotient).unwrap_or(u64::MAX)
}

/// A value that changes by `factor` thousandths a second, after some milliseconds; straight instead
/// of bent, which is close enough between two looks.
fn scaled(value: u64, factor: u64, passed_ms: u64) -> u64 {
    let passed_ms = passed_ms.min(1000);
    let whole = WHOLE.saturating_mul(1000);
    let change = factor.abs_diff(WHOLE).saturating_mul(passed_ms);
    let scale = match factor >= WHOLE {
        true => whole.saturating_add(change),
        false => whole.saturating_sub(change),
    };
    ratio(value, scale, whole)
}
