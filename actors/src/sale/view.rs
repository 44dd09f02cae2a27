//! What readers of a sale are given.

use bytes::Bytes;
use domain::Sale;
use domain::SectionPlanes;
use domain::hold::Hold;
use domain::ids::{ChannelId, Revision};
use domain::order::Order;
use domain::rejection::Phase;
use domain::rules::SaleRules;
use domain::sale::Counts;
use domain::state::SaleState;

use super::room::RoomView;
use crate::codec::snapshot::words_to_bytes;

/// The seats of all sections, as bit planes.
#[derive(Clone, Debug)]
pub struct SeatsView {
    pub revision: Revision,
    pub applied_index: u64,
    pub sections: Vec<SectionSeats>,
}

/// One section's seats: one bit a seat, lowest bit first; a seat in no plane is free.
#[derive(Clone, Debug, Default)]
pub struct SectionSeats {
    pub seat_count: u32,
    pub held: Bytes,
    pub sold: Bytes,
    pub blocked: Bytes,
    /// General admission.
    pub capacity: u32,
    pub held_count: u32,
    pub sold_count: u32,
    pub blocked_count: u32,
}

/// What an actor believes.
#[derive(Clone, Debug)]
pub struct Summary {
    pub phase: Phase,
    pub counts: Counts,
    pub revision: Revision,
    pub applied_index: u64,
    pub digest: u64,
    pub now_ms: u64,
    pub next_deadline_ms: Option<u64>,
    pub rules: SaleRules,
    /// Set when the sale's logic panicked and it waits to be released.
    pub frozen: Option<Frost>,
    /// This replica leads in this term.
    pub leads: Option<u64>,
    pub waiting_commands: usize,
    pub in_flight: usize,
}

/// What a node's gauges add up over the sales it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    pub phase: Phase,
    pub counts: Counts,
    pub oversold_seats: u64,
    pub orphan_seats: u32,
    /// Seats held and sold by channel, sorted.
    pub channel_seats: Vec<(ChannelId, u32)>,
    /// `None`: the sale has no waiting room.
    pub room: Option<RoomView>,
}

/// Where and why a sale froze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frost {
    pub log_index: u64,
    pub command: u32,
    pub why: String,
}

/// A sale's whole state.
#[derive(Clone, Debug)]
pub struct Exported {
    pub applied_index: u64,
    pub state: SaleState,
}

/// What the index keeps of a sale.
#[derive(Clone, Debug)]
pub struct Bookings {
    pub revision: Revision,
    pub holds: Vec<Hold>,
    pub orders: Vec<Order>,
}

pub(crate) fn seats_view(sale: &Sale, applied_index: u64) -> SeatsView {
    let sections = (0..=u16::MAX)
        .map_while(|section| sale.planes(section))
        .map(section_seats)
        .collect();
    SeatsView {
        revision: sale.revision(),
        applied_index,
        sections,
    }
}

fn section_seats(planes: SectionPlanes) -> SectionSeats {
    let bytes =
        |words: &[u64], seats: u32| words_to_bytes(words).slice(..seats.div_ceil(8) as usize);
    match planes {
        SectionPlanes::Seated {
            seats,
            held,
            sold,
            blocked,
        } => SectionSeats {
            seat_count: seats,
            held: bytes(&held, seats),
            sold: bytes(&sold, seats),
            blocked: bytes(&blocked, seats),
            ..SectionSeats::default()
        },
        SectionPlanes::General {
            capacity,
            held,
            sold,
        } => SectionSeats {
            capacity,
            held_count: held,
            sold_count: sold,
            ..SectionSeats::default()
        },
    }
}
