//! Small windows, changed, before the judge and before a general linearizability tester.
//!
//! Whether a changed window is still legal is decided by the tester, which tries every order and
//! shares nothing with the judge. A window that stays legal does not count as mutated, and the judge
//! must accept it; one that does not must be rejected.

use std::collections::BTreeMap;

use chaos_tests::history::check::{Verdict, check};
use chaos_tests::history::generate::{Wanted, generate};
use chaos_tests::history::mutate::{Mutation, mutate};
use chaos_tests::history::record::{Call, Id, Op, Outcome, Reason, Record, Rejected, SectionSize};
use chaos_tests::layer1::Draw;
use rand::SeedableRng as _;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

use crate::spec::Spec;

const MUTATED: usize = 12_000;

/// Either holds run out and every answer arrives, or answers get lost and no hold runs out: a call
/// that nobody was answered tells no time, so the tester could not know when it expires what.
fn window(seed: u64) -> Vec<Record> {
    let loses = seed.is_multiple_of(2);
    let mut records = generate(&Wanted {
        seed,
        ops: 7 + seed as usize % 5,
        clients: 2 + seed as u32 / 2 % 3,
        rows: 1,
        seats_in_row: 5,
        hold_ttl_ms: if loses { 100_000_000 } else { 60 },
        lost: if loses { 150 } else { 0 },
        retried: 0,
        reads: 200,
        finals: 0,
    });
    records.retain(|record| !matches!(record, Record::Op(op) if op.outcome == Outcome::Failed));
    records
}

/// One more call after all others, that is refused: it tells the last revision and log time.
fn closing(records: &[Record], seed: u64) -> Record {
    let ops = || {
        records.iter().filter_map(|record| match record {
            Record::Op(op) => Some(op),
            _ => None,
        })
    };
    let end = ops().map(|op| op.returned.unwrap_or(op.invoke)).max();
    let told = ops().filter_map(|op| match &op.outcome {
        Outcome::Done(done) => Some((done.revision, done.index, done.at_ms)),
        Outcome::Rejected(no) => Some((no.revision, no.index, no.at_ms)),
        Outcome::Seen(seen) => Some((seen.revision, seen.index, None)),
        Outcome::Failed | Outcome::Unknown => None,
    });
    let (mut revision, mut index, mut at_ms) = (0, 0, None);
    for (this_revision, this_index, this_at_ms) in told {
        revision = revision.max(this_revision);
        index = index.max(this_index);
        at_ms = at_ms.max(this_at_ms);
    }
    let loses = seed.is_multiple_of(2);
    let end = end.unwrap_or(0);
    Record::Op(Op {
        sale: 1,
        client: u32::MAX - 1,
        key: Id(1 << 90),
        call: Call::Govern,
        asked: None,
        ttl_ms: None,
        invoke: end + 2,
        returned: Some(end + 3),
        outcome: Outcome::Rejected(Rejected {
            index: index + 1,
            revision,
            // With holds that run out, a later time would have to have ended them.
            at_ms: at_ms.filter(|_| loses),
            reason: Reason::Other {
                name: "the end".to_owned(),
            },
        }),
    })
}

fn is_linearizable(records: &[Record]) -> bool {
    let seats = records.iter().find_map(|record| match record {
        Record::House(house) => match house.sections[..] {
            [SectionSize::Seats(seats)] => Some(seats as usize),
            _ => None,
        },
        _ => None,
    });
    let mut tester = LinearizabilityTester::new(Spec::new(seats.expect("one house")));
    let mut events: Vec<(u64, bool, &Op)> = Vec::new();
    for record in records {
        if let Record::Op(op) = record {
            events.push((op.invoke, false, op));
            events.extend(op.returned.map(|returned| (returned, true, op)));
        }
    }
    // What happens at the same time is concurrent.
    events.sort_by_key(|(at, is_return, _)| (*at, *is_return));
    for (_, is_return, op) in events {
        let told = match is_return {
            false => tester.on_invoke(op.client, op.clone()),
            true => tester.on_return(op.client, op.outcome.clone()),
        };
        told.unwrap_or_else(|why| panic!("{why}"));
    }
    tester.is_consistent()
}

#[test]
fn the_judge_and_the_general_tester_agree() {
    let (mut illegal, mut legal, mut by_kind) = (0, 0, BTreeMap::new());
    let mut seed = 0;
    while illegal < MUTATED {
        seed += 1;
        let records = window(seed);
        let closing = closing(&records, seed);
        let with_end = |mut records: Vec<Record>| {
            records.push(closing.clone());
            records
        };
        let unchanged = with_end(records.clone());
        assert!(is_linearizable(&unchanged), "seed {seed}: {unchanged:#?}");
        assert_eq!(
            check(&unchanged).0,
            Verdict::Legal,
            "seed {seed}: {unchanged:#?}"
        );
        let mut draw = Draw::seed_from_u64(seed);
        for mutation in Mutation::ALL {
            let Some(changed) = mutate(&records, mutation, &mut draw) else {
                continue;
            };
            let changed = with_end(changed);
            let verdict = check(&changed).0;
            match is_linearizable(&changed) {
                true => {
                    legal += 1;
                    assert_eq!(
                        verdict,
                        Verdict::Legal,
                        "seed {seed}, {mutation:?}: {changed:#?}"
                    );
                }
                false => {
                    illegal += 1;
                    *by_kind.entry(mutation).or_insert(0) += 1;
                    assert!(
                        matches!(verdict, Verdict::Illegal(_)),
                        "seed {seed}, {mutation:?}: {verdict:?} {changed:#?}"
                    );
                }
            }
        }
    }
    println!(
        "{illegal} of {illegal} rejected, by kind {by_kind:?}; {legal} stayed legal; {seed} windows"
    );
    assert_eq!(by_kind.len(), Mutation::ALL.len());
    assert!(by_kind.values().all(|count| *count > 200), "{by_kind:?}");
}
