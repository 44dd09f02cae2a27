//! The running cluster part of a node, and the cheap handle to it.

mod admin;
mod clocks;
mod controller;
pub(crate) mod cross_check;
mod gossip;
mod maintenance;
mod members;
mod reconcile;
mod start;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::components::Components;
use crate::config::Config;
use crate::group::Group;
use crate::log::Log;
use crate::map::Map;
use crate::map::change::MapChanger;
use crate::map::machine::Published;
use crate::network::peers::{PeerChannel, PeerLink, Peers};
use crate::replica::registry::Replicas;
use crate::replica::{GroupStatus, Replica, ReplicaStartFailure};
use crate::snapshot::SnapshotStore;
use crate::types::{GroupId, NodeId, ROOT_GROUP};
use cross_check::CrossCheck;

pub use admin::{AdminFailure, MapFailure};
pub use cross_check::Standing;
pub use start::StartFailure;

pub use crate::machine::Machines;

/// A cheap handle; the node runs until `shutdown`.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

type StartSale = Box<
    dyn Fn(GroupId) -> BoxFuture<'static, Result<Arc<dyn Replica>, ReplicaStartFailure>>
        + Send
        + Sync,
>;

struct Inner {
    config: Config,
    components: Components,
    log: Log,
    snapshots: SnapshotStore,
    replicas: Arc<Replicas>,
    peers: Arc<Peers>,
    published: Arc<Published>,
    changer: Arc<MapChanger>,
    gossip: gossip::Gossip,
    check: Arc<CrossCheck>,
    /// Starts a replica of a sale group; knows the runtime.
    start_sale: StartSale,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Cluster {
    pub fn node_id(&self) -> NodeId {
        self.inner.config.node_id
    }

    pub fn map(&self) -> Arc<Map> {
        self.inner.published.map()
    }

    /// Tells each new version of the map.
    pub fn map_version(&self) -> watch::Receiver<u64> {
        self.inner.published.version()
    }

    /// Bytes that one proposal may have on this node, and on others with the same configuration.
    pub fn entry_bytes_max(&self) -> usize {
        self.inner.log.entry_bytes_max()
    }

    /// The local replica of a group.
    pub fn group(&self, id: GroupId) -> Option<Arc<dyn Group>> {
        self.inner.replicas.get(id).map(|replica| replica.handle())
    }

    /// Who leads a group, to the best of this node's knowledge. For a group not carried here, and
    /// while nobody is known to lead, some replica of it: it knows better.
    pub fn leader(&self, id: GroupId) -> Option<NodeId> {
        self.inner.leader(id).or_else(|| {
            let map = self.inner.published.map();
            let placement = map.groups.get(&id)?;
            let mut others = placement.replicas.iter().copied();
            let carried_here = placement.replicas.contains(&self.node_id());
            if carried_here { None } else { others.next() }
        })
    }

    /// A channel to a node's peer listener, connecting when used. `None`: the node is unknown.
    pub fn peer(&self, node: NodeId) -> Option<PeerChannel> {
        self.inner.link(node).map(|link| link.channel())
    }

    /// The local replicas, by group.
    pub fn status(&self) -> Vec<GroupStatus> {
        let replicas = self.inner.replicas.all();
        replicas
            .iter()
            .map(|(_, replica)| replica.status())
            .collect()
    }

    /// How the replicas here stand among the others of their groups, as far as they were compared;
    /// those that were stopped included.
    pub fn standings(&self) -> BTreeMap<GroupId, Standing> {
        self.inner.check.standings()
    }

    /// The groups whose replica here was stopped because it differed from the others.
    pub fn stopped_groups(&self) -> Vec<GroupId> {
        let standings = self.standings().into_iter();
        standings
            .filter(|(_, standing)| standing.is_stopped())
            .map(|(group, _)| group)
            .collect()
    }

    /// The groups whose replica here differs from another's while no majority tells who is right.
    pub fn disputed_groups(&self) -> Vec<GroupId> {
        let standings = self.standings().into_iter();
        standings
            .filter(|(_, standing)| matches!(standing, Standing::Disputed { .. }))
            .map(|(group, _)| group)
            .collect()
    }

    /// What the peers' wall clocks showed, Unix milliseconds, and when that was.
    pub fn peer_clocks(&self) -> BTreeMap<NodeId, (u64, tokio::time::Instant)> {
        self.inner.gossip.clocks()
    }

    /// Recovered, and caught up with what was committed when this node came back.
    pub fn ready(&self) -> bool {
        let inner = &self.inner;
        let ready = |group| {
            let replica = inner.replicas.get(group);
            replica.is_some_and(|replica| replica.is_ready())
        };
        if !ready(ROOT_GROUP) {
            return false;
        }
        let map = inner.published.map();
        let placed = !map.groups.is_empty() || inner.config.sale_groups == 0;
        placed && map.carries(inner.config.node_id).all(ready)
    }
}

impl Inner {
    /// Who certainly said that it leads, or whom the local replica follows.
    fn leader(&self, group: GroupId) -> Option<NodeId> {
        match self.replicas.get(group) {
            Some(replica) => replica.handle().leadership().leader,
            None => self.gossip.leader(group),
        }
    }

    fn link(&self, node: NodeId) -> Option<Arc<PeerLink>> {
        let map = self.published.map();
        let known = map.nodes.get(&node).map(|entry| entry.peer_address.clone());
        let address = known.or_else(|| {
            // Before the map is written the founders' list stands for it.
            let mut founders = self.config.founders.iter();
            let founder = founders.find(|founder| founder.id == node)?;
            Some(founder.peer_address.clone())
        })?;
        Some(self.peers.link(node, &address))
    }

    /// The other nodes, as the map has them.
    fn others(&self) -> Vec<NodeId> {
        let map = self.published.map();
        let others = map.nodes.keys().copied();
        others.filter(|node| *node != self.config.node_id).collect()
    }

    fn leads_root(&self) -> bool {
        self.replicas
            .get(ROOT_GROUP)
            .is_some_and(|root| root.handle().leadership().leader == Some(self.config.node_id))
    }

    fn keep(&self, task: JoinHandle<()>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.push(task);
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}
