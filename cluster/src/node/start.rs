//! Brings the cluster part of a node up, and takes it down in good order.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use openraft::AsyncRuntime;
use prometheus::Registry;
use proto::cluster::v1::peer_service_server::PeerServiceServer;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::service::Routes;
use tonic::transport::Server;

use super::cross_check::CrossCheck;
use super::{Cluster, Inner, Machines, gossip};
use crate::components::Components;
use crate::config::Config;
use crate::log::{Log, LogMetrics};
use crate::map::change::MapChanger;
use crate::map::machine::{Published, RootMachine};
use crate::metrics::ClusterMetrics;
use crate::network::date::DateLayer;
use crate::network::dialer::{Dialer, MESSAGE_BYTES_MAX};
use crate::network::incoming::Incoming;
use crate::network::peers::Peers;
use crate::network::secret::{BadSecret, PeerSecret, SecretLayer};
use crate::network::server::PeerServer;
use crate::replica::{self, ReplicaStartFailure, ReplicaState, Starting};
use crate::snapshot::SnapshotStore;
use crate::types::{NodeId, Peer, ROOT_GROUP};

#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    #[error("the configuration cannot be used: {0}")]
    Config(&'static str),
    #[error("the log cannot be opened: {0}")]
    Log(#[from] crate::log::OpenFault),
    #[error("the snapshots cannot be opened: {0}")]
    Snapshots(io::Error),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error(transparent)]
    Secret(#[from] BadSecret),
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Replica(#[from] ReplicaStartFailure),
    #[error(
        "the root group's replica on this node differed from the others and was stopped: join a new \
         node in its place, then drain and remove this one"
    )]
    RootStopped,
    #[error("the cluster cannot be founded: {0}")]
    Found(String),
}

impl Cluster {
    /// Starts on tokio's runtime. `services` share the peer listener and are reached with the
    /// peers' secret only.
    pub async fn start(
        config: Config,
        components: Components,
        machines: Arc<dyn Machines>,
        services: Routes,
        registry: &Registry,
    ) -> Result<Cluster, StartFailure> {
        Self::start_on::<openraft::TokioRuntime>(config, components, machines, services, registry)
            .await
    }

    /// Starts on any runtime of openraft's: the simulation brings its own.
    pub async fn start_on<R: AsyncRuntime>(
        config: Config,
        components: Components,
        machines: Arc<dyn Machines>,
        services: Routes,
        registry: &Registry,
    ) -> Result<Cluster, StartFailure> {
        let entered = components.clone();
        let starting = start_inner::<R>(config, components, machines, services, registry);
        let inner = entered.enter(starting).await?;
        Ok(Cluster { inner })
    }

    /// Hands every leadership over, then stops. Proposals still waiting are answered as unknown.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        if inner.stop.send_replace(true) {
            return;
        }
        inner.components.enter(inner.clone().stop()).await;
    }
}

async fn start_inner<R: AsyncRuntime>(
    config: Config,
    components: Components,
    machines: Arc<dyn Machines>,
    services: Routes,
    registry: &Registry,
) -> Result<Arc<Inner>, StartFailure> {
    if config.node_id == 0 {
        return Err(StartFailure::Config("a node's id is not 0"));
    }
    if config.secret.is_empty() {
        return Err(StartFailure::Config("peers need a secret"));
    }
    let secret = PeerSecret::new(&config.secret)?;
    let metrics = ClusterMetrics::new(registry)?;
    let log = Log::open(
        components.log_disk.clone(),
        config.log.clone(),
        components.halt.clone(),
        components.lanes.clone(),
        LogMetrics::new(registry)?,
    )
    .await?;
    let snapshots = SnapshotStore::open(&components).await;
    let snapshots = snapshots.map_err(StartFailure::Snapshots)?;
    let stopped_replicas = snapshots.stopped().await;
    let stopped_replicas = stopped_replicas.map_err(StartFailure::Snapshots)?;
    if stopped_replicas.contains(&ROOT_GROUP) {
        return Err(StartFailure::RootStopped);
    }
    let gossip = gossip::Gossip::new(metrics.clone());
    let check = Arc::new(CrossCheck::new(metrics.clone(), stopped_replicas));
    let limit = config.request_limit();
    let dialer = Dialer::new(components.net.clone(), limit);
    let peers = Arc::new(Peers::new(dialer, secret.clone(), limit, components.seed));
    let published = Published::new();
    // The seed differs with each incarnation, so a proposal of the last one is not taken for ours.
    let changer = MapChanger::new(published.clone(), components.wall.clone(), components.seed);
    let starting = Arc::new(Starting {
        config: config.clone(),
        components: components.clone(),
        log: log.clone(),
        snapshots: snapshots.clone(),
        peers: peers.clone(),
        metrics,
        started: AtomicU64::new(0),
    });
    let start_sale: super::StartSale = {
        let starting = starting.clone();
        Box::new(move |group| {
            let (starting, machines) = (starting.clone(), machines.clone());
            Box::pin(async move {
                let make = |handle| machines.machine(group, handle);
                replica::start::<R>(&starting, group, make).await
            })
        })
    };
    let (stop, stopped) = watch::channel(false);
    let inner = Arc::new(Inner {
        config,
        components,
        log,
        snapshots,
        replicas: Arc::default(),
        peers,
        published,
        changer: Arc::new(changer),
        gossip,
        check,
        start_sale,
        stop,
        tasks: Mutex::default(),
    });

    let root_machine = RootMachine::new(inner.published.clone());
    let root = replica::start::<R>(&starting, ROOT_GROUP, |_| Arc::new(root_machine)).await?;
    inner.changer.set_root(root.handle());
    inner.replicas.insert(ROOT_GROUP, root);
    // What was placed here before the restart comes back before peers may ask for it.
    inner.start_missing().await;
    inner.serve(services, secret, stopped).await?;
    inner.found().await?;
    inner.spawn_loops();
    Ok(inner)
}

