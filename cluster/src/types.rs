//! Openraft's type parameters, fixed once. Generic over the runtime `R`: tokio's in production,
//! the deterministic wrapper around it in simulation. Nothing outside this crate sees openraft.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use openraft::AsyncRuntime;

/// A node's id. Never reused: a node that lost its disk joins under a new one.
pub type NodeId = u64;

/// A Raft group. 0 is the root group.
pub type GroupId = u32;

/// A Raft term.
pub type Term = u64;

/// The root group: nodes, placement, partners.
pub const ROOT_GROUP: GroupId = 0;

/// Where a node is reached by its peers, as Raft's membership carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `host:port` of the peer listener.
    pub address: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// What an entry carries: opaque here, encoded once, shared by log, network and cache.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Openraft's configuration of types.
pub struct Types<R>(PhantomData<fn() -> R>);

/// The standard leader id: one leader per term, so that a term alone fences a proposal.
pub type LeaderId = openraft::impls::leader_id_std::LeaderId<Term, NodeId>;
pub type CommittedLeaderId = <LeaderId as openraft::vote::RaftLeaderId>::Committed;
pub type LogId = openraft::LogId<CommittedLeaderId>;
pub type Vote = openraft::impls::Vote<LeaderId>;
pub type EntryPayload = openraft::EntryPayload<Payload, NodeId, Peer>;
pub type Entry = openraft::Entry<CommittedLeaderId, EntryPayload>;
pub type Membership = openraft::Membership<NodeId, Peer>;
pub type SnapshotMeta = openraft::storage::SnapshotMeta<CommittedLeaderId, NodeId, Peer>;
pub type StoredMembership = openraft::StoredMembership<CommittedLeaderId, NodeId, Peer>;

impl<R: AsyncRuntime> openraft::RaftTypeConfig for Types<R> {
    type D = Payload;
    type R = ();
    type NodeId = NodeId;
    type Node = Peer;
    type Term = Term;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = EntryPayload;
    type Entry = Entry;
    type AsyncRuntime = R;
    type Responder<T>
        = crate::responder::Callback<T>
    where
        T: Send + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

// Derives would ask the same of `R`, which never exists as a value.
impl<R> fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}
impl<R> Clone for Types<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Types<R> {}
impl<R> Default for Types<R> {
    fn default() -> Self {
        Types(PhantomData)
    }
}
impl<R> PartialEq for Types<R> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<R> Eq for Types<R> {}
impl<R> PartialOrd for Types<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<R> Ord for Types<R> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
