//! Outcomes as words, so that they can be mixed into digests and hashes.
//!
//! The numbers are part of what replicas compare: never change one, only add.

use crate::ids::SeatRef;
use crate::outcome::SeatRun;
use crate::rejection::Rejection;

impl SeatRun {
    /// The run in one word.
    pub(crate) fn word(&self) -> u64 {
        u64::from(self.section) << 48 | u64::from(self.count) << 32 | u64::from(self.first)
    }
}

fn seat_word(seat: SeatRef) -> u64 {
    u64::from(seat.section) << 32 | u64::from(seat.seat)
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// A number for the kind, and what it carries.
pub(crate) fn rejection_words(rejection: Rejection) -> [u64; 3] {
    use Rejection::*;
    match rejection {
        UnknownSection { section } => [1, u64::from(section), 0],
        UnknownSeat { seat } => [2, seat_word(seat), 0],
        DuplicateSeat { seat } => [3, seat_word(seat), 0],
        EmptyHold => [4, 0, 0],
        TooManySeats { asked, max } => [5, pair(asked, max), 0],
        WrongSectionKind { section } => [6, u64::from(section), 0],
        HoldIdInUse => [7, 0, 0],
        OrderIdInUse => [8, 0, 0],
        PhaseForbids { phase } => [9, phase as u64, 0],
        OnlyInTestMode => [10, 0, 0],
        RulesInvalid => [11, 0, 0],
        NotOnSale { phase } => [12, phase as u64, 0],
        // Which they are follows from the state, which has a digest of its own.
        SeatTaken { seat, count, .. } => [13, seat_word(seat), u64::from(count)],
        SeatBlocked { seat, count, .. } => [14, seat_word(seat), u64::from(count)],
        SeatNotFree { seat } => [15, seat_word(seat), 0],
        SeatNotBlocked { seat } => [16, seat_word(seat), 0],
        NotEnoughAdjacent { longest, free } => [17, u64::from(longest), u64::from(free)],
        SoldOut {
            free,
            held,
            next_deadline_ms,
        } => [18, pair(free, held), next_deadline_ms],
        LimitPerBuyer { limit, already } => [19, pair(limit, already), 0],
        ChannelQuota { left } => [20, u64::from(left), 0],
        UnknownHold => [21, 0, 0],
        HoldExpired => [22, 0, 0],
        HoldReleased => [23, 0, 0],
        HoldConfirmed => [24, 0, 0],
        HoldOfAnotherPartner => [25, 0, 0],
        ExtensionTooLong { latest_deadline_ms } => [26, latest_deadline_ms, 0],
        UnknownOrder => [27, 0, 0],
        OrderCancelled => [28, 0, 0],
        OrderOfAnotherPartner => [29, 0, 0],
        KeyReused => [30, 0, 0],
        KeyExpired => [31, 0, 0],
        KeyFromFuture => [32, 0, 0],
        KeyMissing => [33, 0, 0],
        Bug => [34, 0, 0],
        QueueRequired => [35, 0, 0],
        NoRoom => [36, 0, 0],
        RoomExists => [37, 0, 0],
        RoomPlanInvalid => [38, 0, 0],
        LobbyNotOpen { lobby_at_ms } => [39, lobby_at_ms, 0],
        LobbyClosed => [40, 0, 0],
        NoBeaconAwaited => [41, 0, 0],
        UnknownVisitor => [42, 0, 0],
        VisitorOfAnotherPartner => [43, 0, 0],
        VisitorRemoved { reason } => [44, u64::from(reason), 0],
        PassExpired => [45, 0, 0],
        PassSpent { left } => [46, u64::from(left), 0],
        RoomFull => [47, 0, 0],
        PassInvalid => [48, 0, 0],
        RoomClosed => [49, 0, 0],
    }
}
