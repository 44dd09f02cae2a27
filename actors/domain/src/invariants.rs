//! What must always be true of a sale, checked slowly and independently of the sums it keeps.
//!
//! Written once; property tests, debug builds and chaos tests call it.

// Never called while a command is applied; an overflow here is a violation found.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use crate::change::SeatState;
use crate::order::OrderState;
use crate::outcome::SeatRun;
use crate::room::Room;
use crate::room::shuffle::verify;
use crate::sale::Sale;
use crate::seats::{Seats, Section, SectionPlanes, set_bits};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

/// All violations; none is what is wanted.
pub fn check(sale: &Sale) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut claim = |invariant: &'static str, holds: bool, detail: String| {
        if !holds {
            found.push(Violation { invariant, detail });
        }
    };
    check_words(&sale.seats, &mut claim);
    check_tallies(&sale.seats, &mut claim);
    check_owners(sale, &mut claim);
    check_deadlines(sale, &mut claim);
    check_usage(sale, &mut claim);
    check_memory(sale, &mut claim);
    check_room(sale, &mut claim);
    let oversold = sale.oversold_seats();
    claim("nothing is oversold", oversold == 0, format!("{oversold}"));
    let stale = sale.seats.stale_leaves();
    claim(
        "trees equal recomputation",
        stale.is_empty(),
        format!("{stale:?}"),
    );
    found
}

/// The part of `check` that costs next to nothing, for after every command.
pub fn check_cheap(sale: &Sale) -> Option<Violation> {
    let sum: u32 = sale.seats.totals.iter().sum();
    let due = sale
        .deadlines
        .next_ms()
        .filter(|deadline_ms| *deadline_ms <= sale.now_ms);
    let overfull = sale.seats.generals.iter().find(|general| {
        u64::from(general.held) + u64::from(general.sold) > u64::from(general.capacity)
    });
    let (invariant, detail) = match (sum == sale.seats.layout.seats_total, due, overfull) {
        (true, None, None) => return None,
        (false, ..) => ("no seat appears or vanishes", format!("{sum}")),
        (_, Some(due), _) => ("nothing due remains", format!("{due} at {}", sale.now_ms)),
        (.., Some(general)) => ("general admission within capacity", format!("{general:?}")),
    };
    Some(Violation { invariant, detail })
}

type Claim<'a> = dyn FnMut(&'static str, bool, String) + 'a;

/// Each seat is in exactly one plane, padding in none.
fn check_words(seats: &Seats, claim: &mut Claim<'_>) {
    for (id, stretch) in seats.layout.stretches.iter().enumerate() {
        let len = u32::from(stretch.len);
        let words = seats.words.iter().skip(stretch.word as usize);
        for (bit, [free, held, sold, blocked]) in (0..len).step_by(64).zip(words) {
            let valid = crate::seats::low_bits(len.saturating_sub(bit));
            let ones =
                free.count_ones() + held.count_ones() + sold.count_ones() + blocked.count_ones();
            let all = free | held | sold | blocked;
            let is_partition = all == valid && ones == valid.count_ones();
            claim(
                "each seat is in one state",
                is_partition,
                format!("stretch {id} from bit {bit}"),
            );
        }
    }
}

/// Counters by pool and in all equal the planes.
fn check_tallies(seats: &Seats, claim: &mut Claim<'_>) {
    let mut totals = [0_u32; 4];
    for (number, (pool, tally)) in seats.layout.pools.iter().zip(&seats.tallies).enumerate() {
        let mut counted = [0_u32; 4];
        for id in pool.stretches.clone() {
            let Some(stretch) = seats.layout.stretches.get(id as usize) else {
                continue;
            };
            let words = usize::from(stretch.len).div_ceil(64);
            for word in seats.words.iter().skip(stretch.word as usize).take(words) {
                for (count, plane) in counted.iter_mut().zip(word) {
                    *count += plane.count_ones();
                }
            }
        }
        claim(
            "pool counts equal the planes",
            counted == *tally,
            format!("pool {number}: {counted:?} {tally:?}"),
        );
        for (total, count) in totals.iter_mut().zip(counted) {
            *total += count;
        }
    }
    for (number, (group, tally)) in seats
        .layout
        .groups
        .iter()
        .zip(&seats.group_tallies)
        .enumerate()
    {
        let mut sum = [0_u32; 4];
        for pool in seats
            .tallies
            .iter()
            .take(group.pools.end as usize)
            .skip(group.pools.start as usize)
        {
            for (total, count) in sum.iter_mut().zip(pool) {
                *total += count;
            }
        }
        claim(
            "group counts are sums of pools",
            sum == *tally,
            format!("group {number}: {sum:?} {tally:?}"),
        );
    }
    for general in &seats.generals {
        let within =
            u64::from(general.held) + u64::from(general.sold) <= u64::from(general.capacity);
        claim(
            "general admission within capacity",
            within,
            format!("{general:?}"),
        );
        for (total, count) in totals
            .iter_mut()
            .zip([general.free(), general.held, general.sold, 0])
        {
            *total += count;
        }
    }
    claim(
        "seats are conserved",
        totals == seats.totals,
        format!("{totals:?} {:?}", seats.totals),
    );
    let sum = totals.iter().sum::<u32>();
    claim(
        "no seat appears or vanishes",
        sum == seats.layout.seats_total,
        format!("{sum}"),
    );
}

