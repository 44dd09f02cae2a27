//! Nodes that end and come back on their disks.

use crate::stage::Stage;

#[test]
fn a_killed_node_comes_back_and_catches_up_from_the_log() {
    let mut stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    stage.until_all_have(1, &[1]);
    let (log, snapshots) = stage.kill(3);
    stage.commit(1, 2);
    stage.start_on(3, log, snapshots);
    stage.commit(1, 3);
    stage.until_all_have(1, &[1, 2, 3]);
    stage.until("it is ready again", |stage| stage.node(3).cluster.ready());
}

#[test]
fn a_node_that_missed_the_log_is_brought_up_by_a_snapshot() {
    let mut stage = Stage::new(3, |config| config.keep_entries = 1);
    stage.commit(1, 0);
    stage.until_all_have(1, &[0]);
    let (log, snapshots) = stage.kill(3);
    let numbers: Vec<u64> = (0..60).collect();
    for number in &numbers[1..] {
        stage.commit(1, *number);
    }
    for id in [1, 2] {
        let cluster = &stage.node(id).cluster;
        stage
            .on(id, cluster.snapshot(1))
            .expect("a snapshot is begun");
    }
    stage.until("the log is purged", |stage| {
        [1, 2].iter().all(|id| {
            let status = stage.node(*id).cluster.status();
            let group = status.iter().find(|status| status.group == 1);
            group.is_some_and(|group| group.purged > 40)
        })
    });
    stage.start_on(3, log, snapshots);
    stage.until_all_have(1, &numbers);
    let toy = stage.node(3).toys.get(1).expect("a replica").state();
    assert!(toy.restores >= 1, "it was brought up by a snapshot");

    // What it installed survives its next end.
    let (log, snapshots) = stage.kill(3);
    stage.start_on(3, log, snapshots);
    stage.commit(1, 60);
    let numbers: Vec<u64> = (0..=60).collect();
    stage.until_all_have(1, &numbers);
}

#[test]
fn acknowledged_entries_survive_a_power_cut_of_all_nodes() {
    let mut stage = Stage::new(3, |_| {});
    let numbers: Vec<u64> = (0..30).collect();
    for number in &numbers {
        stage.commit(2, *number);
    }
    let disks: Vec<_> = (1..=3)
        .map(|id| {
            let (log, snapshots) = stage.kill(id);
            log.crash();
            snapshots.crash();
            (id, log, snapshots)
        })
        .collect();
    for (id, log, snapshots) in disks {
        stage.start_on(id, log, snapshots);
    }
    stage.until_all_have(2, &numbers);
    stage.commit(2, 30);
    let numbers: Vec<u64> = (0..=30).collect();
    stage.until_all_have(2, &numbers);
    assert!(
        stage
            .nodes
            .values()
            .all(|node| { !node.halted.load(std::sync::atomic::Ordering::SeqCst) })
    );
}

#[test]
fn a_node_that_shuts_down_hands_its_leaderships_over() {
    let mut stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    let leader = stage.leader(1);
    let cluster = stage.node(leader).cluster.clone();
    stage.on(leader, cluster.shutdown());
    stage.kill(leader);
    stage.commit(1, 2);
    stage.until_all_have(1, &[1, 2]);
}
