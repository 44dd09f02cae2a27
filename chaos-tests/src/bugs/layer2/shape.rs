//! What a hunt changes of a plan, so that its bug has consequences that somebody can see.

use std::time::Duration;

use cluster::disk::memory::Faults;

use crate::sim::plan::{Plan, Times};

const FAST: Times = Times {
    heartbeat: 40,
    election_min: 150,
    election_max: 250,
};
const SLOW: Times = Times {
    heartbeat: 250,
    election_min: 1_000,
    election_max: 1_500,
};

/// One fault at a time, so that the rest has a majority that goes on, and many who look.
pub fn watched(plan: &mut Plan) {
    plan.times = FAST;
    plan.overlaps = false;
    plan.watchers = 6;
}

/// A new leader whose own disk is the slower one has a quorum's answer before it has applied what the
/// old one acknowledged. Few buyers: behind an acknowledgement no entry tells the others at once.
pub fn watched_closely(plan: &mut Plan) {
    plan.times = SLOW;
    plan.rows = 20;
    plan.standing = 200;
    plan.workers = 5;
    plan.rest_ms = 200;
    plan.watchers = 12;
    plan.disk = slow_syncs(5..300);
}

/// A leader that is none any more takes itself for one for as long as possible.
pub fn deposed(plan: &mut Plan) {
    plan.times = SLOW;
    plan.overlaps = false;
    plan.watchers = 6;
    // Longer than a connection that lost something lives.
    plan.call_timeout = Duration::from_secs(4);
}

/// As above, where mostly nothing is left to buy.
pub fn sold_out(plan: &mut Plan) {
    deposed(plan);
    plan.rows = 6;
    plan.standing = 20;
    plan.workers = 10;
    plan.rest_ms = 60;
}

/// Writes of many sectors (a node that comes back gets all that it missed as entries), and power that
/// fails again before what the first cut left has been written over.
pub fn torn(plan: &mut Plan) {
    plan.times = FAST;
    plan.workers = 60;
    plan.rest_ms = 20;
    plan.rows = 20;
    plan.standing = 200;
    plan.keep_entries = 400;
    plan.snapshot_after_bytes = 256 << 10;
    plan.disk = slow_syncs(30..80);
    plan.between_ms = 1_000;
    plan.safety = Duration::from_secs(60);
}

/// Much is under way when a leader loses its leadership, and callers' time ends soon after.
pub fn hurried(plan: &mut Plan) {
    plan.times = FAST;
    plan.overlaps = false;
    plan.workers = 24;
    plan.rest_ms = 20;
    plan.rows = 20;
    plan.standing = 200;
    plan.sessions_percent = 0;
    plan.call_timeout = Duration::from_millis(360);
    plan.between_ms = 1_000;
    plan.disk = slow_syncs(15..35);
}

/// Callers whose time ends while their calls are being written.
pub fn impatient(plan: &mut Plan) {
    plan.times = SLOW;
    plan.rows = 20;
    plan.standing = 200;
    plan.sessions_percent = 0;
    plan.call_timeout = Duration::from_millis(200);
    plan.disk = slow_syncs(40..150);
}

/// Visitors gather, come late, go, and are let in all the time; few buyers are in their way.
pub fn queued(plan: &mut Plan) {
    plan.times = FAST;
    plan.rooms = plan.sales;
    plan.rotates_key = false;
    plan.wary = false;
    plan.visitors = 24;
    plan.workers = 2;
    plan.rest_ms = 40;
}

/// As above, with an operator at every room.
pub fn run(plan: &mut Plan) {
    queued(plan);
    plan.operators = true;
}

/// As above, at nodes that are wary.
pub fn wary(plan: &mut Plan) {
    run(plan);
    plan.wary = true;
}

/// As above, where mostly too little is left for a party.
pub fn scarce(plan: &mut Plan) {
    queued(plan);
    plan.rows = 3;
    plan.standing = 4;
}

/// As `run`, while a leader that is none any more takes itself for one for as long as possible.
pub fn claimed(plan: &mut Plan) {
    run(plan);
    plan.times = SLOW;
    plan.overlaps = false;
    plan.rows = 20;
    plan.standing = 200;
    plan.call_timeout = Duration::from_secs(4);
}

/// Leaders die with much under way, which others have; callers' time ends before there is another leader.
pub fn cut_short(plan: &mut Plan) {
    plan.times = SLOW;
    plan.workers = 24;
    plan.rest_ms = 20;
    plan.rows = 20;
    plan.standing = 200;
    plan.sessions_percent = 0;
    plan.call_timeout = Duration::from_millis(600);
    plan.disk = slow_syncs(10..30);
}

/// Calls are repeated when another node leads.
pub fn repeated(plan: &mut Plan) {
    plan.times = FAST;
    plan.repeats_after_ms = 3_000;
}

fn slow_syncs(sync_ms: std::ops::Range<u64>) -> Faults {
    Faults {
        sync_ms: Some(sync_ms),
        ..Faults::default()
    }
}
