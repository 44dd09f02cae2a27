//! Every fuzz target as a bounded test: its corpus, inputs that once failed, and changed inputs from a
//! fixed seed. `--bin fuzz` runs them for longer, `cargo fuzz` without end.

use std::path::Path;

use chaos_tests::fuzz::drive::{Until, drive, from_hex, to_hex};
use chaos_tests::fuzz::{TARGETS, target};

const SEED: u64 = 1;

/// Inputs on which a property once did not hold: one file each, digits of its bytes.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus/fuzz")
        .join(name);
    let Ok(files) = folder.read_dir() else {
        return Vec::new();
    };
    let mut files: Vec<_> = files.map(|file| file.expect("listed").path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).expect("readable");
            from_hex(&text).unwrap_or_else(|| panic!("{} is no digits", file.display()))
        })
        .collect()
}

fn holds(name: &str) {
    let target = target(name).expect("a target of this name");
    let until = Until::Inputs(target.cases);
    match drive(target, &kept(name), SEED, until) {
        Ok(tried) => assert!(tried >= target.cases),
        Err(found) => panic!(
            "{}\nrepeat it: cargo run -p chaos-tests --bin fuzz -- --target {name} --hex {}",
            found.why,
            to_hex(&found.input)
        ),
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested() {
            let tested = [$(stringify!($name)),*];
            let listed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(listed, tested);
        }
    };
}

targets! {
    partner_requests
    session_packed
    peer_frames
    commands
    answers
    entries
    log_recovery
    snapshot_file
    sale_snapshot
    plans
    layouts
    config
    admin_bodies
    passes
    command_line
    sequences
}

/// `chaos-tests/fuzz/` has a program for each target and no other.
#[test]
fn cargo_fuzz_knows_every_target() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let bins: Vec<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"fuzz_targets/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    let listed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(bins, listed);
}
