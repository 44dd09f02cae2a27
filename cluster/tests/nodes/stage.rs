//! Nodes for tests: started, killed, restarted on their disks, and waited for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster::components::{Components, Halt, Lanes, Scope, WallClock};
use cluster::disk::memory::MemoryDisk;
use cluster::group::{Group, Proposed};
use cluster::node::StartFailure;
use cluster::seeded::{SeededRuntime, SeededScope};
use cluster::types::{GroupId, NodeId};
use cluster::{Cluster, Config, Founder};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::service::Routes;

use crate::network::Wires;
use crate::toy::Toys;

pub const SECRET: &str = "between peers";
/// Nothing in these tests takes long; a machine under load may.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct Stage {
    pub wires: Wires,
    pub nodes: BTreeMap<NodeId, Node>,
    founders: u64,
    configure: fn(&mut Config),
    runtime: Seam,
    incarnations: u64,
}

/// Which of openraft's runtimes the nodes run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seam {
    Production,
    /// The simulation's: every entry into Raft outside a scope panics.
    Seeded,
}

pub struct Node {
    pub cluster: Cluster,
    pub toys: Arc<Toys>,
    pub halted: Arc<AtomicBool>,
    registry: prometheus::Registry,
    pub log_disk: MemoryDisk,
    pub snapshot_disk: MemoryDisk,
    runtime: Option<Runtime>,
}

impl Stage {
    /// Founders 1 to `founders`, running and ready.
    pub fn new(founders: u64, configure: fn(&mut Config)) -> Self {
        Self::on_runtime(Seam::Production, founders, configure)
    }

    pub fn on_runtime(runtime: Seam, founders: u64, configure: fn(&mut Config)) -> Self {
        let mut stage = Stage {
            wires: Wires::new(),
            nodes: BTreeMap::new(),
            founders,
            configure,
            runtime,
            incarnations: 0,
        };
        for id in 1..=founders {
            stage.start(id);
        }
        stage.until("all nodes are ready", |stage| {
            stage.nodes.values().all(|node| node.cluster.ready())
        });
        stage
    }

    /// Starts a node on fresh disks. One that is no founder waits to be added.
    pub fn start(&mut self, id: NodeId) {
        self.start_on(id, MemoryDisk::new(id), MemoryDisk::new(id + 100));
    }

    /// Ends a node at once, as the end of its process would.
    pub fn kill(&mut self, id: NodeId) -> (MemoryDisk, MemoryDisk) {
        let mut node = self.nodes.remove(&id).expect("the node runs");
        node.log_disk.kill();
        node.snapshot_disk.kill();
        node.runtime
            .take()
            .expect("it has a runtime")
            .shutdown_background();
        (node.log_disk.clone(), node.snapshot_disk.clone())
    }

    pub fn start_on(&mut self, id: NodeId, log_disk: MemoryDisk, snapshot_disk: MemoryDisk) {
        let started = self.try_start_on(id, log_disk, snapshot_disk);
        started.expect("the node starts");
    }

    pub fn try_start_on(
        &mut self,
        id: NodeId,
        log_disk: MemoryDisk,
        snapshot_disk: MemoryDisk,
    ) -> Result<(), StartFailure> {
        self.incarnations += 1;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let halted = Arc::new(AtomicBool::new(false));
        let components = Components {
            log_disk: log_disk.attach(),
            snapshot_disk: snapshot_disk.attach(),
            net: self.wires.net(&address(id)),
            wall: Arc::new(Wall),
            halt: Arc::new(Flag(halted.clone())),
            lanes: Arc::new(Tasks),
            scope: match self.runtime {
                Seam::Production => Arc::new(Plain),
                Seam::Seeded => Arc::new(SeededScope::new(id << 32)),
            },
            seed: id * 1_000 + self.incarnations,
        };
        let toys = Arc::new(Toys::default());
        let registry = prometheus::Registry::new();
        let (config, machines, services) = (self.config(id), toys.clone(), Routes::default());
        let starting = async {
            match self.runtime {
                Seam::Production => {
                    Cluster::start(config, components, machines, services, &registry).await
                }
                Seam::Seeded => {
                    Cluster::start_on::<SeededRuntime>(
                        config, components, machines, services, &registry,
                    )
                    .await
                }
            }
        };
        let cluster = match runtime.block_on(starting) {
            Ok(cluster) => cluster,
            Err(failure) => {
                runtime.shutdown_background();
                return Err(failure);
            }
        };
        let node = Node {
            cluster,
            toys,
            halted,
            registry,
            log_disk,
            snapshot_disk,
            runtime: Some(runtime),
        };
        self.nodes.insert(id, node);
        Ok(())
    }

