//! Whole clusters by seed: a modest number of drawn seeds, the permanent ones, and the proof that a
//! seed is all a run depends on. Each seed runs in a process of its own, as `sim` runs it.

use std::process::{Command, Output};

/// Always the same, so that a failure is of the change and not of the day.
const SEEDS: &str = "0..10";

fn sim(args: &[&str]) -> Output {
    let sim = env!("CARGO_BIN_EXE_sim");
    Command::new(sim).args(args).output().expect("it runs")
}

#[track_caller]
fn passes(args: &[&str]) -> String {
    let output = sim(args);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    // Some of the few seeds' faults may not come to pass; violations never may.
    assert!(text.contains(" 0 violations"), "{text}\n{errors}");
    text.into_owned()
}

#[test]
fn drawn_faults_break_no_promise() {
    passes(&["--seeds", SEEDS]);
}

#[test]
fn power_cuts_of_all_nodes_lose_nothing_acknowledged() {
    passes(&["--power-cuts", "--seeds", "1..4"]);
}

#[test]
fn waiting_rooms_keep_their_word() {
    passes(&["--rooms", "--seeds", "0..4"]);
}

/// A frozen sale and a replica that differs, amid what makes either harder.
#[test]
fn faults_of_the_logic_stop_what_they_strike_and_nothing_else() {
    let faults = "poison_pill,replica_differs,kill_node,power_cut_one,leader_transfer";
    let output = passes(&["--faults", faults, "--seeds", "0..4"]);
    assert!(!output.contains("NEVER HAPPENED"), "{output}");
}

#[test]
fn two_processes_of_a_seed_are_compared() {
    let output = passes(&["--seed", "1", "--twice"]);
    assert!(output.contains("1 seeds in two processes"), "{output}");
}

/// Runs that once failed.
#[test]
fn the_corpus_passes() {
    let corpus = include_str!("../corpus/sim_seeds.txt");
    for line in corpus.lines() {
        let run = line.split('#').next().unwrap_or_default();
        let args: Vec<&str> = run.split_whitespace().collect();
        if !args.is_empty() {
            passes(&args);
        }
    }
}

#[test]
fn a_seed_in_two_processes_leaves_the_same_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    // Six and seven nodes, session streams, replaced computers, waiting rooms among them.
    for (seed, more) in [
        ("3", None),
        ("5", None),
        ("6", None),
        ("9", None),
        ("13", None),
        ("14", None),
        ("30", Some("--rooms")),
    ] {
        let traces = ["first", "second"].map(|name| {
            let file = folder.path().join(name);
            let path = file.to_str().expect("a plain path");
            let args = ["--seed", seed, "--trace", path];
            let args: Vec<&str> = args.into_iter().chain(more).collect();
            passes(&args);
            std::fs::read(file).expect("a trace")
        });
        assert!(traces[0].len() > 100_000, "the trace is not empty");
        assert!(traces[0] == traces[1], "the traces of seed {seed} differ");
    }
}
