//! Handlers of `/v1/events`: bodies to the words of `api`, answers to JSON.

use actix_web::HttpResponse;
use actix_web::http::header::{ETAG, IF_NONE_MATCH, LOCATION};
use bytes::Bytes;
use serde::Deserialize;

use super::api::{EventCommand, NewEvent};
use super::bodies::{self, CreateEvent, CreateEventQuery, Rules, SeatList};
use super::door::{Call, Reached};
use super::problem::{Problem, Reason};
use super::views;

type Response = Result<HttpResponse, Problem>;

/// The plan inside a JSON body, or, when the query names the event, as the whole body.
pub async fn create(call: Call) -> Response {
    let query: CreateEventQuery = call.query()?;
    let event = match query.name {
        Some(_) => from_query(&call, query)?,
        None => from_body(&call, query.dedupe)?,
    };
    let created = call.run(|api| async move { api.create_event(event).await });
    Ok(match created.await? {
        Reached::Here(summary) => HttpResponse::Created()
            .insert_header((LOCATION, format!("/v1/events/{}", summary.entry.event_id)))
            .json(summary),
        Reached::There(response) => response,
    })
}

fn from_body(call: &Call, dedupe: bool) -> Result<NewEvent, Problem> {
    let body: CreateEvent<'_> = call.json()?;
    let plan = bodies::plan_of(&call.body, body.plan);
    let rules = body.rules.into_domain(body.test_mode)?;
    let event = NewEvent {
        key: call.key,
        name: body.name,
        venue: body.venue,
        organiser: body.organiser,
        starts_at_ms: starts_at_ms(body.starts_at.as_deref())?,
        rules,
        plan,
        dedupe: dedupe || body.dedupe,
    };
    checked(event)
}

fn from_query(call: &Call, query: CreateEventQuery) -> Result<NewEvent, Problem> {
    let mut rules = Rules::default();
    rules.hold_ttl_s = query.hold_ttl_s.unwrap_or(rules.hold_ttl_s);
    rules.buyer_limit = query.buyer_limit.unwrap_or(rules.buyer_limit);
    if call.body.is_empty() {
        return Err(Problem::new(
            Reason::InvalidPlan,
            "the body must be a seating plan",
        ));
    }
    checked(NewEvent {
        key: call.key,
        name: query.name.unwrap_or_default(),
        venue: query.venue,
        organiser: query.organiser,
        starts_at_ms: starts_at_ms(query.starts_at.as_deref())?,
        rules: rules.into_domain(query.test_mode)?,
        plan: Bytes::clone(&call.body),
        dedupe: query.dedupe,
    })
}

fn checked(event: NewEvent) -> Result<NewEvent, Problem> {
    bodies::text("name", &event.name, true)?;
    bodies::text("venue", &event.venue, false)?;
    bodies::text("organiser", &event.organiser, false)?;
    Ok(event)
}

fn starts_at_ms(text: Option<&str>) -> Result<i64, Problem> {
    text.map_or(Ok(0), |text| bodies::moment("starts_at", text))
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

async fn command(call: Call, command: EventCommand) -> Response {
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