    fn config(&self, id: NodeId) -> Config {
        let founders = (1..=self.founders).map(|id| Founder {
            id,
            peer_address: address(id),
            ..Founder::default()
        });
        let mut config = Config {
            node_id: id,
            founders: if id <= self.founders {
                founders.collect()
            } else {
                Vec::new()
            },
            listen_address: address(id),
            secret: SECRET.into(),
            sale_groups: 2,
            heartbeat_ms: 60,
            election_min_ms: 400,
            election_max_ms: 600,
            log: cluster::log::Config {
                segment_bytes: 1 << 20,
                ..Default::default()
            },
            ..Config::default()
        };
        (self.configure)(&mut config);
        config
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    /// Runs a future on a node's runtime, never for ever.
    pub fn on<T>(&self, id: NodeId, future: impl Future<Output = T>) -> T {
        let runtime = self.nodes[&id].runtime.as_ref().expect("it has a runtime");
        runtime.block_on(async {
            let bounded = tokio::time::timeout(PATIENCE, future);
            bounded.await.expect("nothing hangs")
        })
    }

    #[track_caller]
    pub fn until(&self, what: &str, reached: impl Fn(&Stage) -> bool) {
        let begun = Instant::now();
        while !reached(self) {
            if begun.elapsed() > PATIENCE {
                let status: Vec<_> = self
                    .nodes
                    .values()
                    .map(|node| node.cluster.status())
                    .collect();
                panic!("not reached: {what}\n{status:#?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A node that is established as leader, among those that run.
    pub fn leader(&self, group: GroupId) -> NodeId {
        self.until(&format!("group {group} has a leader"), |stage| {
            stage.leader_now(group).is_some()
        });
        self.leader_now(group).expect("just seen")
    }

    fn leader_now(&self, group: GroupId) -> Option<NodeId> {
        self.nodes
            .iter()
            .find(|(id, node)| {
                let handle = node.cluster.group(group);
                handle.is_some_and(|handle| handle.leadership().leader == Some(**id))
            })
            .map(|(id, _)| *id)
    }

    /// Proposes until it is committed.
    pub fn commit(&self, group: GroupId, number: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let leader = self.leader(group);
            match self.propose(leader, group, number) {
                Proposed::Committed { index } => return index,
                Proposed::NotLeader { .. } => {}
                Proposed::Unknown | Proposed::DiskFull | Proposed::TooLarge { .. } => {
                    panic!("not committed, and there is no fault")
                }
            }
            assert!(begun.elapsed() < PATIENCE, "not committed in time");
        }
    }

    pub fn propose(&self, at: NodeId, group: GroupId, number: u64) -> Proposed {
        let handle = self.node(at).cluster.group(group).expect("a replica");
        let outcome = propose(handle.as_ref(), number);
        self.on(at, outcome).expect("every reply fires")
    }

    /// A counter or gauge of a node, or how much a histogram observed; of one group, when one is named.
    pub fn metric(&self, id: NodeId, name: &str, group: Option<GroupId>) -> f64 {
        let families = self.node(id).registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.expect("a metric of the cluster part").get_metric();
        let group = group.map(|group| group.to_string());
        metrics
            .iter()
            .filter(|metric| {
                let mut labels = metric.get_label().iter();
                group
                    .as_deref()
                    .is_none_or(|group| labels.any(|label| label.value() == group))
            })
            .map(|metric| {
                let observed = metric.get_histogram().get_sample_count() as f64;
                metric.get_counter().get_value() + metric.get_gauge().get_value() + observed
            })
            .sum()
    }

    /// Whether a node tells anything by that name of a group.
    pub fn tells(&self, id: NodeId, name: &str, group: GroupId) -> bool {
        let (families, group) = (self.node(id).registry.gather(), group.to_string());
        let of_name = families.iter().filter(|family| family.name() == name);
        let mut series = of_name.flat_map(|family| family.get_metric());
        series.any(|series| {
            let mut labels = series.get_label().iter();
            labels.any(|label| label.value() == group)
        })
    }

    pub fn numbers(&self, id: NodeId, group: GroupId) -> Vec<u64> {
        let toy = self.node(id).toys.get(group);
        toy.map(|toy| toy.numbers()).unwrap_or_default()
    }

    /// All running nodes have delivered exactly these.
    #[track_caller]
    pub fn until_all_have(&self, group: GroupId, numbers: &[u64]) {
        self.until("all replicas have delivered the same", |stage| {
            let mut ids = stage.nodes.keys();
            ids.all(|id| stage.numbers(*id, group) == numbers)
        });
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            if let Some(runtime) = node.runtime.take() {
                runtime.shutdown_background();
            }
        }
    }
}

/// Queues a proposal under the term now led; the receiver tells what became of it.
pub fn propose(group: &dyn Group, number: u64) -> oneshot::Receiver<Proposed> {
    let (done, outcome) = oneshot::channel();
    let payload = Bytes::copy_from_slice(&number.to_be_bytes());
    let reply = Box::new(move |proposed| {
        done.send(proposed).ok();
    });
    let term = group.leadership().term;
    if let Err(reply) = group.propose(term, payload, reply) {
        reply(Proposed::NotLeader { leader: None });
    }
    outcome
}

pub fn address(id: NodeId) -> String {
    format!("node-{id}")
}

struct Wall;

impl WallClock for Wall {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.expect("after 1970").as_millis() as u64
    }
}

struct Flag(Arc<AtomicBool>);

impl Halt for Flag {
    fn halt(&self, why: &str) {
        eprintln!("halt: {why}");
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lanes as tasks: the memory disk does not block.
struct Tasks;

impl Lanes for Tasks {
    fn run(&self, _name: &str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

struct Plain;

impl Scope for Plain {
    fn enter<'a>(&self, future: BoxFuture<'a, ()>) -> BoxFuture<'a, ()> {
        future
    }
}
