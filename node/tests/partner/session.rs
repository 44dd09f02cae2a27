//! The session stream: packed and nested calls mixed, floods, malformed calls, revoked keys.

use std::collections::HashMap;
use std::time::Duration;

use actors::codec::answer::{Answer, decode};
use bytes::Bytes;
use domain::rejection::Rejection;
use onsale::grpc::Config;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Outcome;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::house::{EVENT, House};
use super::selling::{best, place};

/// A partner's end of a session.
pub struct Session {
    requests: mpsc::Sender<SessionRequest>,
    pub responses: Streaming<SessionResponse>,
}

impl Session {
    pub async fn open(house: &House) -> Session {
        Session::open_as(0, house, house.channel.clone(), None).await
    }

    /// A stream that its partner gives so much time.
    async fn open_for(house: &House, timeout: Duration) -> Session {
        Session::open_as(0, house, house.channel.clone(), Some(timeout)).await
    }

    async fn open_as(
        partner: usize,
        house: &House,
        connection: Channel,
        timeout: Option<Duration>,
    ) -> Session {
        let (requests, outgoing) = mpsc::channel(16);
        let mut request = house.ask_as(partner, ReceiverStream::new(outgoing));
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let responses = SessionServiceClient::new(connection)
            .session(request)
            .await
            .expect("opens")
            .into_inner();
        Session {
            requests,
            responses,
        }
    }

    pub async fn send(&self, calls: Vec<SessionCall>, packed: Vec<u8>) {
        let request = SessionRequest {
            calls,
            packed: packed.into(),
        };
        self.requests.send(request).await.expect("is open");
    }

    /// Answers to packed and to nested calls, until there are so many of each.
    pub async fn receive(
        &mut self,
        packed: usize,
        nested: usize,
    ) -> (Vec<(u32, Answer)>, Vec<SessionResult>) {
        let (mut answers, mut results) = (Vec::new(), Vec::new());
        while answers.len() < packed || results.len() < nested {
            let response = self
                .responses
                .message()
                .await
                .expect("well")
                .expect("goes on");
            answers.extend(decode(&response.packed));
            results.extend(response.results);
        }
        assert_eq!((answers.len(), results.len()), (packed, nested));
        (answers, results)
    }
}

fn call(kind: u8, call_id: u32, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut call = Vec::new();
    call.extend((32 + body.len() as u16).to_le_bytes());
    call.extend([kind, 0]);
    call.extend(call_id.to_le_bytes());
    call.extend(EVENT.to_le_bytes());
    call.extend(key);
    call.extend(body);
    call
}

/// A packed hold of the best seat; its id is its key.
pub fn hold_one(call_id: u32, key: &Bytes) -> Vec<u8> {
    let mut body = key.to_vec();
    body.extend([7; 16]);
    body.extend(60_u32.to_le_bytes());
    body.extend([1, 2]);
    body.extend(1_u16.to_le_bytes());
    body.extend(u16::MAX.to_le_bytes());
    body.extend([0, 0]);
    call(1, call_id, key, &body)
}

fn confirm(call_id: u32, key: &[u8], hold: &[u8]) -> Vec<u8> {
    let body = [hold, key, &[3], b"pay"].concat();
    call(4, call_id, key, &body)
}

#[tokio::test]
async fn packed_and_nested_calls_are_mixed_at_will() {
    let house = House::open(10, 5).await;
    let mut session = Session::open(&house).await;
    let keys: Vec<Bytes> = (0..50).map(|_| house.key()).collect();
    let packed = (0..)
        .zip(&keys)
        .flat_map(|(id, key)| hold_one(id, key))
        .collect();
    let nested = vec![
        SessionCall {
            call_id: 100,
            call: Some(Call::PlaceHold(place(&house, best(2)))),
        },
        SessionCall {
            call_id: 101,
            call: Some(Call::PlaceHold(place(&house, best(0)))),
        },
        SessionCall {
            call_id: 102,
            call: None,
        },
    ];
    session.send(nested, packed).await;
    let (answers, results) = session.receive(50, 3).await;
    let mut seats = std::collections::HashSet::new();
    for (call_id, answer) in &answers {
        let Answer::Done { done, log_index } = answer else {
            panic!("{call_id}: {answer:?}");
        };
        assert!(*log_index > 0 && done.deadline_ms > 0);
        let run = done.seats.as_slice()[0];
        assert_eq!(run.count, 1);
        assert!(seats.insert((run.section, run.first)), "a seat twice");
    }
    let results: HashMap<_, _> = results.into_iter().map(|r| (r.call_id, r.result)).collect();
    assert!(matches!(&results[&100], Some(Outcome::Done(done)) if done.seats[0].count == 2));
    for (call_id, says) in [(101, "lines[0].quantity: must be 1"), (102, "")] {
        let Some(Outcome::Failed(failed)) = &results[&call_id] else {
            panic!("{results:?}");
        };
        assert_eq!(failed.reason(), FailureReason::BadRequest);
        assert!(failed.detail.contains(says), "{}", failed.detail);
    }

    // Confirmed once, and once more with the same key: the same answer.
    let confirm_key = house.key();
    let packed = [
        confirm(1, &confirm_key, &keys[0]),
        confirm(2, &confirm_key, &keys[0]),
        confirm(3, &house.key(), &house.key()),
    ]
    .concat();
    session.send(vec![], packed).await;
    let (answers, _) = session.receive(3, 0).await;
    let answers: HashMap<_, _> = answers.into_iter().collect();
    let (Answer::Done { done: first, .. }, Answer::Done { done: second, .. }) =
        (&answers[&1], &answers[&2])
    else {
        panic!("{answers:?}");
    };
    assert_eq!(first, second);
    assert!(matches!(
        answers[&3],
        Answer::Rejected {
            rejection: Rejection::UnknownHold,
            ..
        }
    ));
}

