//! `SalesService`: holds and orders as unary calls.

use actors::SaleHandle;
use actors::sale::ReadFailure;
use domain::hold::Hold;
use domain::ids::{HoldId, OrderId, PartnerId, SaleId};
use domain::order::Order;
use domain::outcome::Done;
use domain::rejection::Rejection;
use domain::sale::HoldNow;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::sales_service_server::SalesService;
use proto::channel::v1::{
    CancelOrderRequest, CancelOrderResponse, ConfirmHoldRequest, ConfirmHoldResponse,
    ExtendHoldRequest, ExtendHoldResponse, GetHoldRequest, GetHoldResponse, GetOrderRequest,
    GetOrderResponse, OrderState, PlaceHoldRequest, PlaceHoldResponse, ReleaseHoldRequest,
    ReleaseHoldResponse,
};
use tonic::{Request, Response, Status};

use super::input::{self, Stamp, ToRecord, Violations};
use super::place::{self, Copy, Place};
use super::{Entrance, Lane, deadline, output, status, unary};
use crate::bugs::{Bug, planted};

#[derive(Clone)]
pub struct Sales(pub(super) Entrance);

impl Sales {
    /// Authenticates, converts, asks the sale's owner.
    async fn decide<M: ToRecord>(&self, request: Request<M>) -> Result<(M, u64, Done), Status> {
        let Entrance::Partners(partners) = &self.0 else {
            return Err(Status::unimplemented("peers forward commands"));
        };
        let caller = partners.admitted(request.metadata())?;
        let deadline = deadline::of_call(request.metadata(), partners.config.timeout)?;
        let traced = super::traced(&request);
        let message = request.into_inner();
        let mut record = Vec::with_capacity(128);
        let keys = partners.pass_keys.as_ref();
        input::take(&message, Stamp::of(&caller), keys, &mut record).map_err(status::not_taken)?;
        let sale = SaleId(message.event_id());
        let answer = unary::ask(&partners.gateway, sale, record, deadline, traced).await;
        let (log_index, done) = status::of_answer(answer, partners.wall.now_ms())?;
        Ok((message, log_index, done))
    }
}

/// The id that was chosen, or the key that stood in for it.
fn chosen(id: bytes::Bytes, key: bytes::Bytes) -> bytes::Bytes {
    if id.is_empty() { key } else { id }
}

#[tonic::async_trait]
impl SalesService for Sales {
    async fn place_hold(
        &self,
        request: Request<PlaceHoldRequest>,
    ) -> Result<Response<PlaceHoldResponse>, Status> {
        let (asked, log_index, done) = self.decide(request).await?;
        Ok(Response::new(PlaceHoldResponse {
            hold_id: chosen(asked.hold_id, asked.idempotency_key),
            deadline_ms: done.deadline_ms,
            seats: output::runs(&done.seats),
            revision: done.revision.0,
            log_index,
        }))
    }

