//! Whether a waiting room lets in whom it should: since when it does not, and what keeps it shut after
//! its opening. Looked at beside each round's figures; decides nothing.

use std::time::Duration;

use actors::sale::RoomView;
use domain::rejection::Phase;
use domain::room::RoomPhase;
use tokio::time::Instant;

/// So long a room may let nobody in, whatever it aims at.
const PATIENCE_LEAST: Duration = Duration::from_secs(60);
/// And as long as so many visitors take at the pace that is aimed at.
const VISITORS_MISSED: u32 = 3;

/// How a room is steered, as its admission tells.
#[derive(Clone, Copy, Debug)]
pub struct Steering {
    /// Somebody lets visitors in here.
    pub is_on: bool,
    /// Visitors a second, in thousandths.
    pub target: u64,
}

/// What keeps visitors outside after the opening, though seats are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldUp {
    AwaitsBeacon,
    Paused,
    /// The room is open and its sale is not, or is paused.
    SaleNotOpen,
}

impl HeldUp {
    pub const ALL: [HeldUp; 3] = [HeldUp::AwaitsBeacon, HeldUp::Paused, HeldUp::SaleNotOpen];

    pub fn name(self) -> &'static str {
        match self {
            HeldUp::AwaitsBeacon => "awaits_beacon",
            HeldUp::Paused => "paused",
            HeldUp::SaleNotOpen => "sale_not_open",
        }
    }

    fn of(room: &RoomView) -> Option<HeldUp> {
        if room.census.waiting == 0 || room.free == 0 {
            return None;
        }
        match (room.phase, room.sale_phase) {
            (RoomPhase::Gathering, _) | (_, Phase::Closed) => None,
            (RoomPhase::AwaitsBeacon, _) => Some(HeldUp::AwaitsBeacon),
            (RoomPhase::Open, _) if room.is_paused => Some(HeldUp::Paused),
            (RoomPhase::Open, Phase::Open) => None,
            (RoomPhase::Open, Phase::Announced | Phase::Paused) => Some(HeldUp::SaleNotOpen),
        }
    }
}

/// A room at the last look.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    released: u64,
    /// Since when nobody was let in who should have been.
    since: Option<Instant>,
    patience: Duration,
    pub held_up: Option<HeldUp>,
}

impl Standing {
    pub fn of(
        room: &RoomView,
        steering: Steering,
        before: Option<&Standing>,
        now: Instant,
    ) -> Standing {
        let released = room.census.released;
        let since = before
            .filter(|before| before.released == released)
            .and_then(|before| before.since);
        Standing {
            released,
            since: should_let_in(room, steering).then_some(since.unwrap_or(now)),
            patience: patience(steering.target),
            held_up: HeldUp::of(room),
        }
    }

    /// Nobody has been let in for longer than the pace explains.
    pub fn is_stalled(&self, now: Instant) -> bool {
        let since = self.since;
        since.is_some_and(|since| now.duration_since(since) >= self.patience)
    }
}

fn should_let_in(room: &RoomView, steering: Steering) -> bool {
    // Nobody is let in on purpose while those at the desk may take what is left; a ceiling of the desk is
    // another matter.
    let may_take = room.census.at_the_desk * u64::from(room.pass_tickets);
    let wants = steering.target > 0 || !steering.is_on || may_take < u64::from(room.free);
    let finds_seats = room.free > 0 && room.finds_enough;
    room.lets_in() && !room.is_paused && room.census.waiting > 0 && finds_seats && wants
}

fn patience(target_per_1000_s: u64) -> Duration {
    let apart_ms = 1_000_000_u64.checked_div(target_per_1000_s).unwrap_or(0);
    let missed = Duration::from_millis(apart_ms).saturating_mul(VISITORS_MISSED);
    missed.max(PATIENCE_LEAST)
}

#[cfg(test)]
mod tests {
    use domain::room::Census;

    use super::*;
    use crate::observe::example::open_room;

    const ON: Steering = Steering {
        is_on: true,
        target: 1_000,
    };

    fn room(waiting: u64, at_the_desk: u64, free: u32) -> RoomView {
        RoomView {
            pass_tickets: 1,
            census: Census {
                waiting,
                released: 10,
                at_the_desk,
                ..Census::default()
            },
            free,
            ..open_room()
        }
    }

