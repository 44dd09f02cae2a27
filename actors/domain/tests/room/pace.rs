//! The law against a simulated sale: visitors who dawdle, stay away, take one to four tickets, and a
//! sale that serves so many a second, slower the longer its queue. Chance is seeded; the table is
//! printed (`cargo test -p domain --test room pace -- --nocapture`).

// The table is for people.
#![allow(clippy::disallowed_macros)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use domain::room::pace::{Ceilings, Look, Pace};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const TICK_MS: u64 = 50;
const LOOK_MS: u64 = 250;
const LIFE_MS: u64 = 600_000;
const HOLD_TARGET_MS: u32 = 250;

struct Chance(StdRng);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(StdRng::seed_from_u64(seed))
    }

    /// One to four.
    fn party(&mut self) -> u64 {
        self.0.random_range(1..=4)
    }

    /// In [0, 1).
    fn share(&mut self) -> f64 {
        self.0.random()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }
}

#[derive(Clone, Copy, Debug)]
struct Night {
    seed: u64,
    stock: u64,
    /// Passes the sale serves a second.
    capacity: f64,
    /// Of visitors, those who use their pass.
    shows_up: f64,
    /// Mean delay between pass and hold, beyond the second everybody needs.
    delay_ms: f64,
    ceilings: Ceilings,
}

#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// From the opening until nine tenths of the capacity were served, over two seconds.
    at_capacity_ms: Option<u64>,
    sold_out_ms: u64,
    shortest_ms: u64,
    /// Holds took more than twice what they may, at a stretch.
    slow_ms: u64,
    /// Let in, and found nothing any more.
    in_vain: u64,
    released: u64,
    most_released_a_minute: u64,
    most_at_the_desk: u64,
}

fn simulate(night: &Night) -> Course {
    let mut chance = Chance::new(night.seed);
    let mut pace = Pace::new(night.ceilings);
    let mut used: Vec<u64> = Vec::new();
    let mut look = Look {
        waiting: 100_000_000,
        free: night.stock,
        ..Look::default()
    };
    // Who comes to the sale when, and when they were let in.
    let mut coming: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut queue: VecDeque<(u64, u64)> = VecDeque::new();
    let mut ends: VecDeque<u64> = VecDeque::new();
    let mut released_of_minute: VecDeque<(u64, u64)> = VecDeque::new();
    let mut waits: Vec<u64> = Vec::new();
    let mut could_serve = 0.0;
    let (mut served_of_look, mut slow_since) = (0_u64, None);
    let mut served: VecDeque<(u64, u64)> = VecDeque::new();
    let mut course = Course {
        shortest_ms: (night.stock as f64 / 2.5 / night.capacity * 1000.0 + 1000.0) as u64,
        ..Course::default()
    };
    let mut now_ms = 0;
    while look.free > 0 {
        now_ms += TICK_MS;
        assert!(
            now_ms < 40 * course.shortest_ms,
            "never sold out: {night:?}"
        );
        while let Some(Reverse((at_ms, since_ms))) = coming.peek().copied()
            && at_ms <= now_ms
        {
            coming.pop();
            queue.push_back((at_ms, since_ms));
        }
        while ends.front().is_some_and(|end_ms| *end_ms <= now_ms) {
            ends.pop_front();
            look.at_the_desk -= 1;
        }
        could_serve = f64::min(
            could_serve + night.capacity * TICK_MS as f64 / 1000.0,
            night.capacity * 0.1 + 1.0,
        );
        let mut served_now = 0;
        while could_serve >= 1.0
            && let Some((at_ms, since_ms)) = queue.pop_front()
        {
            could_serve -= 1.0;
            served_now += 1;
            waits.push(5 + now_ms - at_ms);
            let wanted = chance.party();
            let taken = wanted.min(look.free);
            match taken {
                0 => course.in_vain += 1,
                _ => {
                    look.uses += 1;
                    used.push(since_ms);
                    look.tickets += taken;
                    look.free -= taken;
                    look.at_the_desk -= 1;
                }
            }
        }
        served_of_look += served_now;
        served.push_back((now_ms, served_now));
        while served
            .front()
            .is_some_and(|(at_ms, _)| at_ms + 2_000 <= now_ms)
        {
            served.pop_front();
        }
        let of_two_seconds: u64 = served.iter().map(|(_, count)| count).sum();
        if of_two_seconds as f64 >= 0.9 * 2.0 * night.capacity {
            course.at_capacity_ms.get_or_insert(now_ms);
        }
        if !now_ms.is_multiple_of(LOOK_MS) {
            continue;
        }
        waits.sort_unstable();
        let mut look_now = look;
        look_now.at_ms = now_ms;

        look_now.used = &used;
        look_now.hold_p99_ms = waits
            .get(waits.len() * 99 / 100)
            .map_or(0, |wait| *wait as u32);
        let full = night.capacity * LOOK_MS as f64 / 1000.0;
        // A busy share is measured a little wrongly.
        let noise = 0.95 + 0.1 * chance.share();
        look_now.busy = ((served_of_look as f64 / full * noise * 1000.0) as u64).min(1000);
        match look_now.hold_p99_ms > 2 * HOLD_TARGET_MS {
            true => {
                let since = *slow_since.get_or_insert(now_ms);
                course.slow_ms = course.slow_ms.max(now_ms - since + LOOK_MS);
            }
            false => slow_since = None,
        }
        waits.clear();
        served_of_look = 0;
        let up_to = pace.look(&look_now);
        used.clear();
        let more = up_to - look.released;
        for _ in 0..more {
            if chance.share() < night.shows_up {
                let delay_ms = 1000.0 + chance.exponential(night.delay_ms);
                coming.push(Reverse((now_ms + delay_ms as u64, now_ms)));
            } else {
                ends.push_back(now_ms + LIFE_MS);
            }
        }
        look.released += more;
        look.waiting -= more;
        look.at_the_desk += more;
        course.most_at_the_desk = course.most_at_the_desk.max(look.at_the_desk);
        released_of_minute.push_back((now_ms, more));
        while released_of_minute
            .front()
            .is_some_and(|(at_ms, _)| at_ms + 60_000 <= now_ms)
        {
            released_of_minute.pop_front();
        }
        let of_minute = released_of_minute.iter().map(|(_, count)| count).sum();
        course.most_released_a_minute = course.most_released_a_minute.max(of_minute);
    }
    course.sold_out_ms = now_ms;
    course.released = look.released;
    // Those on their way find nothing.
    course.in_vain += (coming.len() + queue.len()) as u64;
    course
}

