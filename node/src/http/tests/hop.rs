//! The one hop, between two real servers on free ports.

use actix_web::test::TestRequest;
use tokio::net::TcpListener;

use super::memory::{Memory, QUIET_REVISION};
use super::{KEY, Tcp, get, post, send};
use crate::http::forward::{Forward, Hop};
use crate::http::{Http, Settings};
use crate::trace::kept::tracer;
use crate::trace::{Tracer, context};

fn serve(node: &std::sync::Arc<Memory>) -> Http {
    serve_traced(node, tracer(0.0, 100).0)
}

fn serve_traced(node: &std::sync::Arc<Memory>, tracer: Tracer) -> Http {
    let settings = Settings {
        address: "127.0.0.1:0".into(),
        workers: 1,
        plan_bytes_max: 100_000,
        seed: 1,
        tracer,
    };
    Http::start(
        settings,
        std::sync::Arc::clone(node) as _,
        std::sync::Arc::new(Tcp),
        prometheus::Registry::new(),
    )
    .unwrap()
}

#[actix_web::test]
async fn a_call_only_another_node_can_answer_is_passed_on_once() {
    let owner = Memory::new();
    let server = serve(&owner);
    let node = Memory::owned_by(2, server.address.to_string());

    let body = r#"{"name": "Aida", "plan": {}}"#;
    let created = send(&node, post("/v1/events", body)).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), "/v1/events/100");
    assert_eq!(owner.plan(100), "{}".as_bytes());

    // Problems come through as they are, and so do feeds.
    let closed = send(&node, post("/v1/events/100/resume", "")).await;
    assert_eq!(closed.problem(), "PHASE_FORBIDS");
    let feed = send(&node, get("/v1/events/100/changes?from=8")).await;
    assert_eq!(feed.content_type, "text/event-stream");
    assert!(feed.body.ends_with(b"event: compacted\ndata: {}\n\n"));
    server.stop().await;
}

#[actix_web::test]
async fn two_nodes_that_point_at_each_other_do_not_go_round() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = Memory::owned_by(2, listener.local_addr().unwrap().to_string());
    drop(listener);
    let server = serve(&first);
    let second = Memory::owned_by(1, server.address.to_string());
    let answer = send(&second, get("/v1/events/100")).await;
    assert_eq!(answer.problem(), "NO_LEADER");
    assert_eq!(answer.json()["retry"], "later");
    server.stop().await;
}

#[actix_web::test]
async fn a_node_that_cannot_be_reached_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let node = Memory::owned_by(2, address);
    let answer = send(&node, post("/v1/events/100/open", "")).await;
    assert_eq!(answer.problem(), "NODE_UNREACHABLE");
    assert_eq!(answer.json()["in_the_way"]["node_id"], "2");
    let waits = send(&node, TestRequest::get().uri("/readyz")).await;
    assert_eq!(waits.problem(), "NOT_READY");
}

#[actix_web::test]
async fn a_stopping_server_ends_its_feeds() {
    let node = Memory::new();
    let server = serve(&node);
    send(&node, post("/v1/events", r#"{"name": "Aida", "plan": {}}"#)).await;
    let hop = Hop {
        method: "GET".into(),
        path_and_query: format!("/v1/events/100/changes?from={QUIET_REVISION}"),
        headers: vec![("authorization".into(), format!("Bearer {KEY}"))],
        body: Default::default(),
    };
    let forward = Forward::new(std::sync::Arc::new(Tcp));
    let address = server.address.to_string();
    let mut feed = forward.send(&address, hop).await.unwrap();
    assert_eq!(feed.status, 200);
    assert_eq!(feed.body.recv().await.unwrap(), ": connected\n\n");
    let begun = tokio::time::Instant::now();
    server.stop().await;
    assert_eq!(feed.body.recv().await, None);
    // Not by waiting for the limit of calls in flight.
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
}

#[actix_web::test]
async fn a_traced_call_is_one_trace_on_both_nodes() {
    let owner = Memory::new();
    let (tracer, kept) = tracer(0.0, 100);
    let server = serve_traced(&owner, tracer);
    let node = Memory::owned_by(2, server.address.to_string());
    let asked = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let create = post("/v1/events", r#"{"name": "Aida", "plan": {}}"#);
    let created = send(&node, create.insert_header(("traceparent", asked))).await;
    assert_eq!(created.status, 201);
    let first = context::read(created.header("traceparent")).expect("says where it is found");
    assert_eq!(first.trace_id, context::read(asked).unwrap().trace_id);
    // The owner's part is told when its server has let the request go.
    for _ in 0..2000 {
        if !kept.parts().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let part = &kept.parts()[0];
    let span = &part.spans[0];
    assert_eq!(
        (part.trace_id, span.parent_id),
        (first.trace_id, first.span_id)
    );
    assert_eq!(span.name, "POST /v1/events");

    let quiet = send(&node, get("/v1/events/100")).await;
    assert_eq!(quiet.headers.get("traceparent"), None);
    assert_eq!(kept.parts().len(), 1);
}
