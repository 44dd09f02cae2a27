//! A random walk through a sale, step by step beside the reference, with a second replica that is
//! exported and restored on the way.

use domain::Sale;
use domain::SectionPlanes;
use domain::change::{Change, Fact};
use domain::command::{CategoryChoice, HoldLine};
use domain::ids::SeatRef;
use domain::invariants;
use domain::outcome::Outcome;
use domain::venue::{SectionPlan, Venue};
use proptest::prelude::*;

use crate::draw::{self, Draw};
use crate::reference::Reference;
use crate::seating::{Section, State};
use crate::steps::{Action, Step, best_line, key};

fn seat_ref(draw: &mut Draw, venue: &Venue) -> SeatRef {
    let section = section_of(draw, venue, true);
    let seats = match venue.sections.get(usize::from(section)) {
        Some(SectionPlan::Seated { rows, .. }) => rows.iter().map(|row| row.seats.len()).sum(),
        _ => 3,
    };
    let beyond = u64::from(draw.one_in(40));
    let section = if draw.one_in(60) {
        section + 9
    } else {
        section
    };
    SeatRef {
        section,
        seat: draw.below(seats as u64 + beyond) as u32,
    }
}

fn seat_refs(draw: &mut Draw, venue: &Venue, most: u64) -> Vec<SeatRef> {
    let first = seat_ref(draw, venue);
    let neighbours = draw.one_in(2);
    (0..draw.below(most + 1) as u32)
        .map(|at| match neighbours {
            true => SeatRef {
                seat: first.seat + at,
                ..first
            },
            false => seat_ref(draw, venue),
        })
        .collect()
}

/// A section of the wanted kind, mostly.
fn section_of(draw: &mut Draw, venue: &Venue, seated: bool) -> u16 {
    let all = 0..venue.sections.len() as u16 + u16::from(draw.one_in(60));
    let is_wanted = |section: &u16| match venue.sections.get(usize::from(*section)) {
        Some(plan) => matches!(plan, SectionPlan::Seated { .. }) == seated,
        None => true,
    };
    let wanted: Vec<u16> = all.clone().filter(is_wanted).collect();
    let from = if wanted.is_empty() || draw.one_in(30) {
        all.collect()
    } else {
        wanted
    };
    from[draw.below(from.len() as u64) as usize]
}

fn place(draw: &mut Draw, venue: &Venue, hold: u128) -> Action {
    let (mut lines, mut seats, mut sections) = (Vec::new(), Vec::new(), Vec::new());
    let lines_max = if draw.one_in(3) { 3 } else { 1 };
    for _ in 0..1 + draw.below(lines_max) {
        match draw.below(8) {
            0 | 1 => {
                let chosen = seat_refs(draw, venue, 5);
                lines.push(HoldLine::Seats {
                    count: chosen.len() as u16,
                });
                seats.extend(chosen);
            }
            2 => lines.push(HoldLine::General {
                section: section_of(draw, venue, false),
                quantity: (1 + draw.below(6)) as u16,
            }),
            _ => {
                let category = match draw.below(4) {
                    0 => CategoryChoice::Exactly(draw.below(3) as u16),
                    1 => CategoryChoice::AtMost(draw.below(3) as u16),
                    _ => CategoryChoice::Any,
                };
                let wanted = if draw.one_in(3) { 1 + draw.below(2) } else { 0 };
                sections.extend((0..wanted).map(|_| section_of(draw, venue, true)));
                let n = if draw.one_in(12) {
                    draw.below(20)
                } else {
                    1 + draw.below(8)
                };
                let accessible = draw.one_in(5);
                let split = draw.one_in(2);
                lines.push(best_line(
                    n as u16,
                    category,
                    wanted as usize,
                    accessible,
                    split,
                ));
            }
        }
    }
    if draw.one_in(30) {
        seats.pop();
    }
    let ttl_ms = match draw.below(6) {
        0 => 1 + draw.below(3_000) as u32,
        _ => 0,
    };
    Action::Place {
        hold,
        buyer: u128::from(draw.below(8)),
        ttl_ms,
        lines,
        seats,
        sections,
    }
}

