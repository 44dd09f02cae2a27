//! Holds and orders as unary calls, and what is on sale.

use bytes::Bytes;
use prost::Message as _;
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::hold_line::Line;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::house::{EVENT, House, NOW_MS};

pub fn best(quantity: u32) -> Vec<HoldLine> {
    let best = BestAvailable {
        quantity,
        ..BestAvailable::default()
    };
    vec![HoldLine {
        line: Some(Line::BestAvailable(best)),
    }]
}

pub fn place(house: &House, lines: Vec<HoldLine>) -> PlaceHoldRequest {
    PlaceHoldRequest {
        pass_token: String::new(),
        event_id: EVENT,
        idempotency_key: house.key(),
        hold_id: bytes::Bytes::new(),
        buyer: bytes::Bytes::from_static(b"buyer 1"),
        ttl_s: 60,
        lines,
    }
}

#[tokio::test]
async fn a_leader_that_cannot_prove_it_denies_no_order() {
    let house = House::open(2, 50).await;
    house.cut_off();
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let order = GetOrderRequest {
        event_id: EVENT,
        order_id: house.key(),
    };
    let refused = sales.get_order(house.ask(order)).await.expect_err("no");
    assert_eq!(refused.code(), Code::Unavailable);
    let hold = GetHoldRequest {
        event_id: EVENT,
        hold_id: house.key(),
    };
    let refused = sales.get_hold(house.ask(hold)).await.expect_err("no");
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_hold_becomes_an_order_and_its_cancelling_frees_the_seats() {
    let house = House::open(2, 50).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let request = place(&house, best(4));
    let held = sales
        .place_hold(house.ask(request.clone()))
        .await
        .expect("holds")
        .into_inner();
    assert_eq!(held.hold_id, request.idempotency_key);
    assert_eq!(held.deadline_ms, NOW_MS + 60_000);
    assert_eq!(held.seats.iter().map(|run| run.count).sum::<u32>(), 4);

    // A retry gets the first answer.
    let again = sales
        .place_hold(house.ask(request))
        .await
        .expect("again")
        .into_inner();
    assert_eq!(
        (again.hold_id, again.seats, again.revision),
        (held.hold_id.clone(), held.seats.clone(), held.revision)
    );

    let hold = GetHoldRequest {
        event_id: EVENT,
        hold_id: held.hold_id.clone(),
    };
    let seen = sales
        .get_hold(house.ask(hold.clone()))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(
        (seen.deadline_ms, &seen.seats),
        (held.deadline_ms, &held.seats)
    );
    let foreign = sales.get_hold(house.ask_as(1, hold)).await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied);

    let extended = sales
        .extend_hold(house.ask(ExtendHoldRequest {
            event_id: EVENT,
            idempotency_key: house.key(),
            hold_id: held.hold_id.clone(),
            ttl_s: 120,
        }))
        .await
        .expect("extends")
        .into_inner();
    assert_eq!(extended.deadline_ms, NOW_MS + 120_000);

    let confirmed = sales
        .confirm_hold(house.ask(ConfirmHoldRequest {
            event_id: EVENT,
            idempotency_key: house.key(),
            hold_id: held.hold_id.clone(),
            order_id: house.key(),
            payment_reference: "pay-1".into(),
        }))
        .await
        .expect("confirms")
        .into_inner();
    assert_eq!(confirmed.seats, held.seats);
    let order = GetOrderRequest {
        event_id: EVENT,
        order_id: confirmed.order_id.clone(),
    };
    let seen = sales
        .get_order(house.ask(order.clone()))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(seen.state(), OrderState::Paid);
    assert_eq!(seen.payment_reference, "pay-1");

    sales
        .cancel_order(house.ask(CancelOrderRequest {
            event_id: EVENT,
            idempotency_key: house.key(),
            order_id: confirmed.order_id,
        }))
        .await
        .expect("cancels");
    let seen = sales
        .get_order(house.ask(order))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(seen.state(), OrderState::Cancelled);
    let event = CatalogueServiceClient::new(house.channel.clone())
        .get_event(house.ask(GetEventRequest { event_id: EVENT }))
        .await
        .expect("is there")
        .into_inner()
        .event
        .expect("has one");
    assert_eq!(event.phase(), EventPhase::Open);
    let seats = event.seats.expect("has counts");
    assert_eq!(
        (seats.total, seats.free, seats.held, seats.sold),
        (70, 70, 0, 0)
    );
}

