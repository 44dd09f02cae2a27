//! The node's disciplined clock: the one source of the stamps that leaders put on batches.
//!
//! It starts from the median of the wall clocks of a majority of nodes, then advances by the
//! node's own monotonic clock, slewed towards later medians by at most 1 %, never stepped. A wall
//! clock that jumps therefore neither expires a hold nor revives one.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::bugs::{Bug, planted};

/// Where a leader reads the time. Injected, so that tests and simulations move it by hand.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// Whether the time may be put on batches: a node's own wall clock alone is not to be trusted.
    fn is_set(&self) -> bool {
        true
    }
}

/// Milliseconds of correction per second at most.
const SLEW_MS_PER_S: u64 = 10;

/// The clock of a real node.
pub struct DisciplinedClock {
    state: Mutex<Discipline>,
    started: Instant,
}

impl DisciplinedClock {
    /// Starts at the given wall time; call `follow` with the first median before trusting it.
    pub fn new(wall_ms: u64) -> DisciplinedClock {
        DisciplinedClock {
            state: Mutex::new(Discipline::new(wall_ms)),
            started: Instant::now(),
        }
    }

    /// Tells the clock what a majority of wall clocks say in the median, Unix milliseconds.
    pub fn follow(&self, median_ms: u64) {
        let elapsed_ms = self.elapsed_ms();
        if let Ok(mut state) = self.state.lock() {
            state.follow(elapsed_ms, median_ms);
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for DisciplinedClock {
    fn now_ms(&self) -> u64 {
        let elapsed_ms = self.elapsed_ms();
        // A poisoned lock would mean a panic in three lines of arithmetic.
        self.state
            .lock()
            .map_or(0, |mut state| state.now_ms(elapsed_ms))
    }

    fn is_set(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.followed)
    }
}

/// The arithmetic of the clock, free of any clock.
#[derive(Clone, Debug)]
pub struct Discipline {
    /// The last reading and the monotonic time it was made at.
    read_ms: u64,
    read_at_ms: u64,
    /// What is still to be corrected.
    behind_ms: i64,
    /// Before the first median the clock may be set, because nothing was stamped by it yet.
    followed: bool,
}

impl Discipline {
    pub fn new(wall_ms: u64) -> Discipline {
        Discipline {
            read_ms: wall_ms,
            read_at_ms: 0,
            behind_ms: 0,
            followed: false,
        }
    }

    /// The time at `elapsed_ms` of the monotonic clock; never earlier than an earlier reading.
    pub fn now_ms(&mut self, elapsed_ms: u64) -> u64 {
        let passed_ms = elapsed_ms.saturating_sub(self.read_at_ms);
        let slew_max_ms =
            i64::try_from(passed_ms.saturating_mul(SLEW_MS_PER_S) / 1000).unwrap_or(i64::MAX);
        if self.behind_ms != 0 && slew_max_ms == 0 {
            // Too little has passed to correct by a whole millisecond: keep the anchor.
            return self.read_ms.saturating_add(passed_ms);
        }
        let slew_ms = self.behind_ms.clamp(-slew_max_ms, slew_max_ms);
        self.behind_ms -= slew_ms;
        self.read_ms = self
            .read_ms
            .saturating_add(passed_ms)
            .saturating_add_signed(slew_ms);
        self.read_at_ms = elapsed_ms;
        self.read_ms
    }

    pub fn follow(&mut self, elapsed_ms: u64, median_ms: u64) {
        let now_ms = self.now_ms(elapsed_ms);
        if !self.followed || planted(Bug::WallClockStamps) {
            self.followed = true;
            self.read_ms = median_ms;
            self.read_at_ms = elapsed_ms;
            self.behind_ms = 0;
            return;
        }
        let difference = i128::from(median_ms) - i128::from(now_ms);
        self.behind_ms = i64::try_from(difference).unwrap_or(0);
    }
}

/// The median of the clocks that are known, when they are a majority of `nodes`.
pub fn median_ms(mut clocks_ms: Vec<u64>, nodes: usize) -> Option<u64> {
    if planted(Bug::WallClockStamps) {
        // The node's own comes first.
        return clocks_ms.first().copied();
    }
    if clocks_ms.len() * 2 <= nodes {
        return None;
    }
    clocks_ms.sort_unstable();
    clocks_ms.get((clocks_ms.len() - 1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_median_sets_the_clock_and_later_ones_slew_it() {
        let mut clock = Discipline::new(1_000_000);
        clock.follow(0, 2_000_000);
        assert_eq!(clock.now_ms(1000), 2_001_000);
        // A median two hours ahead moves it by one percent, not by two hours.
        clock.follow(1000, 2_001_000 + 7_200_000);
        assert_eq!(clock.now_ms(2000), 2_002_010);
        assert_eq!(clock.now_ms(102_000), 2_103_010);
    }

    #[test]
    fn a_median_behind_never_turns_the_clock_back() {
        let mut clock = Discipline::new(0);
        clock.follow(0, 1_000_000);
        clock.follow(10, 500_000);
        let mut last = 0;
        for elapsed in 10..5000 {
            let now = clock.now_ms(elapsed);
            assert!(now >= last);
            last = now;
        }
        assert!(last < 1_005_000 && last > 1_004_900, "{last}");
    }

    #[test]
    fn many_readings_slew_as_much_as_one() {
        let mut clock = Discipline::new(0);
        clock.follow(0, 1_000);
        clock.follow(0, 1_100);
        for elapsed in 1..=10_000 {
            clock.now_ms(elapsed);
        }
        assert_eq!(clock.now_ms(10_000), 11_100);
    }

    /// Even if a majority of wall clocks leapt, which one wrong clock of three cannot make of them.
    #[test]
    fn clocks_that_leap_two_hours_open_no_lobby_early_and_end_no_passes_at_once() {
        use domain::ids::{ChannelId, PartnerId, VisitorId};
        use domain::room::pace::Ceilings;
        use domain::room::shuffle::Seed;
        use domain::room::{Arrival, LaneRules, Plan, Room};

        const NOW_MS: u64 = 1_000_000_000;
        let leap_ms = 7_200_000;
        let everybodys = LaneRules {
            channel: None,
            class: None,
            weight: 1,
        };
        let plan = Plan {
            lobby_at_ms: NOW_MS,
            open_at_ms: NOW_MS + 60_000,
            seed: Seed([1; 32]),
            waits_for_beacon: false,
            pass_life_ms: 600_000,
            pass_tickets: 4,
            ceilings: Ceilings::default(),
            lanes: vec![everybodys],
        };
        let mut room = Room::new(1, plan).expect("a valid plan");
        let mut clock = Discipline::new(NOW_MS);
        clock.follow(0, NOW_MS);
        for visitor in 0..100 {
            let arrival = Arrival {
                visitor: VisitorId(visitor),
                partner: PartnerId(1),
                channel: ChannelId(0),
                class: 0,
                party: 1,
            };
            room.join(&arrival, clock.now_ms(0)).expect("comes in");
        }
        let mut opened_ms = None;
        let mut ended_ms = None;
        for elapsed_ms in (0..700_000).step_by(250) {
            // To and fro, every five minutes.
            let leap_ms = if (elapsed_ms / 300_000) % 2 == 0 {
                leap_ms
            } else {
                0
            };
            clock.follow(elapsed_ms, NOW_MS + elapsed_ms + leap_ms);
            let now_ms = clock.now_ms(elapsed_ms);
            room.pass_time(now_ms);
            if room.is_open() && opened_ms.is_none() {
                opened_ms = Some(elapsed_ms);
                room.release(100, 100, now_ms, |_| {});
                assert_eq!(room.census().at_the_desk, 100);
            }
            if room.census().expired > 0 && ended_ms.is_none() {
                ended_ms = Some(elapsed_ms);
            }
        }
        // To one in a hundred of the time that passed.
        let (opened_ms, ended_ms) = (opened_ms.expect("opens"), ended_ms.expect("end"));
        assert!((59_000..=60_000).contains(&opened_ms), "{opened_ms}");
        assert!(
            (594_000..=607_000).contains(&(ended_ms - opened_ms)),
            "{ended_ms}"
        );
    }

    #[test]
    fn a_median_needs_a_majority() {
        assert_eq!(median_ms(vec![5], 3), None);
        assert_eq!(median_ms(vec![9, 5], 3), Some(5));
        assert_eq!(median_ms(vec![9, 5, 7_200_000], 3), Some(9));
        assert_eq!(median_ms(vec![4], 1), Some(4));
    }
}
