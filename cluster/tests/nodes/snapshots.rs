//! Faults of the disk with the snapshots: one that is not written is tried again.

use std::sync::atomic::Ordering;

use cluster::disk::memory::{Call, Faults};

use crate::stage::Stage;

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
    for (number, call) in (1..).zip([Call::Write, Call::Sync, Call::Other]) {
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
