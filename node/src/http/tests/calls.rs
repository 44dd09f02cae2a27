//! What works: events created, sold, paused and searched; partners, keys and nodes.

use actix_web::test::TestRequest;
use serde_json::json;

use super::memory::Memory;
use super::{KEY, get, post, send};

const EVENT: &str = r#"{"name": "Aida", "venue": "Arena", "organiser": "Opera", "test_mode": true,
    "starts_at": "2026-09-01T21:30:00+02:00",
    "rules": {"hold_ttl_s": 600, "buyer_limit": 4, "channels": [{"channel": 2, "floor": 10}]},
    "plan": {"name": "plan",  "zones": []}}"#;

const UUID_V7: &str = "0198b0a0-7c00-7abc-8def-0123456789ab";

#[actix_web::test]
async fn an_event_is_created_once_under_its_key() {
    let node = Memory::new();
    let create = || post("/v1/events", EVENT).insert_header(("idempotency-key", UUID_V7));
    let first = send(&node, create()).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("location"), "/v1/events/100");
    let event = first.json();
    assert_eq!(event["name"], "Aida");
    assert_eq!(event["starts_at"], "2026-09-01T19:30:00Z");
    assert_eq!(event["phase"], "announced");
    // The plan's reader gets exactly the bytes that were sent.
    assert_eq!(
        node.plan(100),
        r#"{"name": "plan",  "zones": []}"#.as_bytes()
    );

    assert_eq!(send(&node, create()).await.json(), event);
    let listed = send(&node, get("/v1/events")).await.json();
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn the_whole_body_may_be_the_plan() {
    let node = Memory::new();
    let path = "/v1/events?name=Tosca&test_mode=true&buyer_limit=2&dedupe=true";
    let created = send(&node, post(path, r#"{"zones": []}"#)).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["name"], "Tosca");
    assert_eq!(node.plan(100), r#"{"zones": []}"#.as_bytes());
}

#[actix_web::test]
async fn commands_go_through_and_a_rejection_names_what_is_in_the_way() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    for (path, phase) in [
        ("open", "open"),
        ("pause", "paused"),
        ("resume", "open"),
        ("close", "closed"),
    ] {
        let path = format!("/v1/events/100/{path}");
        let done = send(
            &node,
            post(&path, "").insert_header(("idempotency-key", UUID_V7)),
        )
        .await;
        assert_eq!(done.status, 200);
        assert_eq!(done.json()["idempotency_key"], UUID_V7);
        let event = send(&node, get("/v1/events/100")).await.json();
        assert_eq!(event["phase"], phase);
    }
    let again = send(&node, post("/v1/events/100/open", "")).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.problem(), "PHASE_FORBIDS");
    assert_eq!(again.json()["in_the_way"]["phase"], "closed");
}

#[actix_web::test]
async fn seats_are_blocked_one_by_one_or_in_runs() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let seats = r#"{"seats": [{"section": 0, "seat": 3}, {"section": 1, "seat": 5, "count": 4}]}"#;
    let done = send(&node, post("/v1/events/100/block", seats)).await;
    assert_eq!(done.status, 200);
    let event = send(&node, get("/v1/events/100")).await.json();
    assert_eq!(event["seats"]["blocked"], 5);
    let twice = send(&node, post("/v1/events/100/block", seats)).await;
    assert_eq!(twice.problem(), "SEAT_NOT_FREE");
    assert_eq!(
        twice.json()["in_the_way"],
        json!({"section": "0", "seat": "3"})
    );
    let freed = send(&node, post("/v1/events/100/unblock", seats)).await;
    assert_eq!(freed.status, 200);
}

