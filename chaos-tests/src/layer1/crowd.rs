//! Who asks: buyers as in life, and their calls back.
//!
//! Every kind of buyer is a partner of its own, so that what a caller does with an answer follows from
//! who asked. Time here is true time; leaders stamp with clocks of their own.

mod wishes;

use domain::outcome::{Done, Outcome};
use domain::rejection::Rejection;
use domain::venue::{SectionPlan, Venue};
use rand::RngExt as _;

use crate::layer1::Draw;
use crate::layer1::asked::{Action, Call};
use crate::layer1::errands::Errands;
use crate::layer1::faults::{Counts, Fault};
use crate::layer1::plan::{Habits, Plan, Strengths, rules};

pub const RUSH: u32 = 1;
pub const FAMILIES: u32 = 2;
pub const HOARDERS: u32 = 3;
pub const RESELLERS: u32 = 4;
pub const BOTS: u32 = 5;
pub const OFFICE: u32 = 6;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// True time at the start of every run, Unix milliseconds.
pub const START_MS: u64 = 1_795_000_000_000;

/// Ids and keys of the recent past, some of them no longer good.
const PAST: usize = 64;

pub struct Crowd {
    draw: Draw,
    habits: Habits,
    strengths: Strengths,
    venue: Venue,
    /// Seats of each seated section; `None` is general admission.
    sections: Vec<Option<u32>>,
    pub now_ms: u64,
    number: u64,
    errands: Errands,
    holds: Vec<u128>,
    orders: Vec<(u32, u128)>,
    keys: Vec<(u32, u128)>,
    pub happened: Counts,
}

impl Crowd {
    pub fn new(plan: &Plan, draw: Draw) -> Crowd {
        let seats = |section: &SectionPlan| match section {
            SectionPlan::Seated { rows, .. } => {
                Some(rows.iter().map(|row| row.seats.len() as u32).sum())
            }
            SectionPlan::General { .. } => None,
        };
        Crowd {
            draw,
            habits: plan.habits,
            strengths: plan.faults,
            venue: plan.venue.clone(),
            sections: plan.venue.sections.iter().map(seats).collect(),
            now_ms: START_MS,
            number: 0,
            errands: Errands::default(),
            holds: Vec::new(),
            orders: Vec::new(),
            keys: Vec::new(),
            happened: Counts::default(),
        }
    }

    fn hits(&mut self, in_10_000: u32) -> bool {
        in_10_000 > 0 && self.draw.random_range(0..10_000) < in_10_000
    }

    /// The next call that somebody makes.
    pub fn next_call(&mut self) -> Call {
        if self.number == 0 {
            return self.call(OFFICE, Action::Open);
        }
        if self.hits(self.strengths.night) {
            self.happened.count(Fault::Night);
            self.now_ms += DAY_MS + self.draw.random_range(0..3_600_000);
        }
        self.now_ms += self.draw.random_range(0..=self.habits.gap_max_ms);
        if let Some(next_ms) = self.errands.next_ms()
            && next_ms > self.now_ms
            && next_ms < self.now_ms + 600_000
            && self.draw.random_range(0..4) == 0
        {
            // Nobody new comes until somebody calls back.
            self.now_ms = next_ms;
        }
        if let Some(errand) = self.errands.take_due(self.now_ms) {
            if let Some(fault) = errand.fault {
                self.happened.count(fault);
            }
            return errand.call;
        }
        let call = self.arrival();
        let call = self.spoil_key(call);
        self.echo(&call);
        call
    }

    /// Sends the call again some time, or long after.
    fn echo(&mut self, call: &Call) {
        if self.hits(self.strengths.duplicate) {
            for _ in 0..self.draw.random_range(1..=3) {
                let due_ms = self.now_ms + self.draw.random_range(0..30_000);
                self.errands
                    .add(due_ms, call.clone(), Some(Fault::DuplicateCallback));
            }
        }
        if self.hits(self.strengths.old_key) {
            let due_ms = self.now_ms + DAY_MS + self.draw.random_range(0..600_000);
            self.errands.add(due_ms, call.clone(), Some(Fault::OldKey));
        }
    }

    fn spoil_key(&mut self, mut call: Call) -> Call {
        if !self.hits(self.strengths.bad_key) {
            return call;
        }
        match self.draw.random_range(0..3) {
            0 => {
                self.happened.count(Fault::KeyMissing);
                call.key = 0;
            }
            1 => {
                self.happened.count(Fault::KeyFromFuture);
                call.key = key(self.now_ms + 3 * 3_600_000, self.number);
            }
            _ if !self.keys.is_empty() => {
                self.happened.count(Fault::KeyReused);
                (call.partner, call.key) = self.keys[self.draw.random_range(0..self.keys.len())];
            }
            _ => {}
        }
        call
    }

