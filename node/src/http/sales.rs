//! Handlers of `/v1/orders` and `/v1/holds`: searches in the node's index.

use actix_web::HttpResponse;

use super::bodies::{self, SearchQuery};
use super::door::Call;
use super::problem::Problem;

type Response = Result<HttpResponse, Problem>;

const ORDER_STATES: [&str; 2] = ["paid", "cancelled"];
const HOLD_STATES: [&str; 4] = ["held", "released", "expired", "confirmed"];

pub async fn orders(call: Call) -> Response {
    let search = call.query::<SearchQuery>()?.into_search(&ORDER_STATES)?;
    call.answer(move |api| async move { api.orders(search).await })
        .await
}

pub async fn order(call: Call) -> Response {
    let order_id = bodies::id("order_id", call.text("order_id"))?;
    call.answer(move |api| async move { api.order(order_id).await })
        .await
}

pub async fn holds(call: Call) -> Response {
    let search = call.query::<SearchQuery>()?.into_search(&HOLD_STATES)?;
    call.answer(move |api| async move { api.holds(search).await })
        .await
}

pub async fn hold(call: Call) -> Response {
    let hold_id = bodies::id("hold_id", call.text("hold_id"))?;
    call.answer(move |api| async move { api.hold(hold_id).await })
        .await
}