#[tokio::test]
async fn a_malformed_call_does_not_end_the_stream() {
    let house = House::open(1, 5).await;
    let mut session = Session::open(&house).await;
    let mut lines_cut = hold_one(2, &house.key());
    lines_cut.truncate(75);
    lines_cut[0..2].copy_from_slice(&75_u16.to_le_bytes());
    let operators = call(32, 3, &house.key(), &[]);
    let packed = [
        hold_one(1, &house.key()),
        lines_cut,
        operators,
        hold_one(4, &house.key()),
        vec![9, 0, 1, 0, 5, 0, 0, 0],
    ]
    .concat();
    session.send(vec![], packed).await;
    let (answers, _) = session.receive(5, 0).await;
    for (call_id, answer) in answers {
        let is_done = matches!(answer, Answer::Done { .. });
        let is_bad = matches!(
            answer,
            Answer::Failed {
                reason: FailureReason::BadRequest,
                ..
            }
        );
        assert_eq!(
            (is_done, is_bad),
            if matches!(call_id, 1 | 4) {
                (true, false)
            } else {
                (false, true)
            }
        );
    }
    session.send(vec![], hold_one(6, &house.key())).await;
    session.receive(1, 0).await;
    // What is cut off before its id ends it.
    session.send(vec![], vec![1, 2, 3]).await;
    let status = session.responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_flood_is_answered_busy_and_nothing_is_lost() {
    let config = Config {
        session_calls: 64,
        ..Config::default()
    };
    let house = House::open_with(config, actors::Config::default(), 10, 5).await;
    let mut session = Session::open(&house).await;
    house.commit(false);
    let packed = (0..1000)
        .flat_map(|id| hold_one(id, &house.key()))
        .collect();
    session.send(vec![], packed).await;
    let (busy, _) = session.receive(1000 - 64, 0).await;
    for (call_id, answer) in busy {
        assert!(call_id >= 64);
        assert!(
            matches!(answer, Answer::Failed { reason: FailureReason::Busy, retry_after_ms } if retry_after_ms > 0),
            "{answer:?}"
        );
    }
    assert_eq!(house.gateway.calls_under_way(), 64);
    house.commit(true);
    let (done, _) = session.receive(64, 0).await;
    assert!(
        done.iter()
            .all(|(_, answer)| matches!(answer, Answer::Done { .. }))
    );
    assert_eq!(house.gateway.calls_under_way(), 0);
}

/// Two seconds' worth of refusals, by the stream's own bound and by the sale's, beyond what may come at once.
#[tokio::test]
async fn who_is_refused_is_read_no_faster_than_the_node_refuses() {
    const PER_S: u32 = 1_000;
    let config = Config {
        session_calls: 50,
        refusals_per_s: PER_S,
        ..Config::default()
    };
    let actors_config = actors::Config {
        queue_commands: 10,
        ..actors::Config::default()
    };
    let house = House::open_with(config, actors_config, 10, 5).await;
    let mut session = Session::open(&house).await;
    let began = tokio::time::Instant::now();
    let sender = async {
        for message in 0..30 {
            let packed = (0..100)
                .flat_map(|id| hold_one(message * 100 + id, &house.key()))
                .collect();
            session.send(vec![], packed).await;
        }
    };
    sender.await;
    let (answers, _) = session.receive(3_000, 0).await;
    assert!(answers.iter().all(|(_, answer)| matches!(
        answer,
        Answer::Failed {
            reason: FailureReason::Busy,
            ..
        }
    )));
    // A second's worth at once, the last message's share after it was told.
    let least = Duration::from_secs_f64(f64::from(3_000 - PER_S - 100) / f64::from(PER_S));
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

/// Half a minute's worth of refusals lies before one partner; the other does not wait for it.
#[tokio::test]
async fn who_is_refused_at_length_slows_nobody_else() {
    let config = Config {
        refusals_per_s: 100,
        ..Config::default()
    };
    let actors_config = actors::Config {
        queue_commands: 10,
        ..actors::Config::default()
    };
    let house = House::open_with(config, actors_config, 10, 5).await;
    let mut flood = Session::open(&house).await;
    let requests = flood.requests.clone();
    let messages: Vec<Vec<u8>> = (0..30)
        .map(|message| {
            let calls = (0..100).flat_map(|id| hold_one(message * 100 + id, &house.key()));
            calls.collect()
        })
        .collect();
    let sending = tokio::spawn(async move {
        for packed in messages {
            let request = SessionRequest {
                calls: vec![],
                packed: packed.into(),
            };
            // It ends with the test.
            if requests.send(request).await.is_err() {
                return;
            }
        }
    });
    let mut refused = 0;
    while refused < 100 {
        let response = flood.responses.message().await.expect("well");
        refused += decode(&response.expect("goes on").packed).count();
    }
    let mut other = Session::open_as(1, &house, house.connect().await, None).await;
    // The others' refusals are counted apart, and a call that can be carried out is.
    let many = (0..11).flat_map(|id| hold_one(id, &house.key())).collect();
    other.send(vec![], many).await;
    other.send(vec![], hold_one(11, &house.key())).await;
    let (answers, _) = tokio::select! {
        biased;
        answers = other.receive(12, 0) => answers,
        _ = flood.receive(3_000 - refused, 0) => panic!("the other waited for all of it"),
    };
    let done = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, Answer::Done { .. }));
    let done: Vec<u32> = done.map(|(call_id, _)| *call_id).collect();
    assert_eq!(done, [11], "{answers:?}");
    sending.abort();
}

