//! `apply` and `restore` answer anything: no panic on nonsense, and nothing half done.

use domain::Sale;
use domain::change::Change;
use domain::command::{CategoryChoice, HoldLine};
use domain::ids::{ChannelId, Revision, SeatRef};
use domain::invariants;
use domain::outcome::{SeatRun, SeatRuns};
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use proptest::prelude::*;

use crate::draw::{self, Draw};
use crate::steps::{Action, Step};

/// Mostly small numbers, sometimes the extremes.
fn odd(draw: &mut Draw) -> u64 {
    match draw.below(8) {
        0 => u64::MAX - draw.below(3),
        1 => draw.next(),
        2 => u64::from(u32::MAX) + draw.below(3),
        3 => u64::from(u16::MAX) + draw.below(3),
        _ => draw.below(20),
    }
}

fn odd_id(draw: &mut Draw) -> u128 {
    if draw.one_in(4) {
        u128::MAX - u128::from(draw.below(2))
    } else {
        u128::from(odd(draw))
    }
}

fn odd_seats(draw: &mut Draw) -> Vec<SeatRef> {
    (0..draw.below(5))
        .map(|_| SeatRef {
            section: odd(draw) as u16,
            seat: odd(draw) as u32,
        })
        .collect()
}

fn odd_rules(draw: &mut Draw) -> SaleRules {
    let channels = (0..draw.below(3)).map(|_| ChannelRules {
        channel: ChannelId(odd(draw) as u16),
        floor: odd(draw) as u32,
        cap: odd(draw) as u32,
        hold_ttl_ms: odd(draw) as u32,
    });
    let channels = channels.collect();
    SaleRules {
        hold_ttl_ms: odd(draw) as u32,
        hold_life_max_ms: u32::MAX - draw.below(3) as u32,
        buyer_limit: odd(draw) as u32,
        hold_seats_max: odd(draw) as u32,
        test_mode: draw.one_in(2),
        channels,
    }
}

fn odd_lines(draw: &mut Draw) -> Vec<HoldLine> {
    (0..draw.below(4))
        .map(|_| match draw.below(3) {
            0 => HoldLine::Seats {
                count: odd(draw) as u16,
            },
            1 => HoldLine::General {
                section: odd(draw) as u16,
                quantity: odd(draw) as u16,
            },
            _ => HoldLine::BestAvailable {
                quantity: odd(draw) as u16,
                category: match draw.below(3) {
                    0 => CategoryChoice::Any,
                    1 => CategoryChoice::Exactly(odd(draw) as u16),
                    _ => CategoryChoice::AtMost(odd(draw) as u16),
                },
                section_count: odd(draw) as u16,
                accessible: draw.one_in(2),
                split: draw.one_in(2),
            },
        })
        .collect()
}

fn odd_action(draw: &mut Draw) -> Action {
    let (hold, order, ttl_ms) = (odd_id(draw), odd_id(draw), odd(draw) as u32);
    match draw.below(14) {
        0 => Action::Open,
        1 => Action::Pause,
        2 => Action::Resume,
        3 => Action::Reopen,
        4 => Action::SetRules(odd_rules(draw)),
        5 => Action::Block(odd_seats(draw)),
        6 => Action::Unblock(odd_seats(draw)),
        7 => Action::Extend { hold, ttl_ms },
        8 => Action::Release { hold },
        9 => Action::Confirm { hold, order },
        10 => Action::Cancel { order },
        11 => Action::Expire,
        _ => {
            let mut lines = odd_lines(draw);
            let mut seats = odd_seats(draw);
            let mut sections: Vec<u16> = (0..draw.below(4)).map(|_| odd(draw) as u16).collect();
            if draw.one_in(2) {
                // Make the lists match, to get beyond the first check.
                lines = vec![HoldLine::Seats {
                    count: 1 + draw.below(3) as u16,
                }];
                seats = (0..3)
                    .map(|_| SeatRef {
                        section: 0,
                        seat: draw.below(9) as u32,
                    })
                    .collect();
                sections.clear();
                seats.truncate(usize::from(match lines[0] {
                    HoldLine::Seats { count } => count,
                    _ => 0,
                }));
            }
            Action::Place {
                hold,
                buyer: odd_id(draw),
                ttl_ms,
                lines,
                seats,
                sections,
            }
        }
    }
}

fn odd_venue(draw: &mut Draw) -> Venue {
    let mut venue = draw::venue(draw);
    let corner = |draw: &mut Draw| if draw.one_in(2) { i32::MAX } else { i32::MIN };
    let seats = (0..4)
        .map(|_| SeatPlan {
            x: corner(draw),
            y: corner(draw),
            category: odd(draw) as u16,
            attributes: Attributes(draw.next() as u8),
            aisle_after: draw.one_in(2),
        })
        .collect();
    let rows = vec![RowPlan { seats }, RowPlan::default()];
    venue.sections.insert(
        0,
        SectionPlan::Seated {
            focal_x: corner(draw),
            focal_y: corner(draw),
            rows,
        },
    );
    venue
}

