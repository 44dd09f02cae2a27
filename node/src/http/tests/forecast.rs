//! Forecasts, price proposals and recommendations as callers see them.

use serde_json::json;

use super::memory::Memory;
use super::{get, post, send};

const EVENT: &str = r#"{"name": "Aida", "plan": {"zones": []}}"#;

#[actix_web::test]
async fn a_forecast_says_what_is_out_of_sight() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let forecast = send(&node, get("/v1/events/100/forecast")).await.json();
    assert_eq!(forecast["model"], "pace");
    assert_eq!(
        forecast["sell_out_in_s"],
        json!({ "low": 60, "likely": 90, "high": null })
    );
    assert_eq!(forecast["sold_by_close"], json!(null));
    let unknown = send(&node, get("/v1/events/7/forecast")).await;
    assert_eq!(unknown.problem(), "UNKNOWN_EVENT");
    let list = send(&node, get("/v1/events/100/recommendations")).await;
    assert_eq!(list.json()["recommendations"], json!([]));
}

#[actix_web::test]
async fn prices_are_proposed_and_decided_by_somebody() {
    let node = Memory::new();
    send(&node, post("/v1/events", EVENT)).await;
    let body =
        r#"{"categories": [{"name": "stalls", "price": 5, "floor": 1, "cap": 9, "step": 2}]}"#;
    let proposal = send(&node, post("/v1/events/100/price-proposals", body)).await;
    let proposal = proposal.json();
    assert_eq!(proposal["categories"][0]["proposed"], 7);
    let body = json!({ "proposal_id": proposal["proposal_id"], "approve": true }).to_string();
    let decision = send(&node, post("/v1/events/100/price-decisions", &body)).await;
    let decision = decision.json();
    assert_eq!(decision["approved"], true);
    assert!(!decision["by"].as_str().unwrap().is_empty(), "{decision}");

    for (path, body) in [
        ("price-proposals", r#"{"categories": []}"#),
        ("price-proposals", r#"{"categories": [{"name": "a"}]}"#),
        (
            "price-decisions",
            r#"{"proposal_id": "x", "approve": true}"#,
        ),
        ("price-decisions", r#"{"proposal_id": "x"}"#),
    ] {
        let path = format!("/v1/events/100/{path}");
        let refused = send(&node, post(&path, body)).await;
        assert_eq!(refused.problem(), "BAD_REQUEST", "{path} {body}");
    }
}
