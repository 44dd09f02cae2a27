//! Facts about the world that made a command fail. Each says what is in the way.

use crate::ids::SeatRef;

/// The phase a sale is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Created, not yet open.
    #[default]
    Announced,
    Open,
    Paused,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    // The request cannot be carried out as it stands.
    UnknownSection {
        section: u16,
    },
    UnknownSeat {
        seat: SeatRef,
    },
    DuplicateSeat {
        seat: SeatRef,
    },
    /// No line, or a line that asks for nothing.
    EmptyHold,
    TooManySeats {
        asked: u32,
        max: u32,
    },
    /// Seats were asked for in a general-admission section, or a quantity in a seated one.
    WrongSectionKind {
        section: u16,
    },
    HoldIdInUse,
    OrderIdInUse,
    PhaseForbids {
        phase: Phase,
    },
    OnlyInTestMode,
    RulesInvalid,

    // The world is not so.
    NotOnSale {
        phase: Phase,
    },
    /// Seats of one line that are held or sold: the first of them, how many, and which. Bit n of `which`
    /// is the n-th seat behind the first, in the sequence they were asked for; it ends with the 63rd.
    SeatTaken {
        seat: SeatRef,
        count: u16,
        which: u64,
    },
    /// As `SeatTaken`.
    SeatBlocked {
        seat: SeatRef,
        count: u16,
        which: u64,
    },
    /// Only for `BlockSeats` and `UnblockSeats`: the seat is not in the state that needs.
    SeatNotFree {
        seat: SeatRef,
    },
    SeatNotBlocked {
        seat: SeatRef,
    },
    /// Seats match and are free, but not so many side by side.
    NotEnoughAdjacent {
        longest: u16,
        free: u32,
    },
    /// Fewer free than asked. `held` of the matching ones may come back, none before
    /// `next_deadline_ms`, when the next hold of the whole sale ends (0: none is held).
    SoldOut {
        free: u32,
        held: u32,
        next_deadline_ms: u64,
    },
    LimitPerBuyer {
        limit: u32,
        already: u32,
    },
    ChannelQuota {
        left: u32,
    },
    UnknownHold,
    HoldExpired,
    HoldReleased,
    HoldConfirmed,
    /// The hold is another partner's.
    HoldOfAnotherPartner,
    ExtensionTooLong {
        latest_deadline_ms: u64,
    },
    UnknownOrder,
    OrderCancelled,
    OrderOfAnotherPartner,

    // The waiting room.
    /// The sale has a waiting room, and the buyer was not let in.
    QueueRequired,
    NoRoom,
    RoomExists,
    RoomPlanInvalid,
    LobbyNotOpen {
        lobby_at_ms: u64,
    },
    LobbyClosed,
    NoBeaconAwaited,
    UnknownVisitor,
    VisitorOfAnotherPartner,
    VisitorRemoved {
        /// As the operator numbered it.
        reason: u32,
    },
    PassExpired,
    /// More tickets than the pass is still good for.
    PassSpent {
        left: u16,
    },
    RoomFull,
    /// A pass that is none, or somebody else's.
    PassInvalid,
    /// Takes nobody new.
    RoomClosed,

    // The idempotency key.
    KeyReused,
    KeyExpired,
    KeyFromFuture,
    /// No key was given.
    KeyMissing,

    /// The check half of the command panicked; nothing changed.
    Bug,
}

/// What a caller may try after a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    Later,
    WithOtherSeats,
}

impl Rejection {
    pub fn retry(self) -> Retry {
        use Rejection::*;
        match self {
            NotOnSale {
                phase: Phase::Announced | Phase::Paused,
            } => Retry::Later,
            SoldOut { held, .. } if held > 0 => Retry::Later,
            ChannelQuota { .. } | QueueRequired | LobbyNotOpen { .. } => Retry::Later,
            SeatTaken { .. }
            | SeatBlocked { .. }
            | NotEnoughAdjacent { .. }
            | DuplicateSeat { .. } => Retry::WithOtherSeats,
            _ => Retry::Never,
        }
    }
}
