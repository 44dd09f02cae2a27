//! A disk without room: no sale is taken, nothing breaks, and room ends it.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use cluster::disk::memory::Faults;
use cluster::group::Proposed;
use proto::log::v1::PutPartner;
use proto::log::v1::map_change::Change;

use crate::stage::Stage;

fn full() -> Faults {
    Faults {
        capacity_bytes: Some(0),
        ..Faults::default()
    }
}

/// Segments that a few hundred small entries fill.
fn small_segments() -> Stage {
    Stage::new(1, |config| {
        config.sale_groups = 1;
        config.log.segment_bytes = 64 << 10;
    })
}

/// Proposes until the log tells that the disk is full; the last number that was committed.
fn fill(stage: &Stage) -> u64 {
    stage.node(1).log_disk.set_faults(full());
    for number in 1..10_000 {
        match stage.propose(1, 1, number) {
            Proposed::Committed { .. } => {}
            Proposed::DiskFull => return number - 1,
            other => panic!("{number}: {other:?}"),
        }
    }
    panic!("the disk does not get full");
}

#[test]
fn a_full_disk_refuses_before_anything_is_appended_and_recovers_by_itself() {
    let stage = small_segments();
    stage.leader(1);
    let last = fill(&stage);
    let handle = stage.node(1).cluster.group(1).expect("a replica");
    let log_end = || {
        let status = stage.node(1).cluster.status();
        let of_group = status.iter().find(|status| status.group == 1);
        of_group.expect("a replica").last_log
    };
    let end = log_end();
    for number in 20_000..20_200 {
        assert_eq!(stage.propose(1, 1, number), Proposed::DiskFull);
    }
    assert_eq!(log_end(), end, "nothing was appended");
    assert_eq!(stage.metric(1, "onsale_log_disk_full", None), 1.0);

    // Reads go on, and so does the root group: an operator must be able to make room.
    stage.on(1, handle.read_barrier()).expect("is proved");
    let partner = Change::PutPartner(PutPartner {
        partner_id: 7,
        ..PutPartner::default()
    });
    let changed = stage.on(1, stage.node(1).cluster.change_map(partner));
    changed.expect("the map changes");

    stage.node(1).log_disk.set_faults(Faults::default());
    stage.until("there is room again", |stage| {
        matches!(stage.propose(1, 1, 30_000), Proposed::Committed { .. })
    });
    assert_eq!(stage.metric(1, "onsale_log_disk_full", None), 0.0);
    let expected: Vec<u64> = (1..=last).chain([30_000]).collect();
    stage.until_all_have(1, &expected);
    assert!(!stage.node(1).halted.load(Ordering::SeqCst));
}

#[test]
fn what_was_acknowledged_before_a_disk_got_full_is_there_after_a_restart() {
    let mut stage = small_segments();
    stage.leader(1);
    let last = fill(&stage);
    let (log_disk, snapshot_disk) = stage.kill(1);
    log_disk.set_faults(Faults::default());
    stage.start_on(1, log_disk, snapshot_disk);
    stage.leader(1);
    let expected: Vec<u64> = (1..=last).collect();
    stage.until_all_have(1, &expected);
}

#[test]
fn a_snapshot_waits_for_room() {
    let stage = small_segments();
    stage.commit(1, 1);
    stage.node(1).snapshot_disk.set_faults(full());
    let snapshot = stage.on(1, stage.node(1).cluster.snapshot(1));
    snapshot.expect("is begun");
    stage.until("it was tried", |stage| {
        stage.node(1).snapshot_disk.calls() > 0
    });
    stage.commit(1, 2);
    stage.node(1).snapshot_disk.set_faults(Faults::default());
    stage.until("it is written", |stage| {
        let status = stage.node(1).cluster.status();
        status
            .iter()
            .any(|status| status.group == 1 && status.snapshot > 0)
    });
    stage.commit(1, 3);
    stage.until_all_have(1, &[1, 2, 3]);
}

#[test]
fn a_leader_without_room_hands_over_to_one_that_has_some() {
    let stage = Stage::new(3, |config| {
        config.sale_groups = 1;
        config.log.segment_bytes = 64 << 10;
    });
    stage.commit(1, 0);
    let full_one = stage.leader(1);
    stage.node(full_one).log_disk.set_faults(full());
    let number = Cell::new(0);
    stage.until("another leads and takes proposals", |stage| {
        let leader = stage.leader(1);
        number.set(number.get() + 1);
        let proposed = stage.propose(leader, 1, number.get());
        leader != full_one && matches!(proposed, Proposed::Committed { .. })
    });
    assert!(!stage.node(full_one).halted.load(Ordering::SeqCst));
}