    async fn extend_hold(
        &self,
        request: Request<ExtendHoldRequest>,
    ) -> Result<Response<ExtendHoldResponse>, Status> {
        let (_, log_index, done) = self.decide(request).await?;
        Ok(Response::new(ExtendHoldResponse {
            deadline_ms: done.deadline_ms,
            revision: done.revision.0,
            log_index,
        }))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Result<Response<ReleaseHoldResponse>, Status> {
        let (_, log_index, done) = self.decide(request).await?;
        Ok(Response::new(ReleaseHoldResponse {
            seats: output::runs(&done.seats),
            revision: done.revision.0,
            log_index,
        }))
    }

    async fn confirm_hold(
        &self,
        request: Request<ConfirmHoldRequest>,
    ) -> Result<Response<ConfirmHoldResponse>, Status> {
        let (asked, log_index, done) = self.decide(request).await?;
        Ok(Response::new(ConfirmHoldResponse {
            order_id: chosen(asked.order_id, asked.idempotency_key),
            seats: output::runs(&done.seats),
            revision: done.revision.0,
            log_index,
        }))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<CancelOrderResponse>, Status> {
        let (_, log_index, done) = self.decide(request).await?;
        Ok(Response::new(CancelOrderResponse {
            seats: output::runs(&done.seats),
            revision: done.revision.0,
            log_index,
        }))
    }

    async fn get_hold(
        &self,
        request: Request<GetHoldRequest>,
    ) -> Result<Response<GetHoldResponse>, Status> {
        let (reader, until) = place::read(&self.0, Lane::Selling, request.metadata())?;
        let message = request.into_inner();
        let id = HoldId(read_id("hold_id", &message.hold_id)?);
        let sale = SaleId(message.event_id);
        let replica = match place::find(&self.0, sale, Copy::Leaders, until).await? {
            Place::Here(replica) => replica,
            Place::There(channel) => {
                let request = place::passed_on(message, reader, Some(until));
                let mut client = SalesServiceClient::new(channel);
                return place::told_in_time(until, client.get_hold(request)).await;
            }
        };
        let hold = place::in_time(until, proved(&replica, replica.hold(id))).await?;
        let ours = |partner: PartnerId| partner == reader.partner;
        match hold {
            HoldNow::Held(hold) if ours(hold.partner) => Ok(Response::new(hold_message(hold))),
            HoldNow::Ordered(order) if ours(order.partner) => Err(status::ordered(order.id)),
            HoldNow::Held(_) | HoldNow::Ordered(_) => {
                Err(status::rejected(Rejection::HoldOfAnotherPartner, 0))
            }
            HoldNow::Gone(why) => Err(status::rejected(why, 0)),
        }
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        let (reader, until) = place::read(&self.0, Lane::Selling, request.metadata())?;
        let message = request.into_inner();
        let id = OrderId(read_id("order_id", &message.order_id)?);
        let sale = SaleId(message.event_id);
        let replica = match place::find(&self.0, sale, Copy::Leaders, until).await? {
            Place::Here(replica) => replica,
            Place::There(channel) => {
                let request = place::passed_on(message, reader, Some(until));
                let mut client = SalesServiceClient::new(channel);
                return place::told_in_time(until, client.get_order(request)).await;
            }
        };
        let order = place::in_time(until, proved(&replica, replica.order(id))).await?;
        let order = order.ok_or_else(|| status::rejected(Rejection::UnknownOrder, 0))?;
        if order.partner != reader.partner {
            return Err(status::rejected(Rejection::OrderOfAnotherPartner, 0));
        }
        Ok(Response::new(order_message(order)))
    }
}

/// A read behind a proof of leadership: a leader that was cut off and does not know it yet would
/// deny what others have acknowledged since.
async fn proved<T>(
    replica: &SaleHandle,
    read: impl Future<Output = Result<T, ReadFailure>>,
) -> Result<T, ReadFailure> {
    if !planted(Bug::OrderUnproved) {
        replica.prove().await?;
    }
    read.await
}

fn read_id(field: &str, bytes: &[u8]) -> Result<u128, Status> {
    let mut violations = Violations::default();
    let id = violations.uuid(field, bytes);
    violations.none(id).map_err(status::bad_request)
}

fn hold_message(hold: Hold) -> GetHoldResponse {
    let Hold {
        id,
        buyer,
        partner: _,
        channel: _,
        placed_at_ms: _,
        deadline_ms,
        seats,
    } = hold;
    GetHoldResponse {
        hold_id: output::id(id.0),
        buyer: output::id(buyer.0),
        deadline_ms,
        seats: output::runs(&seats),
    }
}

fn order_message(order: Order) -> GetOrderResponse {
    let Order {
        id,
        hold,
        buyer,
        partner: _,
        channel: _,
        payment,
        placed_at_ms,
        seats,
        state,
    } = order;
    let state = match state {
        domain::order::OrderState::Paid => OrderState::Paid,
        domain::order::OrderState::Cancelled => OrderState::Cancelled,
    };
    GetOrderResponse {
        order_id: output::id(id.0),
        hold_id: output::id(hold.0),
        buyer: output::id(buyer.0),
        state: state.into(),
        payment_reference: String::from_utf8_lossy(payment.as_bytes()).into_owned(),
        placed_at_ms,
        seats: output::runs(&seats),
    }
}
