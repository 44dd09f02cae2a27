//! An event in trouble is found by who does not know it: told of by a metric, named by the command line.

use std::time::{Duration, Instant};

use bytes::Bytes;
use onsale::load::venue;
use onsale::local::api::{NewEvent, moment_in};
use proto::channel::v1::JoinManyRequest;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use serde_json::Value;

use crate::node::Node;

const LIMIT: Duration = Duration::from_secs(30);
const VISITORS: u128 = 50;
const BEACON: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn troubled(node: &Node) -> Vec<Value> {
    let list = node.ctl(&["events", "list", "--trouble"]).expect("looks");
    assert!(list["asked"].as_u64() >= Some(1), "{list}");
    list["events"].as_array().expect("a list").clone()
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !reached() {
        assert!(Instant::now() < end, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_waits_for_its_beacon_is_told_of_and_named() {
    let node = Node::start(|_| {});
    assert_eq!(troubled(&node), Vec::<Value>::new());
    // A room comes before the sale is open.
    let new = NewEvent {
        name: "Drawn",
        venue: "Hall",
        test_mode: false,
        hold_ttl_s: 60,
        plan: &venue::plan("Drawn", 1, 1_000),
        dedupe: false,
    };
    let event_id = node.api().create_event(&new).expect("is made").event_id;
    let event = event_id.to_string();
    let (lobby, opening) = (moment_in(Duration::ZERO), moment_in(Duration::from_secs(2)));
    let armed = node.ctl(&[
        "queue",
        "arm",
        &event,
        "--lobby-at",
        &lobby,
        "--opens-at",
        &opening,
        "--beacon",
    ]);
    armed.expect("has a room");
    node.ctl(&["events", "open", &event]).expect("opens");
    let mut admission = AdmissionServiceClient::new(node.channel().await);
    let visitors = (1..=VISITORS).map(|id| Bytes::copy_from_slice(&id.to_be_bytes()));
    let asked = node.with_key(JoinManyRequest {
        event_id,
        visitors: visitors.collect(),
        ..JoinManyRequest::default()
    });
    admission.join_many(asked).await.expect("they come");

    until("it is told of", || {
        node.metric("onsale_queue_held_up_rooms") == 1.0
    })
    .await;
    let found = troubled(&node);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["event_id"], event_id);
    let why = found[0]["why"][0].as_str().expect("says why");
    assert_eq!(why, "its room awaits the beacon, 50 wait");

    node.ctl(&["queue", "beacon", &event, BEACON])
        .expect("opens");
    until("it is over", || {
        node.metric("onsale_queue_held_up_rooms") == 0.0 && troubled(&node).is_empty()
    })
    .await;
}
