//! Handlers of an event's forecast, price proposals and recommendations.

use actix_web::{HttpMessage as _, HttpResponse};

use super::api::Operator;
use super::bodies::{DecidePrices, ProposePrices};
use super::door::Call;
use super::problem::Problem;

type Response = Result<HttpResponse, Problem>;

pub async fn show(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.answer(move |api| async move { api.forecast(event_id).await })
        .await
}

pub async fn recommendations(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    call.answer(move |api| async move { api.recommendations(event_id).await })
        .await
}

pub async fn propose_prices(call: Call) -> Response {
    let (event_id, key) = (call.number("event_id")?, call.key);
    let categories = call.json::<ProposePrices>()?.into_categories()?;
    call.answer(move |api| async move { api.propose_prices(event_id, key, categories).await })
        .await
}

pub async fn decide_prices(call: Call) -> Response {
    let event_id = call.number("event_id")?;
    let (proposal, approve) = call.json::<DecidePrices>()?.into_decision()?;
    let by = call.request.extensions().get::<Operator>().cloned();
    call.answer(move |api| async move { api.decide_prices(event_id, proposal, approve, by).await })
        .await
}
