//! Every deliberate bug is found. Only with `--features bugs`: `.ci/run` does it in release.
#![cfg(feature = "bugs")]

use chaos_tests::bugs::layer1_cases;

#[test]
fn every_bug_of_the_domain_is_found_within_200_seeds() {
    for case in layer1_cases() {
        let found = case.find(std::slice::from_ref(&(0..200)));
        assert!(found.median().is_some(), "{}", case.name);
    }
}
