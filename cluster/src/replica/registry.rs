//! The replicas that run on this node. Read with every frame, changed rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Replica, ReplicaState};
use crate::types::{GroupId, NodeId, ROOT_GROUP, Term};

/// More entries than a replica in step leaves for a moment.
const BEHIND_ENTRIES_MAX: u64 = 64;

#[derive(Default)]
pub(crate) struct Replicas {
    by_group: ArcSwap<BTreeMap<GroupId, Arc<dyn Replica>>>,
}

/// A group led by a node, as placement wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Led {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) voters: BTreeSet<NodeId>,
    pub(crate) learners: BTreeSet<NodeId>,
    /// These members are committed and not joint.
    pub(crate) settled: bool,
}

impl Led {
    /// Whether the group certainly does not count on a node: it is no voter, of the root group, which
    /// every node holds, and no member at all of any other.
    pub(crate) fn does_without(&self, node: NodeId) -> bool {
        let learns = self.group != ROOT_GROUP && self.learners.contains(&node);
        self.settled && !self.voters.contains(&node) && !learns
    }
}

impl Replicas {
    pub(crate) fn get(&self, group: GroupId) -> Option<Arc<dyn Replica>> {
        self.by_group.load().get(&group).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(GroupId, Arc<dyn Replica>)> {
        let replicas = self.by_group.load();
        replicas
            .iter()
            .map(|(group, replica)| (*group, replica.clone()))
            .collect()
    }

    pub(crate) fn insert(&self, group: GroupId, replica: Arc<dyn Replica>) {
        self.by_group.rcu(|replicas| {
            let mut replicas = BTreeMap::clone(replicas);
            replicas.insert(group, replica.clone());
            replicas
        });
    }

    pub(crate) fn remove(&self, group: GroupId) {
        self.by_group.rcu(|replicas| {
            let mut replicas = BTreeMap::clone(replicas);
            replicas.remove(&group);
            replicas
        });
    }

    /// Whether a replica here has not applied what it was sent.
    pub(crate) fn catching_up(&self) -> bool {
        let is_behind =
            |replica: &dyn Replica| !replica.is_ready() || replica.behind() > BEHIND_ENTRIES_MAX;
        self.all()
            .iter()
            .any(|(_, replica)| is_behind(replica.as_ref()))
    }

    /// The groups led here.
    pub(crate) fn led(&self) -> Vec<Led> {
        self.all()
            .into_iter()
            .map(|(_, replica)| replica.status())
            .filter(|status| status.state == ReplicaState::Leader)
            .map(|status| Led {
                group: status.group,
                term: status.term,
                voters: status.voters,
                learners: status.learners,
                settled: status.settled,
            })
            .collect()
    }
}
