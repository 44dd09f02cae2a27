//! Rejections as five numbers: the reason and what is in the way. Numbers are durable; the
//! reasons are those of `onsale.channel.v1.RejectionReason`.

use domain::ids::SeatRef;
use domain::rejection::{Phase, Rejection};

/// A rejection in its packed form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub reason: u16,
    pub section: u16,
    pub seat: u32,
    pub a: u64,
    pub b: u64,
}

/// `a` and `b` by reason: TOO_MANY_SEATS asked, max; PHASE_FORBIDS and NOT_ON_SALE phase;
/// SEAT_TAKEN and SEAT_BLOCKED how many, which; NOT_ENOUGH_ADJACENT longest, free; SOLD_OUT free | held
/// << 32, next deadline; LIMIT_PER_BUYER limit, already; CHANNEL_QUOTA left; EXTENSION_TOO_LONG
/// latest deadline; LOBBY_NOT_OPEN when it does; VISITOR_REMOVED the reason; PASS_SPENT left.
pub fn pack(rejection: Rejection) -> Packed {
    use Rejection::*;
    let plain = |reason| Packed {
        reason,
        ..Packed::default()
    };
    let numbers = |reason, a, b| Packed {
        reason,
        a,
        b,
        ..Packed::default()
    };
    let in_section = |reason, section| Packed {
        reason,
        section,
        ..Packed::default()
    };
    let at_seat = |reason, seat: SeatRef, a: u16| Packed {
        reason,
        section: seat.section,
        seat: seat.seat,
        a: u64::from(a),
        b: 0,
    };
    match rejection {
        UnknownSection { section } => in_section(1, section),
        UnknownSeat { seat } => at_seat(2, seat, 0),
        DuplicateSeat { seat } => at_seat(3, seat, 0),
        EmptyHold => plain(4),
        TooManySeats { asked, max } => numbers(5, asked.into(), max.into()),
        WrongSectionKind { section } => in_section(6, section),
        HoldIdInUse => plain(7),
        OrderIdInUse => plain(8),
        PhaseForbids { phase } => numbers(9, phase_number(phase), 0),
        OnlyInTestMode => plain(10),
        RulesInvalid => plain(11),
        NotOnSale { phase } => numbers(12, phase_number(phase), 0),
        SeatTaken { seat, count, which } => Packed {
            b: which,
            ..at_seat(13, seat, count)
        },
        SeatBlocked { seat, count, which } => Packed {
            b: which,
            ..at_seat(14, seat, count)
        },
        SeatNotFree { seat } => at_seat(15, seat, 0),
        SeatNotBlocked { seat } => at_seat(16, seat, 0),
        NotEnoughAdjacent { longest, free } => numbers(17, longest.into(), free.into()),
        SoldOut {
            free,
            held,
            next_deadline_ms,
        } => numbers(
            18,
            u64::from(free) | u64::from(held) << 32,
            next_deadline_ms,
        ),
        LimitPerBuyer { limit, already } => numbers(19, limit.into(), already.into()),
        ChannelQuota { left } => numbers(20, left.into(), 0),
        UnknownHold => plain(21),
        HoldExpired => plain(22),
        HoldReleased => plain(23),
        HoldConfirmed => plain(24),
        HoldOfAnotherPartner => plain(25),
        ExtensionTooLong { latest_deadline_ms } => numbers(26, latest_deadline_ms, 0),
        UnknownOrder => plain(27),
        OrderCancelled => plain(28),
        OrderOfAnotherPartner => plain(29),
        KeyReused => plain(30),
        KeyExpired => plain(31),
        KeyFromFuture => plain(32),
        KeyMissing => plain(33),
        Bug => plain(34),
        QueueRequired => plain(35),
        NoRoom => plain(36),
        RoomExists => plain(37),
        RoomPlanInvalid => plain(38),
        LobbyNotOpen { lobby_at_ms } => numbers(39, lobby_at_ms, 0),
        LobbyClosed => plain(40),
        NoBeaconAwaited => plain(41),
        UnknownVisitor => plain(42),
        VisitorOfAnotherPartner => plain(43),
        VisitorRemoved { reason } => numbers(44, reason.into(), 0),
        PassExpired => plain(45),
        PassSpent { left } => numbers(46, left.into(), 0),
        RoomFull => plain(47),
        PassInvalid => plain(48),
        RoomClosed => plain(49),
    }
}