/// Mostly what exists, sometimes what does not.
fn action(draw: &mut Draw, venue: &Venue, reference: &Reference, number: u64) -> Action {
    let (holds, orders) = (&reference.holds, &reference.orders);
    let mut hold = 1 + u128::from(draw.below(number + 1));
    if !holds.is_empty() && !draw.one_in(4) {
        hold = holds[draw.below(holds.len() as u64) as usize].id;
    }
    let mut order = 1 + u128::from(draw.below(number + 1));
    if !orders.is_empty() && !draw.one_in(4) {
        order = orders[draw.below(orders.len() as u64) as usize].id;
    }
    let fresh = if draw.one_in(15) {
        order
    } else {
        1_000 + u128::from(number)
    };
    let placed = if draw.one_in(15) {
        hold
    } else {
        1 + u128::from(number)
    };
    match draw.below(100) {
        0..55 => place(draw, venue, placed),
        55..70 => Action::Confirm { hold, order: fresh },
        70..76 => Action::Release { hold },
        76..80 => Action::Extend {
            hold,
            ttl_ms: draw.below(4_000) as u32,
        },
        80..87 => Action::Cancel { order },
        87..89 => Action::Block(seat_refs(draw, venue, 4)),
        89..91 => Action::Unblock(seat_refs(draw, venue, 2)),
        91 if draw.one_in(3) => Action::Pause,
        91..94 => Action::Resume,
        94 => {
            if draw.one_in(10) {
                Action::Close
            } else {
                Action::Open
            }
        }
        95 => Action::Reopen,
        96 => Action::SetRules(draw::rules(draw, venue)),
        _ => Action::Expire,
    }
}

