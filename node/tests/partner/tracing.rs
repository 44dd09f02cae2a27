//! Traced calls: one trace over all nodes that worked for them, and nothing of others.

use std::collections::{BTreeSet, HashMap};

use domain::ids::SaleId;
use onsale::trace::{Kind, Span, TracePart, Value, context};
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::cluster::{self, Town};
use super::house::{EVENT, House};
use super::selling::{best, place};
use super::session::hold_one;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traced<T>(mut request: Request<T>, is_sampled: bool) -> Request<T> {
    let flags = if is_sampled { "01" } else { "00" };
    let parent = format!("00-{TRACE}-{CALLER}-{flags}");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().expect("ASCII"));
    metadata.insert("tracestate", "shop=1,other=a:b".parse().expect("ASCII"));
    request
}

/// Where the answer says that it is found.
fn told_parent(metadata: &MetadataMap) -> Option<context::Parent> {
    context::read(metadata.get("traceparent")?.to_str().ok()?)
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next();
    let span = span.unwrap_or_else(|| panic!("{name} is among {spans:?}"));
    assert!(found.next().is_none(), "{name} once");
    span
}

fn says(span: &Span, attribute: &str) -> Option<Value> {
    let said = span.attributes.iter().find(|(name, _)| *name == attribute);
    said.map(|(_, value)| *value)
}

fn is_within(inner: &Span, outer: &Span) {
    assert!(inner.from_ns <= inner.to_ns, "{inner:?}");
    assert!(
        outer.from_ns <= inner.from_ns && inner.to_ns <= outer.to_ns,
        "{inner:?} in {outer:?}"
    );
}

/// No two spans share an id, and each has its parent there but the first of the trace.
fn hangs_together(parts: &[TracePart], caller: u64) {
    let spans: Vec<&Span> = parts.iter().flat_map(|part| &part.spans).collect();
    let ids: BTreeSet<u64> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len());
    for span in spans {
        assert!(
            span.parent_id == caller || ids.contains(&span.parent_id),
            "{span:?}"
        );
    }
}

