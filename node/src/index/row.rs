//! One row: a hold from its placing to its end, or the order it became.

use domain::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId, SaleId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    Held,
    Released,
    Expired,
    /// An order; its hold counts as confirmed.
    Paid,
    Cancelled,
}

impl RowState {
    pub const ALL: [RowState; 5] = [
        RowState::Held,
        RowState::Released,
        RowState::Expired,
        RowState::Paid,
        RowState::Cancelled,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub sale: SaleId,
    /// When the hold was placed or the order confirmed, log time in Unix milliseconds: what rows
    /// are in sequence by.
    pub at_ms: u64,
    pub hold: HoldId,
    /// Of an order.
    pub order: Option<OrderId>,
    pub state: RowState,
    pub partner: PartnerId,
    pub channel: ChannelId,
    pub buyer: BuyerId,
    pub seats: u32,
    /// When the hold was placed; `at_ms` when that is not known.
    pub held_at_ms: u64,
    /// When the hold ends or would have ended; 0 when not known.
    pub deadline_ms: u64,
}

impl Row {
    /// Of the order, else of the hold.
    pub(super) fn id(&self) -> u128 {
        self.order.map_or(self.hold.0, |order| order.0)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            at_ms: self.at_ms,
            sale: self.sale.0,
            id: self.id(),
        }
    }
}

/// Where a row stands: in time, then by sale and id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub at_ms: u64,
    pub sale: u64,
    pub id: u128,
}

impl Place {
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.at_ms.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sale.to_be_bytes());
        bytes[16..].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Place> {
        let (at_ms, rest) = bytes.split_first_chunk()?;
        let (sale, rest) = rest.split_first_chunk()?;
        Some(Place {
            at_ms: u64::from_be_bytes(*at_ms),
            sale: u64::from_be_bytes(*sale),
            id: u128::from_be_bytes(rest.try_into().ok()?),
        })
    }
}
