//! A leader cut off: nothing hangs, nothing is told twice, nothing is read there.

use cluster::group::{BarrierFailure, Proposed};

use crate::stage::{Stage, address, propose};

#[test]
fn an_isolated_leader_resolves_its_proposals_and_proves_nothing() {
    let stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    stage.until_all_have(1, &[1]);
    let old = stage.leader(1);
    let handle = stage.node(old).cluster.group(1).expect("a replica");
    stage.wires.isolate(&address(old));

    let replies: Vec<_> = (100..200)
        .map(|number| propose(handle.as_ref(), number))
        .collect();
    let proved = stage.on(old, handle.read_barrier());
    assert!(proved.is_err(), "a barrier without a quorum: {proved:?}");
    let mut unknown = 0;
    for reply in replies {
        match stage.on(old, reply).expect("every reply fires") {
            Proposed::Unknown => unknown += 1,
            Proposed::NotLeader { .. } => {}
            Proposed::Committed { .. } => panic!("committed without a quorum"),
            Proposed::DiskFull | Proposed::TooLarge { .. } => panic!("the disk has room"),
        }
    }
    assert!(unknown > 0, "some were appended");
    stage.until("it knows that it does not lead", |stage| {
        let led = stage.node(old).toys.get(1).map(|toy| toy.state().led);
        led.is_some_and(|led| led.last() == Some(&None))
    });
    let proved = stage.on(old, handle.read_barrier());
    assert!(
        matches!(proved, Err(BarrierFailure::NotLeader { .. })),
        "{proved:?}"
    );
    // Raft still calls it the leader; what it tells is what it can prove.
    stage.until("it tells that it does not lead", |stage| {
        stage.metric(old, "onsale_raft_leader", Some(1)) == 0.0
    });

    // The others go on without it.
    stage.until("another leads", |stage| {
        (1..=3).any(|id| {
            let other = stage.node(id).cluster.group(1);
            id != old && other.is_some_and(|other| other.leadership().leader == Some(id))
        })
    });
    let new = (1..=3)
        .find(|id| {
            let other = stage.node(*id).cluster.group(1).expect("a replica");
            *id != old && other.leadership().leader == Some(*id)
        })
        .expect("just seen");
    let outcome = stage.propose(new, 1, 2);
    assert!(matches!(outcome, Proposed::Committed { .. }), "{outcome:?}");

    stage.wires.heal();
    stage.until("all replicas agree", |stage| {
        let numbers = stage.numbers(new, 1);
        numbers.contains(&2) && (1..=3).all(|id| stage.numbers(id, 1) == numbers)
    });
    stage.commit(1, 3);
}

#[test]
fn a_node_that_is_cut_off_tells_whom_it_does_not_hear() {
    let stage = Stage::new(3, |_| {});
    let silent = |stage: &Stage, id| stage.metric(id, "onsale_cluster_silent_peers", None);
    stage.until("everybody hears everybody", |stage| {
        (1..=3).all(|id| silent(stage, id) == 0.0)
    });
    stage.wires.isolate(&address(3));
    stage.until("it hears nobody and is heard by nobody", |stage| {
        silent(stage, 3) == 2.0 && silent(stage, 1) == 1.0 && silent(stage, 2) == 1.0
    });
    stage.wires.heal();
    stage.until("everybody hears everybody again", |stage| {
        (1..=3).all(|id| silent(stage, id) == 0.0)
    });
}

/// Nobody else is there to say that the group has no leader.
#[test]
fn a_leader_whose_followers_are_gone_tells_no_leadership() {
    let mut stage = Stage::new(3, |_| {});
    stage.commit(1, 1);
    let leader = stage.leader(1);
    stage.until("it tells that it leads", |stage| {
        stage.metric(leader, "onsale_raft_leader", Some(1)) == 1.0
    });
    for follower in (1..=3).filter(|id| *id != leader) {
        stage.kill(follower);
    }
    stage.until("it tells that it does not lead", |stage| {
        stage.metric(leader, "onsale_raft_leader", Some(1)) == 0.0
    });
}

#[test]
fn a_cut_off_follower_does_not_disturb_and_catches_up() {
    // One group, so that no leadership is moved to even them out.
    let stage = Stage::new(3, |config| config.sale_groups = 1);
    stage.commit(1, 1);
    let leader = stage.leader(1);
    let handle = stage.node(leader).cluster.group(1).expect("a replica");
    let term = handle.leadership().term;
    let follower = leader % 3 + 1;
    stage.wires.isolate(&address(follower));
    stage.commit(1, 2);
    // It would have called several elections of its own, were it not for pre-votes: it asks both
    // others each time.
    stage.until("it asks for votes again and again", |stage| {
        stage.metric(follower, "onsale_raft_pre_votes_total", Some(1)) >= 6.0
    });
    stage.wires.heal();
    stage.commit(1, 3);
    stage.until_all_have(1, &[1, 2, 3]);
    assert_eq!(handle.leadership().term, term, "no election was forced");
}
