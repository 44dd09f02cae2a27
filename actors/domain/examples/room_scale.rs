//! What a waiting room costs: memory of a visitor, joins, the shuffle, places told, letting in, and
//! the proof.
//!
//! `cargo run --release -p domain --example room_scale [visitors]` (a million without) counts what the
//! allocator hands out, the most of it at any time included. Seconds are the processor's where the system
//! tells them (Linux), so that what else runs on the machine hardly counts.

// The rules of purity are for the sale: this prints, and counts with atomics and a clock.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use domain::ids::{ChannelId, PartnerId, VisitorId};
use domain::room::pace::Ceilings;
use domain::room::shuffle::{Seed, verify};
use domain::room::{Arrival, LaneRules, Plan, Room};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let before = TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        MOST.fetch_max(before + layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn id(visitor: u64) -> VisitorId {
    let mixed = visitor.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    VisitorId(u128::from(mixed) << 64 | u128::from(mixed.rotate_left(29)))
}

/// Seconds that this thread has run.
fn ran_s() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = told.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn timed(act: impl FnOnce()) -> f64 {
    let (start, ran) = (Instant::now(), ran_s());
    act();
    match (ran, ran_s()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_secs_f64(),
    }
}

/// Does something to each visitor and says how many a second.
fn pass(what: &str, visitors: u64, mut each: impl FnMut(u64)) {
    let seconds = timed(|| (0..visitors).for_each(&mut each));
    let rate = visitors as f64 / seconds / 1e6;
    println!("{what}: {seconds:.3} s, {rate:.2} million/s");
}

fn main() {
    let visitors: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse().expect("how many visitors?"),
        None => 1_000_000,
    };
    let everybodys = LaneRules {
        channel: None,
        class: None,
        weight: 1,
    };
    let plan = Plan {
        lobby_at_ms: 0,
        open_at_ms: 1_000_000,
        seed: Seed([7; 32]),
        waits_for_beacon: false,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: vec![everybodys],
    };
    let before = TAKEN.load(Ordering::Relaxed);
    let mut room = Room::new(1, plan).expect("a valid plan");
    pass("joins", visitors, |visitor| {
        let arrival = Arrival {
            visitor: id(visitor),
            partner: PartnerId(1),
            channel: ChannelId(1),
            class: 0,
            party: 1,
        };
        room.join(&arrival, visitor / 1_000).expect("room for all");
    });
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    let most = MOST.load(Ordering::Relaxed) - before;
    println!(
        "memory: {:.1} MB, {:.1} MB at most while it grew, {:.1} bytes a visitor",
        megabytes(taken),
        megabytes(most),
        taken as f64 / visitors as f64,
    );
    println!("opening: {:.6} s", timed(|| room.pass_time(1_000_000)));
    let mut sum = 0_u64;
    pass("places told (the shuffle)", visitors, |visitor| {
        let status = room.status(id(visitor)).expect("has come");
        sum = sum.wrapping_add(u64::from(status.number));
    });
    assert_eq!(sum, visitors * (visitors - 1) / 2);
    let mut released = 0;
    pass("letting in", visitors, |visitor| {
        room.release(visitor + 1, u32::MAX, 1_000_000 + visitor / 1_000, |_| {
            released += 1
        });
    });
    assert_eq!(released, visitors);
    let proof = || assert_eq!(verify(&room.evidence(), &room.lines()), Ok(()));
    println!("verified: {:.3} s", timed(proof));
}
