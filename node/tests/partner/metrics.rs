//! Rate, errors and duration of what a partner calls, as they are scraped.

use std::time::Duration;

use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::*;
use tonic::Request;

use super::house::House;
use super::selling::{best, place};
use super::session::{Session, hold_one};

/// The value of one series; 0 when it is not there.
fn value(text: &str, series: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(series));
    found.map_or(0.0, |value| value.trim().parse().expect("a number"))
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code_and_timed() {
    let house = House::open(5, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    for _ in 0..3 {
        let request = house.ask(place(&house, best(1)));
        sales.place_hold(request).await.expect("holds");
    }
    let no_key = Request::new(place(&house, best(1)));
    sales.place_hold(no_key).await.unwrap_err();
    let nothing = house.ask(place(&house, best(0)));
    sales.place_hold(nothing).await.unwrap_err();

    let text = house.scrape();
    let requests = |method, code| {
        let labels = format!("{{code=\"{code}\",method=\"{method}\"}}");
        value(&text, &format!("onsale_rpc_requests_total{labels}"))
    };
    assert_eq!(requests("place_hold", "OK"), 3.0);
    assert_eq!(requests("place_hold", "UNAUTHENTICATED"), 1.0);
    assert_eq!(requests("place_hold", "INVALID_ARGUMENT"), 1.0);
    assert_eq!(
        value(&text, "onsale_rpc_seconds_count{method=\"place_hold\"}"),
        5.0
    );
    assert_eq!(
        value(&text, "onsale_rpc_in_flight{method=\"place_hold\"}"),
        0.0
    );
    let answered = "onsale_gateway_answer_seconds_count{command=\"hold\",entry=\"unary\"}";
    assert_eq!(value(&text, answered), 3.0);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let house = House::open(1, 5).await;
    let connections = || value(&house.scrape(), "onsale_rpc_connections");
    let settled = async |count: f64| {
        let counted = async {
            while connections() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), counted).await;
        waited.unwrap_or_else(|_| panic!("{} and not {count}", connections()));
    };
    settled(1.0).await;
    let others = [house.connect().await, house.connect().await];
    settled(3.0).await;
    drop(others);
    settled(1.0).await;
}

#[tokio::test]
async fn sessions_are_counted_by_message_and_when_they_end() {
    let house = House::open(5, 5).await;
    let mut session = Session::open(&house).await;
    let nested = |call_id, quantity| SessionCall {
        call_id,
        call: Some(Call::PlaceHold(place(&house, best(quantity)))),
    };
    let packed = (1..=4).flat_map(|id| hold_one(id, &house.key())).collect();
    session.send(vec![nested(5, 1), nested(6, 0)], packed).await;
    session.receive(4, 2).await;

    let text = house.scrape();
    for (series, expected) in [
        ("onsale_session_messages_total", 1.0),
        ("onsale_session_calls_total{form=\"packed\"}", 4.0),
        ("onsale_session_calls_total{form=\"nested\"}", 1.0),
        ("onsale_session_refused_calls_total", 1.0),
        ("onsale_rpc_in_flight{method=\"session\"}", 1.0),
        ("onsale_gateway_calls_under_way", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let holds = "command=\"hold\",entry=\"session\"";
    for (series, expected) in [
        (
            format!("onsale_gateway_answer_seconds_count{{{holds}}}"),
            5.0,
        ),
        (
            format!("onsale_gateway_answered_calls_total{{{holds},outcome=\"done\"}}"),
            5.0,
        ),
        (
            "onsale_gateway_calls_total{command=\"hold\",to=\"here\"}".to_owned(),
            5.0,
        ),
    ] {
        assert_eq!(value(&text, &series), expected, "{series}");
    }

    // A message that cannot be read ends the stream, and only now is it counted.
    let ended = "onsale_rpc_requests_total{code=\"INVALID_ARGUMENT\",method=\"session\"}";
    assert_eq!(value(&text, ended), 0.0);
    session.send(vec![], vec![1, 2, 3]).await;
    session.responses.message().await.unwrap_err();
    let text = house.scrape();
    assert_eq!(value(&text, ended), 1.0);
    assert_eq!(
        value(&text, "onsale_rpc_in_flight{method=\"session\"}"),
        0.0
    );
}
