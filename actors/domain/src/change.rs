//! Past-tense facts emitted while a command is applied, each with its own revision.

use crate::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId, Revision};
use crate::outcome::SeatRun;
use crate::rejection::Phase;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: Revision,
    /// Log time, Unix milliseconds.
    pub at_ms: u64,
    pub fact: Fact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    Free,
    Held,
    Sold,
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The seats of the run changed from one state to another (for general admission: as many
    /// of the capacity).
    SeatsChanged {
        run: SeatRun,
        from: SeatState,
        to: SeatState,
    },
    PhaseChanged {
        phase: Phase,
    },
    RulesSet,
    HoldPlaced {
        hold: HoldId,
        buyer: BuyerId,
        partner: PartnerId,
        channel: ChannelId,
        seats: u32,
        deadline_ms: u64,
    },
    HoldExtended {
        hold: HoldId,
        deadline_ms: u64,
    },
    HoldReleased {
        hold: HoldId,
    },
    HoldExpired {
        hold: HoldId,
    },
    /// The hold became an order.
    OrderPlaced {
        order: OrderId,
        hold: HoldId,
        seats: u32,
    },
    OrderCancelled {
        order: OrderId,
    },
    /// Test mode only: every order was forgotten and its seats are free.
    SaleReopened {
        seats: u32,
    },
}