/// Held seats are those of the holds, sold ones those of the paid orders, each seat with one owner.
fn check_owners(sale: &Sale, claim: &mut Claim<'_>) {
    let held: Vec<SeatRun> = sale
        .holds
        .iter()
        .map(|kept| &kept.hold)
        .flat_map(|hold| hold.seats.as_slice())
        .copied()
        .collect();
    let paid = sale
        .orders
        .iter()
        .filter(|order| order.state == OrderState::Paid);
    let sold: Vec<SeatRun> = paid
        .flat_map(|order| order.seats.as_slice())
        .copied()
        .collect();
    for (section, kind) in (0_u16..).zip(&sale.seats.layout.sections) {
        let Some(planes) = sale.planes(section) else {
            claim(
                "each section has planes",
                false,
                format!("section {section}"),
            );
            continue;
        };
        for (runs, state) in [(&held, SeatState::Held), (&sold, SeatState::Sold)] {
            let runs = runs.iter().filter(|run| run.section == section);
            let detail = format!("section {section} {state:?}");
            match (kind, &planes) {
                (Section::General { .. }, SectionPlanes::General { held, sold, .. }) => {
                    let owned: u32 = runs.map(|run| u32::from(run.count)).sum();
                    let counted = if state == SeatState::Held {
                        *held
                    } else {
                        *sold
                    };
                    claim("general admission has owners", owned == counted, detail);
                }
                (Section::Seated { .. }, SectionPlanes::Seated { held, sold, .. }) => {
                    let plane = if state == SeatState::Held { held } else { sold };
                    let owned: Vec<u32> = runs
                        .flat_map(|run| run.first..run.first + u32::from(run.count))
                        .collect();
                    let distinct: BTreeSet<u32> = owned.iter().copied().collect();
                    let of_plane: BTreeSet<u32> = set_bits(plane).collect();
                    claim(
                        "a seat has one owner",
                        distinct.len() == owned.len(),
                        detail.clone(),
                    );
                    claim("taken seats have owners", distinct == of_plane, detail);
                }
                _ => claim("planes are of the section's kind", false, detail),
            }
        }
    }
}

fn check_deadlines(sale: &Sale, claim: &mut Claim<'_>) {
    let mut of_holds: Vec<_> = sale
        .holds
        .iter()
        .map(|kept| &kept.hold)
        .map(|hold| (hold.deadline_ms, hold.id))
        .collect();
    of_holds.sort_unstable();
    let queued = sale.deadlines.sequence();
    claim(
        "deadlines equal holds",
        of_holds == queued,
        format!("{of_holds:?} {queued:?}"),
    );
    let next = queued.first().map(|(deadline_ms, _)| *deadline_ms);
    claim(
        "the next deadline is the first",
        next == sale.deadlines.next_ms(),
        format!("{next:?}"),
    );
    let none_due = next.is_none_or(|deadline_ms| deadline_ms > sale.now_ms);
    claim(
        "nothing due remains",
        none_due,
        format!("{next:?} at {}", sale.now_ms),
    );
    for hold in sale.holds.iter().map(|kept| &kept.hold) {
        let life_ms = hold.deadline_ms - hold.placed_at_ms.min(hold.deadline_ms);
        claim("a hold has a life", life_ms > 0, format!("{:?}", hold.id));
    }
}

fn check_usage(sale: &Sale, claim: &mut Claim<'_>) {
    let (counted, kept) = (sale.counted_usage(), &sale.usage);
    claim(
        "cancelled orders",
        counted.cancelled_orders() == kept.cancelled_orders(),
        format!("{} {}", counted.cancelled_orders(), kept.cancelled_orders()),
    );
    let (counted, kept) = (counted.sorted(), kept.sorted());
    claim(
        "seats per buyer and channel",
        counted == kept,
        format!("{counted:?} {kept:?}"),
    );
}

fn check_memory(sale: &Sale, claim: &mut Claim<'_>) {
    let memory = sale.memory.remembered();
    let (successes, rejections) = (memory.successes(), memory.rejections());
    let watermarks = &memory.watermarks;
    let remembered = successes.len() + rejections.len();
    claim(
        "the key index covers the table",
        sale.memory.index_len() == remembered,
        format!("{remembered}"),
    );
    let keys = successes
        .iter()
        .map(|success| (success.partner, success.key));
    let refused = rejections
        .iter()
        .map(|rejection| (rejection.partner, rejection.key));
    for (partner, key) in keys.chain(refused) {
        // There are many of them: words only for one that is missing.
        if !sale.memory.is_found(partner, key) {
            claim(
                "a remembered key is found",
                false,
                format!("{partner:?} {key:?}"),
            );
        }
    }
    let within = successes.len() <= sale.memory.successes_most();
    claim(
        "the table is bounded",
        within,
        format!("{}", successes.len()),
    );
    let sorted = watermarks.is_sorted_by(|a, b| a.partner < b.partner);
    claim("watermarks are sorted", sorted, format!("{watermarks:?}"));
}

/// What the room counts and derives is what its plain values say.
fn check_room(sale: &Sale, claim: &mut Claim<'_>) {
    let Some(room) = &sale.room else { return };
    match Room::restore(sale.hash_seed, room.export()) {
        Ok(restored) => claim(
            "the room's counts are what its visitors add up to",
            restored.census() == room.census(),
            format!("{:?}, not {:?}", room.census(), restored.census()),
        ),
        Err(fault) => claim("the room can be restored", false, format!("{fault:?}")),
    }
    let due = room.next_event_ms().filter(|at_ms| *at_ms <= sale.now_ms);
    claim(
        "nothing due remains in the room",
        due.is_none(),
        format!("{due:?}"),
    );
    if room.is_open() {
        let verified = verify(&room.evidence(), &room.lines());
        claim(
            "the room's sequence can be proved",
            verified.is_ok(),
            format!("{verified:?}"),
        );
    }
}
