//! Handlers of `/v1/partners` and `/v1/keys`.

use actix_web::HttpResponse;

use super::bodies::{AddKey, AddPartner};
use super::door::{Call, Reached};
use super::problem::Problem;

type Response = Result<HttpResponse, Problem>;

pub async fn list(call: Call) -> Response {
    call.answer(|api| async move { api.partners().await }).await
}

pub async fn add(call: Call) -> Response {
    let body: AddPartner = call.json()?;
    body.check()?;
    let added = call.run(move |api| async move {
        api.add_partner(body.partner_id, body.name, body.channel)
            .await
    });
    Ok(match added.await? {
        Reached::Here(partner) => HttpResponse::Created().json(partner),
        Reached::There(response) => response,
    })
}

pub async fn keys(call: Call) -> Response {
    call.answer(|api| async move { api.keys().await }).await
}

/// The answer is the only time the key is shown.
pub async fn add_key(call: Call) -> Response {
    let body: AddKey = call.json()?;
    body.check()?;
    let added = call.run(move |api| async move { api.add_key(body.partner_id).await });
    Ok(match added.await? {
        Reached::Here(key) => HttpResponse::Created().json(key),
        Reached::There(response) => response,
    })
}

pub async fn revoke_key(call: Call) -> Response {
    let key_id = call.text("key_id").to_owned();
    call.done(move |api| async move { api.revoke_key(key_id).await })
        .await
}
