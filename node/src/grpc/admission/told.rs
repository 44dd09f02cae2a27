//! What a visitor is told of their place: the room's own words, the flow, and the truth about the
//! stock left.

use actors::sale::RoomView;
use domain::ids::PartnerId;
use domain::rejection::Phase;
use domain::room::{Status, Turn};
use proto::channel::v1::{Place, VisitorPhase};

use super::forecast::Flow;

/// Below so many who have bought or gone the demand of those ahead is anybody's guess.
const SEEN_LEAST: u64 = 50;

/// A visitor of another partner is none.
pub fn place(
    room: &RoomView,
    flow: Option<Flow>,
    reader: PartnerId,
    status: Option<Status>,
) -> Place {
    let Some(status) = status.filter(|status| status.partner == reader) else {
        return Place {
            phase: VisitorPhase::Unknown.into(),
            ..Place::default()
        };
    };
    let mut told = Place {
        number: status.number,
        lane: status.lane.into(),
        party_size: status.party.into(),
        ..Place::default()
    };
    let phase = match status.turn {
        Turn::Lobby if room.sale_phase == Phase::Closed => VisitorPhase::Closed,
        Turn::Lobby => {
            told.opens_at_ms = room.open_at_ms;
            VisitorPhase::Lobby
        }
        Turn::Waiting {
            place,
            ahead,
            before,
            passed_with,
        } => {
            told.place = Some(place);
            told.ahead = Some(ahead);
            told.passed_over_with = passed_with.map(u32::from);
            let wait = flow.and_then(|flow| flow.wait_ms(before));
            told.wait_ms = wait.map(|(mean, _)| mean);
            told.wait_p90_ms = wait.map(|(_, p90)| p90);
            told.out_of_reach = is_out_of_reach(room, before);
            waiting(room)
        }
        Turn::Admitted {
            ends_ms,
            tickets_left,
        } => {
            told.pass_ends_ms = ends_ms;
            told.tickets_left = tickets_left.into();
            told.tickets_max = room.pass_tickets.into();
            told.pass_from_ms = ends_ms.saturating_sub(room.pass_life_ms.into());
            VisitorPhase::Admitted
        }
        Turn::Served => VisitorPhase::Served,
        Turn::Expired => VisitorPhase::Expired,
        Turn::Left => VisitorPhase::Left,
        Turn::Removed { reason } => {
            told.removal_reason = reason;
            VisitorPhase::Removed
        }
    };
    told.phase = phase.into();
    told
}

fn waiting(room: &RoomView) -> VisitorPhase {
    if room.sale_phase == Phase::Closed {
        VisitorPhase::Closed
    } else if room.free == 0 && room.held == 0 {
        VisitorPhase::SoldOut
    } else if room.census.released == 0 {
        VisitorPhase::Shuffled
    } else {
        VisitorPhase::Waiting
    }
}

/// Whether those who come in before, of whichever lane, will take all that is left, if they buy as those
/// before them did.
fn is_out_of_reach(room: &RoomView, before: u32) -> bool {
    let census = room.census;
    let seen = census.released.saturating_sub(census.at_the_desk);
    if seen < SEEN_LEAST {
        return false;
    }
    let taken = u64::from(room.sold) + u64::from(room.held);
    let left = u64::from(room.free) + u64::from(room.held);
    // Of those at the desk the same is to be expected first.
    let before = u64::from(before) + census.at_the_desk;
    before.saturating_mul(taken) / seen > left
}

/// Nothing changes any more for who is told this.
pub fn is_last(place: &Place) -> bool {
    matches!(
        place.phase(),
        VisitorPhase::Served
            | VisitorPhase::Expired
            | VisitorPhase::Left
            | VisitorPhase::Removed
            | VisitorPhase::Closed
    )
}

#[cfg(test)]
mod tests {
    use domain::room::Census;

    use super::*;
    use crate::observe::example::open_room;

    fn room() -> RoomView {
        RoomView {
            census: Census {
                joined: 1_000,
                waiting: 800,
                released: 200,
                at_the_desk: 100,
                ..Census::default()
            },
            ..open_room()
        }
    }

    /// In a lane that is one of three of the same weight.
    fn waits(room: &RoomView, before: u32) -> Place {
        let status = Status {
            number: 5,
            partner: PartnerId(1),
            lane: 0,
            party: 4,
            turn: Turn::Waiting {
                place: 300,
                ahead: before / 3,
                before,
                passed_with: Some(3),
            },
        };
        let flow = Flow {
            mean: 10.0,
            slow: 5.0,
        };
        place(room, Some(flow), PartnerId(1), Some(status))
    }

    #[test]
    fn the_stock_left_is_told_truthfully() {
        // 100 have come and taken 200 seats, 100 are at the desk: 600 are left for 300 visitors.
        assert!(!waits(&room(), 199).out_of_reach);
        assert!(waits(&room(), 201).out_of_reach);
        let told = waits(&room(), 1);
        assert_eq!((told.party_size, told.passed_over_with), (4, Some(3)));
        let gone = RoomView {
            free: 0,
            held: 0,
            sold: 700,
            ..room()
        };
        assert_eq!(waits(&gone, 1).phase(), VisitorPhase::SoldOut);
        let early = RoomView {
            census: Census {
                at_the_desk: 180,
                ..room().census
            },
            ..room()
        };
        assert!(!waits(&early, 700).out_of_reach, "too few have been seen");
        let closed = RoomView {
            sale_phase: Phase::Closed,
            ..room()
        };
        let told = waits(&closed, 1);
        assert_eq!(told.phase(), VisitorPhase::Closed);
        assert!(is_last(&told));
    }

    #[test]
    fn the_wait_is_for_all_who_come_in_before() {
        let told = waits(&room(), 300);
        assert_eq!(told.ahead, Some(100));
        assert_eq!(
            (told.wait_ms, told.wait_p90_ms),
            (Some(30_000), Some(60_000))
        );
    }

    #[test]
    fn a_stranger_is_told_nothing() {
        let status = Status {
            number: 5,
            partner: PartnerId(1),
            lane: 0,
            party: 1,
            turn: Turn::Served,
        };
        let told = place(&room(), None, PartnerId(2), Some(status));
        assert_eq!(told.phase(), VisitorPhase::Unknown);
        assert_eq!(told.number, 0);
        assert_eq!(place(&room(), None, PartnerId(2), None), told);
    }
}