#[actix_web::test]
async fn rules_are_replaced() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let put = |body: &str| {
        TestRequest::put()
            .uri("/v1/events/100/rules")
            .insert_header(("authorization", format!("Bearer {KEY}")))
            .set_payload(body.to_owned())
    };
    assert_eq!(send(&node, put(r#"{"buyer_limit": 6}"#)).await.status, 200);
    let twice = r#"{"channels": [{"channel": 1}, {"channel": 1}]}"#;
    let refused = send(&node, put(twice)).await;
    assert_eq!(
        refused.json()["detail"],
        "rules.channels: channel 1 is listed twice"
    );
}

#[actix_web::test]
async fn the_layout_is_whole_or_positions_and_known_by_its_etag() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let whole = send(&node, get("/v1/events/100/layout")).await;
    let seat = &whole.json()["sections"][0]["rows"][0]["seats"][0];
    assert_eq!(
        *seat,
        json!({"guid": "a1", "number": "1", "x": 1.25, "y": -3.0, "category": 2, "accessible": true})
    );
    let drawing = send(&node, get("/v1/events/100/layout?form=positions")).await;
    assert_eq!(
        drawing.json()["sections"][0]["positions"],
        json!([13, -30, 2])
    );
    let etag = whole.header("etag").to_owned();
    assert_ne!(etag, drawing.header("etag"));
    let known = get("/v1/events/100/layout").insert_header(("if-none-match", etag));
    assert_eq!(send(&node, known).await.status, 304);
}

#[actix_web::test]
async fn changes_are_server_sent_events_that_end_with_compacted() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let feed = send(&node, get("/v1/events/100/changes?from=8")).await;
    assert_eq!(feed.content_type, "text/event-stream");
    let text = String::from_utf8(feed.body.to_vec()).unwrap();
    let parts: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(parts.len(), 3, "{text}");
    assert_eq!(parts[0], ": connected");
    assert!(parts[1].starts_with("event: changes\nid: 9\ndata: {\"revision\":9,\"changes\":[{"));
    assert_eq!(parts[2], "event: compacted\ndata: {}");
    let behind = send(&node, get("/v1/events/100/changes?from=0")).await;
    assert_eq!(
        (behind.status.as_u16(), behind.problem()),
        (410, "COMPACTED".into())
    );
}

#[actix_web::test]
async fn a_dump_is_bytes_with_the_index_they_stand_at() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    send(&node, post("/v1/events/100/open", "")).await;
    let dump = send(&node, post("/v1/events/100/dump", "")).await;
    assert_eq!(dump.header("x-applied-index"), "1");
    assert_eq!(dump.body, &b"\x08\x01"[..]);
}

#[actix_web::test]
async fn orders_and_holds_are_searched() {
    let node = Memory::new();
    let buyer = "00000000-0000-0000-0000-0000000000ff";
    let path = format!(
        "/v1/orders?partner=3&buyer={buyer}&state=paid&event=100&from=1970-01-02&to=1970-01-03&page=x"
    );
    assert_eq!(send(&node, get(&path)).await.status, 200);
    let search = node.last_search().unwrap();
    assert_eq!(search.partner, Some(3));
    assert_eq!(search.buyer, Some(0xff));
    assert_eq!(search.state.as_deref(), Some("paid"));
    assert_eq!(search.event, Some(100));
    assert_eq!(
        (search.from_ms, search.to_ms),
        (Some(86_400_000), Some(172_800_000))
    );
    assert_eq!((search.page.as_deref(), search.page_size), (Some("x"), 100));

    assert_eq!(
        send(&node, get("/v1/holds?state=expired")).await.status,
        200
    );
    let order = send(&node, get(&format!("/v1/orders/{buyer}"))).await;
    assert_eq!(order.problem(), "UNKNOWN_ORDER");
    let hold = send(&node, get(&format!("/v1/holds/{buyer}"))).await;
    assert_eq!(hold.problem(), "UNKNOWN_HOLD");
}

