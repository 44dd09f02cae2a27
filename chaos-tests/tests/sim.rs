//! Whole clusters by seed: a modest number of drawn seeds, the permanent ones, and the proof that a
//! seed is all a run depends on.

use std::path::Path;
use std::process::Command;

use chaos_tests::sim::plan::Plan;
use chaos_tests::sim::run::run;

/// Drawn anew for every machine in the nightly set; here always the same, so that a failure is of
/// the change and not of the day.
const SEEDS: std::ops::Range<u64> = 0..10;

#[track_caller]
fn passes(plan: Plan) {
    println!("{plan}");
    let seed = plan.seed;
    let outcome = run(plan, None).expect("no file is written");
    let last = outcome.last.join("\n");
    assert!(
        outcome.violations.is_empty(),
        "{last}\nseed {seed}: {:#?}",
        outcome.violations
    );
    assert!(outcome.done > 0, "seed {seed}: nothing was sold");
}

#[test]
fn drawn_faults_break_no_promise() {
    SEEDS.for_each(|seed| passes(Plan::draw(seed)));
}

#[test]
fn power_cuts_of_all_nodes_lose_nothing_acknowledged() {
    (1..=3).for_each(|seed| passes(Plan::power_cuts(seed)));
}

/// Seeds that once failed.
#[test]
fn the_corpus_passes() {
    let corpus = include_str!("../corpus/sim_seeds.txt");
    for line in corpus.lines() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if !seed.is_empty() {
            passes(Plan::draw(seed.parse().expect("a seed stands first")));
        }
    }
}

#[test]
fn a_seed_in_two_processes_leaves_the_same_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in ["3", "6"] {
        let traces = ["first", "second"].map(|name| {
            let file = folder.path().join(name);
            trace(seed, &file);
            std::fs::read(file).expect("a trace")
        });
        assert!(traces[0].len() > 100_000, "the trace is not empty");
        assert!(traces[0] == traces[1], "the traces of seed {seed} differ");
    }
}

fn trace(seed: &str, file: &Path) {
    let sim = env!("CARGO_BIN_EXE_sim");
    let ended = Command::new(sim)
        .args(["--seed", seed, "--trace"])
        .arg(file)
        .output();
    let output = ended.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}
