//! What needs no key: is the node alive, is it ready, its metrics, and the page.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::Data;
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use super::door::Door;
use super::problem::{Problem, Reason};

const PAGE: &str = include_str!("page.html");

/// The page talks to its own node and to nobody else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "alive": true }))
}

pub async fn ready(door: Data<Door>) -> Result<HttpResponse, Problem> {
    if door.api.ready() {
        let mut answer = json!({ "ready": true, "node_id": door.api.node_id() });
        let disputed = door.api.disputed_groups();
        if !disputed.is_empty() {
            answer["disputed_groups"] = disputed.into();
        }
        return Ok(HttpResponse::Ok().json(answer));
    }
    let stopped: Vec<String> = door
        .api
        .stopped_groups()
        .iter()
        .map(u32::to_string)
        .collect();
    let why = match stopped.is_empty() {
        true => "the node starts, catches up, or is about to stop".to_owned(),
        false => format!(
            "stopped here, because they differed from the other replicas: groups {}",
            stopped.join(", ")
        ),
    };
    Err(Problem::new(Reason::NotReady, why))
}

pub async fn metrics(door: Data<Door>) -> Result<HttpResponse, Problem> {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&door.registry.gather(), &mut text)
        .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(text))
}

pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}
