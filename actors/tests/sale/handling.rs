//! How long the actors of a sale and of its waiting room take, and what waits for them, as it is counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::codec::answer::Answer;
use actors::faults::Faults;
use actors::{Config, SaleHandle};
use domain::command::Command;
use domain::ids::VisitorId;
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, Plan};
use domain::rules::SaleRules;
use tokio::time::sleep;

use crate::solo::*;

#[tokio::test]
async fn one_round_of_eight_is_timed() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    for hold in 1..=40 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    // A round takes the call and another its delivery; more come with reads and ticks.
    let timed = solo.metric("onsale_sale_round_seconds");
    assert!((5.0..40.0).contains(&timed), "{timed}");
    assert_eq!(sale.queued_messages(), 0);
}

const VISITORS: u128 = 100;

/// A room with visitors whose time has come.
async fn open_room(solo: &Solo) -> SaleHandle {
    let sale = solo.announce_sale(1, 100, &SaleRules::default()).await;
    let plan = Plan {
        lobby_at_ms: NOW_MS - 1_000,
        open_at_ms: NOW_MS + 1_000,
        seed: Seed([1; 32]),
        waits_for_beacon: false,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: vec![LaneRules {
            channel: None,
            class: None,
            weight: 1,
        }],
    };
    let mut commands = vec![Command::OpenRoom(Box::new(plan))];
    commands.extend((1..=VISITORS).map(|visitor| Command::JoinRoom {
        visitor: VisitorId(visitor),
        class: 0,
        party: 1,
    }));
    for command in commands {
        let answer = solo.ask(&sale, command).await;
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    }
    solo.clock.0.store(NOW_MS + 2_000, Ordering::SeqCst);
    sale
}

/// Time goes by, on the node's clock too.
async fn pass(solo: &Solo, ms: u64) {
    for _ in 0..ms / 20 {
        sleep(Duration::from_millis(20)).await;
        solo.clock.0.fetch_add(20, Ordering::SeqCst);
    }
}

async fn let_in(sale: &SaleHandle) -> u64 {
    let report = sale.room().await.expect("is here").expect("has a room");
    report.room.census.released
}

#[tokio::test(start_paused = true)]
async fn looks_at_a_room_are_timed_and_those_due_behind_one_that_takes_long_are_made_as_one() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = open_room(&solo).await;
    while let_in(&sale).await == 0 {
        pass(&solo, 20).await;
    }
    assert_eq!(sale.flow().looks_due(), 0);
    assert!(solo.metric("onsale_queue_look_seconds") >= 1.0);

    // The log decides nothing any more: the next look waits for its release.
    solo.commit(false);
    pass(&solo, 1_500).await;
    let due = sale.flow().looks_due();
    assert!((3..=6).contains(&due), "{due}");

    let looks = solo.metric("onsale_queue_look_seconds");
    solo.commit(true);
    pass(&solo, 220).await;
    let made = solo.metric("onsale_queue_look_seconds") - looks;
    assert!((1.0..=3.0).contains(&made), "{made} looks at once");
    while let_in(&sale).await < VISITORS as u64 {
        pass(&solo, 100).await;
    }
    assert_eq!(sale.flow().looks_due(), 0);

    // Who leads no more has nothing to look at.
    solo.lead(None).await;
    pass(&solo, 1_000).await;
    assert_eq!(sale.flow().looks_due(), 0);
}
