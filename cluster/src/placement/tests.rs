//! Plans as tables, and a simulated cluster that follows them until nothing is left to do.

use proptest::prelude::*;
use proto::log::v1 as pb;
use proto::log::v1::map_change::Change;

use super::*;
use crate::map::{NodeEntry, Placement};

fn map(nodes: &[(NodeId, NodeState)], groups: &[(GroupId, &[NodeId])]) -> Map {
    let mut map = Map::default();
    for (id, state) in nodes {
        let entry = NodeEntry {
            id: *id,
            peer_address: format!("peer-{id}"),
            partner_address: String::new(),
            http_address: String::new(),
            state: *state,
        };
        map.nodes.insert(*id, entry);
    }
    for (group, replicas) in groups {
        let placement = Placement {
            replicas: replicas.to_vec(),
            epoch: 1,
        };
        map.groups.insert(*group, placement);
    }
    map
}

/// Everything is as placed, and the given nodes lead.
fn observed(map: &Map, leaders: &[(GroupId, NodeId)]) -> Observed {
    Observed {
        alive: map.nodes.keys().copied().collect(),
        full: BTreeSet::new(),
        catching_up: BTreeSet::new(),
        groups: leaders
            .iter()
            .map(|(group, leader)| {
                let seen = ObservedGroup {
                    leader: *leader,
                    voters: map.groups[group].replicas.iter().copied().collect(),
                    learners: BTreeSet::new(),
                };
                (*group, seen)
            })
            .collect(),
    }
}

const A: NodeState = NodeState::Active;
const D: NodeState = NodeState::Draining;
const L: NodeState = NodeState::Learner;

fn placed(group: GroupId, replicas: &[NodeId], expected_epoch: u64) -> Step {
    Step::Place {
        group,
        replicas: replicas.to_vec(),
        expected_epoch,
    }
}

