//! Without faults: elect, replicate, deliver, prove, hand over, change the map.

use cluster::components::WallClock as _;
use cluster::group::Proposed;
use cluster::types::ROOT_GROUP;
use proto::log::v1::map_change::Change;
use proto::log::v1::{PutPartner, ReserveSale};

use crate::stage::{Seam, Stage, propose};

#[test]
fn three_nodes_elect_replicate_and_deliver() {
    let stage = Stage::new(3, |_| {});
    for group in [1, 2] {
        let numbers: Vec<u64> = (0..50).collect();
        for number in &numbers {
            stage.commit(group, *number);
        }
        stage.until_all_have(group, &numbers);
    }
}

#[test]
fn proposals_that_wait_travel_together_and_keep_their_sequence() {
    let stage = Stage::new(3, |config| config.in_flight_entries = 2);
    let leader = stage.leader(1);
    let handle = stage.node(leader).cluster.group(1).expect("a replica");
    let numbers: Vec<u64> = (0..2_000).collect();
    let replies: Vec<_> = numbers
        .iter()
        .map(|number| propose(handle.as_ref(), *number))
        .collect();
    let mut entries = std::collections::BTreeSet::new();
    for reply in replies {
        match stage.on(leader, reply).expect("every reply fires") {
            Proposed::Committed { index } => entries.insert(index),
            other => panic!("without a fault: {other:?}"),
        };
    }
    assert!(entries.len() < 1_000, "{} entries for 2,000", entries.len());
    stage.until_all_have(1, &numbers);
}

#[test]
fn a_proposal_fenced_to_another_term_is_not_appended() {
    let stage = Stage::new(1, |config| config.replicas = 1);
    let leader = stage.leader(1);
    let handle = stage.node(leader).cluster.group(1).expect("a replica");
    let (done, outcome) = tokio::sync::oneshot::channel();
    let reply = Box::new(move |proposed| {
        done.send(proposed).ok();
    });
    let term = handle.leadership().term;
    let queued = handle.propose(term + 1, vec![0; 8].into(), reply);
    assert!(queued.is_ok());
    let outcome = stage.on(leader, outcome).expect("every reply fires");
    assert!(matches!(outcome, Proposed::NotLeader { .. }), "{outcome:?}");
    stage.commit(1, 7);
    assert_eq!(stage.numbers(leader, 1), [7]);
}

#[test]
fn a_read_barrier_covers_everything_committed_before_it() {
    let stage = Stage::new(3, |_| {});
    let index = stage.commit(1, 7);
    let leader = stage.leader(1);
    let handle = stage.node(leader).cluster.group(1).expect("a replica");
    let proved = stage.on(leader, async {
        let readers = (0..20).map(|_| handle.read_barrier());
        futures::future::join_all(readers).await
    });
    for proved in proved {
        assert!(proved.expect("the leader proves itself") >= index);
    }
    assert_eq!(stage.numbers(leader, 1), [7]);
}

#[test]
fn a_leadership_is_handed_over_and_the_machine_is_told() {
    let stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    let from = stage.leader(1);
    let to = from % 3 + 1;
    // Asked at a third node: it finds the leader.
    let asked = to % 3 + 1;
    let asked_of = &stage.node(asked).cluster;
    stage
        .on(asked, asked_of.transfer_leader(1, to))
        .expect("the leader takes the request");
    stage.until("the new leader is established", |stage| {
        let led = stage.node(to).toys.get(1).map(|toy| toy.state().led);
        led.is_some_and(|led| matches!(led.last(), Some(Some(_))))
    });
    stage.until("the old leader knows", |stage| {
        let led = stage.node(from).toys.get(1).map(|toy| toy.state().led);
        led.is_some_and(|led| led.last() == Some(&None))
    });
    stage.commit(1, 2);
    stage.until_all_have(1, &[1, 2]);
}

#[test]
fn leadership_is_not_handed_to_a_node_that_is_gone() {
    let mut stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    let leader = stage.leader(1);
    let gone = (1..=3).find(|id| *id != leader).expect("another");
    stage.until_all_have(1, &[1]);
    stage.kill(gone);
    // At once: nobody has had the time to find out.
    let cluster = stage.node(leader).cluster.clone();
    let refused = stage.on(leader, cluster.transfer_leader(1, gone));
    assert!(refused.is_err(), "nobody is there to take it");
    assert!(
        matches!(stage.propose(leader, 1, 2), Proposed::Committed { .. }),
        "it leads on"
    );
}

#[test]
fn the_map_is_changed_from_any_node_and_seen_by_the_caller() {
    let stage = Stage::new(3, |_| {});
    for id in 1..=3u32 {
        let partner = PutPartner {
            partner_id: id,
            name: format!("partner {id}"),
            channel: id,
        };
        let cluster = &stage.node(id.into()).cluster;
        let map = stage
            .on(id.into(), cluster.change_map(Change::PutPartner(partner)))
            .expect("the change is applied");
        assert_eq!(map.partners[&id].name, format!("partner {id}"));
        assert_eq!(cluster.map().partners[&id].channel, id as u16);
    }
    let sale = ReserveSale {
        sale_id: 5,
        group_id: 99,
        ..ReserveSale::default()
    };
    let cluster = &stage.node(2).cluster;
    let refused = stage.on(2, cluster.change_map(Change::ReserveSale(sale)));
    assert!(matches!(
        refused,
        Err(cluster::node::MapFailure::Rejected(
            cluster::map::MapRejection::UnknownGroup
        ))
    ));
    assert!(stage.node(1).cluster.leader(ROOT_GROUP).is_some());
}

#[test]
fn leaders_end_up_even_and_clocks_are_known() {
    let stage = Stage::new(3, |config| config.sale_groups = 6);
    stage.until("two leaderships on each node", |stage| {
        let leads =
            |id| (1..=6).filter(move |group| stage.node(id).cluster.leader(*group) == Some(id));
        (1..=3).all(|id| leads(id).count() == 2)
    });
    stage.until("each node knows the others' clocks", |stage| {
        stage
            .nodes
            .values()
            .all(|node| node.cluster.peer_clocks().len() == 2)
    });
    let here_ms = cluster::production::SystemWall.now_ms();
    for (shown_ms, at) in stage.node(1).cluster.peer_clocks().into_values() {
        let now_ms = shown_ms + at.elapsed().as_millis() as u64;
        let apart_ms = now_ms.abs_diff(here_ms);
        assert!(apart_ms < 2_000, "same machine, {apart_ms} ms apart");
    }
}

#[test]
fn every_entry_into_raft_is_scoped() {
    let mut stage = Stage::on_runtime(Seam::Seeded, 3, |_| {});
    stage.commit(1, 1);
    let leader = stage.leader(1);
    let handle = stage.node(leader).cluster.group(1).expect("a replica");
    let proved = stage.on(leader, handle.read_barrier());
    assert!(proved.is_ok(), "{proved:?}");
    let cluster = stage.node(leader).cluster.clone();
    stage.on(leader, cluster.snapshot(1)).expect("begun");
    let moved = stage.on(leader, cluster.transfer_leader(1, leader % 3 + 1));
    moved.expect("begun");
    let (log, snapshots) = stage.kill(leader);
    stage.commit(1, 2);
    stage.start_on(leader, log, snapshots);
    stage.until_all_have(1, &[1, 2]);
}
