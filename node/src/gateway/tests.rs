//! What the gateway makes of answers and of silence.

mod hop;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use actors::calls::Answers;
use actors::codec::answer::{self, Answer};
use actors::codec::record::{self, Records};
use bytes::Bytes;
use cluster::types::NodeId;
use domain::command::{Command, Request};
use domain::ids::{ChannelId, HoldId, IdempotencyKey, PartnerId};
use domain::outcome::Done;
use domain::rejection::Rejection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::trace::Value;
use crate::trace::kept::tracer;

const SALE: SaleId = SaleId(9);

/// What happens to one batch, in the sequence they come.
enum Step {
    /// Answered call by call; `None` is left open.
    Answers(Vec<Answer>),
    NoLeader,
    Full,
    Unknown,
    Elsewhere(NodeId),
    /// Taken and never answered.
    Silence,
}

/// An owner that does what the test says.
#[derive(Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    /// The keys of each batch that came.
    seen: Mutex<Vec<Vec<u32>>>,
    silent: Mutex<Vec<Calls>>,
    peer: Mutex<Option<PeerChannel>>,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Script> {
        Arc::new(Script {
            steps: Mutex::new(steps.into_iter().collect()),
            ..Script::default()
        })
    }

    fn seen(&self) -> Vec<Vec<u32>> {
        self.seen.lock().unwrap().clone()
    }
}

fn keys(records: &[u8]) -> Vec<u32> {
    Records::new(records)
        .map(|bytes| record::split(bytes).expect("whole").0.key.0 as u32)
        .collect()
}

impl Directory for Script {
    fn route(&self, sale: SaleId, calls: Calls) -> Route {
        assert_eq!(sale, SALE);
        self.seen.lock().unwrap().push(keys(&calls.records));
        assert_eq!(keys(&calls.records).len(), calls.call_ids.len());
        match self.steps.lock().unwrap().pop_front() {
            Some(Step::Answers(answers)) => {
                assert_eq!(answers.len(), calls.call_ids.len());
                let mut packed = Vec::new();
                for (call_id, answer) in calls.call_ids.iter().zip(&answers) {
                    answer::encode(call_id, answer, &mut packed);
                }
                calls.answers.answer(packed.into(), answers.len() as u32);
                Route::Taken
            }
            Some(Step::Silence) => {
                self.silent.lock().unwrap().push(calls);
                Route::Taken
            }
            Some(Step::Full) => Route::Full(calls),
            Some(Step::Unknown) => Route::UnknownSale(calls),
            Some(Step::Elsewhere(node)) => Route::Node(node, calls),
            Some(Step::NoLeader) | None => Route::NoLeader(calls),
        }
    }

    fn peer(&self, _: NodeId) -> Option<PeerChannel> {
        self.peer.lock().unwrap().clone()
    }
}

/// Where answers arrive.
struct Caller(mpsc::UnboundedSender<(u32, Answer)>);

impl Answers for Caller {
    fn answer(&self, packed: Bytes, count: u32) {
        let answers: Vec<_> = answer::decode(&packed).collect();
        assert_eq!(answers.len(), count as usize);
        for answer in answers {
            self.0.send(answer).expect("the test waits");
        }
    }
}

fn records(keys: &[u32]) -> Bytes {
    let mut records = Vec::new();
    for key in keys {
        let request = Request {
            partner: PartnerId(1),
            channel: ChannelId(1),
            key: IdempotencyKey((*key).into()),
            hash: 0,
            command: Command::ReleaseHold { hold: HoldId(1) },
        };
        record::encode(&request, &mut records).expect("fits");
    }
    records.into()
}

/// Submits calls with these ids (their keys are the same numbers) and gathers their answers.
async fn ask(gateway: &Gateway, ids: &[u32], wait: Duration) -> Vec<(u32, Answer)> {
    let all = ask_some(gateway, ids, wait).await;
    assert_eq!(gateway.calls_under_way(), 0);
    all
}

/// As `ask`, while others may ask.
async fn ask_some(gateway: &Gateway, ids: &[u32], wait: Duration) -> Vec<(u32, Answer)> {
    let (answered, mut answers) = mpsc::unbounded_channel();
    gateway.submit(
        SALE,
        Calls {
            records: records(ids),
            call_ids: ids.iter().copied().collect(),
            deadline: Instant::now() + wait,
            answers: Arc::new(Caller(answered)),
            trace: None,
        },
    );
    let mut all = Vec::new();
    for _ in ids {
        let next = tokio::time::timeout(Duration::from_secs(60), answers.recv()).await;
        all.push(next.expect("every call is answered").expect("once"));
    }
    all.sort_by_key(|(call_id, _)| *call_id);
    all
}

