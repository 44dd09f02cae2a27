use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::Config;
use actors::codec::answer::{Answer, FailureReason};
use actors::faults::Faults;
use cluster::machine::Committed;
use domain::command::{Command, PaymentReference};
use domain::ids::{HoldId, OrderId, SaleId};
use domain::rejection::Rejection;
use domain::rules::SaleRules;
use domain::sale::HoldNow;
use prost::Message as _;
use proto::log::v1 as log;
use tokio::time::Instant;

use crate::solo::*;

/// To the group they are applied: only the sale knows better.
#[tokio::test]
async fn what_was_handed_over_and_waits_for_the_sale_is_told() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    sale.summary().await.expect("reads");
    assert_eq!(sale.unapplied_entries(), 0);
    for number in 1..=9_u64 {
        let mut records = Vec::new();
        put_record(solo.key(), hold_one(number.into()), &mut records);
        let commands = log::Commands {
            count: 1,
            records: records.into(),
        };
        let part = log::Part {
            sale_id: 1,
            at_ms: NOW_MS,
            body: Some(log::part::Body::Commands(commands)),
            ..log::Part::default()
        };
        let entry = log::Entry { parts: vec![part] };
        let committed = Committed {
            group: 1,
            term: 1,
            index: 100 + number,
            payload: entry.encode_to_vec().into(),
        };
        // The actor has the same thread and gets no turn before the first wait.
        solo.machine.deliver(committed).await.expect("delivers");
        assert_eq!(sale.unapplied_entries(), number);
    }
    let summary = sale.summary().await.expect("reads");
    assert_eq!((summary.applied_index, summary.counts.held), (109, 9));
    assert_eq!(sale.unapplied_entries(), 0);
}

#[tokio::test]
async fn a_seat_is_held_and_sold() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    let Answer::Done { done, log_index } = solo.ask(&sale, hold_one(1)).await else {
        panic!("held")
    };
    assert_eq!(done.seats.seats(), 1);
    assert_eq!(log_index, 3, "create, open, hold");
    assert_eq!(done.deadline_ms, NOW_MS + 30 * 60 * 1000);
    let Answer::Done { done, .. } = solo.ask(&sale, confirm(1)).await else {
        panic!("sold")
    };
    assert_eq!(done.seats.seats(), 1);
    let summary = sale.summary().await.expect("reads");
    assert_eq!((summary.counts.sold, summary.counts.free), (1, 19));
    assert_eq!(sale.layout().await.expect("reads"), "layout");
}

#[tokio::test]
async fn a_retry_gets_the_first_answer() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    let key = solo.key();
    let first = solo.ask_with_key(&sale, key, hold_one(1)).await;
    let Answer::Done { done: first, .. } = first else {
        panic!("held")
    };
    let again = solo.ask_with_key(&sale, key, hold_one(1)).await;
    let Answer::Done { done: again, .. } = again else {
        panic!("the same")
    };
    assert_eq!(first, again);
    let other = solo.ask_with_key(&sale, key, hold_one(2)).await;
    assert!(
        matches!(
            other,
            Answer::Rejected {
                rejection: Rejection::KeyReused,
                ..
            }
        ),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_thousand_calls_are_batched_and_each_is_answered_once() {
    let solo = Solo::start(
        Config {
            batch_commands: 100,
            ..Config::default()
        },
        Faults::default(),
    )
    .await;
    let sale = solo.open_sale(1, 100, &SaleRules::default()).await;
    let before = solo.group.entries.load(Ordering::SeqCst);
    let mut records = Vec::new();
    for hold in 1..=1000 {
        put_record(solo.key(), hold_one(hold), &mut records);
    }
    let mut answers = solo.submit(&sale, records, Duration::from_secs(10));
    let mut seen = vec![false; 1000];
    for _ in 0..1000 {
        let (call_id, answer) = answers.next().await;
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
        assert!(
            !std::mem::replace(&mut seen[call_id as usize], true),
            "answered twice"
        );
    }
    assert_eq!(
        solo.group.entries.load(Ordering::SeqCst) - before,
        10,
        "a hundred per entry"
    );
    assert_eq!(sale.summary().await.expect("reads").counts.free, 0);
    assert_eq!(answers.try_next(), None);
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_the_rest_goes_on() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    let mut bad = Vec::new();
    put_record(solo.key(), hold_one(2), &mut bad);
    bad[2] = 200;
    records.extend_from_slice(&bad);
    put_record(solo.key(), hold_one(3), &mut records);
    records.extend_from_slice(&bad);
    let mut answers = solo.submit(&sale, records, Duration::from_secs(5));
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(answers.next().await);
    }
    all.sort_by_key(|(call_id, _)| *call_id);
    let failed = |answer: &Answer| {
        matches!(
            answer,
            Answer::Failed {
                reason: FailureReason::BadRequest,
                ..
            }
        )
    };
    let done = |answer: &Answer| matches!(answer, Answer::Done { .. });
    assert!(
        done(&all[0].1) && failed(&all[1].1) && done(&all[2].1) && failed(&all[3].1),
        "{all:?}"
    );
}

