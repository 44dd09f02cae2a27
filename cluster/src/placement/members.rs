//! From a group's members to those it should have, one safe step at a time, taken by the group's
//! own leader: add as learner, wait until caught up, change the voters, let the others go.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROOT_VOTERS_MAX, active};
use crate::map::Map;
use crate::types::{GroupId, NodeId};

/// Entries a learner may be behind when it becomes a voter.
const CAUGHT_UP_LAG_MAX: u64 = 100;

/// The members of a group as its leader sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    pub(crate) leader: NodeId,
    pub(crate) voters: BTreeSet<NodeId>,
    pub(crate) learners: BTreeSet<NodeId>,
    /// Entries each other member is behind.
    pub(crate) lag: BTreeMap<NodeId, u64>,
    /// The newest membership is committed and not joint.
    pub(crate) settled: bool,
    /// What a committed joint membership leads to, when its second half is still to come.
    pub(crate) pending_voters: Option<BTreeSet<NodeId>>,
}

/// The members a group should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) voters: BTreeSet<NodeId>,
    pub(crate) learners: BTreeSet<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberStep {
    AddLearner(NodeId),
    SetVoters(BTreeSet<NodeId>),
    RemoveLearners(BTreeSet<NodeId>),
    /// The leader is to go: another voter must carry on.
    HandOver(NodeId),
}

/// Every node holds the root group; up to five active ones vote. Voters that may stay, stay.
pub(crate) fn root_members(map: &Map, voters: &BTreeSet<NodeId>) -> Option<Wanted> {
    let active: BTreeSet<NodeId> = active(map).collect();
    if active.is_empty() {
        // The map is not written yet: the founders' membership stands.
        return None;
    }
    let mut wanted: BTreeSet<NodeId> = voters.intersection(&active).copied().collect();
    while wanted.len() > ROOT_VOTERS_MAX {
        wanted.pop_last();
    }
    for node in active {
        if wanted.len() >= ROOT_VOTERS_MAX {
            break;
        }
        wanted.insert(node);
    }
    let learners = map.nodes.keys().filter(|node| !wanted.contains(node));
    Some(Wanted {
        learners: learners.copied().collect(),
        voters: wanted,
    })
}

pub(crate) fn sale_members(map: &Map, group: GroupId) -> Option<Wanted> {
    let placement = map.groups.get(&group)?;
    Some(Wanted {
        voters: placement.replicas.iter().copied().collect(),
        learners: BTreeSet::new(),
    })
}

pub(crate) fn step(members: &Members, wanted: &Wanted) -> Option<MemberStep> {
    if !members.settled {
        // Leadership may move between the halves of a change: who leads now finishes it.
        return members.pending_voters.clone().map(MemberStep::SetVoters);
    }
    let known = |node: &NodeId| members.voters.contains(node) || members.learners.contains(node);
    let mut all = wanted.voters.union(&wanted.learners);
    if let Some(missing) = all.find(|node| !known(node)) {
        return Some(MemberStep::AddLearner(*missing));
    }
    if members.voters != wanted.voters {
        return voters_step(members, wanted);
    }
    let gone: BTreeSet<NodeId> = members
        .learners
        .difference(&wanted.learners)
        .copied()
        .collect();
    (!gone.is_empty()).then_some(MemberStep::RemoveLearners(gone))
}

fn voters_step(members: &Members, wanted: &Wanted) -> Option<MemberStep> {
    let caught_up = |node: &NodeId| {
        let lag = members.lag.get(node);
        lag.is_some_and(|lag| *lag <= CAUGHT_UP_LAG_MAX)
    };
    let waits = |node: &NodeId| !members.voters.contains(node) && !caught_up(node);
    let mut ready: BTreeSet<NodeId> = wanted.voters.iter().copied().collect();
    // Newcomers join when they have caught up; nobody leaves before they have.
    if ready.iter().any(waits) {
        return None;
    }
    if wanted.voters.contains(&members.leader) {
        return Some(MemberStep::SetVoters(ready));
    }
    // The leader goes last: it brings the others in, then hands over.
    ready.insert(members.leader);
    if members.voters != ready {
        return Some(MemberStep::SetVoters(ready));
    }
    let heir = wanted.voters.iter().find(|node| caught_up(node))?;
    Some(MemberStep::HandOver(*heir))
}
