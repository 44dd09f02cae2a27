//! Which path and method goes to which handler, and what is counted, logged and traced about each call.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig, delete, get, post, put};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, Resource};
use tokio::time::Instant;

use super::api::Operator;
use super::door::{Door, TakesPlan};
use super::problem::{Problem, Reason};
use super::{changes, events, forecast, health, nodes, partners, queue, sales};
use crate::trace::{CallSpan, STATE_HEADER, TRACE_HEADER, Value};

pub fn configure(config: &mut ServiceConfig) {
    let scope = web::scope("")
        .wrap(from_fn(observe))
        .service(at("/").route(get().to(health::page)))
        .service(at("/healthz").route(get().to(health::alive)))
        .service(at("/readyz").route(get().to(health::ready)))
        .service(at("/metrics").route(get().to(health::metrics)));
    config.service(
        scope
            .configure(configure_events)
            .configure(configure_cluster)
            .default_service(web::to(unknown_path)),
    );
}

fn configure_events(config: &mut ServiceConfig) {
    let event = |tail: &str| at(&format!("/v1/events/{{event_id}}{tail}"));
    config
        .service(
            at("/v1/events")
                .app_data(TakesPlan)
                .route(get().to(events::list))
                .route(post().to(events::create)),
        )
        .service(event("").route(get().to(events::show)))
        .service(event("/layout").route(get().to(events::layout)))
        .service(event("/seats").route(get().to(events::seats)))
        .service(event("/changes").route(get().to(changes::watch)))
        .service(event("/observe").route(get().to(events::observe)))
        .service(event("/forecast").route(get().to(forecast::show)))
        .service(event("/recommendations").route(get().to(forecast::recommendations)))
        .service(event("/price-proposals").route(post().to(forecast::propose_prices)))
        .service(event("/price-decisions").route(post().to(forecast::decide_prices)))
        .service(event("/dump").route(post().to(events::dump)))
        .service(event("/open").route(post().to(events::open)))
        .service(event("/pause").route(post().to(events::pause)))
        .service(event("/resume").route(post().to(events::resume)))
        .service(event("/close").route(post().to(events::close)))
        .service(event("/reopen").route(post().to(events::reopen)))
        .service(event("/release").route(post().to(events::release)))
        .service(event("/block").route(post().to(events::block)))
        .service(event("/unblock").route(post().to(events::unblock)))
        .service(event("/rules").route(put().to(events::set_rules)))
        .service(
            event("/queue")
                .route(get().to(queue::show))
                .route(post().to(queue::arm))
                .route(put().to(queue::set)),
        )
        .service(event("/queue/times").route(put().to(queue::reschedule)))
        .service(event("/queue/beacon").route(put().to(queue::beacon)))
        .service(event("/queue/removals").route(post().to(queue::remove)))
        .service(event("/queue/trust").route(put().to(queue::trust)))
        .service(event("/queue/evidence").route(get().to(queue::evidence)))
        .service(at("/v1/orders").route(get().to(sales::orders)))
        .service(at("/v1/orders/{order_id}").route(get().to(sales::order)))
        .service(at("/v1/holds").route(get().to(sales::holds)))
        .service(at("/v1/holds/{hold_id}").route(get().to(sales::hold)));
}

