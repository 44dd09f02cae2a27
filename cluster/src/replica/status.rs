//! What a replica says of itself, for the cluster API and placement.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{RaftMetrics, ServerState};

use crate::types::{GroupId, NodeId, Term, Types};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    Leader,
    Follower,
    Candidate,
    Learner,
    Stopped,
}

/// One local replica. Indexes are log indexes; 0 where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    pub group: GroupId,
    pub state: ReplicaState,
    pub leader: Option<NodeId>,
    pub term: Term,
    pub last_log: u64,
    pub committed: u64,
    pub applied: u64,
    pub snapshot: u64,
    pub purged: u64,
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    /// Entries each other member is behind; on the leader only.
    pub lag: BTreeMap<NodeId, u64>,
    /// The newest membership is committed and not joint.
    pub settled: bool,
    /// Set while a committed joint membership waits for its second half: the voters it leads to.
    pub pending_voters: Option<BTreeSet<NodeId>>,
}

pub(super) fn of<R: openraft::AsyncRuntime>(
    group: GroupId,
    metrics: &RaftMetrics<Types<R>>,
) -> GroupStatus {
    let index = |id: &Option<crate::types::LogId>| id.map_or(0, |id| id.index);
    let last_log = metrics.last_log_index.unwrap_or(0);
    let membership = metrics.membership_config.membership();
    let lag = metrics.replication.iter().flatten();
    let joint = membership.get_joint_config();
    let is_committed = metrics.membership_config == metrics.committed_membership_config;
    GroupStatus {
        group,
        state: match (&metrics.running_state, metrics.state) {
            (Err(_), _) | (_, ServerState::Shutdown) => ReplicaState::Stopped,
            (_, ServerState::Leader) => ReplicaState::Leader,
            (_, ServerState::Follower) => ReplicaState::Follower,
            (_, ServerState::Candidate) => ReplicaState::Candidate,
            (_, ServerState::Learner) => ReplicaState::Learner,
        },
        leader: metrics.current_leader,
        term: metrics.current_term,
        last_log,
        committed: index(&metrics.local_committed),
        applied: index(&metrics.last_applied),
        snapshot: index(&metrics.snapshot),
        purged: index(&metrics.purged),
        voters: membership.voter_ids().collect(),
        learners: membership.learner_ids().collect(),
        lag: lag
            .filter(|(node, _)| **node != metrics.id)
            .map(|(node, matched)| (*node, last_log.saturating_sub(index(matched))))
            .collect(),
        settled: joint.len() == 1 && is_committed,
        pending_voters: joint
            .last()
            .filter(|_| joint.len() > 1 && is_committed)
            .cloned(),
    }
}
