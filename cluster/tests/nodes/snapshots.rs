//! Faults of the disk with the snapshots: what can be tried again is, and what cannot ends the process.

use std::sync::atomic::Ordering;

use cluster::disk::memory::{Call, Faults};

use crate::stage::{Stage, address};

fn next_fails(call: Call) -> Faults {
    Faults {
        fail_next: Some(call),
        ..Faults::default()
    }
}

fn snapshot_at(stage: &Stage, id: u64) -> u64 {
    let status = stage.node(id).cluster.status();
    let group = status.iter().find(|status| status.group == 1);
    group.map_or(0, |group| group.snapshot)
}

#[test]
fn a_snapshot_that_cannot_be_written_is_tried_again() {
    let stage = Stage::new(1, |config| config.sale_groups = 1);
    let mut numbers = Vec::new();
    for (number, call) in (1..).zip([Call::Write, Call::Sync, Call::Rename, Call::Other]) {
        stage.commit(1, number);
        numbers.push(number);
        let before = snapshot_at(&stage, 1);
        stage.node(1).snapshot_disk.set_faults(next_fails(call));
        let begun = stage.on(1, stage.node(1).cluster.snapshot(1));
        begun.expect("is begun");
        stage.until("it is written at last", |stage| {
            snapshot_at(stage, 1) > before
        });
    }
    stage.commit(1, 9);
    numbers.push(9);
    stage.until_all_have(1, &numbers);
    assert!(!stage.node(1).halted.load(Ordering::SeqCst));
}

#[test]
fn the_age_and_the_duration_of_snapshots_are_told() {
    let mut stage = Stage::new(3, |config| {
        config.sale_groups = 1;
        config.keep_entries = 1;
    });
    let seconds =
        |stage: &Stage, id| stage.metric(id, "onsale_raft_snapshot_timestamp_seconds", Some(1));
    let written = |stage: &Stage, id| stage.metric(id, "onsale_raft_snapshot_write_seconds", None);
    let installed =
        |stage: &Stage, id| stage.metric(id, "onsale_raft_snapshot_install_seconds", None);
    let begun = seconds(&stage, 1);
    assert!(begun > 1.7e9, "none yet: its age is the replica's");
    let (log, snapshots) = stage.kill(3);
    let numbers: Vec<u64> = (0..60).collect();
    for number in &numbers {
        stage.commit(1, *number);
    }
    for id in [1, 2] {
        let cluster = &stage.node(id).cluster;
        stage.on(id, cluster.snapshot(1)).expect("is begun");
    }
    stage.until("both have written one", |stage| {
        let is_newer = |id| seconds(stage, id) > begun && written(stage, id) >= 1.0;
        [1, 2].into_iter().all(is_newer)
    });
    stage.until("the log is purged", |stage| {
        [1, 2].iter().all(|id| {
            let status = stage.node(*id).cluster.status();
            let group = status.iter().find(|status| status.group == 1);
            group.is_some_and(|group| group.purged > 40)
        })
    });
    assert_eq!(installed(&stage, 1), 0.0);
    stage.start_on(3, log, snapshots);
    let begun = seconds(&stage, 3);
    stage.until_all_have(1, &numbers);
    stage.until("it tells that it installed one", |stage| {
        installed(stage, 3) >= 1.0 && seconds(stage, 3) >= begun
    });
}

#[test]
fn a_fault_while_a_snapshot_is_installed_ends_the_process() {
    let mut stage = Stage::new(3, |config| {
        config.sale_groups = 1;
        config.keep_entries = 1;
    });
    stage.commit(1, 0);
    stage.until_all_have(1, &[0]);
    let (log, snapshots) = stage.kill(3);
    let numbers: Vec<u64> = (0..60).collect();
    for number in &numbers[1..] {
        stage.commit(1, *number);
    }
    for id in [1, 2] {
        let cluster = &stage.node(id).cluster;
        stage.on(id, cluster.snapshot(1)).expect("is begun");
    }
    stage.until("the log is purged", |stage| {
        [1, 2].iter().all(|id| {
            let status = stage.node(*id).cluster.status();
            let group = status.iter().find(|status| status.group == 1);
            group.is_some_and(|group| group.purged > 40)
        })
    });
    stage.wires.isolate(&address(3));
    stage.start_on(3, log, snapshots);
    // Received whole and synced: then it gets its name.
    let renaming = next_fails(Call::Rename);
    stage.node(3).snapshot_disk.set_faults(renaming);
    stage.wires.heal();
    stage.until("it ends itself", |stage| {
        stage.node(3).halted.load(Ordering::SeqCst)
    });
    let (log, snapshots) = stage.kill(3);
    snapshots.set_faults(Faults::default());
    stage.start_on(3, log, snapshots);
    stage.until_all_have(1, &numbers);
}
