//! Handlers of `/v1/events`: bodies to the words of `api`, answers to JSON.

use actix_web::HttpResponse;
use actix_web::http::header::{ETAG, IF_NONE_MATCH, LOCATION};
use serde::Deserialize;

use super::api::EventCommand;
use super::bodies::{CreateEvent, CreateEventQuery, Rules, SeatList};
use super::door::{Call, Reached};
use super::problem::Problem;
use super::views;

type Response = Result<HttpResponse, Problem>;

/// The plan inside a JSON body, or, when the query names the event, as the whole body.
pub async fn create(call: Call) -> Response {
    let query: CreateEventQuery = call.query()?;
    let event = match query.name {
        Some(_) => query.into_event(call.key, &call.body)?,
        None => {
            let body: CreateEvent<'_> = call.json()?;
            body.into_event(call.key, &call.body, query.dedupe)?
        }
    };
    let created = call.run(|api| async move { api.create_event(event).await });
    Ok(match created.await? {
        Reached::Here(summary) => HttpResponse::Created()
            .insert_header((LOCATION, format!("/v1/events/{}", summary.entry.event_id)))
            .json(summary),
        Reached::There(response) => response,
    })
}

pub async fn list(call: Call) -> Response {
    call.answer(|api| async move { api.events().await }).await
}

pub async fn show(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.answer(move |api| async move { api.event(event_id).await })
        .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutQuery {
    /// `positions`: what a drawing needs, a tenth of the bytes.
    form: Option<String>,
}

pub async fn layout(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let query: LayoutQuery = call.query()?;
    let positions = match query.form.as_deref() {
        None | Some("full") => false,
        Some("positions") => true,
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "form: must be full or positions, is {other:?}"
            )));
        }
    };
    let layout = match call
        .run(move |api| async move { api.layout(event_id).await })
        .await?
    {
        Reached::Here(layout) => layout,
        Reached::There(response) => return Ok(response),
    };
    let etag = format!("\"{}{}\"", layout.etag, if positions { "-p" } else { "" });
    let known = call.request.headers().get(IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok(HttpResponse::NotModified()
            .insert_header((ETAG, etag))
            .finish());
    }
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, etag))
        .json(super::layout::view(event_id, layout.map, positions)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatsQuery {
    /// True: proved to be current, by the leader.
    #[serde(default)]
    linearizable: bool,
}

pub async fn seats(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let query: SeatsQuery = call.query()?;
    call.answer(move |api| async move { api.seats(event_id, query.linearizable).await })
        .await
}

pub async fn observe(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.answer(move |api| async move { api.observe(event_id).await })
        .await
}

/// The snapshot of this node's replica: never another node's, because audits compare them.
pub async fn dump(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let dumped = call.run(move |api| async move { api.dump(event_id).await });
    Ok(match dumped.await? {
        Reached::Here(dump) => HttpResponse::Ok()
            .content_type("application/x-protobuf")
            .insert_header(("x-applied-index", dump.applied_index.to_string()))
            .body(dump.bytes),
        Reached::There(response) => response,
    })
}

pub async fn open(call: Call) -> Response {
    command(call, EventCommand::Open).await
}

pub async fn pause(call: Call) -> Response {
    command(call, EventCommand::Pause).await
}

pub async fn resume(call: Call) -> Response {
    command(call, EventCommand::Resume).await
}

pub async fn close(call: Call) -> Response {
    command(call, EventCommand::Close).await
}

pub async fn reopen(call: Call) -> Response {
    command(call, EventCommand::Reopen).await
}

pub async fn release(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.done(move |api| async move { api.release(event_id).await })
        .await
}

pub async fn block(call: Call) -> Response {
    let seats = call.json::<SeatList>()?.into_domain()?;
    command(call, EventCommand::Block(seats)).await
}

pub async fn unblock(call: Call) -> Response {
    let seats = call.json::<SeatList>()?.into_domain()?;
    command(call, EventCommand::Unblock(seats)).await
}

/// Whether the event is in test mode stays as it was created.
pub async fn set_rules(call: Call) -> Response {
    let rules = call.json::<Rules>()?.into_domain(false)?;
    command(call, EventCommand::SetRules(rules)).await
}

pub async fn command(call: Call, command: EventCommand) -> Response {
    let event_id = call.number("event_id")?;
    let key = call.key;
    let answer: Response = call
        .answer::<views::Applied, _, _>(move |api| async move {
            api.command(event_id, key, command).await
        })
        .await;
    // Whoever may have to repeat it must know under which key it ran.
    answer.map_err(|problem| match problem.reason.as_str() {
        "UNKNOWN_OUTCOME" => problem.with("idempotency_key", views::id_text(key.0)),
        _ => problem,
    })
}
