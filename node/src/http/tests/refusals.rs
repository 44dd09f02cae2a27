//! Bad input: every wrong body, query, path and key is a problem with a 4xx status and a sentence.

use actix_web::test::TestRequest;

use super::memory::Memory;
use super::{get, post, send};

#[actix_web::test]
async fn without_an_operators_key_nothing_is_answered() {
    let node = Memory::new();
    for path in ["/v1/events", "/v1/events/1/seats", "/v1/groups", "/v1/keys"] {
        let none = send(&node, TestRequest::get().uri(path)).await;
        assert_eq!(
            (none.status.as_u16(), none.problem()),
            (401, "UNAUTHENTICATED".into())
        );
        assert_eq!(none.header("www-authenticate"), "Bearer");
        for (header, status) in [
            ("Bearer wrong", 401),
            ("Bearer ", 401),
            ("Basic YTpi", 401),
            ("Bearer a-partners-key", 403),
        ] {
            let request = TestRequest::get()
                .uri(path)
                .insert_header(("authorization", header));
            assert_eq!(send(&node, request).await.status, status, "{header}");
        }
    }
}

#[actix_web::test]
async fn bad_bodies_are_refused_by_name() {
    let node = Memory::new();
    let deep = format!(
        r#"{{"name": "x", "plan": {}1{}}}"#,
        "[".repeat(400),
        "]".repeat(400)
    );
    let cases = [
        ("/v1/events", "", "a JSON body is needed"),
        ("/v1/events", "{", "EOF"),
        ("/v1/events", "[]", "body: "),
        ("/v1/events", r#"{"plan": {}}"#, "missing field `name`"),
        ("/v1/events", r#"{"name": "x"}"#, "missing field `plan`"),
        (
            "/v1/events",
            r#"{"name": 5, "plan": {}}"#,
            "invalid type: integer",
        ),
        (
            "/v1/events",
            r#"{"name": " ", "plan": {}}"#,
            "name: must not be empty",
        ),
        (
            "/v1/events",
            r#"{"name": "a\u0007", "plan": {}}"#,
            "name: must not have control",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "hold_ttl": 5}"#,
            "unknown field `hold_ttl`",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "rules": {"hold_ttl_s": -5}}"#,
            "invalid value: integer `-5`",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "rules": {"hold_ttl_s": 5000000}}"#,
            "rules.hold_ttl_s: 5000000 s is too long",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "rules": {"hold_ttl_s": 0}}"#,
            "rules.hold_ttl_s: must be 1 or more",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "rules": {"hold_seats_max": 0}}"#,
            "rules.hold_seats_max: must be 1 or more",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "rules": {"hold_ttl_s": 61, "hold_life_max_s": 60}}"#,
            "rules.hold_ttl_s: 61 s is longer than a hold may live",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {},
                "rules": {"channels": [{"channel": 3, "hold_ttl_s": 7201}]}}"#,
            "rules.channels.hold_ttl_s: 7201 s is longer than a hold may live",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {},
                "rules": {"channels": [{"channel": 3, "floor": 6, "cap": 5}]}}"#,
            "rules.channels.floor: 6 of channel 3 is more than its cap, 5",
        ),
        (
            "/v1/events",
            r#"{"name": "x", "plan": {}, "starts_at": "soon"}"#,
            "starts_at: \"soon\" is not a moment",
        ),
        ("/v1/events", deep.as_str(), "line 1: not an object"),
        (
            "/v1/events/1/block",
            r#"{"seats": []}"#,
            "seats: names no seat",
        ),
        (
            "/v1/events/1/block",
            r#"{"seats": [{"section": 1}]}"#,
            "missing field `seat`",
        ),
        (
            "/v1/events/1/block",
            r#"{"seats": [{"section": 70000, "seat": 1}]}"#,
            "70000",
        ),
        (
            "/v1/events/1/block",
            r#"{"seats": [{"section": 1, "seat": 4294967295, "count": 2}]}"#,
            "no section has a seat 4294967295",
        ),
        ("/v1/partners", r#"{"name": ""}"#, "name: must not be empty"),
        (
            "/v1/partners",
            r#"{"name": "x", "partner_id": 0}"#,
            "partner_id: must be 1",
        ),
        ("/v1/keys", r#"{}"#, "either a partner's"),
        (
            "/v1/keys",
            r#"{"partner_id": 1, "operator": true}"#,
            "either a partner's",
        ),
        (
            "/v1/nodes",
            r#"{"node_id": 4}"#,
            "missing field `peer_address`",
        ),
        (
            "/v1/nodes",
            r#"{"node_id": 4, "peer_address": "nowhere", "partner_address": "h:2",
                "http_address": "h:3"}"#,
            "peer_address: must be host:port",
        ),
        (
            "/v1/groups/1/transfer",
            r#"{"to": "two"}"#,
            "invalid type: string",
        ),
        (
            "/v1/groups/one/transfer",
            r#"{"to": 2}"#,
            "group_id: \"one\" is not a number",
        ),
    ];
    for (path, body, detail) in cases {
        let answer = send(&node, post(path, body)).await;
        assert!(answer.status.is_client_error(), "{path} {body}");
        answer.problem();
        let said = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(detail), "{path} {body}: {said}");
    }
}

#[actix_web::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_kept() {
    let node = Memory::new();
    // A plan may be larger than other bodies; this server takes 100,000 bytes.
    let plan = format!(r#"{{"name": "x", "plan": "{}"}}"#, "x".repeat(100_001));
    let answer = send(&node, post("/v1/events", &plan)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (413, "TOO_LARGE".into())
    );
    let name = format!(r#"{{"name": "{}"}}"#, "x".repeat(1 << 20));
    let answer = send(&node, post("/v1/partners", &name)).await;
    assert_eq!(answer.status, 413);
    let seats = r#"{"seats": [{"section": 0, "seat": 0, "count": 4000000000}]}"#;
    let answer = send(&node, post("/v1/events/1/block", seats)).await;
    assert_eq!(answer.problem(), "TOO_LARGE");
}

#[actix_web::test]
async fn bad_paths_queries_and_keys_are_refused_by_name() {
    let node = Memory::new();
    let cases = [
        ("/v1/event", 404, "UNKNOWN_PATH"),
        ("/v1/events/7", 404, "UNKNOWN_EVENT"),
        ("/v1/events/seven", 400, "BAD_REQUEST"),
        ("/v1/events/18446744073709551616", 400, "BAD_REQUEST"),
        ("/v1/events/7/changes", 400, "BAD_REQUEST"),
        ("/v1/events/7/changes?from=x", 400, "BAD_REQUEST"),
        ("/v1/events/7/seats?linear=true", 400, "BAD_REQUEST"),
        ("/v1/events/7/layout?form=short", 400, "BAD_REQUEST"),
        ("/v1/events/7/open", 405, "METHOD_NOT_ALLOWED"),
        ("/v1/orders?buyer=bob", 400, "BAD_REQUEST"),
        ("/v1/orders?state=held", 400, "BAD_REQUEST"),
        ("/v1/orders?from=yesterday", 400, "BAD_REQUEST"),
        ("/v1/orders?colour=red", 400, "BAD_REQUEST"),
        ("/v1/orders/5", 400, "BAD_REQUEST"),
    ];
    for (path, status, reason) in cases {
        let answer = send(&node, get(path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.problem(), reason, "{path}");
    }
    for key in ["5", "6fa459ea-ee8a-4ca4-894e-db77e160355e"] {
        let request = post("/v1/events/7/open", "").insert_header(("idempotency-key", key));
        assert_eq!(send(&node, request).await.problem(), "BAD_REQUEST");
    }
}
