//! An order: what a confirmed hold became.

use crate::command::PaymentReference;
use crate::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId};
use crate::outcome::SeatRuns;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub hold: HoldId,
    pub buyer: BuyerId,
    pub partner: PartnerId,
    pub channel: ChannelId,
    pub payment: PaymentReference,
    /// Log time of the confirmation, Unix milliseconds.
    pub placed_at_ms: u64,
    /// Of a cancelled order: the seats it had.
    pub seats: SeatRuns,
    pub state: OrderState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    Paid,
    /// Its seats went back at once.
    Cancelled,
}