fn metrics() -> GatewayMetrics {
    GatewayMetrics::new(&prometheus::Registry::new()).expect("registers")
}

/// What a registry tells of one series; 0 when it tells none.
fn told(registry: &prometheus::Registry, series: &str) -> f64 {
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .expect("is text");
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0.0, |value| value.trim().parse().expect("a number"))
}

fn gateway(script: &Arc<Script>) -> Gateway {
    Gateway::new(Config::default(), script.clone(), metrics())
}

fn done() -> Answer {
    Answer::Done {
        log_index: 1,
        done: Done::default(),
    }
}

fn no_leader() -> Answer {
    Answer::Failed {
        reason: FailureReason::NoLeader,
        retry_after_ms: 0,
    }
}

fn rejected(rejection: Rejection) -> Answer {
    Answer::Rejected {
        at: Default::default(),
        rejection,
    }
}

const WAIT: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_change_of_leaders_costs_time_and_no_answer() {
    let script = Script::new([
        Step::NoLeader,
        Step::Answers(vec![no_leader()]),
        Step::Answers(vec![Answer::Unknown]),
        Step::Answers(vec![done()]),
    ]);
    let started = Instant::now();
    assert_eq!(ask(&gateway(&script), &[5], WAIT).await, [(5, done())]);
    assert_eq!(script.seen(), vec![vec![5]; 4]);
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_goes_again() {
    let unknown_hold = rejected(Rejection::UnknownHold);
    let script = Script::new([
        Step::Answers(vec![
            done(),
            no_leader(),
            Answer::Unknown,
            unknown_hold.clone(),
            no_leader(),
        ]),
        Step::Answers(vec![done(), done()]),
        Step::Answers(vec![unknown_hold.clone()]),
    ]);
    let answers = ask(&gateway(&script), &[1, 2, 3, 4, 5], WAIT).await;
    let expected = [
        (1, done()),
        (2, done()),
        (3, unknown_hold.clone()),
        (4, unknown_hold),
        (5, done()),
    ];
    assert_eq!(answers, expected);
    assert_eq!(script.seen(), [vec![1, 2, 3, 4, 5], vec![2, 5], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_the_failure_is_certain_at_the_deadline() {
    let script = Script::new([]);
    let started = Instant::now();
    assert_eq!(ask(&gateway(&script), &[5], WAIT).await, [(5, no_leader())]);
    assert!(started.elapsed() > WAIT - Duration::from_millis(300) && started.elapsed() <= WAIT);
    assert!(script.seen().len() > 5);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_stays_unknown() {
    for after in [
        // The deadline passes without a leader: the first attempt may still have happened.
        vec![],
        // The key was forgotten, and with it what the first attempt led to.
        vec![Step::Answers(vec![rejected(Rejection::KeyExpired)])],
        vec![Step::Answers(vec![Answer::Failed {
            reason: FailureReason::DeadlinePassed,
            retry_after_ms: 0,
        }])],
        vec![Step::Unknown],
    ] {
        let steps = std::iter::once(Step::Answers(vec![Answer::Unknown])).chain(after);
        let script = Script::new(steps);
        assert_eq!(
            ask(&gateway(&script), &[5], WAIT).await,
            [(5, Answer::Unknown)]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_certain_the_first_time_is_told_at_once() {
    let cases = [
        (Step::Full, FailureReason::Busy),
        (Step::Unknown, FailureReason::UnknownEvent),
    ];
    for (step, expected) in cases {
        let script = Script::new([step]);
        let answers = ask(&gateway(&script), &[5], WAIT).await;
        assert!(
            matches!(answers[0].1, Answer::Failed { reason, .. } if reason == expected),
            "{answers:?}"
        );
        assert_eq!(script.seen().len(), 1);
    }
    let script = Script::new([Step::Answers(vec![rejected(Rejection::KeyExpired)])]);
    let answers = ask(&gateway(&script), &[5], WAIT).await;
    assert_eq!(answers, [(5, rejected(Rejection::KeyExpired))]);
}

#[tokio::test(start_paused = true)]
async fn two_calls_with_one_id_are_not_sent_again() {
    let script = Script::new([Step::Answers(vec![no_leader(), done()])]);
    let mut answers = ask(&gateway(&script), &[5, 5], WAIT).await;
    answers.sort_by_key(|(_, answer)| *answer == done());
    assert_eq!(answers, [(5, no_leader()), (5, done())]);
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_the_node_bears_are_busy() {
    let script = Script::new([Step::Silence, Step::Answers(vec![done(), done()])]);
    let config = Config {
        calls_max: 4,
        ..Config::default()
    };
    let registry = prometheus::Registry::new();
    let metrics = GatewayMetrics::new(&registry).expect("registers");
    let gateway = Gateway::new(config, script.clone(), metrics);
    let submit = |ids: &[u32]| {
        let (answered, answers) = mpsc::unbounded_channel();
        gateway.submit(
            SALE,
            Calls {
                records: records(ids),
                call_ids: ids.iter().copied().collect(),
                deadline: Instant::now() + WAIT,
                answers: Arc::new(Caller(answered)),
                trace: None,
            },
        );
        answers
    };
    let _waiting = submit(&[1, 2, 3]);
    let busy = Answer::Failed {
        reason: FailureReason::Busy,
        retry_after_ms: 50,
    };
    let mut refused = submit(&[4, 5]);
    assert_eq!(refused.recv().await, Some((4, busy.clone())));
    assert_eq!(refused.recv().await, Some((5, busy)));
    let by_calls = "onsale_gateway_busy_calls_total{bound=\"node_calls\"}";
    assert_eq!(told(&registry, by_calls), 2.0);
    assert_eq!(gateway.calls_under_way(), 3);
    assert!(gateway.is_crowded(), "more than half");
    let calls = script.silent.lock().unwrap().pop().expect("was taken");
    let (packed, count) = failed(&calls.call_ids, FailureReason::Busy, 1);
    calls.answers.answer(packed, count);
    assert_eq!(gateway.calls_under_way(), 0);
    assert!(!gateway.is_crowded());
}

#[tokio::test(start_paused = true)]
async fn more_bytes_than_the_node_bears_are_busy() {
    let script = Script::new([
        Step::Answers(vec![no_leader()]),
        Step::Answers(vec![done()]),
        Step::Silence,
        Step::Answers(vec![done()]),
    ]);
    let one = records(&[1]).len();
    let config = Config {
        call_bytes_max: one,
        ..Config::default()
    };
    let registry = prometheus::Registry::new();
    let metrics = GatewayMetrics::new(&registry).expect("registers");
    let gateway = Gateway::new(config, script.clone(), metrics);
    let submit = |id: u32| {
        let (answered, answers) = mpsc::unbounded_channel();
        let calls = Calls {
            records: records(&[id]),
            call_ids: [id].into_iter().collect(),
            deadline: Instant::now() + WAIT,
            answers: Arc::new(Caller(answered)),
            trace: None,
        };
        gateway.submit(SALE, calls);
        answers
    };
    let answer = submit(1).recv().await;
    assert_eq!(answer, Some((1, done())), "after it was sent again");
    assert_eq!(gateway.bytes_under_way(), 0);

    let mut waiting = submit(2);
    assert_eq!(gateway.bytes_under_way(), one);
    assert!(gateway.is_crowded(), "more than half");
    let busy = Answer::Failed {
        reason: FailureReason::Busy,
        retry_after_ms: 50,
    };
    assert_eq!(submit(3).recv().await, Some((3, busy)));
    let by_bytes = "onsale_gateway_busy_calls_total{bound=\"node_bytes\"}";
    assert_eq!(told(&registry, by_bytes), 1.0);
    let calls = script.silent.lock().unwrap().pop().expect("was taken");
    let (packed, count) = failed(&calls.call_ids, FailureReason::SaleFrozen, 0);
    calls.answers.answer(packed, count);
    drop(calls);
    assert!(waiting.recv().await.is_some());
    assert_eq!(gateway.bytes_under_way(), 0);
    assert_eq!(submit(4).recv().await, Some((4, done())));
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_command_however_their_answers_come() {
    let script = Script::new([Step::Silence]);
    let registry = prometheus::Registry::new();
    let metrics = GatewayMetrics::new(&registry).expect("registers");
    let gateway = Gateway::new(Config::default(), script.clone(), metrics);
    let kinds = [
        record::kind::PLACE_HOLD,
        record::kind::CONFIRM_HOLD,
        record::kind::PLACE_HOLD,
        record::kind::JOIN_ROOM,
    ];
    let mut records = Vec::new();
    for (kind, key) in kinds.into_iter().zip(1_u128..) {
        let header = record::Header {
            kind,
            partner: PartnerId(1),
            channel: ChannelId(9),
            key: IdempotencyKey(key),
        };
        record::put_header(&mut records, header, 0).expect("fits");
    }
    let (answered, mut answers) = mpsc::unbounded_channel();
    gateway.entered_by(Entry::Session).submit(
        SALE,
        Calls {
            records: records.into(),
            call_ids: (1..=4).collect(),
            deadline: Instant::now() + WAIT,
            answers: Arc::new(Caller(answered)),
            trace: None,
        },
    );
    let calls = script.silent.lock().unwrap().pop().expect("was taken");
    let failed = Answer::Failed {
        reason: FailureReason::SaleFrozen,
        retry_after_ms: 0,
    };
    let parts = [
        vec![(3, rejected(Rejection::UnknownHold)), (2, done())],
        vec![(1, done()), (4, failed)],
    ];
    for part in parts {
        tokio::time::advance(Duration::from_millis(200)).await;
        let mut packed = Vec::new();
        for (call_id, answer) in &part {
            answer::encode(*call_id, answer, &mut packed);
        }
        calls.answers.answer(packed.into(), part.len() as u32);
    }
    for _ in 0..4 {
        answers.recv().await.expect("is answered");
    }
    for (series, expected) in [
        ("calls_total{command=\"hold\",to=\"here\"}", 2.0),
        ("calls_total{command=\"confirm\",to=\"here\"}", 1.0),
        (
            "answered_calls_total{command=\"hold\",entry=\"session\",outcome=\"done\"}",
            1.0,
        ),
        (
            "answered_calls_total{command=\"hold\",entry=\"session\",outcome=\"rejected\"}",
            1.0,
        ),
        (
            "answered_calls_total{command=\"confirm\",entry=\"session\",outcome=\"done\"}",
            1.0,
        ),
        (
            "answered_calls_total{command=\"join\",entry=\"session\",outcome=\"undecided\"}",
            1.0,
        ),
        (
            "undecided_calls_total{command=\"join\",ending=\"sale_frozen\",entry=\"session\"}",
            1.0,
        ),
        (
            "answer_seconds_count{command=\"hold\",entry=\"session\"}",
            2.0,
        ),
        (
            "answer_seconds_bucket{command=\"hold\",entry=\"session\",le=\"0.25\"}",
            1.0,
        ),
        ("channel_calls_total{channel=\"9\",outcome=\"placed\"}", 1.0),
        (
            "channel_calls_total{channel=\"9\",outcome=\"refused\"}",
            1.0,
        ),
        (
            "channel_calls_total{channel=\"9\",outcome=\"ordered\"}",
            1.0,
        ),
        ("calls_under_way", 0.0),
    ] {
        let series = format!("onsale_gateway_{series}");
        assert_eq!(told(&registry, &series), expected, "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_traced_call_is_a_span() {
    let script = Script::new([
        Step::NoLeader,
        Step::Answers(vec![no_leader()]),
        Step::Answers(vec![done()]),
    ]);
    let (tracer, kept) = tracer(1.0, 100);
    let call = tracer.call("place_hold", None, || None);
    let (answered, mut answers) = mpsc::unbounded_channel();
    let calls = Calls {
        records: records(&[1]),
        call_ids: [1].into_iter().collect(),
        deadline: Instant::now() + WAIT,
        answers: Arc::new(Caller(answered)),
        trace: None,
    };
    gateway(&script).submit_traced(SALE, calls, call);
    assert_eq!(answers.recv().await, Some((1, done())));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let spans = &kept.parts()[0].spans;
    let attempts: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "gateway")
        .map(|span| {
            assert_eq!(span.parent_id, spans[0].id);
            span.attributes[2]
        })
        .collect();
    let attempt = |number| ("onsale.attempt", Value::Number(number));
    assert_eq!(attempts, [attempt(0), attempt(1), attempt(2)]);
}
