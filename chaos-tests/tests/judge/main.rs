//! The judge: it accepts what happened and rejects what cannot have.

mod spec;
mod windows;

use chaos_tests::history::check::{Verdict, check};
use chaos_tests::history::generate::{Wanted, generate};
use chaos_tests::history::record::{Outcome, Record, read, write};

fn wanted(seed: u64) -> Wanted {
    Wanted {
        seed,
        ops: 600,
        clients: 1 + seed as u32 % 12,
        rows: 4,
        seats_in_row: 10,
        hold_ttl_ms: [300, 5_000, 600_000][seed as usize % 3],
        lost: [0, 10, 60][seed as usize / 3 % 3],
        retried: [0, 50, 100][seed as usize / 9 % 3],
        reads: 60,
        finals: 2,
    }
}

#[test]
fn what_happened_is_legal() {
    let mut undecided = 0;
    for seed in 0..600 {
        let records = generate(&wanted(seed));
        let (verdict, tally) = check(&records);
        assert!(tally.ops >= 600 && tally.finals == 2, "{tally:?}");
        match verdict {
            // Callers who never ask again may leave more ways open than are searched.
            Verdict::Undecided(_) if wanted(seed).retried < 100 => undecided += 1,
            verdict => assert_eq!(verdict, Verdict::Legal, "seed {seed}, {:?}", wanted(seed)),
        }
    }
    println!("{undecided} undecided");
    assert!(undecided < 60, "{undecided} undecided");
}

#[test]
fn a_history_is_written_and_read_back() {
    let records = generate(&wanted(4));
    let mut text = Vec::new();
    write(&records, &mut text).expect("memory");
    assert_eq!(read(text.as_slice()).expect("what was written"), records);
}

/// The end-of-run checks: each lie about a replica's end is found.
#[test]
fn a_replica_that_lost_something_is_illegal() {
    let records = generate(&wanted(27));
    assert_eq!(check(&records).0, Verdict::Legal);
    type Lie = (&'static str, fn(&mut Record));
    let lies: [Lie; 5] = [
        ("an acknowledged order is gone", |record| {
            if let Record::Final(end) = record {
                end.orders.pop();
            }
        }),
        ("a paid order is cancelled", |record| {
            if let Record::Final(end) = record
                && let Some(order) = end.orders.iter_mut().find(|order| order.paid)
            {
                order.paid = false;
            }
        }),
        ("a seat is gone", |record| {
            if let Record::Final(end) = record {
                end.seen.sold.pop();
            }
        }),
        ("a hold outlives its deadline", |record| {
            if let Record::Final(end) = record {
                end.now_ms += 1_000_000;
            }
        }),
        ("a seat is sold and held", |record| {
            if let Record::Final(end) = record {
                let twice = end.seen.sold[0];
                end.seen.held.push(twice);
            }
        }),
    ];
    for (lie, tell) in lies {
        let mut changed = records.clone();
        changed.iter_mut().rev().take(1).for_each(tell);
        assert_ne!(changed, records, "{lie}");
        assert!(matches!(check(&changed).0, Verdict::Illegal(_)), "{lie}");
    }
}

#[test]
fn two_answers_under_one_key_are_illegal() {
    let mut records = generate(&wanted(4));
    let again = records.iter().find_map(|record| match record {
        Record::Op(op) if matches!(op.outcome, Outcome::Done(_)) => Some(op.clone()),
        _ => None,
    });
    let mut again = again.expect("something was done");
    if let Outcome::Done(done) = &mut again.outcome {
        done.revision += 1;
    }
    records.push(Record::Op(again));
    assert!(matches!(check(&records).0, Verdict::Illegal(_)));
}