fn answers_anything(seed: u64) {
    let mut draw = Draw(seed);
    let venue = odd_venue(&mut draw);
    let Ok(mut sale) = Sale::new(
        &venue,
        SaleRules {
            test_mode: true,
            ..SaleRules::default()
        },
        seed,
    ) else {
        panic!("seed {seed}: the venue is valid");
    };
    let mut changes: Vec<Change> = Vec::new();
    for number in 0..60_u64 {
        let at_ms = if draw.one_in(3) {
            odd(&mut draw)
        } else {
            number
        };
        let step = Step {
            partner: odd(&mut draw) as u32,
            channel: odd(&mut draw) as u16,
            key: if draw.one_in(5) {
                odd_id(&mut draw)
            } else {
                u128::from(number) + 1
            },
            hash: odd(&mut draw),
            action: if number == 0 {
                Action::Open
            } else {
                odd_action(&mut draw)
            },
        };
        let _ = sale.hopeless(&step.request(), at_ms);
        let _ = sale.apply(at_ms, &step.request(), &mut changes);
        assert!(!sale.is_changing(), "seed {seed}, step {number}");
    }
    assert_eq!(invariants::check(&sale), [], "seed {seed}");
    let restored =
        Sale::restore(sale.export()).unwrap_or_else(|fault| panic!("seed {seed}: {fault:?}"));
    assert_eq!(restored.full_hash(), sale.full_hash(), "seed {seed}");
}

/// A state with one thing changed: refused, or restored to a sale that is sound.
fn restores_no_nonsense(seed: u64) {
    let mut draw = Draw(seed);
    let venue = draw::venue(&mut draw);
    let mut sale = Sale::new(&venue, SaleRules::default(), seed).unwrap();
    for number in 0..40_u64 {
        let best = |n: u64| crate::steps::best_line(n as u16, CategoryChoice::Any, 0, false, true);
        let action = match (number, draw.below(3)) {
            (0, _) => Action::Open,
            (_, 0) => Action::Confirm {
                hold: u128::from(draw.below(number)),
                order: u128::from(number),
            },
            _ => Action::Place {
                hold: u128::from(number),
                buyer: 1,
                ttl_ms: 0,
                lines: vec![best(1 + draw.below(4))],
                seats: Vec::new(),
                sections: Vec::new(),
            },
        };
        let step = Step {
            partner: 1,
            channel: 1,
            key: crate::steps::key(number, number + 1),
            hash: number,
            action,
        };
        sale.apply(number, &step.request(), &mut Vec::new());
    }
    let mut state = sale.export();
    let bent = SeatRuns::from_slice(&[SeatRun {
        section: draw.below(4) as u16,
        count: odd(&mut draw) as u16,
        first: odd(&mut draw) as u32,
    }]);
    match draw.below(12) {
        0 => state.planes.truncate(draw.below(2) as usize),
        1 => state.planes.reverse(),
        2 => state.holds.reverse(),
        3 => state.holds.extend(state.holds.clone()),
        4 => state.orders.extend(state.orders.clone()),
        5 => state
            .holds
            .iter_mut()
            .for_each(|hold| hold.seats = bent.clone()),
        6 => state
            .orders
            .iter_mut()
            .for_each(|order| order.seats = bent.clone()),
        7 => state.now_ms = odd(&mut draw),
        8 => state.successes.extend(state.successes.clone()),
        9 => state
            .successes
            .iter_mut()
            .for_each(|success| success.done.deadline_ms = odd(&mut draw)),
        10 => state.orders.truncate(1),
        _ => state.revision = Revision(odd(&mut draw)),
    }
    if let Ok(restored) = Sale::restore(state.clone()) {
        assert_eq!(invariants::check(&restored), [], "seed {seed}");
        assert_eq!(restored.export(), state, "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apply_answers_anything(seed in any::<u64>()) {
        answers_anything(seed);
    }

    #[test]
    fn restore_believes_no_nonsense(seed in any::<u64>()) {
        restores_no_nonsense(seed);
    }
}

#[test]
fn a_venue_that_is_too_large_is_refused() {
    let general = |capacity| SectionPlan::General {
        capacity,
        category: 0,
    };
    let refused = |sections| Sale::new(&Venue { sections }, SaleRules::default(), 1).is_err();
    assert!(refused(vec![general(u32::MAX), general(u32::MAX)]));
    assert!(refused(vec![general(0); 70_000]));
    let rows = vec![RowPlan {
        seats: vec![SeatPlan::default(); 65_536],
    }];
    assert!(refused(vec![SectionPlan::Seated {
        focal_x: 0,
        focal_y: 0,
        rows
    }]));
}
