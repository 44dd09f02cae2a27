//! Traced calls come to their stages in sequence; what is refused without an entry says so.

use std::sync::Arc;
use std::time::Duration;

use actors::Config;
use actors::calls::Calls;
use actors::codec::answer::Answer;
use actors::faults::Faults;
use actors::trace::{Context, Stage, Traced};
use domain::rules::SaleRules;
use tokio::time::Instant;

use crate::solo::*;

fn traced_hold(solo: &Solo, hold: u128) -> (Calls, Collected, Arc<Traced>) {
    let (collector, answers) = Collected::new();
    let traced = Arc::new(Traced::begin(Context {
        trace_id: 7,
        span_id: 8,
        state: "".into(),
    }));
    let mut records = Vec::new();
    put_record(solo.key(), hold_one(hold), &mut records);
    let calls = Calls {
        records: records.into(),
        call_ids: [1].into_iter().collect(),
        deadline: Instant::now() + Duration::from_secs(30),
        answers: collector,
        trace: Some(Arc::clone(&traced)),
    };
    (calls, answers, traced)
}

#[tokio::test]
async fn a_traced_call_comes_to_each_stage_in_sequence() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    let (calls, mut answers, traced) = traced_hold(&solo, 1);
    assert!(sale.submit(calls).is_ok());
    let answer = answers.next().await.1;
    let Answer::Done { log_index, .. } = answer else {
        panic!("{answer:?}")
    };
    let at = |stage| traced.reached(stage).expect("came to it");
    assert!(traced.began() <= at(Stage::Taken));
    assert!(at(Stage::Taken) <= at(Stage::Proposed));
    assert!(at(Stage::Proposed) <= at(Stage::Committed));
    assert_eq!(traced.reached(Stage::SetAside), None);
    assert_eq!(traced.log_index(), Some(log_index));
    assert_eq!(traced.batch_commands(), Some(1));
}

#[tokio::test]
async fn what_is_refused_without_an_entry_was_never_proposed() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 1, &SaleRules::default()).await;
    for hold in 1..=10 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    let (calls, mut answers, traced) = traced_hold(&solo, 11);
    assert!(sale.submit(calls).is_ok());
    let answer = answers.next().await.1;
    assert!(matches!(answer, Answer::Rejected { .. }), "{answer:?}");
    assert!(traced.reached(Stage::SetAside).is_some());
    assert_eq!(traced.reached(Stage::Proposed), None);
    assert_eq!(traced.log_index(), None);
}
