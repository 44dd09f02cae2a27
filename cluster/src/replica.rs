//! One replica of one group: openraft, its state machine adapter and the tasks beside it (batcher,
//! read barriers, leadership watch). Openraft's runtime parameter ends here: the node and the
//! network see [`Replica`].

pub(crate) mod adapter;
mod barriers;
mod batcher;
pub(crate) mod digests;
mod handle;
mod leadership;
mod outstanding;
pub(crate) mod profile;
pub(crate) mod registry;
mod running;
mod slots;
pub(crate) mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::group::Group;
use crate::snapshot::SnapshotFile;
use crate::types::{GroupId, LogId, NodeId, Peer, SnapshotMeta, Vote};
use crate::wire::{Append, Appended, Ballot, BallotAnswer};

use digests::Digests;
pub(crate) use running::{Starting, start};
pub use status::{GroupStatus, ReplicaState};

/// Why a replica cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaStartFailure {
    #[error("group {group}: {why}")]
    Raft { group: GroupId, why: String },
    #[error("group {group}: {source}")]
    Snapshot {
        group: GroupId,
        source: std::io::Error,
    },
}

/// A leadership that is not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverRefused {
    #[error("this replica does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("node {0} is no voter of the group")]
    NotAVoter(NodeId),
    #[error("node {0} lags too far behind")]
    Lags(NodeId),
    #[error("node {0} does not answer")]
    Silent(NodeId),
    #[error("the replica has stopped")]
    Stopped,
}

/// A change of members that did not happen, or not certainly.
#[derive(Debug, thiserror::Error)]
pub enum MembersFailure {
    #[error("this replica does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("{0}")]
    Refused(String),
}

/// A replica, free of openraft's type parameters. Answers of Raft itself are values; an `Err` of a
/// string says that the replica has stopped.
#[async_trait]
pub(crate) trait Replica: Send + Sync + 'static {
    fn handle(&self) -> Arc<dyn Group>;
    fn status(&self) -> GroupStatus;
    /// Whether it has caught up, once, with what its leader had committed.
    fn is_ready(&self) -> bool;
    /// Entries that are known to be committed and not applied, those that wait for their owners among them.
    fn behind(&self) -> u64;
    /// Bytes of entries applied since the newest snapshot.
    fn bytes_since_snapshot(&self) -> u64;

    /// What the machine stood at, by log index.
    fn digests(&self) -> Arc<Digests>;
    /// Has a digest taken of the state as it stands.
    async fn digest(&self);

    fn append_stream(
        &self,
        input: BoxStream<'static, Append>,
    ) -> BoxStream<'static, Result<Appended, String>>;
    async fn append(&self, append: Append) -> Result<Appended, String>;
    async fn vote(&self, ballot: Ballot) -> Result<BallotAnswer, String>;
    async fn pre_vote(&self, ballot: Ballot) -> Result<BallotAnswer, String>;
    /// The leader asks this replica to take over, or to let another.
    async fn accept_transfer(
        &self,
        from: Vote,
        to: NodeId,
        last_log_id: Option<LogId>,
    ) -> Result<Result<(), String>, String>;
    async fn install(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<Vote, String>;

    /// Writes the first membership; without effect on a replica that has one.
    async fn initialize(&self, members: BTreeMap<NodeId, Peer>) -> Result<(), MembersFailure>;
    async fn add_learner(&self, node: NodeId, peer: Peer) -> Result<(), MembersFailure>;
    async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembersFailure>;
    async fn remove_learners(&self, nodes: BTreeSet<NodeId>) -> Result<(), MembersFailure>;
    /// Begins to hand leadership to a voter that has kept up.
    async fn hand_over(&self, to: NodeId) -> Result<(), HandOverRefused>;
    /// Begins a snapshot; the log before it is purged when it is done.
    async fn take_snapshot(&self) -> Result<(), String>;
    /// Lets go of entries up to an index that the newest snapshot covers.
    async fn purge(&self, upto: u64) -> Result<(), String>;
    async fn shutdown(&self);
}
