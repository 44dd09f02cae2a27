//! Who leads: leaderships leave nodes that drain or have no room left, and are evened out over the
//! others.

use std::collections::BTreeMap;

use super::{Observed, ObservedGroup, Step, active};
use crate::map::Map;
use crate::types::{GroupId, NodeId};

/// One transfer, or none when all is even or not every leader is known: what is in motion is not
/// pushed.
pub(super) fn move_one(map: &Map, observed: &Observed) -> Option<Step> {
    let all_known = map.groups.keys().all(|id| observed.groups.contains_key(id));
    if !all_known {
        return None;
    }
    let mut leads: BTreeMap<NodeId, usize> = active(map)
        .filter(|node| observed.alive.contains(node) && !observed.full.contains(node))
        .map(|node| (node, 0))
        .collect();
    for group in observed.groups.values() {
        if let Some(count) = leads.get_mut(&group.leader) {
            *count += 1;
        }
    }
    leave(observed, &leads).or_else(|| even_out(observed, &leads))
}

/// A leadership on a node that should have none.
fn leave(observed: &Observed, leads: &BTreeMap<NodeId, usize>) -> Option<Step> {
    observed.groups.iter().find_map(|(id, group)| {
        if leads.contains_key(&group.leader) {
            return None;
        }
        let to = least(observed, group, leads)?;
        Some(step(*id, group, to))
    })
}

fn even_out(observed: &Observed, leads: &BTreeMap<NodeId, usize>) -> Option<Step> {
    // Any voter with two fewer may take one over; the widest gap goes first.
    let gaps = observed.groups.iter().filter_map(|(id, group)| {
        let has = *leads.get(&group.leader)?;
        let to = least(observed, group, leads)?;
        let gap = has.saturating_sub(*leads.get(&to)?);
        (gap >= 2).then_some((gap, *id, group, to))
    });
    let (_, id, group, to) = gaps.max_by_key(|(gap, id, ..)| (*gap, std::cmp::Reverse(*id)))?;
    Some(step(id, group, to))
}

/// The voter that leads least, of those who can begin at once.
fn least(
    observed: &Observed,
    group: &ObservedGroup,
    leads: &BTreeMap<NodeId, usize>,
) -> Option<NodeId> {
    let can = |node: &NodeId| *node != group.leader && !observed.catching_up.contains(node);
    let voters = group.voters.iter().filter(|node| can(node));
    voters
        .filter_map(|node| leads.get(node).map(|count| (*count, *node)))
        .min()
        .map(|(_, node)| node)
}

fn step(id: GroupId, group: &ObservedGroup, to: NodeId) -> Step {
    Step::MoveLeader {
        group: id,
        from: group.leader,
        to,
    }
}
