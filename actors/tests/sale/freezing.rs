use std::time::Duration;

use actors::Config;
use actors::codec::answer::{Answer, FailureReason};
use actors::faults::Faults;
use actors::sale::ReadFailure;
use domain::ids::{HoldId, IdempotencyKey, OrderId, SaleId, VisitorId};
use domain::rejection::Rejection;
use domain::rules::SaleRules;

use crate::solo::*;

const POISON: IdempotencyKey = IdempotencyKey((NOW_MS as u128) << 80 | 7 << 76 | 0xdead);

fn frozen(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Failed {
            reason: FailureReason::SaleFrozen,
            ..
        }
    )
}

#[tokio::test]
async fn a_panic_while_checking_is_rejected_as_a_bug_and_changes_nothing() {
    let faults = Faults {
        panic_in_check: Some(POISON),
        ..Faults::default()
    };
    let solo = Solo::start(Config::default(), faults).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    let answer = solo.ask_with_key(&sale, POISON, hold_one(1)).await;
    assert!(
        matches!(
            answer,
            Answer::Rejected {
                rejection: Rejection::Bug,
                ..
            }
        ),
        "{answer:?}"
    );
    assert!(matches!(
        solo.ask(&sale, hold_one(2)).await,
        Answer::Done { .. }
    ));
    assert_eq!(sale.summary().await.expect("reads").counts.held, 1);
}

/// Else it would fail the actor, and so its group's replica; and, sent again, that of the next leader.
#[tokio::test]
async fn a_panic_while_looking_whether_a_hold_is_hopeless_is_a_bug_too() {
    let faults = Faults {
        panic_in_check: Some(POISON),
        ..Faults::default()
    };
    let solo = Solo::start(Config::default(), faults).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    for hold in 1..=10 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    let rejection = async |key, hold| match solo.ask_with_key(&sale, key, hold_one(hold)).await {
        Answer::Rejected { rejection, .. } => rejection,
        answer => panic!("{answer:?}"),
    };
    assert_eq!(rejection(POISON, 11).await, Rejection::Bug);
    let sold_out = rejection(solo.key(), 12).await;
    assert!(
        matches!(sold_out, Rejection::SoldOut { .. }),
        "{sold_out:?}"
    );
    assert_eq!(solo.metric("onsale_sale_actors_failed_total"), 0.0);
}

#[tokio::test]
async fn a_panic_while_changing_freezes_that_sale_alone_until_it_is_released() {
    let faults = Faults {
        panic_in_change: Some(POISON),
        ..Faults::default()
    };
    let solo = Solo::start(
        Config {
            journal_bytes: 300,
            ..Config::default()
        },
        faults,
    )
    .await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    let other = solo.open_sale(2, 10, &SaleRules::default()).await;
    for hold in 1..=9 {
        assert!(matches!(
            solo.ask(&sale, hold_one(hold)).await,
            Answer::Done { .. }
        ));
    }
    let before = sale.export().await.expect("reads");
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(10), &mut records);
    put_record(POISON, hold_one(11), &mut records);
    put_record(solo.key(), hold_one(12), &mut records);
    let mut answers = solo.submit(&sale, records, Duration::from_secs(5));
    assert!(
        matches!(answers.next().await.1, Answer::Done { .. }),
        "before the panic"
    );
    assert!(frozen(&answers.next().await.1), "the one that broke it");
    assert!(frozen(&answers.next().await.1), "after it");

    assert!(frozen(&solo.ask(&sale, hold_one(13)).await));
    assert_eq!(
        sale.seats(false).await.err(),
        Some(ReadFailure::Frozen),
        "a half-changed sale is never read"
    );
    // Nobody may be told that an order or a room is not there: they are.
    let frozen_read = ReadFailure::Frozen;
    assert_eq!(sale.hold(HoldId(1)).await, Err(frozen_read));
    assert_eq!(sale.order(OrderId(1)).await, Err(frozen_read));
    let places = sale.places(vec![VisitorId(1)]).await;
    assert_eq!(places.err(), Some(frozen_read));
    assert_eq!(sale.room().await.err(), Some(frozen_read));
    assert_eq!(sale.published().await.err(), Some(frozen_read));
    assert_eq!(sale.proof(VisitorId(1)).await.err(), Some(frozen_read));
    let frost = sale
        .summary()
        .await
        .expect("reads")
        .frozen
        .expect("is frozen");
    assert_eq!(frost.command, 1);
    assert!(
        matches!(solo.ask(&other, hold_one(1)).await, Answer::Done { .. }),
        "the others go on"
    );

    // The frozen sale travels in a snapshot and is still frozen there.
    let snapshot = solo
        .machine
        .snapshot()
        .await
        .expect("queues")
        .await
        .expect("answers")();
    let elsewhere = Solo::start(Config::default(), faults).await;
    elsewhere.machine.restore(snapshot).await.expect("restores");
    let copy = elsewhere.sales.get(SaleId(1)).expect("is here");
    assert_eq!(copy.summary().await.expect("reads").frozen, Some(frost));

    for (node, sale) in [(&solo, &sale), (&elsewhere, &copy)] {
        assert_eq!(node.metric("onsale_sale_frozen"), 1.0);
        let became = node.sales.release(sale).await;
        assert!(matches!(became, cluster::group::Proposed::Committed { .. }));
        assert_eq!(sale.summary().await.expect("reads").frozen, None);
        assert_eq!(node.metric("onsale_sale_frozen"), 0.0);
        assert_eq!(sale.summary().await.expect("reads").counts.held, 10);
    }
    let (here, there) = (
        sale.export().await.expect("reads"),
        copy.export().await.expect("reads"),
    );
    assert_eq!(here.state, there.state, "released alike everywhere");
    assert!(here.state.revision > before.state.revision);
    assert!(matches!(
        solo.ask(&sale, hold_one(14)).await,
        Answer::Done { .. }
    ));
}
