//! Best available is optimal: against every possible window, and every possible set of seats.

use domain::Sale;
use domain::command::CategoryChoice;
use domain::ids::SeatRef;
use domain::outcome::Outcome;
use domain::rejection::Rejection;
use domain::rules::SaleRules;
use domain::venue::{SectionPlan, Venue};
use proptest::prelude::*;

use crate::draw::{Draw, long_row, row};
use crate::seating::{self, Section, State, Wish};
use crate::steps::{Asker, best_line};

/// Rows small enough to try everything, some seats gone.
fn hall(draw: &mut Draw, seats_max: u64) -> (Venue, Vec<SeatRef>) {
    let sections: Vec<SectionPlan> = (0..1 + draw.below(3))
        .map(|_| {
            let rows = match draw.one_in(5) && seats_max > 12 {
                true => vec![long_row(draw)],
                false => (0..1 + draw.below(3))
                    .map(|y| row(draw, y as i32 * 10, seats_max))
                    .collect(),
            };
            SectionPlan::Seated {
                focal_x: draw.below(140) as i32,
                focal_y: -30,
                rows,
            }
        })
        .collect();
    let share = 1 + draw.below(4);
    let mut gone = Vec::new();
    for (section, plan) in (0..).zip(&sections) {
        let SectionPlan::Seated { rows, .. } = plan else {
            continue;
        };
        let seats: usize = rows.iter().map(|row| row.seats.len()).sum();
        gone.extend(
            (0..seats as u32)
                .filter(|_| draw.below(5) < share)
                .map(|seat| SeatRef { section, seat }),
        );
    }
    (Venue { sections }, gone)
}

/// A sale of the hall with the seats blocked, and the same for the brute force.
fn set_up(venue: &Venue, gone: &[SeatRef]) -> (Asker, Vec<Section>) {
    let rules = SaleRules {
        hold_seats_max: 1_000,
        ..SaleRules::default()
    };
    let mut asker = Asker::new(Sale::new(venue, rules, 1).unwrap());
    asker.open();
    if !gone.is_empty() {
        asker.block(gone);
    }
    let mut sections = seating::sections(venue);
    for seat in gone {
        if let Some(Section::Seats(seats)) = sections.get_mut(usize::from(seat.section)) {
            seats[seat.seat as usize].state = State::Blocked;
        }
    }
    (asker, sections)
}

fn wish_of(draw: &mut Draw) -> (bool, CategoryChoice, Vec<u16>) {
    let category = match draw.below(3) {
        0 => CategoryChoice::Any,
        1 => CategoryChoice::Exactly(draw.below(2) as u16),
        _ => CategoryChoice::AtMost(draw.below(2) as u16),
    };
    let sections = match draw.below(3) {
        0 => vec![0],
        _ => Vec::new(),
    };
    (draw.one_in(3), category, sections)
}

