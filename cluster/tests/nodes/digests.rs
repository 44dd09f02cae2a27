//! Replicas compare their digests: who differs from a majority stops, until it is rebuilt.

use cluster::group::Proposed;
use cluster::types::{GroupId, NodeId};
use cluster::{Config, ReplicaState, Standing};

use crate::stage::{Stage, propose};

const GROUP: GroupId = 1;

fn often(config: &mut Config) {
    config.digest_entries = 8;
    config.keep_entries = 4;
}

fn standing(stage: &Stage, node: NodeId) -> Option<Standing> {
    stage.node(node).cluster.standings().get(&GROUP).copied()
}

fn agrees(stage: &Stage, node: NodeId, from: u64) -> bool {
    matches!(standing(stage, node), Some(Standing::Agrees { index }) if index >= from)
}

fn runs(stage: &Stage, node: NodeId) -> bool {
    stage.node(node).cluster.group(GROUP).is_some()
}

fn corrupt(stage: &Stage, node: NodeId) {
    let toy = stage.node(node).toys.get(GROUP).expect("carries the group");
    toy.corrupt();
}

/// Commits `count` numbers whatever becomes of single attempts; the index of the last one.
fn keep_committing(stage: &Stage, count: usize) -> u64 {
    let mut indexes = Vec::new();
    while indexes.len() < count {
        let leader = stage.leader(GROUP);
        let Some(group) = stage.node(leader).cluster.group(GROUP) else {
            continue;
        };
        let outcome = propose(group.as_ref(), indexes.len() as u64);
        if let Ok(Proposed::Committed { index }) = stage.on(leader, outcome) {
            indexes.push(index);
        }
    }
    indexes.last().copied().unwrap_or_default()
}

fn others(stage: &Stage, node: NodeId) -> Vec<NodeId> {
    let ids = stage.nodes.keys().copied();
    ids.filter(|id| *id != node).collect()
}

#[test]
fn a_group_at_rest_is_compared_at_its_last_entry() {
    let stage = Stage::new(3, |_| {});
    let last = stage.commit(GROUP, 7);
    stage.until("all agree on the last entry", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
}

#[test]
fn a_follower_that_differs_stops_and_is_rebuilt_from_its_peers() {
    let mut stage = Stage::new(3, often);
    let leader = stage.leader(GROUP);
    let follower = others(&stage, leader)[0];
    keep_committing(&stage, 10);
    corrupt(&stage, follower);
    let last = keep_committing(&stage, 10);
    stage.until("it stops", |stage| {
        standing(stage, follower) == Some(Standing::Stopped) && !runs(stage, follower)
    });
    assert!(!stage.node(follower).cluster.ready());
    stage.until("the others agree", |stage| {
        others(stage, follower)
            .iter()
            .all(|node| agrees(stage, *node, last))
    });
    // The log that it would need is gone: only a snapshot can bring it back.
    for node in others(&stage, follower) {
        let cluster = stage.node(node).cluster.clone();
        stage.on(node, cluster.snapshot(GROUP)).expect("is begun");
    }

    let (log, snapshots) = stage.kill(follower);
    stage.start_on(follower, log, snapshots);
    assert_eq!(standing(&stage, follower), Some(Standing::Stopped));
    keep_committing(&stage, 10);
    assert!(!runs(&stage, follower), "a restart does not take it up");

    let cluster = stage.node(follower).cluster.clone();
    stage.until("it knows the root group", |stage| {
        stage
            .node(follower)
            .cluster
            .map()
            .groups
            .contains_key(&GROUP)
    });
    stage
        .on(follower, cluster.rebuild(GROUP))
        .expect("is begun");
    stage.until("it votes again", |stage| {
        let status = stage.node(follower).cluster.status();
        status.iter().any(|status| {
            status.group == GROUP
                && status.state == ReplicaState::Follower
                && status.voters.contains(&follower)
        })
    });
    let last = keep_committing(&stage, 10);
    stage.until("all agree and the node is ready", |stage| {
        stage.node(follower).cluster.ready() && (1..=3).all(|node| agrees(stage, node, last))
    });
    let numbers = stage.numbers(stage.leader(GROUP), GROUP);
    stage.until_all_have(GROUP, &numbers);
}

#[test]
fn a_leader_that_differs_stops_and_the_others_go_on() {
    let stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    corrupt(&stage, leader);
    keep_committing(&stage, 10);
    stage.until("it stops", |stage| {
        standing(stage, leader) == Some(Standing::Stopped) && !runs(stage, leader)
    });
    let last = keep_committing(&stage, 10);
    assert_ne!(stage.leader(GROUP), leader);
    stage.until("the others agree", |stage| {
        others(stage, leader)
            .iter()
            .all(|node| agrees(stage, *node, last))
    });
    let other_group = stage.commit(2, 1);
    assert!(other_group > 0, "the node's other replicas go on");
}

#[test]
fn without_a_majority_both_say_so_and_a_third_decides() {
    let mut stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    let [wrong, absent] = others(&stage, leader)[..] else {
        panic!("three nodes");
    };
    let (log, snapshots) = stage.kill(absent);
    corrupt(&stage, wrong);
    keep_committing(&stage, 10);
    stage.until("both say so", |stage| {
        [wrong, leader]
            .iter()
            .all(|node| matches!(standing(stage, *node), Some(Standing::Disputed { .. })))
    });
    keep_committing(&stage, 10);
    stage.start_on(absent, log, snapshots);
    stage.until("the third decides", |stage| {
        standing(stage, wrong) == Some(Standing::Stopped)
    });
    let last = keep_committing(&stage, 10);
    stage.until("the others agree", |stage| {
        agrees(stage, leader, last) && agrees(stage, absent, last)
    });
}

#[test]
fn a_snapshot_and_restarts_are_no_cause_for_alarm() {
    let mut stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    let away = others(&stage, leader)[0];
    let (log, snapshots) = stage.kill(away);
    keep_committing(&stage, 30);
    for node in others(&stage, away) {
        let cluster = stage.node(node).cluster.clone();
        stage.on(node, cluster.snapshot(GROUP)).expect("is begun");
    }
    stage.until("the log is purged", |stage| {
        let status = stage.node(leader).cluster.status();
        status
            .iter()
            .any(|status| status.group == GROUP && status.purged > 20)
    });
    stage.start_on(away, log, snapshots);
    let last = keep_committing(&stage, 10);
    stage.until("all agree after a snapshot", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
    let restored = stage.node(away).toys.get(GROUP).expect("is here").state();
    assert!(restored.restores > 0, "it came by snapshot");

    for node in 1..=3 {
        let (log, snapshots) = stage.kill(node);
        stage.start_on(node, log, snapshots);
    }
    let last = keep_committing(&stage, 20);
    stage.until("all agree after restarts", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
}