fn agree(sale: &Sale, reference: &Reference, context: &str) {
    assert_eq!(sale.revision().0, reference.revision, "{context}");
    assert_eq!(sale.now_ms(), reference.now_ms, "{context}");
    let holds: Vec<_> = sale.holds().map(|hold| hold.id).collect();
    assert_eq!(holds, reference.hold_ids(), "{context}");
    let orders: Vec<_> = sale.orders().map(|order| order.id.0).collect();
    assert_eq!(
        orders,
        reference
            .orders
            .iter()
            .map(|order| order.id)
            .collect::<Vec<_>>(),
        "{context}"
    );
    for (number, section) in (0..).zip(&reference.sections) {
        match (section, sale.planes(number).unwrap()) {
            (
                Section::General {
                    capacity,
                    held,
                    sold,
                },
                planes,
            ) => {
                let (capacity, held, sold) = (*capacity, *held, *sold);
                assert_eq!(
                    planes,
                    SectionPlanes::General {
                        capacity,
                        held,
                        sold
                    },
                    "{context}"
                );
            }
            (
                Section::Seats(seats),
                SectionPlanes::Seated {
                    seats: count,
                    held,
                    sold,
                    blocked,
                },
            ) => {
                assert_eq!(seats.len(), count as usize);
                for (at, seat) in seats.iter().enumerate() {
                    let bit = |plane: &[u64]| plane[at / 64] >> (at % 64) & 1 == 1;
                    let expected = match seat.state {
                        State::Free => [false, false, false],
                        State::Held => [true, false, false],
                        State::Sold => [false, true, false],
                        State::Blocked => [false, false, true],
                    };
                    assert_eq!(
                        [bit(&held), bit(&sold), bit(&blocked)],
                        expected,
                        "{context}, seat {at}"
                    );
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn follow(revision: u64, changes: &[Change], context: &str) {
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    let expected: Vec<u64> = (revision + 1..=revision + changes.len() as u64).collect();
    assert_eq!(revisions, expected, "{context}");
    for change in changes {
        if let Fact::SeatsChanged { run, from, to } = change.fact {
            assert!(run.count > 0 && from != to, "{context}");
        }
    }
}

fn walk(seed: u64, steps: usize) {
    let mut draw = Draw(seed);
    let venue = draw::venue(&mut draw);
    let mut rules = draw::rules(&mut draw, &venue);
    if draw.one_in(2) {
        rules.channels.clear();
    }
    let mut sale = Sale::new(&venue, rules.clone(), seed).unwrap();
    let mut replica = sale.clone();
    let mut reference = Reference::new(&venue, rules);
    let mut past: Vec<Step> = Vec::new();
    let mut taken = None;
    let mut at_ms = 1_000_000_u64;
    for number in 0..steps as u64 {
        at_ms = match draw.below(60) {
            0 => at_ms + 3_000,
            1 => at_ms - at_ms.min(5_000),
            2 if draw.one_in(8) => at_ms + 30 * 60 * 60 * 1000,
            _ => at_ms + draw.below(60),
        };
        let mut step = Step {
            partner: 1 + u32::from(draw.one_in(4)),
            channel: draw.below(4) as u16,
            key: key(at_ms, number + 1),
            hash: draw.next(),
            action: if number == 0 {
                Action::Open
            } else {
                action(&mut draw, &venue, &reference, number)
            },
        };
        match draw.below(25) {
            0 if !past.is_empty() => step = past[draw.below(past.len() as u64) as usize].clone(),
            1 if !past.is_empty() => step.key = past[draw.below(past.len() as u64) as usize].key,
            2 if draw.one_in(10) => step.key = 0,
            3 if draw.one_in(10) => step.key = key(at_ms + 400_000, number + 1),
            _ => {}
        }
        let context = format!("seed {seed}, step {number} {step:?}");
        let mut changes = Vec::new();
        let before = sale.revision().0;
        let hopeless = sale.clone().hopeless(&step.request(), at_ms);
        let digest_before = sale.digest();
        assert_eq!(sale.hopeless(&step.request(), at_ms), hopeless, "{context}");
        assert_eq!(sale.digest(), digest_before);
        let outcome = sale.apply(at_ms, &step.request(), &mut changes);
        let expected = reference.apply(at_ms, &step);
        assert_eq!(outcome, expected, "{context}");
        if let Some(rejection) = hopeless {
            // With several lines a later one may be the reason that is named.
            let one_line = matches!(&step.action, Action::Place { lines, .. } if lines.len() == 1);
            assert!(matches!(outcome, Outcome::Rejected(_)), "{context}");
            assert!(
                !one_line || outcome == Outcome::Rejected(rejection),
                "{context}: {rejection:?}"
            );
        }
        assert!(!sale.is_changing());
        follow(before, &changes, &context);
        agree(&sale, &reference, &context);
        assert_eq!(invariants::check(&sale), [], "{context}");

        if draw.one_in(20)
            && let Some((image, state)) = taken.replace((sale.image(), sale.export()))
        {
            assert!(image.state() == state, "an image changed: {context}");
        }
        if draw.one_in(12) {
            replica = Sale::restore(replica.export())
                .unwrap_or_else(|fault| panic!("{fault:?} {context}"));
        }
        let mut replica_changes = Vec::new();
        assert_eq!(
            replica.apply(at_ms, &step.request(), &mut replica_changes),
            outcome,
            "{context}"
        );
        assert_eq!(replica_changes, changes, "{context}");
        assert_eq!(replica.digest(), sale.digest(), "{context}");
        past.push(step);
    }
    assert_eq!(replica.export(), sale.export(), "seed {seed}");
    assert_eq!(replica.full_hash(), sale.full_hash(), "seed {seed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sale_does_what_the_reference_does(seed in any::<u64>(), steps in 1..220_usize) {
        walk(seed, steps);
    }
}