impl Inner {
    async fn serve(
        self: &Arc<Self>,
        services: Routes,
        secret: PeerSecret,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), StartFailure> {
        let address = self.config.listen_address.clone();
        let listening = self.components.net.listen(&address).await;
        let incoming = listening.map_err(|source| StartFailure::Listen { address, source })?;
        let incoming = incoming.map(|connection| connection.map(Incoming));
        let server = PeerServer {
            replicas: self.replicas.clone(),
            components: self.components.clone(),
            snapshots: self.snapshots.clone(),
            log: self.log.clone(),
            map: self.changer.clone(),
            check: self.check.clone(),
        };
        let service = PeerServiceServer::new(server)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let limit = self.config.request_limit();
        let router = Server::builder()
            .layer(SecretLayer::new(secret))
            .layer(DateLayer::new(self.components.wall.clone()))
            .http2_keepalive_interval(Some(limit))
            .http2_keepalive_timeout(Some(limit))
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .add_routes(services)
            .add_service(service);
        let serving = async move {
            tokio::select! {
                // At once and not gracefully: lanes never end by themselves.
                _ = stopped.wait_for(|stopped| *stopped) => {}
                ended = router.serve_with_incoming(incoming) => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the peer listener ended");
                    }
                }
            }
        };
        self.keep(self.components.spawn(serving));
        Ok(())
    }

    /// On a fresh disk the founder with the lowest id writes the first membership. Founders are
    /// never consulted again: a root group that has a membership refuses another.
    async fn found(&self) -> Result<(), StartFailure> {
        let founders = &self.config.founders;
        let first = founders.iter().map(|founder| founder.id).min();
        if first != Some(self.config.node_id) {
            return Ok(());
        }
        let Some(root) = self.replicas.get(ROOT_GROUP) else {
            return Ok(());
        };
        let members = founders.iter().map(|founder| {
            let address = founder.peer_address.clone();
            (founder.id, Peer { address })
        });
        let founded = root.initialize(members.collect()).await;
        founded.map_err(|failure| StartFailure::Found(failure.to_string()))
    }

    fn spawn_loops(self: &Arc<Self>) {
        self.keep(self.components.spawn(self.clone().reconcile_loop()));
        self.keep(self.components.spawn(self.clone().members_loop()));
        self.keep(self.components.spawn(self.clone().controller_loop()));
        self.keep(self.components.spawn(self.clone().gossip_loop()));
        self.keep(self.components.spawn(self.clone().maintenance_loop()));
    }

    async fn stop(self: Arc<Self>) {
        self.hand_all_over().await;
        let tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        for task in &tasks {
            task.abort();
        }
        for (group, replica) in self.replicas.all() {
            replica.shutdown().await;
            self.replicas.remove(group);
        }
        self.peers.close();
        self.log.close().await;
    }

    /// Best effort, for as long as an election would take.
    pub(super) async fn hand_all_over(&self) {
        let node = self.config.node_id;
        let limit = self.config.election_max();
        let begun = Instant::now();
        for (_, replica) in self.replicas.all() {
            let status = replica.status();
            if status.state == ReplicaState::Leader
                && let Some(heir) = self.heir(&status)
                && self.check_answers(heir).await.is_ok()
            {
                // Refused is as good as done: the others will elect.
                replica.hand_over(heir).await.ok();
            }
        }
        let leads = || {
            let all = self.replicas.all();
            all.iter().any(|(_, replica)| {
                let status = replica.status();
                status.state == ReplicaState::Leader && status.voters.iter().any(|id| *id != node)
            })
        };
        let handed_over = async {
            while leads() {
                tokio::time::sleep(self.config.heartbeat() / 4).await;
            }
        };
        let remaining = limit.saturating_sub(begun.elapsed());
        timeout(remaining, handed_over).await.ok();
    }

    /// The voter that is least behind, of those that answered lately.
    fn heir(&self, status: &crate::replica::GroupStatus) -> Option<NodeId> {
        let node = self.config.node_id;
        let (alive, full) = (self.alive(), self.gossip.full());
        status
            .voters
            .iter()
            .filter(|voter| **voter != node && alive.contains(voter) && !full.contains(voter))
            .min_by_key(|voter| (status.lag.get(voter).copied().unwrap_or(u64::MAX), **voter))
            .copied()
    }
}
