//! The handle of a group: queues proposals and barriers, tells who leads. Made before the replica
//! runs, because the replica's machine is made with it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::group::{BarrierFailure, Group, Leadership, ProposeReply};
use crate::types::{GroupId, NodeId, Term};

/// Proposals waiting for room among the entries in flight.
const PROPOSALS: usize = 4_096;
/// Readers waiting for the round after the running one.
const BARRIERS: usize = 4_096;

pub(super) struct Proposal {
    pub(super) term: Term,
    pub(super) entry: Bytes,
    pub(super) reply: ProposeReply,
}

pub(super) type Barrier = oneshot::Sender<Result<u64, BarrierFailure>>;

/// The far ends of a handle, for the replica's tasks.
pub(super) struct Queues {
    pub(super) proposals: mpsc::Receiver<Proposal>,
    pub(super) barriers: mpsc::Receiver<Barrier>,
    pub(super) leadership: watch::Sender<Leadership>,
}

pub(crate) struct Handle {
    id: GroupId,
    node: NodeId,
    proposals: mpsc::Sender<Proposal>,
    barriers: mpsc::Sender<Barrier>,
    leadership: watch::Receiver<Leadership>,
}

impl Handle {
    pub(super) fn new(id: GroupId, node: NodeId) -> (Arc<Self>, Queues) {
        let (proposals, proposed) = mpsc::channel(PROPOSALS);
        let (barriers, asked) = mpsc::channel(BARRIERS);
        let (leadership, led) = watch::channel(Leadership::default());
        let handle = Handle {
            id,
            node,
            proposals,
            barriers,
            leadership: led,
        };
        let queues = Queues {
            proposals: proposed,
            barriers: asked,
            leadership,
        };
        (Arc::new(handle), queues)
    }

    fn not_leader(&self) -> BarrierFailure {
        let leader = self.leadership().leader.filter(|id| *id != self.node);
        BarrierFailure::NotLeader { leader }
    }
}

#[async_trait]
impl Group for Handle {
    fn id(&self) -> GroupId {
        self.id
    }

    fn propose(&self, term: Term, entry: Bytes, reply: ProposeReply) -> Result<(), ProposeReply> {
        let proposal = Proposal { term, entry, reply };
        self.proposals
            .try_send(proposal)
            .map_err(|refused| refused.into_inner().reply)
    }

    async fn read_barrier(&self) -> Result<u64, BarrierFailure> {
        if self.leadership().leader != Some(self.node) {
            return Err(self.not_leader());
        }
        let (done, outcome) = oneshot::channel();
        if self.barriers.send(done).await.is_err() {
            return Err(self.not_leader());
        }
        outcome.await.unwrap_or_else(|_| Err(self.not_leader()))
    }

    fn leadership(&self) -> Leadership {
        *self.leadership.borrow()
    }
}
