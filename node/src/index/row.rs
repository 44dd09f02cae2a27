//! One row: a hold from its placing to its end, or the order it became. The value's bytes are the
//! index's own and change with `keys::FORMAT`: nothing else ever reads them.

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

    pub fn is_order(self) -> bool {
        matches!(self, RowState::Paid | RowState::Cancelled)
    }
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

const VALUE_BYTES: usize = 1 + 16 + 4 + 2 + 16 + 4 + 8 + 8;

impl Row {
    /// The id the row is stored under.
    pub(super) fn id(&self) -> u128 {
        self.order.map_or(self.hold.0, |order| order.0)
    }

    /// What the key does not say.
    pub(super) fn value(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(VALUE_BYTES);
        let state = RowState::ALL.iter().position(|state| *state == self.state);
        bytes.push(state.unwrap_or_default() as u8);
        bytes.extend(self.hold.0.to_be_bytes());
        bytes.extend(self.partner.0.to_be_bytes());
        bytes.extend(self.channel.0.to_be_bytes());
        bytes.extend(self.buyer.0.to_be_bytes());
        bytes.extend(self.seats.to_be_bytes());
        bytes.extend(self.held_at_ms.to_be_bytes());
        bytes.extend(self.deadline_ms.to_be_bytes());
        bytes
    }

    /// `None` for bytes that are no row: a damaged store.
    pub(super) fn from_parts(place: super::keys::Place, value: &[u8]) -> Option<Row> {
        if value.len() != VALUE_BYTES {
            return None;
        }
        let (state, rest) = value.split_first()?;
        let state = *RowState::ALL.get(usize::from(*state))?;
        let (hold, rest) = take(rest).map(|(b, rest)| (u128::from_be_bytes(b), rest))?;
        let (partner, rest) = take(rest).map(|(b, rest)| (u32::from_be_bytes(b), rest))?;
        let (channel, rest) = take(rest).map(|(b, rest)| (u16::from_be_bytes(b), rest))?;
        let (buyer, rest) = take(rest).map(|(b, rest)| (u128::from_be_bytes(b), rest))?;
        let (seats, rest) = take(rest).map(|(b, rest)| (u32::from_be_bytes(b), rest))?;
        let (held_at_ms, rest) = take(rest).map(|(b, rest)| (u64::from_be_bytes(b), rest))?;
        let (deadline_ms, _) = take(rest).map(|(b, rest)| (u64::from_be_bytes(b), rest))?;
        Some(Row {
            sale: SaleId(place.sale),
            at_ms: place.at_ms,
            hold: HoldId(hold),
            order: state.is_order().then_some(OrderId(place.id)),
            state,
            partner: PartnerId(partner),
            channel: ChannelId(channel),
            buyer: BuyerId(buyer),
            seats,
            held_at_ms,
            deadline_ms,
        })
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    Some((*first, rest))
}
