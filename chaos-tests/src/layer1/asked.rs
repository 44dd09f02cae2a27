//! One command as it stands in the log, owning what `Request` borrows.

use std::fmt;

use domain::command::{Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::rules::SaleRules;

/// A call of a partner, without the time at which a leader proposes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub partner: u32,
    pub channel: u16,
    pub key: u128,
    pub hash: u64,
    pub action: Action,
}

/// A call with its leader's stamp: one command of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub at_ms: u64,
    pub call: Call,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Open,
    Pause,
    Resume,
    Close,
    Reopen,
    SetRules(Box<SaleRules>),
    Block(Vec<SeatRef>),
    Unblock(Vec<SeatRef>),
    Place(Box<Place>),
    Extend { hold: u128, ttl_ms: u32 },
    Release { hold: u128 },
    Confirm { hold: u128, order: u128 },
    Cancel { order: u128 },
    Expire,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub hold: u128,
    pub buyer: u128,
    pub ttl_ms: u32,
    pub lines: Vec<HoldLine>,
    pub seats: Vec<SeatRef>,
    pub sections: Vec<u16>,
}

impl Call {
    pub fn request(&self) -> Request<'_> {
        Request {
            partner: PartnerId(self.partner),
            channel: ChannelId(self.channel),
            key: IdempotencyKey(self.key),
            hash: self.hash,
            command: self.action.command(),
        }
    }
}

impl Action {
    /// Names of the kinds, by their number.
    pub const KINDS: [&'static str; 14] = [
        "open",
        "pause",
        "resume",
        "close",
        "reopen",
        "set_rules",
        "block",
        "unblock",
        "place",
        "extend",
        "release",
        "confirm",
        "cancel",
        "expire",
    ];

    /// The number of its kind.
    pub fn kind(&self) -> usize {
        match self {
            Action::Open => 0,
            Action::Pause => 1,
            Action::Resume => 2,
            Action::Close => 3,
            Action::Reopen => 4,
            Action::SetRules(_) => 5,
            Action::Block(_) => 6,
            Action::Unblock(_) => 7,
            Action::Place(_) => 8,
            Action::Extend { .. } => 9,
            Action::Release { .. } => 10,
            Action::Confirm { .. } => 11,
            Action::Cancel { .. } => 12,
            Action::Expire => 13,
        }
    }

    fn command(&self) -> Command<'_> {
        match self {
            Action::Open => Command::OpenSale,
            Action::Pause => Command::PauseSale,
            Action::Resume => Command::ResumeSale,
            Action::Close => Command::CloseSale,
            Action::Reopen => Command::ReopenSale,
            Action::SetRules(rules) => Command::SetRules(rules.clone()),
            Action::Block(seats) => Command::BlockSeats { seats },
            Action::Unblock(seats) => Command::UnblockSeats { seats },
            Action::Place(place) => Command::PlaceHold(PlaceHold {
                token: None,
                hold: HoldId(place.hold),
                buyer: BuyerId(place.buyer),
                ttl_ms: place.ttl_ms,
                lines: &place.lines,
                seats: &place.seats,
                sections: &place.sections,
            }),
            Action::Extend { hold, ttl_ms } => Command::ExtendHold {
                hold: HoldId(*hold),
                ttl_ms: *ttl_ms,
            },
            Action::Release { hold } => Command::ReleaseHold {
                hold: HoldId(*hold),
            },
            Action::Confirm { hold, order } => Command::ConfirmHold {
                hold: HoldId(*hold),
                order: OrderId(*order),
                payment: PaymentReference::new(b"paid").unwrap_or_else(|| unreachable!("short")),
            },
            Action::Cancel { order } => Command::CancelOrder {
                order: OrderId(*order),
            },
            Action::Expire => Command::ExpireHolds,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call {
            partner,
            channel,
            key,
            hash,
            action,
        } = &self.call;
        let (made_ms, number) = (key >> 80, key & u128::from(u64::MAX));
        write!(
            f,
            "at {} partner {partner} channel {channel} key {made_ms}/{number} body {hash:x}: {action:?}",
            self.at_ms
        )
    }
}