    /// After how many seconds of looks every other one a room counts as stalled.
    fn stalls_after(room: &RoomView, steering: Steering) -> Option<u64> {
        let begun = Instant::now();
        let mut standing: Option<Standing> = None;
        (0..3_600).step_by(2).find(|seconds| {
            let now = begun + Duration::from_secs(*seconds);
            let seen = Standing::of(room, steering, standing.as_ref(), now);
            standing = Some(seen);
            seen.is_stalled(now)
        })
    }

    #[test]
    fn a_room_is_stalled_when_nobody_comes_in_who_could() {
        let idle = Steering { target: 0, ..ON };
        let dead = Steering {
            is_on: false,
            target: 0,
        };
        assert_eq!(
            stalls_after(&room(9, 0, 5), idle),
            Some(60),
            "the desk is empty"
        );
        assert_eq!(
            stalls_after(&room(9, 1, 5), ON),
            Some(60),
            "more were to come"
        );
        assert_eq!(
            stalls_after(&room(9, 1, 5), dead),
            Some(60),
            "nobody steers"
        );
        assert_eq!(
            stalls_after(&room(9, 5, 5), idle),
            None,
            "those at the desk may take what is left"
        );
        assert_eq!(
            stalls_after(&room(9, 4, 5), idle),
            Some(60),
            "they may not, and a ceiling of the desk lets in no more"
        );
        assert_eq!(stalls_after(&room(0, 0, 5), ON), None, "nobody waits");
        assert_eq!(stalls_after(&room(9, 1, 0), ON), None, "sold out");
        let mut too_few = room(9, 1, 1);
        too_few.finds_enough = false;
        assert_eq!(stalls_after(&too_few, ON), None, "for nobody's party");
        let mut paused = room(9, 1, 5);
        paused.is_paused = true;
        assert_eq!(stalls_after(&paused, ON), None, "on purpose");
    }

    #[test]
    fn a_slow_room_has_the_time_of_three_visitors() {
        let a_minute = |visitors: u64| Steering {
            is_on: true,
            target: visitors * 1_000 / 60,
        };
        assert_eq!(stalls_after(&room(9, 1, 5), a_minute(10)), Some(60));
        // 16 thousandths a second: one visitor in 62.5 s.
        assert_eq!(stalls_after(&room(9, 1, 5), a_minute(1)), Some(188));
    }

    /// Five rooms of ten visitors a minute: in most looks some of them have let nobody in.
    #[test]
    fn rooms_that_let_in_now_and_then_are_never_stalled() {
        let begun = Instant::now();
        let slow = Steering {
            is_on: true,
            target: 166,
        };
        let mut rooms: Vec<(RoomView, Option<Standing>)> = vec![(room(9, 1, 5), None); 5];
        for seconds in (0..600).step_by(2) {
            let now = begun + Duration::from_secs(seconds);
            for (at, (room, standing)) in (0..).zip(&mut rooms) {
                room.census.released = (seconds + at) / 6;
                let seen = Standing::of(room, slow, standing.as_ref(), now);
                assert!(!seen.is_stalled(now), "room {at} after {seconds} s");
                *standing = Some(seen);
            }
        }
    }

    #[test]
    fn what_keeps_a_room_shut_after_its_opening_is_told() {
        use RoomPhase::{AwaitsBeacon, Gathering, Open};
        let seen = |phase, sale_phase, is_paused, free| {
            let mut room = room(9, 0, free);
            (room.phase, room.sale_phase, room.is_paused) = (phase, sale_phase, is_paused);
            HeldUp::of(&room)
        };
        assert_eq!(seen(Open, Phase::Open, false, 5), None);
        assert_eq!(seen(Gathering, Phase::Announced, true, 5), None, "not yet");
        let beacon = Some(HeldUp::AwaitsBeacon);
        assert_eq!(seen(AwaitsBeacon, Phase::Open, false, 5), beacon);
        assert_eq!(seen(AwaitsBeacon, Phase::Open, true, 5), beacon);
        assert_eq!(seen(Open, Phase::Open, true, 5), Some(HeldUp::Paused));
        let not_open = Some(HeldUp::SaleNotOpen);
        assert_eq!(seen(Open, Phase::Announced, false, 5), not_open);
        assert_eq!(seen(Open, Phase::Paused, false, 5), not_open);
        assert_eq!(seen(Open, Phase::Closed, true, 5), None, "it is over");
        assert_eq!(seen(Open, Phase::Open, true, 0), None, "sold out");
    }
}