#[tokio::test]
async fn a_hold_that_has_ended_says_how() {
    let house = House::open(2, 50).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let mut holds = Vec::new();
    for _ in 0..3 {
        let placed = sales.place_hold(house.ask(place(&house, best(1)))).await;
        holds.push(placed.expect("holds").into_inner().hold_id);
    }
    let [released, confirmed, unknown] = [&holds[0], &holds[1], &house.key()].map(Bytes::clone);
    let release = ReleaseHoldRequest {
        event_id: EVENT,
        idempotency_key: house.key(),
        hold_id: released.clone(),
    };
    sales.release_hold(house.ask(release)).await.expect("frees");
    let confirm = ConfirmHoldRequest {
        event_id: EVENT,
        idempotency_key: house.key(),
        hold_id: confirmed.clone(),
        order_id: house.key(),
        payment_reference: "pay-1".into(),
    };
    let order = confirm.order_id.clone();
    let sold = sales.confirm_hold(house.ask(confirm)).await;
    sold.expect("confirms");

    let mut told = async |partner: usize, hold_id: Bytes| {
        let ask = GetHoldRequest {
            event_id: EVENT,
            hold_id,
        };
        let refused = sales.get_hold(house.ask_as(partner, ask)).await;
        let refused = refused.expect_err("has ended");
        let info = refused.get_details_error_info().expect("has a reason");
        let order = info.metadata.get("order_id").cloned();
        (refused.code(), info.reason, order)
    };
    let at = told(0, released).await;
    assert_eq!(at, (Code::FailedPrecondition, "HOLD_RELEASED".into(), None));
    let order = uuid::Uuid::from_slice(&order)
        .expect("16 bytes")
        .to_string();
    let (_, reason, became) = told(0, confirmed.clone()).await;
    assert_eq!((reason, became), ("HOLD_CONFIRMED".into(), Some(order)));
    let (code, _, became) = told(1, confirmed).await;
    assert_eq!((code, became), (Code::PermissionDenied, None));
    let at = told(0, unknown).await;
    assert_eq!(at, (Code::NotFound, "UNKNOWN_HOLD".into(), None));
}

#[tokio::test]
async fn a_rejection_says_what_is_in_the_way() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let request = place(&house, best(10));
    sales
        .place_hold(house.ask(request.clone()))
        .await
        .expect("holds");
    let status = sales
        .place_hold(house.ask(place(&house, best(2))))
        .await
        .unwrap_err();
    let details = status.get_error_details();
    let info = details.error_info().expect("has ErrorInfo");
    assert_eq!(info.domain, "onsale.dev");
    assert_eq!(info.metadata["retry"], "later");
    assert!(details.retry_info().is_some());

    let mut other = request.clone();
    other.ttl_s += 1;
    let status = sales.place_hold(house.ask(other)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        status.get_details_error_info().expect("has").reason,
        "KEY_REUSED"
    );

    let foreign = ReleaseHoldRequest {
        event_id: EVENT,
        idempotency_key: house.key(),
        hold_id: request.idempotency_key,
    };
    let status = sales
        .release_hold(house.ask_as(1, foreign))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn the_catalogue_lists_pages_and_knows_what_a_caller_has() {
    let house = House::open(1, 5).await;
    let mut catalogue = CatalogueServiceClient::new(house.channel.clone());
    let list = |page_size, page_token: &str| ListEventsRequest {
        page_size,
        page_token: page_token.into(),
    };
    let page = catalogue
        .list_events(house.ask(list(0, "")))
        .await
        .expect("lists")
        .into_inner();
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].event_id, EVENT);
    assert_eq!(page.next_page_token, "");
    for (size, token) in [(1001, ""), (1, "not a token")] {
        let status = catalogue
            .list_events(house.ask(list(size, token)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let map = |if_none_match: String| GetSeatMapRequest {
        event_id: EVENT,
        if_none_match,
    };
    let first = catalogue
        .get_seat_map(house.ask(map(String::new())))
        .await
        .expect("is there")
        .into_inner();
    let layout = SeatMap::decode(first.seat_map.expect("is sent")).expect("decodes");
    assert_eq!(layout.name, "The Bowl");
    let second = catalogue
        .get_seat_map(house.ask(map(first.etag.clone())))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!((second.etag, second.seat_map), (first.etag, None));
}

#[tokio::test]
async fn a_change_of_leaders_is_waited_for() {
    let house = House::open(1, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    house.lead(false).await;
    let call = sales.place_hold(house.ask(place(&house, best(1))));
    let back = async {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        house.lead(true).await;
    };
    let (held, ()) = tokio::join!(call, back);
    held.expect("holds after the change");
}