/// `None` for numbers that are no rejection.
pub fn unpack(packed: Packed) -> Option<Rejection> {
    use Rejection::*;
    let Packed {
        reason,
        section,
        seat,
        a,
        b,
    } = packed;
    let seat = SeatRef { section, seat };
    let (low, high) = (a as u32, (a >> 32) as u32);
    Some(match reason {
        1 => UnknownSection { section },
        2 => UnknownSeat { seat },
        3 => DuplicateSeat { seat },
        4 => EmptyHold,
        5 => TooManySeats {
            asked: low,
            max: b as u32,
        },
        6 => WrongSectionKind { section },
        7 => HoldIdInUse,
        8 => OrderIdInUse,
        9 => PhaseForbids {
            phase: phase_from_number(a)?,
        },
        10 => OnlyInTestMode,
        11 => RulesInvalid,
        12 => NotOnSale {
            phase: phase_from_number(a)?,
        },
        13 => SeatTaken {
            seat,
            count: a as u16,
            which: b,
        },
        14 => SeatBlocked {
            seat,
            count: a as u16,
            which: b,
        },
        15 => SeatNotFree { seat },
        16 => SeatNotBlocked { seat },
        17 => NotEnoughAdjacent {
            longest: a as u16,
            free: b as u32,
        },
        18 => SoldOut {
            free: low,
            held: high,
            next_deadline_ms: b,
        },
        19 => LimitPerBuyer {
            limit: low,
            already: b as u32,
        },
        20 => ChannelQuota { left: low },
        21 => UnknownHold,
        22 => HoldExpired,
        23 => HoldReleased,
        24 => HoldConfirmed,
        25 => HoldOfAnotherPartner,
        26 => ExtensionTooLong {
            latest_deadline_ms: a,
        },
        27 => UnknownOrder,
        28 => OrderCancelled,
        29 => OrderOfAnotherPartner,
        30 => KeyReused,
        31 => KeyExpired,
        32 => KeyFromFuture,
        33 => KeyMissing,
        34 => Bug,
        35 => QueueRequired,
        36 => NoRoom,
        37 => RoomExists,
        38 => RoomPlanInvalid,
        39 => LobbyNotOpen { lobby_at_ms: a },
        40 => LobbyClosed,
        41 => NoBeaconAwaited,
        42 => UnknownVisitor,
        43 => VisitorOfAnotherPartner,
        44 => VisitorRemoved { reason: low },
        45 => PassExpired,
        46 => PassSpent { left: a as u16 },
        47 => RoomFull,
        48 => PassInvalid,
        49 => RoomClosed,
        _ => return None,
    })
}

pub fn phase_number(phase: Phase) -> u64 {
    match phase {
        Phase::Announced => 0,
        Phase::Open => 1,
        Phase::Paused => 2,
        Phase::Closed => 3,
    }
}

pub fn phase_from_number(number: u64) -> Option<Phase> {
    Some(match number {
        0 => Phase::Announced,
        1 => Phase::Open,
        2 => Phase::Paused,
        3 => Phase::Closed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_comes_back_as_it_went() {
        let marked = |reason| Packed {
            reason,
            section: 7,
            seat: 99,
            a: 2,
            b: 3,
        };
        let mut seen = 0;
        for reason in 0..=u16::MAX {
            let Some(rejection) = unpack(marked(reason)) else {
                continue;
            };
            seen += 1;
            assert_eq!(unpack(pack(rejection)), Some(rejection), "reason {reason}");
            let name = proto::channel::v1::RejectionReason::try_from(i32::from(reason));
            assert!(name.is_ok(), "reason {reason} has no name in the protocol");
        }
        assert_eq!(seen, 49);
    }
}