fn night(shows_up: f64) -> Night {
    Night {
        seed: 1,
        stock: 80_000,
        capacity: 100.0,
        shows_up,
        delay_ms: 6_000.0,
        ceilings: Ceilings {
            per_minute: None,
            at_the_desk: None,
            hold_ms: HOLD_TARGET_MS,
        },
    }
}

#[test]
fn the_sale_is_kept_busy_and_never_flooded_whoever_shows_up() {
    println!("shows up | capacity | delay | at capacity | sold out / shortest | slow | in vain");
    for shows_up in [0.05, 0.1, 0.25, 0.5, 0.75, 0.95] {
        for (capacity, delay_ms, seed) in [
            (100.0, 6_000.0, 1),
            (500.0, 3_000.0, 2),
            (200.0, 9_000.0, 3),
        ] {
            let night = Night {
                seed,
                capacity,
                delay_ms,
                stock: (capacity * 1_600.0) as u64,
                ..night(shows_up)
            };
            let course = simulate(&night);
            let at_capacity_ms = course.at_capacity_ms.unwrap_or(u64::MAX);
            let longer = course.sold_out_ms as f64 / course.shortest_ms as f64;
            println!(
                "{shows_up:8} | {capacity:6}/s | {:4.0} s | {:9.1} s | {:6.1} s, {longer:6.3} | {:.1} s | {}",
                delay_ms / 1000.0,
                at_capacity_ms as f64 / 1000.0,
                course.sold_out_ms as f64 / 1000.0,
                course.slow_ms as f64 / 1000.0,
                course.in_vain,
            );
            assert!(at_capacity_ms <= 30_000, "{night:?}: {course:?}");
            assert!(course.slow_ms <= 5_000, "{night:?}: {course:?}");
            assert!(longer <= 1.1, "{night:?}: {course:?}");
        }
    }
}

#[test]
fn ceilings_are_never_passed() {
    let ceilings = Ceilings {
        per_minute: Some(1_200),
        at_the_desk: Some(90),
        hold_ms: HOLD_TARGET_MS,
    };
    let course = simulate(&Night {
        stock: 4_000,
        ceilings,
        ..night(1.0)
    });
    // And what one second saves up while the desk is full.
    assert!(course.most_released_a_minute <= 1_220, "{course:?}");
    assert!(course.most_at_the_desk <= 90, "{course:?}");
}