fn configure_cluster(config: &mut ServiceConfig) {
    config
        .service(
            at("/v1/partners")
                .route(get().to(partners::list))
                .route(post().to(partners::add)),
        )
        .service(
            at("/v1/keys")
                .route(get().to(partners::keys))
                .route(post().to(partners::add_key)),
        )
        .service(
            at("/v1/pass-keys")
                .route(get().to(queue::pass_keys))
                .route(post().to(queue::rotate_pass_key)),
        )
        .service(at("/v1/keys/{key_id}").route(delete().to(partners::revoke_key)))
        .service(
            at("/v1/nodes")
                .route(get().to(nodes::list))
                .route(post().to(nodes::join)),
        )
        .service(at("/v1/nodes/{node_id}").route(delete().to(nodes::remove)))
        .service(at("/v1/nodes/{node_id}/promote").route(post().to(nodes::promote)))
        .service(at("/v1/nodes/{node_id}/drain").route(post().to(nodes::drain)))
        .service(
            at("/v1/nodes/{node_id}/log-filter")
                .route(get().to(nodes::log_filter))
                .route(put().to(nodes::set_log_filter)),
        )
        .service(
            at("/v1/nodes/{node_id}/sampling")
                .route(get().to(nodes::sampling))
                .route(put().to(nodes::set_sampling)),
        )
        .service(at("/v1/groups").route(get().to(nodes::groups)))
        .service(at("/v1/groups/{group_id}/transfer").route(post().to(nodes::transfer)))
        .service(at("/v1/groups/{group_id}/snapshot").route(post().to(nodes::snapshot)))
        .service(at("/v1/groups/{group_id}/rebuild").route(post().to(nodes::rebuild)));
}

/// A resource that answers other methods with a problem.
fn at(path: &str) -> Resource {
    web::resource(path).default_service(web::to(wrong_method))
}

async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        Reason::UnknownPath,
        format!("there is no {}", request.path()),
    ))
}

async fn wrong_method(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        Reason::MethodNotAllowed,
        format!("{} has no {}", request.path(), request.method()),
    ))
}

/// Lines that say who did what: none of them is ever left out.
pub const OPERATORS: &str = "onsale::operators";

/// Counts each call, and logs each that may have changed something.
async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = Instant::now();
    let traced = trace(&request);
    let mut response = next.call(request).await?;
    if let Some(traced) = &traced {
        finish(traced, &mut response);
    }
    let request = response.request();
    let status = response.status().as_u16();
    let method = request.method().as_str();
    let route = request
        .match_pattern()
        .unwrap_or_else(|| "unknown".to_owned());
    if let Some(door) = request.app_data::<web::Data<Door>>() {
        door.metrics.observe_call(
            method_label(method, status),
            &route,
            status,
            begun.elapsed(),
        );
    }
    if method != "GET"
        && let Some(operator) = request.extensions().get::<Operator>()
    {
        tracing::info!(
            target: OPERATORS,
            operator = operator.key_id,
            method,
            path = request.path(),
            status,
            trace_id = traced.map(|traced| format!("{:032x}", traced.trace_id())),
            "operator call"
        );
    }
    Ok(response)
}

/// The span of a call of the API, where it is traced: it is found in the request.
fn trace(request: &ServiceRequest) -> Option<Arc<CallSpan>> {
    if !request.path().starts_with("/v1/") {
        return None;
    }
    let door = request.app_data::<web::Data<Door>>()?;
    let header = |name| request.headers().get(name)?.to_str().ok();
    let state = || header(STATE_HEADER);
    let traced = door.tracer.call("http", header(TRACE_HEADER), state)?;
    request.extensions_mut().insert(Arc::clone(&traced));
    Some(traced)
}

/// Ends it with the answer's head, which says where it is found; a caller without a key is nobody, and
/// not told of.
fn finish(traced: &CallSpan, response: &mut ServiceResponse<impl MessageBody>) {
    let is_known = response.request().extensions().get::<Operator>().is_some();
    if !is_known {
        return traced.forget();
    }
    let status = response.status();
    let request = response.request();
    let method = method_label(request.method().as_str(), status.as_u16());
    let route = request.match_pattern();
    traced.rename(format!(
        "{method} {}",
        route.as_deref().unwrap_or("unknown")
    ));
    traced.note(
        "http.response.status_code",
        Value::Number(status.as_u16().into()),
    );
    if let Ok(parent) = HeaderValue::try_from(traced.traceparent()) {
        let name = HeaderName::from_static(TRACE_HEADER);
        response.headers_mut().insert(name, parent);
    }
    traced.end(status.is_server_error());
}

/// A closed set, whatever callers send: what a route does not take is no series of its own.
pub(super) fn method_label(method: &str, status: u16) -> &'static str {
    match method {
        _ if status == StatusCode::METHOD_NOT_ALLOWED.as_u16() => "other",
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
