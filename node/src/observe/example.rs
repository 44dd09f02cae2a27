//! The open room that tests of what is observed and told begin with.

use actors::sale::RoomView;
use domain::rejection::Phase;
use domain::room::{Census, RoomPhase};

/// It lets in; nobody has come.
pub fn open_room() -> RoomView {
    RoomView {
        applied_index: 1,
        now_ms: 1_000_000,
        sale_phase: Phase::Open,
        phase: RoomPhase::Open,
        is_paused: false,
        is_closed: false,
        lobby_at_ms: 1,
        open_at_ms: 2,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        census: Census::default(),
        free: 500,
        held: 100,
        sold: 100,
        finds_enough: true,
    }
}