#[tokio::test]
async fn call_ids_that_repeat_do_not_mix_up_the_answers_of_others() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 3, &SaleRules::default()).await;
    solo.commit(false);
    let mut bad = Vec::new();
    put_record(solo.key(), hold_one(99), &mut bad);
    bad[2] = 200;
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    put_record(solo.key(), hold_one(2), &mut records);
    records.extend_from_slice(&bad);
    put_record(solo.key(), hold_one(3), &mut records);
    let (collector, mut first) = Collected::new();
    let calls = actors::calls::Calls {
        records: records.into(),
        call_ids: [7, 8, 7, 9].into_iter().collect(),
        deadline: Instant::now() + Duration::from_secs(30),
        answers: collector,
        trace: None,
    };
    assert!(sale.submit(calls).is_ok());
    let mut second = Vec::new();
    put_record(solo.key(), confirm(3), &mut second);
    let mut second = solo.submit(&sale, second, Duration::from_secs(30));
    solo.commit(true);
    let mut done = Vec::new();
    for _ in 0..4 {
        match first.next().await {
            (call_id, Answer::Done { .. }) => done.push(call_id),
            (call_id, answer) => {
                assert!(matches!(
                    answer,
                    Answer::Failed {
                        reason: FailureReason::BadRequest,
                        ..
                    }
                ));
                assert_eq!(call_id, 7);
            }
        }
    }
    assert_eq!(done, [7, 8, 9]);
    let Answer::Done { done, .. } = second.next().await.1 else {
        panic!("confirmed")
    };
    assert_eq!(
        done.deadline_ms, 0,
        "the answer to a confirmation, not to a hold"
    );
}

#[tokio::test]
async fn sold_out_is_refused_without_an_entry_after_leadership_is_proved() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    let ten = [best(10)];
    assert!(matches!(
        solo.ask(&sale, hold_lines(1, &ten)).await,
        Answer::Done { .. }
    ));
    assert!(matches!(
        solo.ask(&sale, confirm(1)).await,
        Answer::Done { .. }
    ));
    let entries = solo.group.entries.load(Ordering::SeqCst);
    let barriers = solo.group.barriers.load(Ordering::SeqCst);
    let answer = solo.ask(&sale, hold_one(2)).await;
    let Answer::Rejected {
        rejection: Rejection::SoldOut {
            free: 0, held: 0, ..
        },
        at,
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!(at.revision, sale.summary().await.expect("reads").revision);
    assert_eq!(
        solo.group.entries.load(Ordering::SeqCst),
        entries,
        "no entry"
    );
    assert_eq!(
        solo.group.barriers.load(Ordering::SeqCst),
        barriers + 1,
        "one proof"
    );
}

#[tokio::test]
async fn nobody_is_refused_while_a_release_is_under_way() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    let ten = [best(10)];
    assert!(matches!(
        solo.ask(&sale, hold_lines(1, &ten)).await,
        Answer::Done { .. }
    ));
    let mut records = Vec::new();
    put_record(
        solo.key(),
        Command::ReleaseHold { hold: HoldId(1) },
        &mut records,
    );
    put_record(solo.key(), hold_one(2), &mut records);
    let mut answers = solo.submit(&sale, records, Duration::from_secs(5));
    for _ in 0..2 {
        let (_, answer) = answers.next().await;
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn who_was_set_aside_first_is_served_first() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    for hold in 1..=10 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    // Three callers, before the sale has its turn: two that find nothing free, and one who gives a seat
    // back while they wait for the proof.
    let release = Command::ReleaseHold { hold: HoldId(1) };
    let [mut first, mut second, _] = [hold_one(11), hold_one(12), release].map(|command| {
        let mut record = Vec::new();
        put_record(solo.key(), command, &mut record);
        solo.submit(&sale, record, Duration::from_secs(5))
    });
    let (_, served) = first.next().await;
    assert!(matches!(served, Answer::Done { .. }), "{served:?}");
    let (_, late) = second.next().await;
    assert!(matches!(late, Answer::Rejected { .. }), "{late:?}");
}

