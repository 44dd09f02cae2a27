//! Handlers of `/v1/events/{event_id}/queue` and `/v1/pass-keys`.

use actix_web::HttpResponse;

use super::api::EventCommand;
use super::bodies::{ArmQueue, Beacon, MoveQueue, QueueSettings, RemoveVisitor, Trust};
use super::door::{Call, Reached};
use super::events::command;
use super::problem::Problem;

type Response = Result<HttpResponse, Problem>;

pub async fn arm(call: Call) -> Response {
    let plan = call.json::<ArmQueue>()?.into_domain()?;
    command(call, EventCommand::OpenRoom(Box::new(plan))).await
}

pub async fn show(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.answer(move |api| async move { api.queue(event_id).await })
        .await
}

pub async fn set(call: Call) -> Response {
    let settings = call.json::<QueueSettings>()?;
    command(call, EventCommand::SetRoom(settings)).await
}

pub async fn reschedule(call: Call) -> Response {
    let (lobby_at_ms, open_at_ms) = call.json::<MoveQueue>()?.into_domain()?;
    let moved = EventCommand::MoveRoom {
        lobby_at_ms,
        open_at_ms,
    };
    command(call, moved).await
}

pub async fn beacon(call: Call) -> Response {
    let beacon = call.json::<Beacon>()?.into_domain()?;
    command(call, EventCommand::SetBeacon(beacon)).await
}

pub async fn remove(call: Call) -> Response {
    let (visitor, reason) = call.json::<RemoveVisitor>()?.into_domain()?;
    command(call, EventCommand::RemoveVisitor { visitor, reason }).await
}

/// The file that `onsale verify-queue` reads, byte for byte.
pub async fn evidence(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let published = call.run(move |api| async move { api.evidence(event_id).await });
    Ok(match published.await? {
        Reached::Here(bytes) => HttpResponse::Ok()
            .content_type("application/json")
            .body(bytes),
        Reached::There(response) => response,
    })
}

pub async fn trust(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let (partner_id, trust) = call.json::<Trust>()?.into_domain()?;
    call.done(move |api| async move { api.trust(event_id, partner_id, trust).await })
        .await
}

pub async fn pass_keys(call: Call) -> Response {
    call.answer(|api| async move { api.pass_keys().await })
        .await
}

pub async fn rotate_pass_key(call: Call) -> Response {
    call.answer(|api| async move { api.rotate_pass_key().await })
        .await
}
