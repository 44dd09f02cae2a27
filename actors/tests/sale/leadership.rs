use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::Config;
use actors::codec::answer::{Answer, FailureReason};
use actors::faults::Faults;
use bytes::Bytes;
use cluster::group::Group as _;
use domain::rules::SaleRules;

use crate::solo::*;

fn no_leader(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Failed {
            reason: FailureReason::NoLeader,
            ..
        }
    )
}

#[tokio::test]
async fn a_replica_that_does_not_lead_says_so() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    solo.lead(None).await;
    assert!(no_leader(&solo.ask(&sale, hold_one(1)).await));
    solo.lead(Some(2)).await;
    assert!(matches!(
        solo.ask(&sale, hold_one(1)).await,
        Answer::Done { .. }
    ));
}

#[tokio::test]
async fn losing_leadership_resolves_every_caller() {
    let config = Config {
        batch_commands: 5,
        in_flight: 2,
        ..Config::default()
    };
    let solo = Solo::start(config, Faults::default()).await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    solo.commit(false);
    let mut records = Vec::new();
    for hold in 1..=20 {
        put_record(solo.key(), hold_one(hold), &mut records);
    }
    let mut answers = solo.submit(&sale, records, Duration::from_secs(30));
    while sale.summary().await.expect("reads").in_flight < 2 {
        tokio::task::yield_now().await;
    }
    // One proposal's fate is unknown, the other was certainly not appended, the rest waited.
    solo.group.lose_next.store(1, Ordering::SeqCst);
    solo.lead(None).await;
    solo.commit(true);
    let (mut unknown, mut failed) = (0, 0);
    for _ in 0..20 {
        match answers.next().await.1 {
            Answer::Unknown => unknown += 1,
            answer if no_leader(&answer) => failed += 1,
            answer => panic!("{answer:?}"),
        }
    }
    assert_eq!((unknown, failed), (5, 15));
    assert_eq!(sale.summary().await.expect("reads").counts.held, 0);
}

#[tokio::test]
async fn a_proposal_of_an_old_term_has_no_effect() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    solo.commit(false);
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    let mut answers = solo.submit(&sale, records, Duration::from_secs(30));
    while sale.summary().await.expect("reads").in_flight == 0 {
        tokio::task::yield_now().await;
    }
    solo.lead(None).await;
    solo.lead(Some(2)).await;
    solo.commit(true);
    assert!(no_leader(&answers.next().await.1));
    assert_eq!(sale.summary().await.expect("reads").counts.free, 10);
}

/// The alarm stands on the node's clock: it goes on until the task is ended.
fn tick(solo: &Solo) -> tokio::task::JoinHandle<()> {
    let clock = solo.clock.clone();
    tokio::spawn(async move {
        loop {
            clock.0.fetch_add(25, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// That nothing was tried.
async fn is_told_at_the_deadline(solo: &Solo, mut answers: Collected) {
    let ticking = tick(solo);
    let told = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
    ticking.abort();
    let late = Answer::Failed {
        reason: FailureReason::DeadlinePassed,
        retry_after_ms: 0,
    };
    assert_eq!(told.expect("is told").1, late);
}

#[tokio::test]
async fn a_caller_in_flight_is_told_unknown_at_its_deadline() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    solo.commit(false);
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    let mut answers = solo.submit(&sale, records, Duration::from_millis(50));
    let ticking = tick(&solo);
    assert!(matches!(answers.next().await.1, Answer::Unknown));
    ticking.abort();
    solo.commit(true);
    while sale.summary().await.expect("reads").counts.held == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(answers.try_next(), None, "answered once");
}

#[tokio::test]
async fn a_caller_that_waits_behind_a_stuck_proposal_is_told_at_its_deadline() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    solo.commit(false);
    let mut first = Vec::new();
    put_record(solo.key(), hold_one(1), &mut first);
    let _stuck = solo.submit(&sale, first, Duration::from_secs(30));
    while sale.summary().await.expect("reads").in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let mut second = Vec::new();
    put_record(solo.key(), hold_one(2), &mut second);
    let answers = solo.submit(&sale, second, Duration::from_millis(50));
    is_told_at_the_deadline(&solo, answers).await;
}

#[tokio::test]
async fn a_caller_whose_batch_finds_the_groups_queue_full_is_told_at_its_deadline() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    solo.commit(false);
    // The group takes one out when it has its turn, and waits: so the queue is filled twice.
    for _ in 0..2 {
        let fill = || solo.group.propose(1, Bytes::new(), Box::new(|_| {}));
        while fill().is_ok() {}
        tokio::task::yield_now().await;
    }
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    let answers = solo.submit(&sale, records, Duration::from_millis(50));
    is_told_at_the_deadline(&solo, answers).await;
}

/// A hand-over is under way: the replica leads by its own account, and nothing can be proved.
#[tokio::test]
async fn what_cannot_be_proved_hopeless_goes_to_the_log_once() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    for hold in 1..=10 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    solo.group.leads.store(false, Ordering::SeqCst);
    assert!(no_leader(&solo.ask(&sale, hold_one(11)).await));
    let barriers = solo.group.barriers.load(Ordering::SeqCst);
    assert_eq!(barriers, 1, "one proof was tried");
}

#[tokio::test]
async fn a_leader_whose_clock_is_behind_lets_holds_end() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let rules = SaleRules {
        hold_ttl_ms: 200,
        ..SaleRules::default()
    };
    let sale = solo.open_sale(1, 1, &rules).await;
    solo.ask(&sale, hold_one(1)).await;
    assert_eq!(sale.summary().await.expect("reads").counts.held, 1);
    // The next leader's clock is two hours behind what the log has seen, and runs.
    solo.lead(None).await;
    solo.clock.0.fetch_sub(7_200_000, Ordering::SeqCst);
    solo.lead(Some(2)).await;
    let begun = tokio::time::Instant::now();
    while sale.summary().await.expect("reads").counts.held == 1 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never ends");
        tokio::time::sleep(Duration::from_millis(5)).await;
        solo.clock.0.fetch_add(5, Ordering::SeqCst);
    }
}
