//! A cluster grows by a node and shrinks by another.

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
