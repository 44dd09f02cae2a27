//! Every fuzz target as a bounded test: its corpus, inputs that once failed, and changed inputs from a
//! fixed seed. `--bin fuzz` runs them for longer, `cargo fuzz` without end.

use std::collections::BTreeSet;
use std::path::Path;

use chaos_tests::fuzz::drive::{Until, drive, kept, to_hex};
use chaos_tests::fuzz::{TARGETS, admin_bodies, partner_requests, peer_frames, target};

const SEED: u64 = 1;

/// What a folder's files say between two texts, in each line that has both.
fn told_between(folder: &str, before: &str, after: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let mut told = BTreeSet::new();
    for file in folder.read_dir().expect("a folder of the project") {
        let text = std::fs::read_to_string(file.expect("listed").path()).expect("readable");
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once(before)
                && let Some((name, _)) = rest.split_once(after)
            {
                told.insert(name.trim_start_matches("stream ").to_owned());
            }
        }
    }
    told
}

/// Messages of a service definition, and bodies of the cluster API, that no target is fed.
#[test]
fn every_request_and_body_is_fed_to_a_target() {
    let requests = |folder: &str| -> BTreeSet<String> {
        let rpcs = told_between(folder, "  rpc ", ") returns");
        rpcs.iter()
            .filter_map(|rpc| rpc.split_once('('))
            .map(|(_, name)| name.trim_start_matches("stream ").to_owned())
            .collect()
    };
    let bodies = told_between("node/src/http/bodies", "pub struct ", " {");
    let bodies: BTreeSet<String> = bodies
        .iter()
        .map(|name| name.trim_end_matches("<'a>").to_owned())
        .collect();
    // Parts of bodies.
    let parts = ["Channel", "Span", "PricedCategory", "QueueLane"];
    for (told, fed, except) in [
        (
            requests("proto/onsale/channel/v1"),
            partner_requests::MESSAGES,
            &[][..],
        ),
        (
            requests("proto/onsale/cluster/v1"),
            peer_frames::MESSAGES,
            &[],
        ),
        (bodies, admin_bodies::BODIES, &parts),
    ] {
        assert!(told.len() >= 8, "{told:?}");
        let fed: BTreeSet<&str> = fed.iter().chain(except).copied().collect();
        let left: Vec<_> = told
            .iter()
            .filter(|name| !fed.contains(&name[..]))
            .collect();
        assert!(left.is_empty(), "nothing is fed with {left:?}");
    }
}

fn holds(name: &str) {
    let target = target(name).expect("a target of this name");
    let until = Until::Inputs(target.cases);
    let kept = kept(name).expect("readable");
    match drive(target, &kept, SEED, until) {
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
