//! Who should carry and lead what: pure functions from the map and what is observed to the next
//! steps. Nothing here acts; the node carries steps out, and a step planned on an old placement is
//! refused by its epoch. Planning again after any failure is always safe.

mod leaders;
mod members;
mod replicas;

use std::collections::{BTreeMap, BTreeSet};

use crate::map::{Map, NodeState};
use crate::types::{GroupId, NodeId};

pub(crate) use members::{MemberStep, Members, root_members, sale_members, step as member_step};

/// Voters of the root group at most: more would only slow its commits.
pub(crate) const ROOT_VOTERS_MAX: usize = 5;

/// What the root group's leader knows of the running cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Nodes that answered lately, this one among them.
    pub(crate) alive: BTreeSet<NodeId>,
    /// Nodes whose disks have no room: they take no proposals of sales.
    pub(crate) full: BTreeSet<NodeId>,
    /// Nodes whose replicas have not applied what they were sent: whoever is given a leadership now
    /// answers nobody until it has.
    pub(crate) catching_up: BTreeSet<NodeId>,
    /// By sale group, as its leader tells it.
    pub(crate) groups: BTreeMap<GroupId, ObservedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObservedGroup {
    pub(crate) leader: NodeId,
    pub(crate) voters: BTreeSet<NodeId>,
    pub(crate) learners: BTreeSet<NodeId>,
}

/// One thing to do. Every one may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Place a group; refused when its epoch moved on.
    Place {
        group: GroupId,
        replicas: Vec<NodeId>,
        expected_epoch: u64,
    },
    /// Hand a group's leadership over.
    MoveLeader {
        group: GroupId,
        from: NodeId,
        to: NodeId,
    },
}

/// What to do next. New groups are placed all at once; of everything else one step at a time, and
/// none before the last one shows.
pub(crate) fn plan(map: &Map, observed: &Observed, sale_groups: u32, replicas: usize) -> Vec<Step> {
    let new = replicas::place_new(map, sale_groups, replicas);
    if !new.is_empty() {
        return new;
    }
    let moved = replicas::move_one(map, observed, replicas);
    if let Some(step) = moved {
        return vec![step];
    }
    leaders::move_one(map, observed).into_iter().collect()
}

fn active(map: &Map) -> impl Iterator<Item = NodeId> + '_ {
    let active = map.nodes.values();
    active
        .filter(|node| node.state == NodeState::Active)
        .map(|node| node.id)
}

#[cfg(test)]
mod tests;