    /// A fresh call with a fresh key.
    fn call(&mut self, partner: u32, action: Action) -> Call {
        self.number += 1;
        let call = Call {
            partner,
            channel: channel_of(partner),
            key: key(self.now_ms, self.number),
            hash: self.number,
            action,
        };
        let recent = (partner, call.key);
        remember(&mut self.keys, recent, self.number);
        call
    }

    fn fresh_id(&mut self) -> u128 {
        // Random above, so that the sequence of ids is not the sequence of time.
        u128::from(self.draw.random::<u64>()) << 64 | u128::from(self.number + 1)
    }

    fn arrival(&mut self) -> Call {
        let Habits {
            rush,
            families,
            hoarders,
            resellers,
            bots,
            office,
            ..
        } = self.habits;
        let mut left = self.draw.random_range(0..100_u32);
        for (share, partner) in [
            (office, OFFICE),
            (rush, RUSH),
            (families, FAMILIES),
            (hoarders, HOARDERS),
            (resellers, RESELLERS),
            (bots, BOTS),
        ] {
            if left < share {
                return match partner {
                    OFFICE => self.office(),
                    BOTS if self.draw.random_range(0..3) == 0 => self.meddle(),
                    buyer => self.place(buyer),
                };
            }
            left -= share;
        }
        self.place(RUSH)
    }

    fn place(&mut self, partner: u32) -> Call {
        let hold = match self.holds.is_empty() || self.draw.random_range(0..40) > 0 {
            true => self.fresh_id(),
            false => self.known_hold(),
        };
        let place = self.wish(partner, hold);
        let call = self.call(partner, Action::Place(Box::new(place)));
        remember(&mut self.holds, hold, self.number);
        if self.hits(self.strengths.reordered) {
            // The payment's callback overtakes the hold.
            let order = self.fresh_id();
            let due_ms = self.now_ms + self.draw.random_range(1..5_000);
            self.errands.add(due_ms, call, None);
            self.happened.count(Fault::ReorderedCallback);
            return self.call(partner, Action::Confirm { hold, order });
        }
        call
    }

    fn known_hold(&mut self) -> u128 {
        match self.holds.len() {
            0 => 1,
            len => self.holds[self.draw.random_range(0..len)],
        }
    }

    fn known_order(&mut self) -> (u32, u128) {
        match self.orders.len() {
            0 => (BOTS, 1),
            len => self.orders[self.draw.random_range(0..len)],
        }
    }

    /// Somebody tries what may not be theirs, or what is long gone.
    fn meddle(&mut self) -> Call {
        let (hold, (owner, order)) = (self.known_hold(), self.known_order());
        let partner = match self.draw.random_range(0..4) {
            0 => BOTS,
            _ => owner,
        };
        let action = match self.draw.random_range(0..8) {
            0 | 1 => Action::Confirm {
                hold,
                order: self.fresh_id(),
            },
            2 => Action::Confirm { hold, order },
            3 => Action::Release { hold },
            4 => Action::Extend {
                hold,
                ttl_ms: self.draw.random_range(0..2_000_000),
            },
            _ => Action::Cancel { order },
        };
        self.call(partner, action)
    }

    fn office(&mut self) -> Call {
        let action = match self.draw.random_range(0..16) {
            0..=2 => Action::Block(self.chosen_seats(4)),
            3..=5 => Action::Unblock(self.chosen_seats(2)),
            6 => Action::Pause,
            7..=9 => Action::Resume,
            10 => Action::Open,
            11 if self.draw.random_range(0..40) == 0 => Action::Close,
            12 | 13 => Action::Reopen,
            14 => {
                let mut wanted = rules(&mut self.draw, &self.venue);
                if self.draw.random_range(0..6) == 0 {
                    wanted.hold_ttl_ms = 0;
                }
                Action::SetRules(Box::new(wanted))
            }
            _ => Action::Expire,
        };
        self.call(OFFICE, action)
    }

