//! An actor that fails by a bug of its own, which is not the sale's logic: nobody waits for ever, it is
//! counted, the replica of its group stops, other groups sell on, and what the log has is there again
//! when the replica is built anew.
//!
//! The bug stands in whoever is to be answered: that code is the caller's, and runs in the actor.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::calls::{Answers, Calls};
use actors::codec::answer::{Answer, FailureReason};
use actors::faults::Faults;
use actors::sale::ReadFailure;
use actors::{Config, SaleHandle};
use bytes::Bytes;
use domain::ids::{HoldId, IdempotencyKey, SaleId};
use domain::rules::SaleRules;
use domain::sale::HoldNow;
use tokio::time::Instant;

use crate::solo::*;

const NO_LEADER: Answer = Answer::Failed {
    reason: FailureReason::NoLeader,
    retry_after_ms: 0,
};

struct Trap;

impl Answers for Trap {
    fn answer(&self, _: Bytes, _: u32) {
        panic!("a bug of who is answered");
    }
}

fn record(key: IdempotencyKey, hold: u128) -> Vec<u8> {
    let mut record = Vec::new();
    put_record(key, hold_one(hold), &mut record);
    record
}

/// The sale's actor fails at the next look, when it tells a caller that there is no time left.
fn set_a_trap(solo: &Solo, sale: &SaleHandle) {
    let calls = Calls {
        records: record(solo.key(), 99).into(),
        call_ids: [0].into_iter().collect(),
        deadline: Instant::now(),
        answers: Arc::new(Trap),
        trace: None,
    };
    assert!(sale.submit(calls).is_ok());
}

async fn failed(solo: &Solo) {
    let counted = async {
        while solo.metric("onsale_sale_actors_failed_total") == 0.0 {
            // By the node's clock a sale looks whether its callers still wait.
            solo.clock.0.fetch_add(50, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), counted).await;
    waited.expect("is counted");
}

async fn stopped(solo: &Solo) {
    let mut stopped = solo.group.stopped.subscribe();
    let stopped = stopped.wait_for(|stopped| *stopped);
    let waited = tokio::time::timeout(Duration::from_secs(10), stopped).await;
    waited.expect("the replica stops").expect("is told");
}

#[tokio::test]
async fn nobody_waits_for_an_actor_that_failed_and_what_the_log_has_comes_back() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let beside = solo.beside().await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    let other = beside.open_sale(2, 1, &SaleRules::default()).await;
    let kept = solo.ask(&sale, hold_one(1)).await;
    assert!(matches!(kept, Answer::Done { .. }), "{kept:?}");

    solo.commit(false);
    let key = solo.key();
    let long = Duration::from_secs(30);
    let mut under_way = solo.submit(&sale, record(key, 2), long);
    while sale.summary().await.expect("reads").in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let mut waits = solo.submit(&sale, record(solo.key(), 3), long);
    set_a_trap(&solo, &sale);
    failed(&solo).await;
    assert_eq!(solo.metric("onsale_sale_actors_failed_total"), 1.0);
    assert_eq!(
        under_way.next().await.1,
        Answer::Unknown,
        "may still happen"
    );
    assert_eq!(waits.next().await.1, NO_LEADER, "was not tried");
    assert_eq!(solo.ask(&sale, hold_one(4)).await, NO_LEADER, "afterwards");
    let read = sale.summary().await;
    assert_eq!(read.err(), Some(ReadFailure::Stopped));

    solo.commit(true);
    stopped(&solo).await;
    assert_eq!(under_way.try_next(), None, "answered once");
    assert_eq!(waits.try_next(), None, "answered once");
    let sells = beside.ask(&other, hold_one(1)).await;
    assert!(matches!(sells, Answer::Done { .. }), "{sells:?}");
    assert_eq!(solo.metric("onsale_sale_frozen"), 0.0, "its logic is sound");

    // Another node, or this one started again, has the log.
    let anew = Solo::start(Config::default(), Faults::default()).await;
    let log = solo.group.log().clone();
    for entry in log {
        anew.machine.deliver(entry).await.expect("delivers");
    }
    let sale = anew.sales.get(SaleId(1)).expect("is here");
    for hold in [1, 2] {
        let now = sale.hold(HoldId(hold)).await.expect("reads");
        assert!(matches!(now, HoldNow::Held(_)), "{hold}: {now:?}");
    }
    let again = anew.ask_with_key(&sale, key, hold_one(2)).await;
    assert!(matches!(again, Answer::Done { .. }), "{again:?}");
}

/// Nobody gets through to such a sale any more, so no call of its own makes the replica look.
#[tokio::test]
async fn the_replica_of_a_group_at_rest_stops_too() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    set_a_trap(&solo, &sale);
    failed(&solo).await;
    stopped(&solo).await;
}
