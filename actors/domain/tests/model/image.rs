//! An image of a sale that goes on stays what the sale was.

use domain::command::HoldLine;
use domain::outcome::Outcome;
use domain::rules::SaleRules;
use domain::venue::{SectionPlan, Venue};
use domain::{Sale, invariants};

use crate::steps::{Action, Step, key};

/// More than a few of the pieces that an image shares with its sale.
const HOLDS: u32 = 6_000;
const START_MS: u64 = 1_000_000;

fn sale() -> Sale {
    let venue = Venue {
        sections: vec![SectionPlan::General {
            capacity: 2 * HOLDS,
            category: 0,
        }],
    };
    Sale::new(&venue, SaleRules::default(), 5).unwrap()
}

fn apply(sale: &mut Sale, at_ms: u64, n: u64, action: Action) {
    let step = Step {
        partner: 1,
        channel: 1,
        key: key(at_ms, n),
        hash: n,
        action,
    };
    let outcome = sale.apply(at_ms, &step.request(), &mut Vec::new());
    assert!(matches!(outcome, Outcome::Done(_)), "{step:?}: {outcome:?}");
}

fn place(sale: &mut Sale, at_ms: u64, hold: u128, ttl_ms: u32) {
    let place = Action::Place {
        hold,
        buyer: hold,
        ttl_ms,
        lines: vec![HoldLine::General {
            section: 0,
            quantity: 1,
        }],
        seats: Vec::new(),
        sections: Vec::new(),
    };
    apply(sale, at_ms, hold as u64, place);
}

#[test]
fn it_stays_whatever_is_placed_confirmed_extended_cancelled_and_expired_after() {
    let mut sale = sale();
    apply(&mut sale, START_MS, 1 << 40, Action::Open);
    for hold in 1..=HOLDS {
        // One in three ends soon.
        let ttl_ms = if hold % 3 == 0 { 60_000 } else { 600_000 };
        place(&mut sale, START_MS, hold.into(), ttl_ms);
    }
    let early = (sale.image(), sale.export());
    for hold in (1..=HOLDS).filter(|hold| hold % 3 == 1) {
        let (hold, order) = (hold.into(), 10_000_000 + u128::from(hold));
        let confirm = Action::Confirm { hold, order };
        apply(&mut sale, START_MS + 1, order as u64, confirm);
    }
    let late = (sale.image(), sale.export());
    for number in 1..=HOLDS {
        let id = u128::from(number);
        let action = match number % 6 {
            1 => Action::Cancel {
                order: 10_000_000 + id,
            },
            2 => Action::Extend {
                hold: id,
                ttl_ms: 700_000,
            },
            5 => Action::Release { hold: id },
            _ => continue,
        };
        apply(&mut sale, START_MS + 2, 20_000_000 + id as u64, action);
    }
    apply(&mut sale, START_MS + 60_000, 1 << 41, Action::Expire);
    for hold in 1..=HOLDS {
        let hold = 30_000_000 + u128::from(hold);
        place(&mut sale, START_MS + 60_000, hold, 600_000);
    }
    assert_eq!(invariants::check(&sale), []);
    assert_ne!(sale.full_hash(), late.1.hash());
    for (image, state) in [early, late] {
        assert!(image.state() == state);
        assert_eq!(image.state().hash(), state.hash());
        assert!(image.holds() == state.holds && image.orders() == state.orders);
        let restored = Sale::restore(image.state()).unwrap();
        assert_eq!(invariants::check(&restored), []);
        assert_eq!(restored.full_hash(), state.hash());
    }
}