#[actix_web::test]
async fn partners_get_keys_that_are_shown_once() {
    let node = Memory::new();
    let partner = send(&node, post("/v1/partners", r#"{"name": "Web shop"}"#)).await;
    assert_eq!(partner.status, 201);
    assert_eq!(
        partner.json(),
        json!({"partner_id": 1, "name": "Web shop", "channel": 1})
    );
    let key = send(&node, post("/v1/keys", r#"{"partner_id": 1}"#))
        .await
        .json();
    assert!(key["key"].as_str().unwrap().starts_with("onsale_00000000_"));
    let listed = send(&node, get("/v1/keys")).await.json();
    assert_eq!(
        listed,
        json!({"keys": [{"key_id": "00000000", "partner_id": 1, "operator": false}]})
    );
    let revoke = || {
        TestRequest::delete()
            .uri("/v1/keys/00000000")
            .insert_header(("authorization", format!("Bearer {KEY}")))
    };
    assert_eq!(send(&node, revoke()).await.status, 204);
    assert_eq!(send(&node, revoke()).await.problem(), "UNKNOWN_KEY");
}

#[actix_web::test]
async fn a_node_joins_with_the_secret_and_is_promoted_by_an_operator() {
    let node = Memory::new();
    let body = r#"{"node_id": 4, "peer_address": "h:1", "partner_address": "h:2",
        "http_address": "h:3"}"#;
    let with_secret = |path: &str| {
        TestRequest::post()
            .uri(path)
            .insert_header(("authorization", "Bearer the-cluster-secret"))
            .set_payload(body)
    };
    assert_eq!(send(&node, with_secret("/v1/nodes")).await.status, 204);
    // The secret opens nothing else.
    let promote = "/v1/nodes/4/promote";
    assert_eq!(send(&node, with_secret(promote)).await.status, 401);
    assert_eq!(send(&node, post(promote, "")).await.status, 204);
    let nodes = send(&node, get("/v1/nodes")).await.json();
    assert_eq!(nodes["nodes"][0]["state"], "active");
    assert_eq!(send(&node, post("/v1/nodes/4/drain", "")).await.status, 204);
    let unknown = send(&node, post("/v1/nodes/9/drain", "")).await;
    assert_eq!(unknown.problem(), "UNKNOWN_NODE");
}

#[actix_web::test]
async fn groups_are_listed_moved_and_snapshotted() {
    let node = Memory::new();
    let groups = send(&node, get("/v1/groups")).await.json();
    assert_eq!(groups["groups"][0]["group_id"], 1);
    let moved = send(&node, post("/v1/groups/1/transfer", r#"{"to": 2}"#)).await;
    assert_eq!(moved.status, 204);
    assert_eq!(
        send(&node, post("/v1/groups/1/snapshot", "")).await.status,
        204
    );
}

#[actix_web::test]
async fn a_node_with_a_stopped_replica_is_not_ready_and_names_the_group() {
    let node = Memory::stopped(&[3, 5]);
    let answer = send(&node, TestRequest::get().uri("/readyz")).await;
    assert_eq!(answer.status, 503);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("groups 3, 5"), "{detail}");
    let released = send(&node, post("/v1/events/1/release", "")).await;
    assert_eq!(released.status, 404, "there is no such event");
    let rebuilt = send(&node, post("/v1/groups/3/rebuild", "")).await;
    assert_eq!(rebuilt.status, 204);
}

#[actix_web::test]
async fn a_node_with_a_disputed_replica_goes_on_and_says_so() {
    let node = Memory::disputed(&[3]);
    let answer = send(&node, TestRequest::get().uri("/readyz")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["disputed_groups"], serde_json::json!([3]));
    let well = send(&Memory::new(), TestRequest::get().uri("/readyz")).await;
    assert!(well.json().get("disputed_groups").is_none());
}

#[actix_web::test]
async fn health_metrics_and_the_page_need_no_key() {
    let node = Memory::new();
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        let answer = send(&node, TestRequest::get().uri(path)).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let page = send(&node, TestRequest::get().uri("/")).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.starts_with("<!doctype html>"));
    for outside in ["http://", "https://", "src=\"//"] {
        assert!(!text.contains(outside), "the page asks for {outside}");
    }
}
