//! What a node without room says: a full disk, and more plain calls than a sale's queue holds.

use std::time::Duration;

use actors::codec::answer::Answer;
use onsale::grpc::Config;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Outcome;
use proto::channel::v1::*;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::house::{EVENT, House};
use super::selling::{best, place};
use super::session::{Session, hold_one};

#[track_caller]
fn is_refused_for_now(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().expect("has").reason, reason);
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert!(delay.expect("says when") > Duration::ZERO);
}

#[tokio::test]
async fn a_full_disk_refuses_sales_for_now_and_reads_go_on() {
    let house = House::open(2, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut session = Session::open(&house).await;
    house.fill_disk(true);

    let key = house.key();
    let request = PlaceHoldRequest {
        pass_token: String::new(),
        idempotency_key: key.clone(),
        ..place(&house, best(1))
    };
    let status = sales
        .place_hold(house.ask(request.clone()))
        .await
        .unwrap_err();
    is_refused_for_now(&status, "DISK_FULL");
    let nested = SessionCall {
        call_id: 1,
        call: Some(Call::PlaceHold(place(&house, best(1)))),
    };
    session.send(vec![nested], hold_one(2, &house.key())).await;
    let (packed, nested) = session.receive(1, 1).await;
    assert!(
        matches!(
            packed[0].1,
            Answer::Failed {
                reason: FailureReason::DiskFull,
                retry_after_ms: 1..,
            }
        ),
        "{packed:?}"
    );
    let Some(Outcome::Failed(failed)) = &nested[0].result else {
        panic!("{nested:?}");
    };
    assert_eq!(failed.reason(), FailureReason::DiskFull);
    assert!(failed.retry_after_ms > 0);

    let seats = GetSeatsRequest {
        event_id: EVENT,
        linearizable: true,
    };
    let mut reads = SeatsServiceClient::new(house.channel.clone());
    let seen = reads.get_seats(house.ask(seats)).await.expect("reads");
    assert!(
        seen.into_inner().sections[0]
            .held
            .iter()
            .all(|byte| *byte == 0)
    );

    // Room again: the same key is the first attempt.
    house.fill_disk(false);
    sales.place_hold(house.ask(request)).await.expect("holds");
    session.send(vec![], hold_one(3, &house.key())).await;
    let (packed, _) = session.receive(1, 0).await;
    assert!(matches!(packed[0].1, Answer::Done { .. }), "{packed:?}");
}

#[tokio::test]
async fn more_plain_calls_than_a_sale_holds_are_refused_with_a_delay() {
    const QUEUE: usize = 100;
    const FLOOD: usize = 10 * QUEUE;
    let actors_config = actors::Config {
        queue_commands: QUEUE,
        batch_commands: 10,
        in_flight: 2,
        ..actors::Config::default()
    };
    let house = House::open_with(Config::default(), actors_config, 200, 5).await;
    house.commit(false);
    let mut calls = JoinSet::new();
    for _ in 0..FLOOD {
        let mut sales = SalesServiceClient::new(house.channel.clone());
        let request = house.ask(place(&house, best(1)));
        calls.spawn(async move { sales.place_hold(request).await });
    }
    // Nothing commits: what the queue and the proposals under way have no room for is refused.
    let bound = QUEUE + 2 * 10;
    for _ in 0..FLOOD - bound {
        let ended = calls.join_next().await.expect("is under way");
        let status = ended.expect("no panic").expect_err("there is no room");
        is_refused_for_now(&status, "BUSY");
    }
    assert!(house.gateway.calls_under_way() <= bound);
    house.commit(true);
    let mut done = 0;
    while let Some(ended) = calls.join_next().await {
        match ended.expect("no panic") {
            Ok(_) => done += 1,
            Err(status) => is_refused_for_now(&status, "BUSY"),
        }
    }
    assert!((1..=bound).contains(&done), "{done}");
    assert_eq!(house.gateway.calls_under_way(), 0);
}