#[test]
fn new_groups_are_spread_and_so_are_their_first_leaders() {
    let map = map(&[(1, A), (2, A), (3, A), (4, A), (5, L)], &[]);
    let steps = plan(&map, &Observed::default(), 4, 3);
    let expected = [
        placed(1, &[1, 2, 3], 0),
        placed(2, &[2, 3, 4], 0),
        placed(3, &[3, 4, 1], 0),
        placed(4, &[4, 1, 2], 0),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_cluster_smaller_than_its_groups_wants_them_all_the_same() {
    let map = map(&[(7, A)], &[]);
    assert_eq!(plan(&map, &Observed::default(), 1, 3), [placed(1, &[7], 0)]);
}

#[test]
fn a_draining_node_gives_its_replicas_to_the_emptiest() {
    let groups: &[(GroupId, &[NodeId])] = &[(1, &[1, 2, 3]), (2, &[2, 3, 1])];
    let map = map(&[(1, D), (2, A), (3, A), (4, A)], groups);
    let observed = observed(&map, &[(1, 1), (2, 2)]);
    assert_eq!(plan(&map, &observed, 2, 3), [placed(1, &[4, 2, 3], 1)]);
}

#[test]
fn nothing_moves_while_a_group_is_not_as_placed() {
    let groups: &[(GroupId, &[NodeId])] = &[(1, &[1, 2, 3]), (2, &[4, 3, 1])];
    let map = map(&[(1, D), (2, A), (3, A), (4, A)], groups);
    let mut observed = observed(&map, &[(1, 2), (2, 3)]);
    let second = observed.groups.get_mut(&2).expect("observed");
    second.voters = [2, 3, 1].into();
    second.learners = [4].into();
    let places = |step: &Step| matches!(step, Step::Place { .. });
    assert!(!plan(&map, &observed, 2, 3).iter().any(places));
}

#[test]
fn without_anybody_to_take_over_a_draining_node_keeps_its_replicas() {
    let map = map(&[(1, D), (2, A), (3, A)], &[(1, &[1, 2, 3])]);
    let observed = observed(&map, &[(1, 2)]);
    assert_eq!(plan(&map, &observed, 1, 3), []);
}

#[test]
fn a_dead_node_is_given_nothing() {
    let map = map(&[(1, D), (2, A), (3, A), (4, A)], &[(1, &[1, 2, 3])]);
    let mut observed = observed(&map, &[(1, 2)]);
    observed.alive.remove(&4);
    assert_eq!(plan(&map, &observed, 1, 3), []);
}

#[test]
fn leaderships_leave_a_node_without_room_for_one_that_has_some() {
    let replicas: &[NodeId] = &[1, 2, 3];
    let map = map(&[(1, A), (2, A), (3, A)], &[(1, replicas), (2, replicas)]);
    let mut observed = observed(&map, &[(1, 1), (2, 2)]);
    observed.full = [1].into();
    let moved = |to| Step::MoveLeader {
        group: 1,
        from: 1,
        to,
    };
    assert_eq!(plan(&map, &observed, 2, 3), [moved(3)]);
    observed.full = [1, 3].into();
    assert_eq!(plan(&map, &observed, 2, 3), [moved(2)]);
    // Nobody has room: it stays where it is.
    observed.full = [1, 2, 3].into();
    assert_eq!(plan(&map, &observed, 2, 3), []);
}

#[test]
fn a_node_that_is_catching_up_is_given_no_leadership_and_keeps_what_it_has() {
    let replicas: &[NodeId] = &[1, 2, 3];
    let groups = [(1, replicas), (2, replicas), (3, replicas)];
    let map = map(&[(1, A), (2, A), (3, A)], &groups);
    let mut observed = observed(&map, &[(1, 2), (2, 2), (3, 3)]);
    observed.catching_up = [1].into();
    assert_eq!(plan(&map, &observed, 3, 3), []);
    observed.catching_up = [2, 3].into();
    let expected = Step::MoveLeader {
        group: 1,
        from: 2,
        to: 1,
    };
    assert_eq!(plan(&map, &observed, 3, 3), [expected]);
}

#[test]
fn leaderships_leave_a_draining_node_first() {
    let map = map(
        &[(1, D), (2, A), (3, A)],
        &[(1, &[1, 2, 3]), (2, &[1, 2, 3])],
    );
    let observed = observed(&map, &[(1, 1), (2, 2)]);
    let expected = Step::MoveLeader {
        group: 1,
        from: 1,
        to: 3,
    };
    assert_eq!(plan(&map, &observed, 2, 3), [expected]);
}

#[test]
fn an_even_cluster_is_left_alone() {
    let groups: &[(GroupId, &[NodeId])] = &[(1, &[1, 2, 3]), (2, &[1, 2, 3])];
    let map = map(&[(1, A), (2, A), (3, A)], groups);
    assert_eq!(plan(&map, &observed(&map, &[(1, 1), (2, 3)]), 2, 3), []);
}

#[test]
fn members_come_before_others_go_and_the_leader_goes_last() {
    let mut members = Members {
        leader: 1,
        voters: [1, 2, 3].into(),
        learners: [].into(),
        lag: [(2, 0), (3, 0)].into(),
        settled: true,
        pending_voters: None,
    };
    let wanted = sale_members(&map(&[], &[(1, &[2, 3, 4])]), 1).expect("placed");
    assert_eq!(
        member_step(&members, &wanted),
        Some(MemberStep::AddLearner(4))
    );

    members.learners = [4].into();
    members.lag.insert(4, 5_000);
    assert_eq!(
        member_step(&members, &wanted),
        None,
        "it has to catch up first"
    );

    members.lag.insert(4, 3);
    let all = MemberStep::SetVoters([1, 2, 3, 4].into());
    assert_eq!(member_step(&members, &wanted), Some(all));

    members.settled = false;
    assert_eq!(member_step(&members, &wanted), None, "one change at a time");

    members.pending_voters = Some([1, 2, 3].into());
    assert_eq!(
        member_step(&members, &wanted),
        Some(MemberStep::SetVoters([1, 2, 3].into())),
        "a change whose leader went away halfway is finished by the next"
    );
    members.pending_voters = None;

    members.settled = true;
    members.voters = [1, 2, 3, 4].into();
    members.learners = [].into();
    assert_eq!(
        member_step(&members, &wanted),
        Some(MemberStep::HandOver(2))
    );

    members.leader = 2;
    members.lag = [(1, 0), (3, 0), (4, 0)].into();
    let rest = MemberStep::SetVoters([2, 3, 4].into());
    assert_eq!(member_step(&members, &wanted), Some(rest));

    members.voters = [2, 3, 4].into();
    members.learners = [1].into();
    let gone = MemberStep::RemoveLearners([1].into());
    assert_eq!(member_step(&members, &wanted), Some(gone));

    members.learners = [].into();
    assert_eq!(member_step(&members, &wanted), None);
}

#[test]
fn the_root_group_has_up_to_five_voters_and_keeps_those_it_has() {
    let nodes = [
        (1, D),
        (2, A),
        (3, A),
        (4, A),
        (5, A),
        (6, A),
        (7, A),
        (8, L),
    ];
    let wanted = root_members(&map(&nodes, &[]), &[1, 5, 6, 7].into()).expect("a map");
    assert_eq!(wanted.voters, [2, 3, 5, 6, 7].into());
    assert_eq!(wanted.learners, [1, 4, 8].into());
    assert_eq!(root_members(&Map::default(), &[1].into()), None);
}

/// Follows plans at once, the way the cluster would in time.
fn settle(map: &mut Map, leaders: &mut BTreeMap<GroupId, NodeId>, groups: u32) -> usize {
    for taken in 0..500 {
        let seen: Vec<_> = leaders
            .iter()
            .map(|(group, leader)| (*group, *leader))
            .collect();
        let steps = plan(map, &observed(map, &seen), groups, 3);
        if steps.is_empty() {
            return taken;
        }
        for step in steps {
            match step {
                Step::Place {
                    group,
                    replicas,
                    expected_epoch,
                } => {
                    let leader = leaders.get(&group).copied();
                    if leader.is_none_or(|leader| !replicas.contains(&leader)) {
                        leaders.insert(group, replicas[0]);
                    }
                    let put = pb::PutGroup {
                        group_id: group,
                        replicas,
                        expected_epoch,
                    };
                    map.apply(&Change::PutGroup(put)).expect("plans are valid");
                }
                Step::MoveLeader { group, from, to } => {
                    assert_eq!(leaders.insert(group, to), Some(from));
                    assert!(map.groups[&group].replicas.contains(&to));
                }
            }
        }
    }
    panic!("plans do not come to rest: {map:#?} {leaders:#?}");
}

proptest! {
    #[test]
    fn plans_come_to_rest_evenly(
        groups in 1u32..12,
        before in 1u64..7,
        joins in 0u64..4,
        drains in proptest::collection::btree_set(1u64..10, 0..3),
    ) {
        let founders: Vec<_> = (1..=before).map(|id| (id, A)).collect();
        let mut map = map(&founders, &[]);
        let mut leaders = BTreeMap::new();
        settle(&mut map, &mut leaders, groups);

        for (id, entry) in self::map(&(before + 1..=before + joins).map(|id| (id, A)).collect::<Vec<_>>(), &[]).nodes {
            map.nodes.insert(id, entry);
        }
        for id in &drains {
            if let Some(node) = map.nodes.get_mut(id) {
                node.state = D;
            }
        }
        settle(&mut map, &mut leaders, groups);

        let active: Vec<_> = super::active(&map).collect();
        let load = |id: &NodeId| map.carries(*id).count();
        for placement in map.groups.values() {
            let distinct: BTreeSet<_> = placement.replicas.iter().collect();
            prop_assert_eq!(distinct.len(), placement.replicas.len());
            prop_assert!(placement.replicas.len() <= 3);
        }
        if active.len() >= 3 {
            for placement in map.groups.values() {
                prop_assert_eq!(placement.replicas.len(), 3);
                prop_assert!(placement.replicas.iter().all(|id| active.contains(id)));
            }
            let most = active.iter().map(load).max().unwrap_or(0);
            let least = active.iter().map(load).min().unwrap_or(0);
            prop_assert!(most - least <= 1, "{:?}", map.groups);
        }
        if active.len() == 3 {
            let leads = |id: &NodeId| leaders.values().filter(|leader| *leader == id).count();
            let most = active.iter().map(leads).max().unwrap_or(0);
            let least = active.iter().map(leads).min().unwrap_or(0);
            prop_assert!(most - least <= 1, "{:?}", leaders);
        }
    }
}
