//! A disk whose sync hangs.

use std::sync::atomic::Ordering;

use cluster::disk::memory::Faults;

use crate::stage::Stage;

#[test]
fn a_leader_whose_sync_hangs_loses_its_leaderships_and_then_its_life() {
    let mut stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    let sick = stage.leader(1);
    let hangs = Faults {
        sync_ms: Some(60_000..60_001),
        ..Faults::default()
    };
    stage.node(sick).log_disk.set_faults(hangs);
    // Something to sync: it never commits by this leader's disk, but by the others'.
    let handle = stage.node(sick).cluster.group(1).expect("a replica");
    drop(crate::stage::propose(handle.as_ref(), 2));
    stage.until("another leads", |stage| {
        let mut others = (1..=3).filter(|id| *id != sick);
        others.any(|id| {
            let other = stage.node(id).cluster.group(1).expect("a replica");
            other.leadership().leader == Some(id)
        })
    });
    // What hangs is no sync that was done, and is told all the same.
    let under_way =
        |stage: &Stage, id| stage.metric(id, "onsale_log_write_under_way_seconds", None);
    let hangs = under_way(&stage, sick);
    assert!(hangs > 0.0);
    stage.until("it ends itself", |stage| {
        stage.node(sick).halted.load(Ordering::SeqCst)
    });
    assert!(under_way(&stage, sick) > hangs);
    stage.kill(sick);
    stage.commit(1, 3);
    stage.until("both others have it", |stage| {
        stage
            .nodes
            .keys()
            .all(|id| stage.numbers(*id, 1).contains(&3))
    });
}

#[test]
fn a_disk_that_all_share_may_pause_for_longer_than_an_election() {
    let stage = Stage::new(3, |config| config.sync_max_ms = 60_000);
    stage.commit(1, 1);
    let pauses = Faults {
        sync_ms: Some(2_000..2_001),
        ..Faults::default()
    };
    for node in stage.nodes.values() {
        node.log_disk.set_faults(pauses.clone());
    }
    for (id, node) in &stage.nodes {
        let handle = node.cluster.group(1).expect("a replica");
        drop(crate::stage::propose(handle.as_ref(), 10 + id));
    }
    // Nobody has a disk that is better, so handing over helps nobody.
    stage.until("every disk hangs for longer than an election", |stage| {
        (1..=3).all(|id| stage.metric(id, "onsale_log_write_under_way_seconds", None) > 0.7)
    });
    for node in stage.nodes.values() {
        node.log_disk.set_faults(Faults::default());
    }
    stage.commit(1, 2);
    stage.until("all have it", |stage| {
        (1..=3).all(|id| stage.numbers(id, 1).contains(&2))
    });
    for node in stage.nodes.values() {
        assert!(!node.halted.load(Ordering::SeqCst));
    }
}