#[tokio::test]
async fn a_full_sale_is_busy() {
    let actors_config = actors::Config {
        queue_commands: 100,
        ..actors::Config::default()
    };
    let house = House::open_with(Config::default(), actors_config, 10, 5).await;
    let mut session = Session::open(&house).await;
    let packed: Vec<u8> = (0..101).flat_map(|id| hold_one(id, &house.key())).collect();
    session.send(vec![], packed).await;
    let (answers, _) = session.receive(101, 0).await;
    assert!(answers.iter().all(|(_, answer)| matches!(
        answer,
        Answer::Failed {
            reason: FailureReason::Busy,
            ..
        }
    )));
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let house = House::open(1, 5).await;
    let mut session = Session::open(&house).await;
    session.send(vec![], hold_one(1, &house.key())).await;
    session.receive(1, 0).await;
    let mut seats = SeatsServiceClient::new(house.channel.clone())
        .watch_seats(house.ask(WatchSeatsRequest {
            event_id: EVENT,
            from_revision: 0,
        }))
        .await
        .expect("watches")
        .into_inner();
    seats.message().await.expect("well").expect("the hold");
    house.revoke();
    // Nothing is sent and nothing changes: they end by themselves.
    let status = session.responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = seats.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// Who gave the stream a second is told by then what became of each call, and not when the node would
/// have given the call up by itself.
#[tokio::test]
async fn what_is_outstanding_at_the_deadline_of_the_stream_is_answered_by_then() {
    let second = Duration::from_secs(1);
    let house = House::open(2, 5).await;
    let mut session = Session::open_for(&house, second).await;
    house.lead(false).await;
    let nested = SessionCall {
        call_id: 1,
        call: Some(Call::PlaceHold(place(&house, best(1)))),
    };
    session.send(vec![nested], hold_one(2, &house.key())).await;
    let answered = tokio::time::timeout(2 * second, session.receive(1, 1)).await;
    let (packed, nested) = answered.expect("in time");
    let reason = FailureReason::NoLeader;
    assert!(
        matches!(packed[0].1, Answer::Failed { reason: told, .. } if told == reason),
        "{packed:?}"
    );
    assert!(
        matches!(&nested[0].result, Some(Outcome::Failed(failed)) if failed.reason() == reason),
        "{nested:?}"
    );
    let end = session.responses.message().await.expect_err("it is over");
    assert_eq!(end.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_partner_that_closes_its_side_gets_what_is_outstanding() {
    let house = House::open(1, 5).await;
    let mut session = Session::open(&house).await;
    house.commit(false);
    session.send(vec![], hold_one(1, &house.key())).await;
    let Session {
        requests,
        responses,
    } = &mut session;
    let requests = std::mem::replace(requests, mpsc::channel(1).0);
    drop(requests);
    house.commit(true);
    let response = responses
        .message()
        .await
        .expect("well")
        .expect("is answered");
    assert_eq!(decode(&response.packed).count(), 1);
    assert_eq!(responses.message().await.expect("well"), None);
}