fn is_optimal(seed: u64) {
    let mut draw = Draw(seed);
    let (venue, gone) = hall(&mut draw, 16);
    let (mut asker, mut sections) = set_up(&venue, &gone);
    // Several placements in a row, so that refreshed trees are judged as well as fresh ones.
    for _ in 0..8 {
        let n = 1 + draw.below(11) as u16;
        let (accessible, category, wanted) = wish_of(&mut draw);
        let wish = Wish {
            accessible,
            category,
            sections: &wanted,
        };
        let expected = seating::best(&sections, &wish, usize::from(n));
        let outcome = asker.place(
            &[best_line(n, category, wanted.len(), accessible, false)],
            &[],
            &wanted,
        );
        match (expected, outcome) {
            (Some((section, first)), Outcome::Done(done)) => {
                let run = done.seats.as_slice()[0];
                let got = (usize::from(run.section), run.first as usize, run.count);
                assert_eq!(got, (section, first, n), "seed {seed}");
                let Section::Seats(seats) = &mut sections[section] else {
                    unreachable!()
                };
                for seat in &mut seats[first..first + usize::from(n)] {
                    seat.state = State::Held;
                }
            }
            (None, Outcome::Rejected(rejection)) => {
                let (free, _, runs) = seating::stock(&sections, &wish);
                match rejection {
                    Rejection::SoldOut { free: named, .. } => {
                        assert!(
                            named == free && free < u32::from(n),
                            "seed {seed}: {rejection:?}"
                        );
                    }
                    Rejection::NotEnoughAdjacent {
                        longest,
                        free: named,
                    } => {
                        let most = runs.iter().map(|(_, len)| *len).max().unwrap_or(0);
                        assert_eq!((usize::from(longest), named), (most, free), "seed {seed}");
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            (expected, outcome) => panic!("seed {seed}: {expected:?} but {outcome:?}"),
        }
    }
}

/// The fewest pieces of any `n` of the free seats, by trying all sets of seats.
fn fewest_pieces(sections: &[Section], n: u32) -> Option<usize> {
    let mut joined_to_next = Vec::new();
    for section in sections {
        let Section::Seats(seats) = section else {
            continue;
        };
        for (at, seat) in seats.iter().enumerate() {
            if seat.state == State::Free && !seat.accessible_class {
                let next_is_free = seats
                    .get(at + 1)
                    .is_some_and(|next| next.state == State::Free);
                joined_to_next.push(seat.joined && next_is_free);
            }
        }
    }
    let count = joined_to_next.len();
    (0_u32..1 << count)
        .filter(|set| set.count_ones() == n)
        .map(|set| {
            let starts = |at: usize| {
                set >> at & 1 == 1
                    && !(at > 0 && joined_to_next[at - 1] && set >> (at - 1) & 1 == 1)
            };
            (0..count).filter(|at| starts(*at)).count()
        })
        .min()
}

fn splits_least(seed: u64) {
    let mut draw = Draw(seed);
    let (venue, gone) = hall(&mut draw, 5);
    let (mut asker, sections) = set_up(&venue, &gone);
    let (free, _, runs) = seating::stock(
        &sections,
        &Wish {
            accessible: false,
            category: CategoryChoice::Any,
            sections: &[],
        },
    );
    if free > 16 {
        return;
    }
    let n = 1 + draw.below(9) as u16;
    let outcome = asker.place(
        &[best_line(n, CategoryChoice::Any, 0, false, true)],
        &[],
        &[],
    );
    match outcome {
        Outcome::Done(_) => {
            let mut got: Vec<(usize, usize)> = Vec::new();
            for seat in asker.held_seats() {
                let joins = got.last().is_some_and(|(section, last)| {
                    let Section::Seats(seats) = &sections[*section] else {
                        unreachable!()
                    };
                    *section == usize::from(seat.section)
                        && *last + 1 == seat.seat as usize
                        && seats[*last].joined
                });
                match got.last_mut() {
                    Some((_, last)) if joins => *last += 1,
                    _ => got.push((usize::from(seat.section), seat.seat as usize)),
                }
            }
            assert_eq!(
                Some(got.len()),
                fewest_pieces(&sections, u32::from(n)),
                "seed {seed}"
            );
            let (section, sizes) = seating::split(&runs, usize::from(n)).expect("seats suffice");
            assert_eq!(got.len(), sizes.len(), "seed {seed}");
            if let Some(section) = section {
                let fits_one = got.iter().all(|(number, _)| *number == section);
                assert!(
                    fits_one || sizes.len() == 1,
                    "seed {seed}: not in section {section}"
                );
            }
        }
        Outcome::Rejected(rejection) => {
            assert!(
                free < u32::from(n),
                "seed {seed}: {rejection:?} with {free} free"
            );
        }
    }
    asker.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_best_window_is_the_best_of_all(seed in any::<u64>()) {
        is_optimal(seed);
    }

    #[test]
    fn a_split_party_sits_in_the_fewest_pieces(seed in any::<u64>()) {
        splits_least(seed);
    }
}
