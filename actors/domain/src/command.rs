//! What can be asked of a sale. Imperative; borrowed from the entry it was decoded from.

use crate::ids::{
    BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef, VisitorId,
};
use crate::room::merkle::Hash;
use crate::room::pace::Ceilings;
use crate::room::{Plan, Token};
use crate::rules::SaleRules;

/// One command with who asks and the key that makes a retry safe.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    pub partner: PartnerId,
    pub channel: ChannelId,
    /// Zero for what the leader proposes by itself, which is never remembered.
    pub key: IdempotencyKey,
    /// Hash over kind and body as they were sent: tells a retry from another request.
    pub hash: u64,
    pub command: Command<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Command<'a> {
    OpenSale,
    PauseSale,
    ResumeSale,
    CloseSale,
    /// Only in test mode: everything sold is free again and its orders are forgotten; holds stay.
    ReopenSale,
    SetRules(Box<SaleRules>),
    BlockSeats {
        seats: &'a [SeatRef],
    },
    UnblockSeats {
        seats: &'a [SeatRef],
    },
    PlaceHold(PlaceHold<'a>),
    ExtendHold {
        hold: HoldId,
        ttl_ms: u32,
    },
    ReleaseHold {
        hold: HoldId,
    },
    ConfirmHold {
        hold: HoldId,
        order: OrderId,
        payment: PaymentReference,
    },
    CancelOrder {
        order: OrderId,
    },
    /// Proposed by the leader when something is due; it only moves the sale's `now`.
    ExpireHolds,

    /// Gives an announced sale a waiting room, which opens the sale when it opens.
    OpenRoom(Box<Plan>),
    MoveRoom {
        lobby_at_ms: u64,
        open_at_ms: u64,
    },
    /// What an operator sets in a room that is there; all of it at once.
    SetRoom(SetRoom<'a>),
    SetBeacon {
        beacon: Hash,
    },
    /// By a rule, whose number the visitor is told.
    RemoveVisitor {
        visitor: VisitorId,
        reason: u32,
    },
    /// Who comes is one and the same person as a buyer with this id. Never remembered under its
    /// key: who is there keeps their place.
    JoinRoom {
        visitor: VisitorId,
        class: u8,
        /// Tickets wanted together, at least 1.
        party: u8,
    },
    LeaveRoom {
        visitor: VisitorId,
    },
    /// Proposed by the leader: visitors are let in until so many were over all time.
    ReleaseVisitors {
        up_to: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRoom<'a> {
    /// While paused nobody is let in.
    pub is_paused: bool,
    /// While closed nobody new is taken.
    pub is_closed: bool,
    pub ceilings: Ceilings,
    /// By lane; none: they stay.
    pub weights: &'a [u16],
}

/// Seats set aside for a buyer. All lines or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaceHold<'a> {
    pub hold: HoldId,
    pub buyer: BuyerId,
    /// 0 takes the channel's or the sale's hold time.
    pub ttl_ms: u32,
    pub lines: &'a [HoldLine],
    /// Seats of the `Seats` lines, one after the other.
    pub seats: &'a [SeatRef],
    /// Sections of the `BestAvailable` lines, one after the other.
    pub sections: &'a [u16],
    /// Of a buyer who comes from a partner's own waiting room.
    pub token: Option<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldLine {
    /// The next `count` of `PlaceHold::seats`.
    Seats {
        count: u16,
    },
    BestAvailable {
        quantity: u16,
        category: CategoryChoice,
        /// The next `section_count` of `PlaceHold::sections`; 0 is any section.
        section_count: u16,
        /// Wheelchair places with companions beside them, instead of ordinary seats.
        accessible: bool,
        /// When the group cannot sit together, the fewest pieces will do.
        split: bool,
    },
    General {
        section: u16,
        quantity: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CategoryChoice {
    Any,
    Exactly(u16),
    /// This category or a cheaper one (a higher index).
    AtMost(u16),
}

/// The payment provider's reference, up to 40 bytes, kept as given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PaymentReference {
    len: u8,
    bytes: [u8; Self::LEN_MAX],
}

impl PaymentReference {
    pub const LEN_MAX: usize = 40;

    /// `None` when longer than `LEN_MAX`.
    pub fn new(reference: &[u8]) -> Option<PaymentReference> {
        let mut bytes = [0; Self::LEN_MAX];
        bytes.get_mut(..reference.len())?.copy_from_slice(reference);
        Some(PaymentReference {
            len: reference.len() as u8,
            bytes,
        })
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::fmt::Debug for PaymentReference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.as_bytes()))
    }
}
