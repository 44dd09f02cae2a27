//! Wrong keys, malformed and oversized messages, past deadlines, quantities and duplicates.

use std::time::Duration;

use onsale::grpc::Config;
use proto::channel::v1::hold_line::Line;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::*;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::house::{EVENT, House};
use super::selling::{best, place};
use super::session::Session;

#[tokio::test]
async fn no_key_no_call() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let missing = sales
        .place_hold(Request::new(place(&house, best(1))))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::Unauthenticated);
    assert_eq!(
        missing.get_details_error_info().expect("has").reason,
        "API_KEY_MISSING"
    );
    let mut wrong = Request::new(place(&house, best(1)));
    let key = "Bearer onsale_01010101_00000000000000000000000000000000";
    wrong
        .metadata_mut()
        .insert("authorization", key.parse().unwrap());
    let wrong = sales.place_hold(wrong).await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert_eq!(
        wrong.get_details_error_info().expect("has").reason,
        "API_KEY_INVALID"
    );
}

#[tokio::test]
async fn bad_fields_are_named() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut request = place(&house, best(0));
    request.hold_id = vec![1; 3].into();
    let status = sales.place_hold(house.ask(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let bad = status.get_details_bad_request().expect("has BadRequest");
    let fields: Vec<_> = bad
        .field_violations
        .iter()
        .map(|bad| bad.field.as_str())
        .collect();
    assert_eq!(fields, ["hold_id", "lines[0].quantity"]);
}

#[tokio::test]
async fn unknown_things_and_duplicates_are_refused_by_name() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut elsewhere = place(&house, best(1));
    elsewhere.event_id = 1;
    let status = sales.place_hold(house.ask(elsewhere)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.get_details_error_info().expect("has").reason,
        "UNKNOWN_EVENT"
    );

    let seats = |seats: &[(u32, u32)]| {
        let seats = seats
            .iter()
            .map(|(section, seat)| SeatRef {
                section: *section,
                seat: *seat,
            })
            .collect();
        vec![HoldLine {
            line: Some(Line::Seats(ChosenSeats { seats })),
        }]
    };
    for (chosen, reason) in [
        (seats(&[(0, 1), (0, 1)]), "DUPLICATE_SEAT"),
        (seats(&[(0, 99)]), "UNKNOWN_SEAT"),
        (seats(&[(7, 0)]), "UNKNOWN_SECTION"),
        (seats(&[(1, 0)]), "WRONG_SECTION_KIND"),
        (best(101), "TOO_MANY_SEATS"),
    ] {
        let status = sales
            .place_hold(house.ask(place(&house, chosen)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{reason}");
        assert_eq!(status.get_details_error_info().expect("has").reason, reason);
    }
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let config = Config {
        message_bytes_max: 4096,
        ..Config::default()
    };
    let house = House::open_with(config, actors::Config::default(), 1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut request = place(&house, best(1));
    request.buyer = vec![0; 8192].into();
    let status = sales.place_hold(house.ask(request)).await.unwrap_err();
    let told = (status.code(), reason(&status));
    assert_eq!(told, (Code::InvalidArgument, "TOO_LARGE".into()));
    let info = status.get_details_error_info().expect("has");
    assert_eq!(info.metadata["bytes_max"], "4096");
    let mut session = Session::open(&house).await;
    session.send(vec![], vec![0; 8192]).await;
    let ended = session.responses.message().await.unwrap_err();
    let told = (ended.code(), reason(&ended));
    assert_eq!(told, (Code::InvalidArgument, "TOO_LARGE".into()));
    // The connection goes on.
    sales
        .place_hold(house.ask(place(&house, best(1))))
        .await
        .expect("holds");
}

#[tokio::test]
async fn malformed_protobuf_is_refused() {
    let house = House::open(1, 5).await;
    let status = call(&house, "SalesService/PlaceHold", |_| ()).await;
    let told = (status.code(), reason(&status));
    assert_eq!(told, (Code::InvalidArgument, "BAD_REQUEST".into()));
    assert!(status.message().contains("decode"), "{status:?}");
    // It is the partner's fault, and counted as such.
    let text = house.scrape();
    let counted = "onsale_rpc_requests_total{code=\"INVALID_ARGUMENT\",method=\"place_hold\"} 1";
    assert!(text.contains(counted), "{text}");

    let mut session = Session::open(&house).await;
    // No call begins with three bytes.
    session.send(vec![], vec![1, 2, 3]).await;
    let ended = session.responses.message().await.unwrap_err();
    let told = (ended.code(), reason(&ended));
    assert_eq!(told, (Code::InvalidArgument, "BAD_REQUEST".into()));
}

#[tokio::test]
async fn what_nobody_offers_is_refused_by_name() {
    let house = House::open(1, 5).await;
    for method in ["SalesService/SellHold", "OddService/PlaceHold"] {
        let status = call(&house, method, |_| ()).await;
        let told = (status.code(), reason(&status));
        assert_eq!(told, (Code::Unimplemented, "UNKNOWN_METHOD".into()));
    }
    let gzip = |metadata: &mut MetadataMap| {
        metadata.insert("grpc-encoding", "gzip".parse().expect("ASCII"));
    };
    let status = call(&house, "SalesService/PlaceHold", gzip).await;
    let told = (status.code(), reason(&status));
    assert_eq!(told, (Code::Unimplemented, "ENCODING_UNKNOWN".into()));
    assert!(status.message().contains("gzip"), "{status:?}");
}

#[tokio::test]
async fn a_deadline_that_is_none_is_refused_by_name() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut request = house.ask(place(&house, best(1)));
    let soon = "soon".parse().expect("ASCII");
    request.metadata_mut().insert("grpc-timeout", soon);
    let status = sales.place_hold(request).await.unwrap_err();
    let told = (status.code(), reason(&status));
    assert_eq!(told, (Code::InvalidArgument, "BAD_REQUEST".into()));
    let bad = status.get_details_bad_request().expect("has BadRequest");
    assert_eq!(bad.field_violations[0].field, "grpc-timeout");
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map_or_else(|| format!("none: {status:?}"), |info| info.reason)
}

/// What becomes of a call whose message is another's: field 1 is a message here and a number there.
async fn call(house: &House, method: &str, mark: impl Fn(&mut MetadataMap)) -> Status {
    let mut client = tonic::client::Grpc::new(house.channel.clone());
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<ListEventsResponse, PlaceHoldResponse>::default();
    let path = format!("/onsale.channel.v1.{method}");
    let malformed = ListEventsResponse {
        events: vec![Event::default()],
        next_page_token: String::new(),
    };
    let mut request = house.ask(malformed);
    mark(request.metadata_mut());
    let path = path.parse().expect("a path");
    client.unary(request, path, codec).await.unwrap_err()
}

#[tokio::test]
async fn a_past_deadline_is_not_tried() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut request = house.ask(place(&house, best(1)));
    request
        .metadata_mut()
        .insert("grpc-timeout", "0S".parse().unwrap());
    let status = sales.place_hold(request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
}

#[tokio::test]
async fn an_outcome_that_does_not_come_is_unknown() {
    // The node's limit and none of the client's, which would give up first.
    let config = Config {
        timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let house = House::open_with(config, actors::Config::default(), 1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    house.commit(false);
    let request = house.ask(place(&house, best(1)));
    let status = sales.place_hold(request).await.unwrap_err();
    house.commit(true);
    assert_eq!(status.code(), Code::Unknown, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().expect("has").reason,
        "UNKNOWN_OUTCOME",
        "{status:?}"
    );
}

#[tokio::test]
async fn a_partner_over_its_rate_is_told_when_to_come_back() {
    let config = Config {
        calls_per_s: 2,
        ..Config::default()
    };
    let house = House::open_with(config, actors::Config::default(), 2, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut refused = None;
    for _ in 0..10 {
        if let Err(status) = sales.place_hold(house.ask(place(&house, best(1)))).await {
            refused = Some(status);
            break;
        }
    }
    let status = refused.expect("is over its rate");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let delay = status
        .get_details_retry_info()
        .expect("has")
        .retry_delay
        .expect("says");
    assert!(delay <= Duration::from_secs(1));
    // Others are not in its way.
    sales
        .place_hold(house.ask_as(1, place(&house, best(1))))
        .await
        .expect("holds");
}

#[tokio::test]
async fn health_tells_readiness_and_shutdown() {
    let house = House::open(1, 5).await;
    let mut health = HealthClient::new(house.channel.clone());
    let check = HealthCheckRequest {
        service: "onsale.channel.v1.SalesService".into(),
    };
    let mut status = async || loop {
        // Until it is first told, the service is not known by name.
        if let Ok(answer) = health.check(check.clone()).await {
            return answer.into_inner().status();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(status().await, ServingStatus::NotServing);
    house.set_ready();
    while status().await != ServingStatus::Serving {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let down = tokio::time::timeout(Duration::from_secs(10), house.go_down());
    drop(health);
    down.await
        .expect("goes down at once when nothing is under way");
}

#[tokio::test]
async fn a_sale_that_is_not_open_says_so() {
    let house = House::open(1, 5).await;
    house.tell(domain::command::Command::PauseSale).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let status = sales
        .place_hold(house.ask(place(&house, best(1))))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().expect("has").metadata["phase"],
        "paused"
    );
    assert!(details.retry_info().is_some());
    let gone = sales
        .get_order(house.ask(GetOrderRequest {
            event_id: EVENT,
            order_id: house.key(),
        }))
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

/// Reads have a rate of their own: who asks too often still sells.
#[tokio::test]
async fn a_flood_of_reads_does_not_stop_the_same_partner_from_selling() {
    let config = Config {
        reports_per_s: 1,
        ..Config::default()
    };
    let house = House::open_with(config, actors::Config::default(), 2, 5).await;
    let read = || async {
        let mut seats = SeatsServiceClient::new(house.channel.clone());
        let request = GetSeatsRequest {
            event_id: EVENT,
            linearizable: false,
        };
        seats.get_seats(house.ask(request)).await
    };
    read().await.expect("the first is told");
    let refused = read().await.expect_err("is over its rate");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some());
    let mut sales = SalesServiceClient::new(house.channel.clone());
    for _ in 0..3 {
        let held = sales.place_hold(house.ask(place(&house, best(1)))).await;
        held.expect("sells on");
    }
}
