//! What the idempotency table forgets, and what it says then.

use domain::Sale;
use domain::command::HoldLine;
use domain::outcome::Outcome;
use domain::rejection::{Phase, Rejection};
use domain::rules::SaleRules;
use domain::venue::{SectionPlan, Venue};

use crate::steps::{Action, Step, key};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn sale() -> Sale {
    let venue = Venue {
        sections: vec![SectionPlan::General {
            capacity: 10,
            category: 0,
        }],
    };
    Sale::new(&venue, SaleRules::default(), 5).unwrap()
}

fn step(at_ms: u64, n: u64, action: Action) -> Step {
    Step {
        partner: 1,
        channel: 1,
        key: key(at_ms, n),
        hash: n,
        action,
    }
}

fn apply(sale: &mut Sale, at_ms: u64, step: &Step) -> Outcome {
    sale.apply(at_ms, &step.request(), &mut Vec::new())
}

#[test]
fn a_success_is_forgotten_after_24_hours() {
    let mut sale = sale();
    let start = 100 * HOUR_MS;
    let open = step(start, 1, Action::Open);
    let first = apply(&mut sale, start, &open);
    assert_eq!(apply(&mut sale, start + 24 * HOUR_MS - 1, &open), first);
    assert_eq!(
        apply(&mut sale, start + 24 * HOUR_MS, &open),
        Outcome::Rejected(Rejection::KeyExpired)
    );
    // Another partner has a watermark of its own.
    let other = Step {
        partner: 2,
        ..step(start, 1, Action::Pause)
    };
    assert!(matches!(
        apply(&mut sale, start + 24 * HOUR_MS, &other),
        Outcome::Done(_)
    ));
}

#[test]
fn a_key_that_is_about_to_be_forgotten_is_not_hopeless() {
    let mut sale = sale();
    let start = 100 * HOUR_MS;
    apply(&mut sale, start, &step(start, 1, Action::Open));
    apply(&mut sale, start, &step(start, 2, Action::Pause));
    let place = Action::Place {
        hold: 1,
        buyer: 1,
        ttl_ms: 0,
        lines: vec![HoldLine::General {
            section: 0,
            quantity: 1,
        }],
        seats: Vec::new(),
        sections: Vec::new(),
    };
    let place = step(start, 3, place);
    let phase = Phase::Paused;
    let late = start + 24 * HOUR_MS;
    assert_eq!(
        sale.hopeless(&place.request(), late - 1),
        Some(Rejection::NotOnSale { phase })
    );
    assert_eq!(sale.hopeless(&place.request(), late), None);
    assert_eq!(
        apply(&mut sale, late, &place),
        Outcome::Rejected(Rejection::KeyExpired)
    );
}

#[test]
fn rejections_are_a_ring_of_65536() {
    let mut sale = sale();
    let mut steps = Vec::new();
    let mut taken = None;
    // Up to 64 more are kept, then 64 are forgotten at once.
    for n in 0..65_536 + 65_u64 {
        let step = step(1_000 + n, n + 1, Action::Release { hold: 7 });
        let outcome = apply(&mut sale, 1_000 + n, &step);
        assert_eq!(outcome, Outcome::Rejected(Rejection::UnknownHold));
        steps.push(step);
        if n == 65_000 {
            taken = Some((sale.image(), sale.export()));
        }
    }
    // What an image shows is not forgotten with what the sale forgets.
    assert!(taken.is_some_and(|(image, state)| image.state() == state));
    let now = sale.now_ms();
    for (n, step) in steps.iter().enumerate() {
        let expected = if n < 64 {
            Rejection::KeyExpired
        } else {
            Rejection::UnknownHold
        };
        assert_eq!(
            apply(&mut sale, now, step),
            Outcome::Rejected(expected),
            "{n}"
        );
    }
    assert_eq!(sale.counts().remembered, 65_537);
    assert_eq!(domain::invariants::check(&sale), []);
    let restored = Sale::restore(sale.export()).unwrap();
    assert_eq!(restored.full_hash(), sale.full_hash());
}

#[test]
fn successes_are_kept_for_65536_entries() {
    let mut sale = sale();
    apply(&mut sale, 1_000, &step(1_000, 1, Action::Open));
    let mut last = None;
    for n in 0..65_536 + 64_u64 {
        let action = if n % 2 == 0 {
            Action::Pause
        } else {
            Action::Resume
        };
        let step = step(1_001 + n, n + 2, action);
        assert!(matches!(
            apply(&mut sale, 1_001 + n, &step),
            Outcome::Done(_)
        ));
        last = Some(step);
    }
    assert_eq!(sale.counts().remembered, 65_537);
    let now = sale.now_ms();
    let first = step(1_001, 2, Action::Pause);
    assert_eq!(
        apply(&mut sale, now, &first),
        Outcome::Rejected(Rejection::KeyExpired)
    );
    assert!(matches!(
        apply(&mut sale, now, &last.unwrap()),
        Outcome::Done(_)
    ));
    assert_eq!(domain::invariants::check(&sale), []);
}

#[test]
fn keys_are_checked_by_name() {
    let mut sale = sale();
    let now = 50 * HOUR_MS;
    let none = Step {
        key: 0,
        ..step(now, 0, Action::Open)
    };
    assert_eq!(
        apply(&mut sale, now, &none),
        Outcome::Rejected(Rejection::KeyMissing)
    );
    let ahead = step(now + 5 * 60 * 1000 + 1, 1, Action::Open);
    assert_eq!(
        apply(&mut sale, now, &ahead),
        Outcome::Rejected(Rejection::KeyFromFuture)
    );
    let open = step(now + 5 * 60 * 1000, 2, Action::Open);
    assert!(matches!(apply(&mut sale, now, &open), Outcome::Done(_)));
    let other = Step { hash: 99, ..open };
    assert_eq!(
        apply(&mut sale, now, &other),
        Outcome::Rejected(Rejection::KeyReused)
    );
    assert_eq!(sale.counts().remembered, 1);
}
