//! From a state back to a sale: everything is checked, caches and sums are derived again.
//!
//! Nonsense is refused, never believed and never a panic.

use crate::bugs::{Bug, planted};
use crate::change::SeatState;
use crate::ended::ENDED_MAX;
use crate::ended::Ending;
use crate::order::OrderState;
use crate::outcome::{SeatRun, SeatRuns};
use crate::room::Room;
use crate::room::state::RoomFault;
use crate::sale::{Sale, TIME_MAX_MS};
use crate::seats::{Section, SectionPlanes, low_bits, set_bits};
use crate::state::SaleState;
use crate::venue::VenueFault;

/// Why a state cannot have been a sale's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFault {
    Venue(VenueFault),
    /// Log time is beyond `TIME_MAX_MS`.
    Time,
    /// The planes do not fit the venue, overlap, or have bits past the last seat.
    Planes {
        section: u16,
    },
    /// A hold, counted from 0, is out of sequence, due, or has seats that are not its own.
    Hold {
        at: usize,
    },
    /// An order, counted from 0, is there twice or has seats that are not its own.
    Order {
        at: usize,
    },
    /// Held or sold seats belong to no hold or order.
    OwnerlessSeats,
    /// Too many ended holds, or in the wrong sequence.
    Ended,
    /// The idempotency table is too long, out of sequence, later than log time, or has a key twice.
    Idempotency,
    Room(RoomFault),
}

impl core::fmt::Display for StateFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StateFault::Venue(fault) => write!(f, "{fault}"),
            StateFault::Time => write!(f, "log time is beyond the last one"),
            StateFault::Planes { section } => {
                write!(f, "the planes of section {section} are not valid")
            }
            StateFault::Hold { at } => write!(f, "hold {at} is not valid"),
            StateFault::Order { at } => write!(f, "order {at} is not valid"),
            StateFault::OwnerlessSeats => write!(f, "held or sold seats belong to nobody"),
            StateFault::Ended => write!(f, "the list of ended holds is not valid"),
            StateFault::Idempotency => write!(f, "the idempotency table is not valid"),
            StateFault::Room(fault) => write!(f, "the waiting room is not valid: {fault:?}"),
        }
    }
}

impl core::error::Error for StateFault {}

impl Sale {
    /// A sale that goes on exactly as the exported one would have.
    pub fn restore(state: SaleState) -> Result<Sale, StateFault> {
        let SaleState {
            venue,
            rules,
            hash_seed,
            phase,
            now_ms,
            revision,
            digest,
            planes,
            holds,
            orders,
            ended,
            successes,
            rejections,
            watermarks,
            room,
        } = state;
        let mut sale = Sale::new(&venue, rules, hash_seed).map_err(StateFault::Venue)?;
        sale.phase = phase;
        sale.now_ms = now_ms;
        sale.revision = revision;
        sale.digest = digest;
        if now_ms > TIME_MAX_MS {
            return Err(StateFault::Time);
        }
        sale.restore_blocked(&planes)?;

        let in_sequence = holds.is_sorted_by(|a, b| (a.deadline_ms, a.id) < (b.deadline_ms, b.id));
        for (at, hold) in holds.into_iter().enumerate() {
            let life_ms = hold.deadline_ms.saturating_sub(hold.placed_at_ms);
            let is_timely = hold.deadline_ms > now_ms
                && hold.placed_at_ms <= now_ms
                && life_ms <= u64::from(u32::MAX);
            if !in_sequence || !is_timely || sale.holds.contains(hold.id.0) {
                return Err(StateFault::Hold { at });
            }
            if !sale.claim(&hold.seats, SeatState::Held) {
                return Err(StateFault::Hold { at });
            }
            sale.keep_hold(hold);
        }
        for (at, order) in orders.into_iter().enumerate() {
            if sale.orders.contains(order.id.0) {
                return Err(StateFault::Order { at });
            }
            let claimed = match order.state {
                OrderState::Paid => sale.claim(&order.seats, SeatState::Sold),
                OrderState::Cancelled => sale.exist(&order.seats),
            };
            if !claimed {
                return Err(StateFault::Order { at });
            }
            sale.orders.insert(order.id.0, order);
        }
        let sections = 0..sale.seats.layout.sections.len() as u16;
        if !sections
            .zip(&planes)
            .all(|(section, planes)| sale.planes(section).as_ref() == Some(planes))
        {
            return Err(StateFault::OwnerlessSeats);
        }
        sale.recount_usage();

        let mut counts = [0_usize; 2];
        for hold in &ended {
            if let Some(count) = counts.get_mut(usize::from(hold.ending != Ending::Confirmed)) {
                *count = count.saturating_add(1);
            }
            sale.ended.record(hold.hold, hold.ending);
        }
        let in_rings = ended.is_sorted_by_key(|hold| hold.ending != Ending::Confirmed);
        if !in_rings || counts.iter().any(|count| *count > ENDED_MAX) {
            return Err(StateFault::Ended);
        }
        if !planted(Bug::KeysNotInSnapshot)
            && !sale
                .memory
                .restore(&successes, &rejections, watermarks, now_ms)
        {
            return Err(StateFault::Idempotency);
        }
        if let Some(room) = room {
            let room = Room::restore(hash_seed, room).map_err(StateFault::Room)?;
            sale.room = Some(Box::new(room));
        }
        Ok(sale)
    }

