//! How a group reaches the application: the one trait between replication and what is replicated.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::types::{GroupId, Term};

/// One committed entry, delivered exactly once per replica and incarnation, in log sequence.
#[derive(Clone, Debug)]
pub struct Committed {
    pub group: GroupId,
    pub term: Term,
    pub index: u64,
    pub payload: Bytes,
}

/// What stands in the way of a machine; any of these stops the replica, never the promise.
#[derive(Debug, thiserror::Error)]
pub enum MachineFault {
    #[error("the entry at index {index} cannot be read: {why}")]
    Unreadable { index: u64, why: String },
    #[error("the snapshot cannot be restored: {0}")]
    BadSnapshot(String),
    #[error("the machine has stopped")]
    Stopped,
}

/// Makes bytes of a state that was taken: of a large one that is long work, which no thread that
/// answers others may do.
pub type Encode = Box<dyn FnOnce() -> Bytes + Send>;

/// The application's side of one replica of one group. Implemented by the sales of a group (crate
/// `actors`) and by the cluster map of the root group (here).
#[async_trait]
pub trait Machine: Send + Sync + 'static {
    /// Hands an entry to its owners' queues. *Applied* means handed over: it may wait for room in
    /// a queue, never for the cluster.
    async fn deliver(&self, entry: Committed) -> Result<(), MachineFault>;

    /// Queues snapshot barriers behind everything delivered so far and before anything delivered
    /// later; the returned future resolves, when the owners have answered, to the whole state.
    async fn snapshot(
        &self,
    ) -> Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault>;

    /// Replaces the state, through the owners' queues. Callers that wait are answered as unknown.
    /// Returns when all owners have answered.
    async fn restore(&self, snapshot: Bytes) -> Result<(), MachineFault>;

    /// Queues digest barriers behind everything delivered so far and before anything delivered
    /// later; the returned future resolves to one number over the whole state. Replicas that were
    /// delivered the same must answer the same: a minority that does not is stopped.
    async fn digest(&self) -> Result<BoxFuture<'static, Result<u64, MachineFault>>, MachineFault>;

    /// Entries that were handed over and wait for their owners.
    fn behind(&self) -> u64 {
        0
    }

    /// Leadership of this replica changed. `Some(term)`: it leads in that term and has applied
    /// everything committed before it; `None`: it does not lead.
    async fn lead(&self, term: Option<Term>);
}

/// Makes the machine of a group when a replica of it starts on this node.
pub trait Machines: Send + Sync + 'static {
    fn machine(
        &self,
        group: GroupId,
        handle: std::sync::Arc<dyn crate::group::Group>,
    ) -> std::sync::Arc<dyn Machine>;
}
