//! Real processes, in short: the leader is killed, all nodes lose their power at once, one node
//! after the other is restarted, the harness itself is killed. What this machine cannot do is said
//! to be SKIPPED.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chaos_tests::procs::cluster::{self, Plan};
use chaos_tests::procs::facility::Facilities;
use chaos_tests::procs::fault::Kind;
use chaos_tests::procs::leftovers::shelf;
use chaos_tests::procs::scenario::{self, Wishes};
use chaos_tests::procs::sum::Outcome;
use chaos_tests::procs::user;

/// The harness is a node too, when it is told to serve.
const PROCS: &str = env!("CARGO_BIN_EXE_procs");

fn wishes(work: &Path) -> Wishes {
    Wishes {
        plan: Plan {
            nodes: 3,
            binary: PathBuf::from(PROCS),
            second_binary: None,
            work: work.to_owned(),
            disk_mib: 96,
            wrong_clocks: false,
            // A machine that is busy with other tests must not look like a fault.
            fast: false,
            sale_groups: 2,
        },
        seed: 1,
        buyers: 4,
        rounds: 1,
        kills: 1,
        mix: Duration::from_secs(1),
        nodes: None,
    }
}

fn play(name: &str) {
    let work = tempfile::tempdir_in(cluster::work()).expect("a folder");
    let wishes = wishes(work.path());
    let facilities = Facilities::find(&wishes.plan.work, false).expect("the machine is looked at");
    let scenario = scenario::by_name(name).expect("a scenario");
    let report = scenario.run(&wishes, &facilities);
    // Past the test runner, which keeps what passing tests print.
    writeln!(std::io::stderr(), "{report}").expect("standard error");
    match &report.outcome {
        Outcome::Passed => assert!(report.acknowledged > 0, "{report}"),
        Outcome::Skipped(_) => {}
        Outcome::Failed(why) => panic!("{why:#?}"),
    }
    assert_eq!((report.lost, report.oversold), (0, 0), "{report}");
}

#[test]
fn a_cluster_that_does_not_come_up_is_told_to_be_the_reason() {
    let work = tempfile::tempdir_in(cluster::work()).expect("a folder");
    let mut wishes = wishes(work.path());
    wishes.plan.binary = work.path().join("no such program");
    let facilities = Facilities::find(&wishes.plan.work, false).expect("the machine is looked at");
    let scenario = scenario::by_name("kill_leader").expect("a scenario");
    match scenario.run(&wishes, &facilities).outcome {
        Outcome::Failed(why) => {
            assert!(
                why.len() == 1 && why[0].starts_with("no fault struck: "),
                "{why:#?}"
            );
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_killed_leader_takes_nothing_acknowledged_with_it() {
    play("kill_leader");
}

#[test]
fn a_power_cut_of_all_nodes_loses_nothing_acknowledged() {
    play("power_cut_all");
}

/// Only in good order: a call that meets a node on its way out needs one retry and no more.
#[test]
fn a_rolling_restart_fails_no_call_beyond_a_retry() {
    play("rolling_restart");
}

#[test]
fn what_a_killed_harness_leaves_behind_is_taken_back() {
    let work = tempfile::tempdir().expect("a folder");
    let procs = |arguments: &[&str]| {
        let mut command = Command::new(PROCS);
        command.args(arguments).env("TMPDIR", work.path());
        command
    };
    let mut harness = procs(&["--scenario", "pause_leader", "--work"])
        .arg(work.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the harness starts");
    let name = shelf().file_name().expect("it has a name").to_owned();
    let shelf = work.path().join(&name);
    let until = Instant::now() + Duration::from_secs(60);
    while !text_of(&shelf).contains("\"process\"") {
        assert!(Instant::now() < until, "no node is started");
        std::thread::sleep(Duration::from_millis(20));
    }
    harness.kill().expect("it can be killed");
    harness.wait().expect("it ends");
    let said = procs(&["--cleanup"]).output().expect("it cleans up");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("things taken back"), "{said}");
    assert_eq!(text_of(&shelf), "", "a ledger is left");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts are listed");
    let folder = work.path().to_string_lossy().into_owned();
    assert!(!mounts.contains(&folder), "{mounts}");
    let left = std::fs::read_dir(work.path()).expect("the folder is there");
    let left: Vec<_> = left
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, [name]);
}

/// Faults of processes and of a proxy are had by anybody, also where another user's runs have left their
/// ledgers; the rest is told to be skipped, in words and in figures.
#[test]
fn who_is_not_root_is_told_what_is_skipped() {
    const NOBODY: u32 = 65_534;
    let home = tempfile::tempdir_in(cluster::work()).expect("a folder");
    let program = home.path().join("procs");
    std::fs::copy(PROCS, &program).expect("there is room");
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("it is ours");
    std::fs::create_dir(home.path().join("onsale-procs")).expect("it is new");
    let report = home.path().join("report.json");
    let mut command = Command::new(&program);
    command
        .args(["--profile", "default", "--buyers", "4", "--scenario"])
        .arg("kill_leader,clients_cut_off,partition_halves,disk_slow")
        .args([
            Path::new("--json"),
            &report,
            Path::new("--work"),
            home.path(),
        ])
        .env("TMPDIR", home.path())
        .current_dir(home.path());
    if user() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("SKIPPED  partition_halves"), "{text}");
    assert!(text.contains("2 passed, 2 SKIPPED"), "{text}");
    let report = std::fs::read_to_string(report).expect("it was written");
    let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
    let figures = ["passed", "skipped", "failed"].map(|name| report[name].as_u64());
    assert_eq!(figures, [Some(2), Some(2), Some(0)], "{report:#}");
}

/// All ledgers, one after the other.
fn text_of(shelf: &Path) -> String {
    let Ok(ledgers) = std::fs::read_dir(shelf) else {
        return String::new();
    };
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.ok()?.path()).ok()
    };
    ledgers.filter_map(read).collect()
}

#[test]
fn every_kind_of_fault_is_in_a_scenario() {
    let strikes = scenario::ALL.iter().flat_map(|scenario| scenario.strikes);
    let used: Vec<Kind> = strikes.map(|(kind, _)| *kind).collect();
    for kind in Kind::ALL {
        assert!(used.contains(&kind), "{}", kind.name());
    }
}