    /// Checks the shape of the planes and blocks what they say; held and sold seats are claimed by
    /// their holds and orders later.
    fn restore_blocked(&mut self, planes: &[SectionPlanes]) -> Result<(), StateFault> {
        let sections = self.seats.layout.sections.clone();
        if planes.len() != sections.len() {
            return Err(StateFault::Planes {
                section: planes.len().min(sections.len()) as u16,
            });
        }
        for ((section, kind), planes) in (0_u16..).zip(&sections).zip(planes) {
            let fits = match (kind, planes) {
                (Section::General { .. }, SectionPlanes::General { capacity, .. }) => self
                    .seats
                    .general(section)
                    .is_some_and(|general| general.capacity == *capacity),
                (
                    Section::Seated { seats, .. },
                    SectionPlanes::Seated {
                        seats: claimed,
                        blocked,
                        ..
                    },
                ) => {
                    let words = seats.div_ceil(64) as usize;
                    let last = match seats & 63 {
                        0 => u64::MAX,
                        bits => low_bits(bits),
                    };
                    claimed == seats
                        && blocked.len() == words
                        && blocked.last().is_none_or(|word| word & !last == 0)
                }
                _ => false,
            };
            if !fits {
                return Err(StateFault::Planes { section });
            }
            if let SectionPlanes::Seated { blocked, .. } = planes {
                for seat in set_bits(blocked) {
                    let run = SeatRun {
                        section,
                        count: 1,
                        first: seat,
                    };
                    self.seats.shift(run, SeatState::Free, SeatState::Blocked);
                }
            }
        }
        Ok(())
    }

    /// Takes the seats if all of them are there and free.
    fn claim(&mut self, seats: &SeatRuns, to: SeatState) -> bool {
        if !self.exist(seats) {
            return false;
        }
        for run in seats.as_slice() {
            let count = u32::from(run.count);
            let is_free = match self.seats.general(run.section) {
                Some(general) => general.free() >= count,
                None => self
                    .seats
                    .all_in(run.section, run.first, count, SeatState::Free),
            };
            if !is_free {
                return false;
            }
            self.seats.shift(*run, SeatState::Free, to);
        }
        true
    }

    /// Whether there are such seats, and the runs are in sequence.
    fn exist(&self, seats: &SeatRuns) -> bool {
        let runs = seats.as_slice();
        !runs.is_empty()
            && runs.is_sorted_by_key(|run| (run.section, run.first))
            && runs.iter().all(|run| {
                let end = run.first.checked_add(u32::from(run.count));
                run.count > 0
                    && match self.seats.layout.sections.get(usize::from(run.section)) {
                        None => false,
                        Some(Section::General { .. }) => run.first == 0,
                        Some(Section::Seated { seats, .. }) => end.is_some_and(|end| end <= *seats),
                    }
            })
    }
}
