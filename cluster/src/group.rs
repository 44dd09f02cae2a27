//! A cheap handle to this node's replica of one group: what an actor may ask of Raft.
//!
//! Object safe and free of openraft's types, so that `actors` can be tested on a solo replica.

use async_trait::async_trait;
use bytes::Bytes;

use crate::types::{GroupId, NodeId, Term};

/// What became of a proposal. Success is not told here: it is the delivery of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// Committed at this index; the delivery came first.
    Committed { index: u64 },
    /// Never appended: certainly without effect.
    NotLeader { leader: Option<NodeId> },
    /// Never appended: the disk of this node has no room for another segment of the log.
    DiskFull,
    /// Never appended: longer than an entry of this node's log may be.
    TooLarge { bytes_max: usize },
    /// May still happen: leadership changed, a deadline passed, the replica stops.
    Unknown,
}

/// Called once with what became of a proposal; never blocks.
pub type ProposeReply = Box<dyn FnOnce(Proposed) + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierFailure {
    #[error("this replica does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("leadership could not be proved in time")]
    Unproved,
}

/// Who leads the group, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    pub leader: Option<NodeId>,
    pub term: Term,
}

#[async_trait]
pub trait Group: Send + Sync + 'static {
    fn id(&self) -> GroupId;

    /// Queues a proposal, fenced to `term`: it is appended only if this node still leads in that
    /// term. Proposals queued while entries commit travel together: their bytes are put one after
    /// the other in one entry, so each must be a protobuf message whose concatenation is their
    /// merge (`onsale.log.v1.Entry`). When the bounded queue is full the reply is handed back.
    fn propose(&self, term: Term, entry: Bytes, reply: ProposeReply) -> Result<(), ProposeReply>;

    /// Proves, by a round to a quorum begun after this call, that this node leads, and waits until
    /// everything committed before is handed over. Many callers share a round.
    async fn read_barrier(&self) -> Result<u64, BarrierFailure>;

    fn leadership(&self) -> Leadership;
}