/// The last seats neither wait for one visitor after the other nor are promised many times over.
#[test]
fn few_are_let_in_for_nothing() {
    for shows_up in [0.05, 0.5, 0.95] {
        let night = night(shows_up);
        let course = simulate(&night);
        // What the sale serves in two seconds and a half.
        assert!(course.in_vain as f64 <= 2.5 * night.capacity, "{course:?}");
    }
}

#[test]
fn a_sale_that_stands_still_gets_few_visitors() {
    let mut pace = Pace::new(night(1.0).ceilings);
    let mut look = Look {
        waiting: 1_000_000,
        free: 1_000_000,
        hold_p99_ms: 60_000,
        ..Look::default()
    };
    for _ in 0..400 {
        look.at_ms += LOOK_MS;
        look.released = pace.look(&look);
    }
    assert_eq!(pace.rate(), 1_000, "one a second");
    assert_eq!(pace.capacity(), None);
    // 50 a second, falling by a fifth a second: some 250 before it is down to one a second.
    assert!(look.released < 400, "{}", look.released);
}

/// A pass that has ended is used by nobody: others come in its place, however few have bought so far.
#[test]
fn who_let_their_pass_run_out_is_not_waited_for() {
    const PASS_LIFE_MS: u64 = 10_000;
    let mut pace = Pace::new(night(1.0).ceilings);
    let mut let_in: Vec<(u64, u64)> = Vec::new();
    let mut look = Look {
        waiting: 1_000,
        free: 5,
        ..Look::default()
    };
    for _ in 0..240 {
        look.at_ms += LOOK_MS;
        let has_pass = |(then_ms, _): &&(u64, u64)| then_ms + PASS_LIFE_MS > look.at_ms;
        look.at_the_desk = let_in.iter().filter(has_pass).map(|(_, more)| more).sum();
        let up_to = pace.look(&look);
        let_in.push((look.at_ms, up_to - look.released));
        look.released = up_to;
    }
    assert!(look.released >= 60, "{} in a minute", look.released);
}

#[test]
fn nobody_is_let_in_for_nothing_or_twice() {
    let mut pace = Pace::new(night(1.0).ceilings);
    let look = |at_ms, waiting, free| Look {
        at_ms,
        waiting,
        free,
        released: 7,
        ..Look::default()
    };
    assert_eq!(pace.look(&look(0, 50, 50)), 7, "the first look only looks");
    assert_eq!(pace.look(&look(1_000, 3, 50)), 10, "three wait");
    assert_eq!(pace.look(&look(1_000, 50, 50)), 7, "no time has passed");
    assert_eq!(pace.look(&look(2_000, 50, 0)), 7, "nothing is left");
    assert_eq!(pace.look(&look(1_500, 50, 9)), 7, "time went back");
}

/// What is told as aimed at is what an alarm compares with who came in.
#[test]
fn nobody_is_aimed_at_who_is_kept_out_on_purpose() {
    let mut pace = Pace::new(night(1.0).ceilings);
    let mut look = Look {
        waiting: 10_000_000,
        free: 1_000,
        ..Look::default()
    };
    pace.look(&look);
    assert_eq!(pace.aim(), 0, "the first look only looks");
    for _ in 0..80 {
        look.at_ms += LOOK_MS;
        let up_to = pace.look(&look);
        look.at_the_desk += up_to - look.released;
        look.released = up_to;
    }
    assert_eq!(look.released, 1_010, "all that is free is promised");
    assert!(pace.rate() > 50_000, "which is not why the law is slower");
    assert_eq!(pace.aim(), 0);

    // Ten seats come to be free, then more than anybody lets in at once.
    look.at_ms += LOOK_MS;
    look.free += 10;
    assert_eq!(pace.look(&look), 1_020);
    assert_eq!(pace.aim(), 40_000, "ten in a quarter of a second");
    look.at_ms += LOOK_MS;
    look.free = 1_000_000;
    pace.look(&look);
    assert_eq!(pace.aim(), pace.rate());

    // An open room into which a few come now and then.
    look.at_ms += LOOK_MS;
    look.waiting = 5;
    pace.look(&look);
    assert_eq!(pace.aim(), 20_000, "five in a quarter of a second");
}