fn caller() -> u64 {
    u64::from_str_radix(CALLER, 16).expect("hex")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_covers_the_node_that_was_called_and_the_owner() {
    let town = Town::open(3, 1).await;
    let owns = |index: &usize| {
        town.nodes[*index]
            .sales
            .get(SaleId(cluster::EVENT))
            .is_some()
    };
    let owner = (0..3).find(owns).expect("one has the sale");
    let called = (owner + 1) % 3;
    let mut sales = SalesServiceClient::new(town.nodes[called].channel.clone());
    // The way between the two may still be opened: the first call is not looked at.
    sales
        .place_hold(town.ask(town.place()))
        .await
        .expect("holds");
    let asked = traced(town.ask(town.place()), true);
    let answer = sales.place_hold(asked).await.expect("holds");
    let parent = told_parent(answer.metadata()).expect("says where it is found");
    let log_index = answer.into_inner().log_index;

    let mine = town.nodes[called].told.parts(1).await;
    let owners = town.nodes[owner].told.parts(1).await;
    assert_eq!((mine.len(), owners.len()), (1, 1));
    let parts = [mine[0].clone(), owners[0].clone()];
    for part in &parts {
        assert_eq!(format!("{:032x}", part.trace_id), TRACE);
        assert_eq!(&*part.state, "shop=1,other=a:b");
    }
    assert_eq!(parts[0].node_id, called as u64 + 1);
    assert_eq!(parts[1].node_id, owner as u64 + 1);
    hangs_together(&parts, caller());

    let call = named(&parts[0].spans, "place_hold");
    assert_eq!((call.id, call.parent_id), (parent.span_id, caller()));
    assert_eq!(call.kind, Kind::Server);
    assert_eq!(says(call, "rpc.grpc.status_code"), Some(Value::Number(0)));
    let gateway = named(&parts[0].spans, "gateway");
    assert_eq!((gateway.parent_id, gateway.kind), (call.id, Kind::Client));
    let to = Value::Number(owner as u64 + 1);
    assert_eq!(says(gateway, "onsale.to_node"), Some(to));
    is_within(gateway, call);
    let link = named(&parts[0].spans, "link");
    assert_eq!(link.parent_id, gateway.id);
    is_within(link, gateway);
    is_within(named(&parts[0].spans, "reply"), call);

    let sale = named(&parts[1].spans, "sale");
    assert_eq!((sale.parent_id, sale.kind), (gateway.id, Kind::Server));
    assert_eq!(
        says(sale, "onsale.log_index"),
        Some(Value::Number(log_index))
    );
    // One machine has one clock: the owner's part lies within the wait for it.
    is_within(sale, gateway);
    let mut from_ns = sale.from_ns;
    for stage in ["mailbox", "collect", "log", "decide"] {
        let span = named(&parts[1].spans, stage);
        assert_eq!(span.parent_id, sale.id);
        is_within(span, sale);
        assert!(from_ns <= span.from_ns, "{stage} in sequence");
        from_ns = span.to_ns;
    }
    for node in &town.nodes {
        assert!(
            node.told.count() <= 1,
            "of the untraced call nothing is told"
        );
    }
    town.go_down().await;
}

#[tokio::test]
async fn where_the_owner_is_the_node_that_was_called_it_tells_all() {
    let house = House::open(5, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let asked = traced(house.ask(place(&house, best(1))), true);
    sales.place_hold(asked).await.expect("holds");
    let parts = house.told.parts(1).await;
    assert_eq!(parts.len(), 1);
    hangs_together(&parts, caller());
    let spans = &parts[0].spans;
    let gateway = named(spans, "gateway");
    assert_eq!(says(gateway, "onsale.to_node"), Some(Value::Word("here")));
    assert_eq!(named(spans, "sale").parent_id, gateway.id);
    let mut names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    let stages = ["collect", "decide", "gateway", "log", "mailbox"];
    assert_eq!(names[..5], stages);
    assert_eq!(names[5..], ["place_hold", "reply", "sale"]);
}

#[tokio::test]
async fn who_does_not_ask_is_not_traced_until_a_share_is_drawn() {
    let house = House::open(5, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let plain = sales.place_hold(house.ask(place(&house, best(1))));
    let plain = plain.await.expect("holds");
    assert!(told_parent(plain.metadata()).is_none());
    let unsampled = traced(house.ask(place(&house, best(1))), false);
    let unsampled = sales.place_hold(unsampled).await.expect("holds");
    assert!(told_parent(unsampled.metadata()).is_none());

    house.tracer.set_ratio(1.0).expect("a share");
    let drawn = sales.place_hold(house.ask(place(&house, best(1))));
    let drawn = drawn.await.expect("holds");
    let parent = told_parent(drawn.metadata()).expect("is traced");
    let parts = house.told.parts(1).await;
    assert_eq!(parts.len(), 1, "of those before nothing is told");
    assert_eq!(parts[0].trace_id, parent.trace_id);
    assert_eq!(parts[0].spans[0].parent_id, 0, "a trace of its own");

    house.tracer.set_ratio(0.0).expect("a share");
    let again = sales.place_hold(house.ask(place(&house, best(1))));
    assert!(told_parent(again.await.expect("holds").metadata()).is_none());
    assert_eq!(house.told.count(), 1);
}

#[tokio::test]
async fn a_refused_call_says_how_and_a_caller_without_a_key_is_not_told_of() {
    let house = House::open(5, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let nobody = traced(Request::new(place(&house, best(1))), true);
    let refused = sales.place_hold(nobody).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(told_parent(refused.metadata()).is_none());
    let nothing = traced(house.ask(place(&house, best(0))), true);
    let refused = sales.place_hold(nothing).await.unwrap_err();
    assert!(told_parent(refused.metadata()).is_some());
    let parts = house.told.parts(1).await;
    assert_eq!((parts.len(), parts[0].spans.len()), (1, 1));
    let call = &parts[0].spans[0];
    let code = Value::Number(Code::InvalidArgument as u64);
    assert_eq!(says(call, "rpc.grpc.status_code"), Some(code));
    assert!(!call.is_failed, "the fault is the caller's");
}

#[tokio::test]
async fn nobodys_unreadable_message_takes_no_trace() {
    /// Of a hold's request the event is a number.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Unreadable {
        #[prost(string, tag = "1")]
        event_id: String,
    }
    let house = House::open(5, 5).await;
    let mut calls = tonic::client::Grpc::new(house.channel.clone());
    let path = PathAndQuery::from_static("/onsale.channel.v1.SalesService/PlaceHold");
    let message = || Unreadable {
        event_id: "tonight".into(),
    };
    for asked in [Request::new(message()), house.ask(message())] {
        let is_nobody = asked.metadata().get("authorization").is_none();
        calls.ready().await.expect("is up");
        let codec: ProstCodec<Unreadable, PlaceHoldResponse> = ProstCodec::default();
        let refused = calls.unary(traced(asked, true), path.clone(), codec).await;
        let refused = refused.expect_err("cannot be read");
        assert_ne!(refused.code(), Code::Unauthenticated);
        assert_eq!(told_parent(refused.metadata()).is_none(), is_nobody);
    }
    assert_eq!(house.told.parts(1).await.len(), 1, "the partner's");
}

#[tokio::test]
async fn each_message_of_a_stream_that_asks_is_a_span() {
    let house = House::open(5, 5).await;
    house.announce(EVENT + 1).await;
    let (requests, outgoing) = mpsc::channel(16);
    let opening = traced(house.ask(ReceiverStream::new(outgoing)), true);
    let mut sessions = SessionServiceClient::new(house.channel.clone());
    let mut answers = sessions.session(opening).await.expect("opens").into_inner();
    for _ in 0..2 {
        let packed: Vec<u8> = (1..=4).flat_map(|id| hold_one(id, &house.key())).collect();
        let calls = vec![SessionCall {
            call_id: 9,
            call: Some(session_call::Call::PlaceHold(PlaceHoldRequest {
                event_id: EVENT + 1,
                ..place(&house, best(1))
            })),
        }];
        let message = SessionRequest {
            calls,
            packed: packed.into(),
        };
        requests.send(message).await.expect("is open");
        let (mut packed, mut nested) = (0, 0);
        while packed < 4 || nested < 1 {
            let next = answers.message().await.expect("well").expect("goes on");
            packed += actors::codec::answer::decode(&next.packed).count();
            nested += next.results.len();
        }
    }
    let parts = house.told.parts(3).await;
    assert_eq!(parts.len(), 3, "the stream's opening, and two messages");
    hangs_together(&parts, caller());
    let mut names: HashMap<&str, usize> = HashMap::new();
    for part in &parts {
        *names.entry(&part.spans[0].name).or_default() += 1;
        assert_eq!(part.spans[0].parent_id, caller());
    }
    assert_eq!(
        names,
        HashMap::from([("session", 1), ("session_message", 2)])
    );
    for message in parts.iter().filter(|part| part.spans.len() > 1) {
        let gateways = message.spans.iter().filter(|span| span.name == "gateway");
        let events: BTreeSet<_> = gateways
            .map(|span| format!("{:?}", says(span, "onsale.event_id")))
            .collect();
        assert_eq!(events.len(), 2, "one for each sale of the message");
        is_within(named(&message.spans, "reply"), &message.spans[0]);
    }
}

#[tokio::test]
async fn nothing_of_buyers_and_keys_is_told() {
    let house = House::open(5, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let request = PlaceHoldRequest {
        buyer: bytes::Bytes::from_static(b"jane.doe@example"),
        ..place(&house, best(1))
    };
    let (buyer, key) = (request.buyer.clone(), request.idempotency_key.clone());
    let asked = traced(house.ask(request), true);
    sales.place_hold(asked).await.expect("holds");
    let told = format!("{:?}", house.told.parts(1).await);
    let number = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().expect("16"));
    for secret in [&buyer, &key] {
        let (number, text) = (number(secret), String::from_utf8_lossy(secret));
        let hex = format!("{number:032x}");
        assert!(!told.contains(&*text) && !told.contains(&hex), "{told}");
        assert!(!told.contains(&number.to_string()), "{told}");
    }
    assert!(!told.contains("Bearer"), "{told}");
}