    /// What the caller does now that the answer is known.
    pub fn learn(&mut self, call: &Call, outcome: &Outcome) {
        let done = match outcome {
            Outcome::Done(done) => done,
            Outcome::Rejected(Rejection::SoldOut {
                next_deadline_ms, ..
            }) => return self.wait_for_returns(*next_deadline_ms),
            Outcome::Rejected(Rejection::ChannelQuota { .. }) => {
                return self.wait_for_returns(self.now_ms);
            }
            Outcome::Rejected(_) => return,
        };
        match &call.action {
            Action::Place(place) => self.held(call.partner, place.hold, done),
            Action::Confirm { order, .. } => self.paid(call.partner, *order),
            Action::Extend { hold, .. } if self.draw.random_range(0..2) == 0 => {
                self.pay(call.partner, *hold, done.deadline_ms);
            }
            Action::Pause => {
                let resume = self.call(OFFICE, Action::Resume);
                let within_ms = 20 * (self.habits.gap_max_ms + 1);
                let due_ms = self.now_ms + self.draw.random_range(0..within_ms);
                self.errands.add(due_ms, resume, None);
            }
            _ => {}
        }
    }

    /// Sold out: at times everybody waits for holds to end, or somebody gives an order back.
    fn wait_for_returns(&mut self, next_deadline_ms: u64) {
        match self.draw.random_range(0..32) {
            0 if next_deadline_ms < self.now_ms + DAY_MS => {
                self.now_ms = self.now_ms.max(next_deadline_ms);
            }
            1..=3 => {
                let (owner, order) = self.known_order();
                let within_ms = 10 * (self.habits.gap_max_ms + 1);
                self.later(owner, Action::Cancel { order }, within_ms);
            }
            4 => self.later(OFFICE, Action::Reopen, 20 * (self.habits.gap_max_ms + 1)),
            _ => {}
        }
    }

    /// The caller was not told: the same call with the same key, later.
    pub fn ask_again(&mut self, call: &Call) {
        let due_ms = self.now_ms + self.draw.random_range(10..60_000);
        self.errands.add(due_ms, call.clone(), None);
    }

    fn held(&mut self, partner: u32, hold: u128, done: &Done) {
        let (pays, gives_back, extends) = match partner {
            RUSH => (85, 5, 0),
            FAMILIES => (65, 5, 20),
            HOARDERS => (15, 25, 50),
            RESELLERS => (90, 5, 2),
            _ => (50, 20, 10),
        };
        let drawn = self.draw.random_range(0..100);
        if drawn < pays {
            self.pay(partner, hold, done.deadline_ms);
        } else if drawn < pays + gives_back {
            self.later(partner, Action::Release { hold }, 40_000);
        } else if drawn < pays + gives_back + extends {
            let ttl_ms = match self.draw.random_range(0..3) {
                0 => 0,
                _ => self.draw.random_range(1..2_500_000),
            };
            self.later(partner, Action::Extend { hold, ttl_ms }, 25_000);
        }
    }

    fn later(&mut self, partner: u32, action: Action, within_ms: u64) {
        let due_ms = self.now_ms + self.draw.random_range(0..within_ms);
        let call = self.call(partner, action);
        self.echo(&call);
        self.errands.add(due_ms, call, None);
    }

    fn pay(&mut self, partner: u32, hold: u128, deadline_ms: u64) {
        let order = self.fresh_id();
        let call = self.call(partner, Action::Confirm { hold, order });
        self.echo(&call);
        if self.hits(self.strengths.late) {
            let late_ms = deadline_ms.max(self.now_ms) + self.draw.random_range(0..60_000);
            self.errands.add(late_ms, call, Some(Fault::LateCallback));
            return;
        }
        let due_ms = self.now_ms + self.draw.random_range(500..20_000);
        if self.hits(self.strengths.reordered) {
            let cancel = self.call(partner, Action::Cancel { order });
            self.errands.add(
                due_ms.saturating_sub(400),
                cancel,
                Some(Fault::ReorderedCallback),
            );
        }
        self.errands.add(due_ms, call, None);
    }

    fn paid(&mut self, partner: u32, order: u128) {
        remember(&mut self.orders, (partner, order), self.number);
        let regrets = match partner {
            RESELLERS => 40,
            HOARDERS => 30,
            _ => 12,
        };
        if self.draw.random_range(0..100) < regrets {
            self.later(partner, Action::Cancel { order }, 120_000);
        }
    }
}

/// Keeps the last few.
fn remember<T>(past: &mut Vec<T>, new: T, number: u64) {
    match past.len() < PAST {
        true => past.push(new),
        false => past[number as usize % PAST] = new,
    }
}

/// A key made at this time: the form of a UUIDv7.
fn key(made_at_ms: u64, number: u64) -> u128 {
    u128::from(made_at_ms) << 80 | 7 << 76 | u128::from(number)
}

fn channel_of(partner: u32) -> u16 {
    match partner {
        BOTS => RUSH as u16,
        partner => partner as u16,
    }
}
