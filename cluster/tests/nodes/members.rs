//! A cluster grows by a node and shrinks by another.

use cluster::ReplicaState;
use cluster::map::NodeState;
use cluster::types::ROOT_GROUP;
use proto::log::v1::PutNode;

use crate::stage::{Stage, address};

#[test]
fn a_node_joins_takes_over_and_another_leaves() {
    let mut stage = Stage::new(3, |_| {});
    for group in [1, 2] {
        stage.commit(group, 1);
    }
    stage.start(4);
    let node = PutNode {
        node_id: 4,
        peer_address: address(4),
        ..PutNode::default()
    };
    let cluster = stage.node(2).cluster.clone();
    stage.on(2, cluster.add_node(node)).expect("it is known");
    stage.until("the new node has the map", |stage| {
        stage.node(4).cluster.map().nodes.contains_key(&4)
    });
    assert_eq!(
        stage.node(4).cluster.map().nodes[&4].state,
        NodeState::Learner
    );

    stage.on(2, cluster.promote(4)).expect("promoted");
    stage.until("it votes in the root group", |stage| {
        let status = stage.node(4).cluster.status();
        status
            .iter()
            .any(|status| status.group == ROOT_GROUP && status.voters.contains(&4))
    });

    stage.on(2, cluster.drain(1)).expect("drained");
    stage.until("the drained node carries nothing", |stage| {
        let map = stage.node(2).cluster.map();
        let gone = map.carries(1).next().is_none();
        let left = stage.node(1).cluster.status().len() == 1;
        let votes = stage
            .node(2)
            .cluster
            .status()
            .iter()
            .any(|status| status.voters.contains(&1));
        gone && left && !votes
    });
    stage.until("its machines have ended", |stage| {
        [1, 2]
            .iter()
            .all(|group| stage.node(1).toys.has_ended(*group))
    });
    // What its replicas told last does not stand for ever.
    stage.until("the drained node tells nothing of them", |stage| {
        let gauges = ["onsale_raft_leader", "onsale_raft_commit_index"];
        gauges.iter().all(|name| {
            stage.tells(1, name, ROOT_GROUP) && !stage.tells(1, name, 1) && !stage.tells(1, name, 2)
        })
    });
    stage.on(2, cluster.remove(1)).expect("removed");
    stage.kill(1);
    for group in [1, 2] {
        stage.commit(group, 2);
        stage.until("the new node has everything", |stage| {
            stage.numbers(4, group) == [1, 2]
        });
    }
    let map = stage.node(4).cluster.map();
    assert!(!map.nodes.contains_key(&1));
    assert!(
        map.groups
            .values()
            .all(|placement| placement.replicas.len() == 3)
    );
}

#[test]
fn a_node_is_removed_only_when_every_group_does_without_it() {
    let mut stage = Stage::new(4, |_| {});
    for group in [1, 2] {
        stage.commit(group, 1);
    }
    let leaves = *stage.node(1).cluster.map().groups[&1]
        .replicas
        .first()
        .expect("a replica");
    let asked = (1..=4).find(|id| *id != leaves).expect("another node");
    let cluster = stage.node(asked).cluster.clone();
    stage.on(asked, cluster.drain(leaves)).expect("drained");
    stage.until("it is removed", |stage| {
        stage.on(asked, cluster.remove(leaves)).is_ok()
    });
    // From this moment on the operator may switch it off.
    let counts_on_it: Vec<_> = stage
        .nodes
        .values()
        .flat_map(|node| node.cluster.status())
        .filter(|status| status.state == ReplicaState::Leader)
        .filter(|status| status.voters.contains(&leaves) || !status.settled)
        .collect();
    assert!(counts_on_it.is_empty(), "{counts_on_it:?}");
    stage.kill(leaves);
    for group in [1, 2] {
        stage.commit(group, 2);
    }
}
