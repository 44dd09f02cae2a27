//! Deliberate bugs are found: those of sales in the domain, and those of waiting rooms by whole clusters.
//! The rest takes longer: `bin/bugs`. Only with `--features bugs`.
#![cfg(feature = "bugs")]

use std::path::Path;

use chaos_tests::bugs::{Case, ROOMS, layer1_cases, layer2_cases};

#[track_caller]
fn finds(case: &Case, seeds: u64) {
    let found = case.find(std::slice::from_ref(&(0..seeds)));
    assert!(found.median().is_some(), "{}", case.name);
    assert_eq!(found.false_alarms, [], "without {}", case.name);
}

#[test]
fn every_bug_of_the_domain_is_found_within_200_seeds() {
    for case in layer1_cases() {
        finds(&case, 200);
    }
}

#[test]
fn every_bug_of_waiting_rooms_is_found_within_20_seeds() {
    let hunter = Path::new(env!("CARGO_BIN_EXE_bugs"));
    let mut cases = layer2_cases(hunter);
    cases.retain(|case| case.layer.starts_with(ROOMS));
    assert!(cases.len() >= 10, "{}", cases.len());
    for case in &cases {
        finds(case, 20);
    }
}