#[tokio::test]
async fn how_a_hold_ended_is_told() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let rules = SaleRules {
        hold_ttl_ms: 1000,
        ..SaleRules::default()
    };
    let sale = solo.open_sale(1, 1, &rules).await;
    for hold in 1..=3 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    let now = async |hold| sale.hold(HoldId(hold)).await.expect("reads");
    assert!(matches!(now(1).await, HoldNow::Held(hold) if hold.id == HoldId(1)));
    let release = Command::ReleaseHold { hold: HoldId(1) };
    solo.ask(&sale, release).await;
    solo.ask(&sale, confirm(2)).await;
    solo.clock.0.fetch_add(1000, Ordering::SeqCst);
    while sale.summary().await.expect("reads").counts.holds > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(now(1).await, HoldNow::Gone(Rejection::HoldReleased));
    assert!(matches!(now(2).await, HoldNow::Ordered(order) if order.id == OrderId(2)));
    assert_eq!(now(3).await, HoldNow::Gone(Rejection::HoldExpired));
    assert_eq!(now(4).await, HoldNow::Gone(Rejection::UnknownHold));

    // The same id again, and another order.
    solo.ask(&sale, hold_one(2)).await;
    assert!(matches!(now(2).await, HoldNow::Held(_)));
    let command = Command::ConfirmHold {
        hold: HoldId(2),
        order: OrderId(5),
        payment: PaymentReference::new(b"paid").expect("short"),
    };
    solo.ask(&sale, command).await;
    assert!(matches!(now(2).await, HoldNow::Ordered(order) if order.id == OrderId(5)));
}

#[tokio::test]
async fn a_hold_expires_by_the_clock_and_its_seats_come_back() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let rules = SaleRules {
        hold_ttl_ms: 1000,
        ..SaleRules::default()
    };
    let sale = solo.open_sale(1, 1, &rules).await;
    assert!(matches!(
        solo.ask(&sale, hold_one(1)).await,
        Answer::Done { .. }
    ));
    let mut feed = sale
        .watch(sale.summary().await.expect("reads").revision)
        .await
        .expect("watches");
    solo.clock.0.fetch_add(999, Ordering::SeqCst);
    assert_eq!(sale.summary().await.expect("reads").counts.held, 1);
    solo.clock.0.fetch_add(1, Ordering::SeqCst);
    let expired = tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .expect("expires");
    assert!(!expired.expect("watches").is_empty());
    let summary = sale.summary().await.expect("reads");
    assert_eq!((summary.counts.held, summary.counts.free), (0, 10));
    let answer = solo.ask(&sale, confirm(1)).await;
    assert!(
        matches!(
            answer,
            Answer::Rejected {
                rejection: Rejection::HoldExpired,
                ..
            }
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_passed_deadline_is_not_tried() {
    let solo = Solo::start(
        Config {
            queue_commands: 10,
            in_flight: 1,
            ..Config::default()
        },
        Faults::default(),
    )
    .await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    solo.commit(false);
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(1), &mut records);
    let mut first = solo.submit(&sale, records, Duration::from_secs(30));
    while sale.summary().await.expect("reads").in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let mut records = Vec::new();
    for hold in 2..=11 {
        put_record(solo.key(), hold_one(hold), &mut records);
    }
    let mut late = solo.submit(&sale, records.clone(), Duration::ZERO);
    let (collector, _answers) = Collected::new();
    let calls = actors::calls::Calls {
        records: records.into(),
        call_ids: (0..10).collect(),
        deadline: Instant::now(),
        answers: collector,
        trace: None,
    };
    assert!(sale.submit(calls).is_err(), "the queue is full");
    solo.commit(true);
    assert!(matches!(first.next().await.1, Answer::Done { .. }));
    for _ in 0..10 {
        let (_, answer) = late.next().await;
        assert!(
            matches!(
                answer,
                Answer::Failed {
                    reason: FailureReason::DeadlinePassed,
                    ..
                }
            ),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_snapshot_brings_a_replica_to_the_same_state() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 5, &SaleRules::default()).await;
    solo.open_sale(2, 5, &SaleRules::default()).await;
    for hold in 1..=7 {
        assert!(matches!(
            solo.ask(&sale, hold_one(hold)).await,
            Answer::Done { .. }
        ));
    }
    assert!(matches!(
        solo.ask(&sale, confirm(3)).await,
        Answer::Done { .. }
    ));
    let snapshot = solo
        .machine
        .snapshot()
        .await
        .expect("queues")
        .await
        .expect("answers")();
    let other = Solo::start(Config::default(), Faults::default()).await;
    other.open_sale(3, 1, &SaleRules::default()).await;
    other
        .machine
        .restore(snapshot.clone())
        .await
        .expect("restores");
    assert!(
        other.sales.get(SaleId(3)).is_none(),
        "what the snapshot does not know is gone"
    );
    let restored = other.sales.get(SaleId(1)).expect("is here");
    let (was, is) = (
        sale.export().await.expect("reads"),
        restored.export().await.expect("reads"),
    );
    assert_eq!(was.state, is.state);
    let again = other
        .machine
        .snapshot()
        .await
        .expect("queues")
        .await
        .expect("answers")();
    assert_eq!(snapshot, again, "the same bytes");
    let mut cut = snapshot.to_vec();
    cut.truncate(cut.len() / 2);
    assert!(other.machine.restore(cut.into()).await.is_err());
}
