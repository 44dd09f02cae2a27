//! Which nodes carry a group: new groups spread round robin, one replica at a time moved off nodes
//! that drain, added where a group has too few, or moved to even the load.

use std::collections::BTreeMap;

use super::{Observed, Step, active};
use crate::map::{Map, NodeState, Placement};
use crate::types::{GroupId, NodeId};

/// Places the groups that do not exist yet.
pub(super) fn place_new(map: &Map, sale_groups: u32, replicas: usize) -> Vec<Step> {
    let nodes: Vec<NodeId> = active(map).collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    let missing = (1..=sale_groups).filter(|group| !map.groups.contains_key(group));
    missing
        .map(|group| {
            // The first replica leads first: rotating it spreads the leaders too.
            let first = (group - 1) as usize;
            let count = replicas.clamp(1, nodes.len());
            Step::Place {
                group,
                replicas: (0..count)
                    .map(|k| nodes[(first + k) % nodes.len()])
                    .collect(),
                expected_epoch: 0,
            }
        })
        .collect()
}

/// The most urgent change of one group, once every group is as the map says.
pub(super) fn move_one(map: &Map, observed: &Observed, replicas: usize) -> Option<Step> {
    if !all_settled(map, observed) {
        return None;
    }
    let load = load(map);
    leave_draining(map, observed, &load, replicas)
        .or_else(|| add_missing(map, observed, &load, replicas))
        .or_else(|| even_out(map, observed, &load))
}

fn all_settled(map: &Map, observed: &Observed) -> bool {
    map.groups.iter().all(|(group, placement)| {
        observed.groups.get(group).is_some_and(|seen| {
            seen.learners.is_empty()
                && seen.voters.len() == placement.replicas.len()
                && placement.replicas.iter().all(|id| seen.voters.contains(id))
        })
    })
}

/// Replicas on each active node.
fn load(map: &Map) -> BTreeMap<NodeId, usize> {
    let mut load: BTreeMap<NodeId, usize> = active(map).map(|node| (node, 0)).collect();
    for node in map.groups.values().flat_map(|placed| &placed.replicas) {
        if let Some(count) = load.get_mut(node) {
            *count += 1;
        }
    }
    load
}

/// The least loaded living node that does not carry the group yet.
fn candidate(
    placement: &Placement,
    observed: &Observed,
    load: &BTreeMap<NodeId, usize>,
) -> Option<NodeId> {
    load.iter()
        .filter(|(node, _)| observed.alive.contains(node) && !placement.replicas.contains(node))
        .min_by_key(|(node, count)| (**count, **node))
        .map(|(node, _)| *node)
}

fn leave_draining(
    map: &Map,
    observed: &Observed,
    load: &BTreeMap<NodeId, usize>,
    replicas: usize,
) -> Option<Step> {
    let drains = |node: &NodeId| {
        let entry = map.nodes.get(node);
        entry.is_none_or(|entry| entry.state == NodeState::Draining)
    };
    for (group, placement) in &map.groups {
        let Some(leaving) = placement.replicas.iter().find(|node| drains(node)) else {
            continue;
        };
        if let Some(to) = candidate(placement, observed, load) {
            return Some(replace(*group, placement, *leaving, to));
        }
        // Nobody to take it over: it goes only if enough stay without it.
        if placement.replicas.len() > replicas {
            let mut fewer = placement.replicas.clone();
            fewer.retain(|node| node != leaving);
            return Some(place(*group, placement, fewer));
        }
    }
    None
}

fn add_missing(
    map: &Map,
    observed: &Observed,
    load: &BTreeMap<NodeId, usize>,
    replicas: usize,
) -> Option<Step> {
    map.groups.iter().find_map(|(group, placement)| {
        if placement.replicas.len() >= replicas {
            return None;
        }
        let to = candidate(placement, observed, load)?;
        let mut more = placement.replicas.clone();
        more.push(to);
        Some(place(*group, placement, more))
    })
}

/// Moves a replica from the fullest to the emptiest node when that makes them more even.
fn even_out(map: &Map, observed: &Observed, load: &BTreeMap<NodeId, usize>) -> Option<Step> {
    let (fullest, most) = load.iter().max_by_key(|(node, count)| (**count, **node))?;
    let living = load
        .iter()
        .filter(|(node, _)| observed.alive.contains(node));
    let (emptiest, least) = living.min_by_key(|(node, count)| (**count, **node))?;
    if *most < *least + 2 {
        return None;
    }
    let movable = map.groups.iter().find(|(_, placement)| {
        placement.replicas.contains(fullest) && !placement.replicas.contains(emptiest)
    });
    movable.map(|(group, placement)| replace(*group, placement, *fullest, *emptiest))
}

fn replace(group: GroupId, placement: &Placement, from: NodeId, to: NodeId) -> Step {
    let replicas = placement.replicas.iter();
    let replicas = replicas.map(|node| if *node == from { to } else { *node });
    place(group, placement, replicas.collect())
}

fn place(group: GroupId, placement: &Placement, replicas: Vec<NodeId>) -> Step {
    Step::Place {
        group,
        replicas,
        expected_epoch: placement.epoch,
    }
}
