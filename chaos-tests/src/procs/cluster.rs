//! A cluster of real nodes and the ground each stands on: its namespace, its disk, its limits. It
//! starts, stops and finds them; it injects nothing and buys nothing.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale::config::{Config, Founder};
use onsale::local::api::{self, Api};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use toml::{Table, Value};

use super::disk::Disk;
use super::facility::Facilities;
use super::leftovers::{Ledger, Leftover};
use super::limits::Limits;
use super::namespace::Visit;
use super::network::Network;
use super::process::{Birth, Process};
use super::proxy::Proxy;
use super::{Trouble, trouble};

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: usize,
    /// The node's program.
    pub binary: PathBuf,
    /// Another version of it.
    pub second_binary: Option<PathBuf>,
    /// Where disks and logs lie.
    pub work: PathBuf,
    pub disk_mib: u64,
    /// Whether the nodes' wall clocks can be made wrong.
    pub wrong_clocks: bool,
    /// Heartbeat 40 ms, election 150 to 250 ms, instead of the defaults.
    pub fast: bool,
    pub sale_groups: u32,
}

pub struct Cluster {
    // Dropped first: the nodes, then the thread's stay among the buyers, then everything that was made.
    pub nodes: Vec<Node>,
    _visit: Option<Visit>,
    pub network: Option<Network>,
    pub plan: Plan,
    facilities: Facilities,
    folder: PathBuf,
    operator_key: String,
    secret: String,
    ledger: Arc<Ledger>,
}

pub struct Node {
    pub id: u64,
    peer_address: String,
    partner_address: String,
    pub http_address: String,
    /// Between the buyers and the node, where there is no namespace.
    pub proxy: Option<Proxy>,
    pub disk: Option<Disk>,
    pub limits: Limits,
    pub binary: PathBuf,
    folder: PathBuf,
    process: Option<Process>,
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Recovery on a busy machine may take a while.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
/// A process that was killed and is not held by its disk is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(20);

impl Cluster {
    /// Starts the nodes and waits until each is ready. This thread is among the buyers from then on.
    pub fn start(plan: Plan, facilities: &Facilities) -> Result<Cluster, Trouble> {
        let ledger = Ledger::open()?;
        let folder = plan.work.join(ledger.name());
        ledger.note(Leftover::Folder(folder.clone()))?;
        std::fs::create_dir_all(&folder)?;
        let (mut network, mut visit) = (None, None);
        if facilities.isolates() {
            let made = Network::make(&ledger)?;
            visit = Some(made.visit()?);
            network = Some(made);
        }
        let mut cluster = Cluster {
            nodes: Vec::new(),
            _visit: visit,
            network,
            facilities: facilities.clone(),
            folder,
            operator_key: secret(),
            secret: secret(),
            ledger,
            plan,
        };
        for _ in 0..cluster.plan.nodes {
            cluster.prepare()?;
        }
        let founders: Vec<Founder> = cluster.nodes.iter().map(Node::founder).collect();
        for at in 0..cluster.nodes.len() {
            cluster.configure(at, &founders, "")?;
            cluster.launch(at)?;
        }
        cluster.wait_ready(READY_WITHIN)?;
        Ok(cluster)
    }

    /// One more node that asks to be taken in; its place.
    pub fn join(&mut self) -> Result<usize, Trouble> {
        let through = self.responsive()?;
        let through = self.nodes[through].http_address.clone();
        let at = self.prepare()?;
        self.configure(at, &[], &through)?;
        self.launch(at)?;
        self.wait_one_ready(at, READY_WITHIN)?;
        Ok(at)
    }

    fn prepare(&mut self) -> Result<usize, Trouble> {
        let at = self.nodes.len();
        let id = at as u64 + 1;
        let folder = self.folder.join(format!("n{id}"));
        let mut disk = None;
        if self.facilities.disks {
            disk = Some(Disk::make(&self.ledger, &folder, self.plan.disk_mib)?);
        } else {
            std::fs::create_dir_all(&folder)?;
        }
        let (host, [peer, partner, http]) = match &mut self.network {
            Some(network) => (network.add()?.to_string(), [7300, 7100, 7200]),
            None => ("127.0.0.1".to_owned(), free_ports()?),
        };
        let partner_address = format!("{host}:{partner}");
        let proxy = match &self.network {
            Some(_) => None,
            None => Some(Proxy::start(&partner_address)?),
        };
        self.nodes.push(Node {
            id,
            peer_address: format!("{host}:{peer}"),
            partner_address,
            http_address: format!("{host}:{http}"),
            proxy,
            disk,
            limits: Limits::make(&self.ledger, id, &self.facilities.controllers)?,
            binary: self.plan.binary.clone(),
            folder,
            process: None,
        });
        self.set_wrong(at, "+0")?;
        Ok(at)
    }

    fn configure(&self, at: usize, founders: &[Founder], join: &str) -> Result<(), Trouble> {
        let node = &self.nodes[at];
        let mut config = Config::default();
        config.node.id = node.id;
        config.node.data_dir = node.folder.join("data");
        config.node.peer_address.clone_from(&node.peer_address);
        config
            .node
            .partner_address
            .clone_from(&node.partner_address);
        config.node.http_address.clone_from(&node.http_address);
        config.cluster.founders = founders.to_vec();
        config.cluster.join = join.to_owned();
        config.cluster.secret.clone_from(&self.secret);
        config.cluster.sale_groups = self.plan.sale_groups;
        config.cluster.replicas = match self.plan.nodes {
            0..=4 => 3,
            _ => 5,
        };
        config.http.operator_key.clone_from(&self.operator_key);
        // Small, so that segments come and go in a short run.
        config.log.segment_mib = SEGMENT_MIB;
        config.raft.entry_bytes_max = ENTRY_BYTES_MAX;
        config.index.cache_mib = 8;
        if self.plan.fast {
            config.raft.heartbeat_ms = 40;
            config.raft.election_min_ms = 150;
            config.raft.election_max_ms = 250;
        }
        let text = toml_of(&config)?;
        std::fs::write(self.file(at, "toml"), text)?;
        Ok(())
    }

    /// Starts a node's process; it is not yet ready.
    pub fn launch(&mut self, at: usize) -> Result<(), Trouble> {
        let (config, log) = (self.file(at, "toml"), self.file(at, "log"));
        let mut environment = Vec::new();
        if let (true, Some(library)) = (self.plan.wrong_clocks, &self.facilities.fake_time) {
            let set = |name: &str, value: String| (name.to_owned(), value);
            let wall = self.file(at, "wall").to_string_lossy().into_owned();
            environment.extend([
                set("LD_PRELOAD", library.to_string_lossy().into_owned()),
                set("FAKETIME_TIMESTAMP_FILE", wall),
                set("FAKETIME_NO_CACHE", "1".to_owned()),
                set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ]);
        }
        let node = &self.nodes[at];
        let network = self.network.as_ref();
        let birth = Birth {
            program: &node.binary,
            config: &config,
            log: &log,
            namespace: network.map(|network| network.node(at).descriptor()),
            limits: &node.limits,
            environment: &environment,
        };
        let process = Process::start(&self.ledger, &birth);
        let process =
            process.map_err(|error| trouble(format!("{}: {error}", node.binary.display())))?;
        self.nodes[at].process = Some(process);
        Ok(())
    }

    /// Makes a node's wall clock wrong by so much, as `+7200` or `-7200` seconds.
    pub fn set_wrong(&self, at: usize, offset: &str) -> Result<(), Trouble> {
        let (wall, draft) = (self.file(at, "wall"), self.file(at, "draft"));
        std::fs::write(&draft, format!("{offset}\n"))?;
        std::fs::rename(draft, wall)?;
        Ok(())
    }

    pub fn kill(&mut self, at: usize) -> Result<(), Trouble> {
        if let Some(process) = &self.nodes[at].process {
            process.kill();
        }
        self.gone(at)
    }

    /// Kills several at once, or as nearly as can be.
    pub fn kill_all_of(&mut self, places: &[usize]) -> Result<(), Trouble> {
        self.kill_at_once(places);
        self.all_gone(places)
    }

    pub fn kill_at_once(&self, places: &[usize]) {
        for at in places {
            self.signal(*at, libc::SIGKILL);
        }
    }

    /// Waits until the processes that were killed are no more.
    pub fn all_gone(&mut self, places: &[usize]) -> Result<(), Trouble> {
        places.iter().try_for_each(|at| self.gone(*at))
    }

    fn gone(&mut self, at: usize) -> Result<(), Trouble> {
        if let Some(mut process) = self.nodes[at].process.take()
            && process.wait(GONE_WITHIN)?.is_none()
        {
            return Err(trouble(format!("node {} cannot be killed", at + 1)));
        }
        Ok(())
    }

    pub fn signal(&self, at: usize, signal: libc::c_int) {
        if let Some(process) = &self.nodes[at].process {
            process.signal(signal);
        }
    }

    /// SIGTERM, and waits for an end in good order.
    pub fn terminate(&mut self, at: usize, within: Duration) -> Result<(), Trouble> {
        let Some(mut process) = self.nodes[at].process.take() else {
            return Ok(());
        };
        process.signal(libc::SIGTERM);
        match process.wait(within)? {
            Some(status) if status.success() && !self.has_panicked(at) => Ok(()),
            Some(status) => Err(trouble(format!(
                "node {} ended with {status} after SIGTERM{}",
                at + 1,
                self.last_words(at)
            ))),
            None => {
                process.kill();
                Err(trouble(format!("node {} does not end", at + 1)))
            }
        }
    }

    /// How a node's process ended, if it has; it counts as not running from then on.
    pub fn ended(&mut self, at: usize) -> Result<Option<ExitStatus>, Trouble> {
        let Some(process) = &mut self.nodes[at].process else {
            return Ok(None);
        };
        let status = process.ended()?;
        if status.is_some() {
            self.nodes[at].process = None;
        }
        Ok(status)
    }

    pub fn is_running(&self, at: usize) -> bool {
        self.nodes[at].process.is_some()
    }

    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|at| self.is_running(*at))
            .collect()
    }

    /// Waits until every node that runs is ready. Trouble if one has ended.
    pub fn wait_ready(&mut self, within: Duration) -> Result<(), Trouble> {
        let until = Instant::now() + within;
        self.running().into_iter().try_for_each(|at| {
            self.wait_one_ready(at, until.saturating_duration_since(Instant::now()))
        })
    }

    pub fn wait_one_ready(&mut self, at: usize, within: Duration) -> Result<(), Trouble> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended(at)? {
                let words = self.last_words(at);
                return Err(trouble(format!(
                    "node {} ended with {status}{words}",
                    at + 1
                )));
            }
            if api::is_ready(&self.nodes[at].http_address) {
                return Ok(());
            }
            if Instant::now() > until {
                let words = self.last_words(at);
                return Err(trouble(format!(
                    "node {} is not ready after {} s{words}",
                    at + 1,
                    within.as_secs()
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A node that says it is ready.
    fn responsive(&self) -> Result<usize, Trouble> {
        let running = self.running();
        let found = running
            .into_iter()
            .find(|at| api::is_ready(&self.nodes[*at].http_address));
        found.ok_or_else(|| trouble("no node is ready"))
    }

    /// The cluster API of these nodes.
    pub fn api_of(&self, places: &[usize]) -> Api {
        let addresses = places
            .iter()
            .map(|at| self.nodes[*at].http_address.clone())
            .collect();
        Api::new(addresses, &self.operator_key)
    }

    pub fn api(&self) -> Api {
        self.api_of(&self.running())
    }

    /// Where buyers reach each node.
    pub fn partner_addresses(&self) -> Vec<String> {
        let address = |node: &Node| match &node.proxy {
            Some(proxy) => proxy.address().to_owned(),
            None => node.partner_address.clone(),
        };
        self.nodes.iter().map(address).collect()
    }

    pub fn network(&mut self) -> Result<&mut Network, Trouble> {
        let network = self.network.as_mut();
        network.ok_or_else(|| trouble("there are no namespaces"))
    }

    pub fn disk(&mut self, at: usize) -> Result<&mut Disk, Trouble> {
        let disk = self.nodes[at].disk.as_mut();
        disk.ok_or_else(|| trouble("there is no disk"))
    }

    /// Where a node keeps what must survive.
    pub fn data(&self, at: usize) -> PathBuf {
        self.nodes[at].folder.join("data")
    }

    pub fn log_of(&self, at: usize) -> String {
        std::fs::read_to_string(self.file(at, "log")).unwrap_or_default()
    }

    fn file(&self, at: usize, end: &str) -> PathBuf {
        self.folder.join(format!("node-{}.{end}", at + 1))
    }

    /// Whether a thread did, which by itself ends no process. What another version does is not judged.
    fn has_panicked(&self, at: usize) -> bool {
        self.nodes[at].binary == self.plan.binary && self.log_of(at).contains("panicked at")
    }

    fn last_words(&self, at: usize) -> String {
        let log = self.log_of(at);
        let lines: Vec<&str> = log.lines().collect();
        let rest = lines.len().saturating_sub(8);
        // What a panic says stands long before the last line of those who miss the panicked task.
        let panics = |at: &usize| {
            lines[at.saturating_sub(1)..=*at]
                .iter()
                .any(|line| line.contains("panicked at"))
        };
        let told = (0..rest).filter(panics).chain(rest..lines.len());
        let lines: Vec<&str> = told.map(|at| lines[at]).collect();
        format!("; its last words:\n  {}", lines.join("\n  "))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(disk) = &mut node.disk {
                // It may hang: then nothing on it can end.
                let _ = disk.thaw();
            }
        }
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        if let Err(error) = self.kill_all_of(&all) {
            eprintln!("procs: {error}");
        }
    }
}

impl Node {
    fn founder(&self) -> Founder {
        Founder {
            id: self.id,
            peer_address: self.peer_address.clone(),
            partner_address: self.partner_address.clone(),
            http_address: self.http_address.clone(),
        }
    }
}

const SEGMENT_MIB: u64 = 1;
const ENTRY_BYTES_MAX: usize = 256 << 10;

/// Where disks lie unless somebody says otherwise: in memory, where there is such a place.
pub fn work() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let room = rustix::fs::statvfs(&memory).map_or(0, |found| found.f_bavail * found.f_frsize);
    match room >= MEMORY_BYTES_MIN {
        true => memory,
        false => std::env::temp_dir(),
    }
}

/// What five disks may come to take.
const MEMORY_BYTES_MIN: u64 = 2 << 30;

/// Only what is not as it is by default: another version of the node does not know each value of this one.
fn toml_of(config: &Config) -> Result<String, Trouble> {
    let mut told = Table::try_from(config)?;
    leave_out(&mut told, &Table::try_from(Config::default())?);
    Ok(toml::to_string(&told)?)
}

fn leave_out(told: &mut Table, known: &Table) {
    told.retain(|name, value| match (value, known.get(name)) {
        (Value::Table(told), Some(Value::Table(known))) => {
            leave_out(told, known);
            !told.is_empty()
        }
        (value, known) => known != Some(value),
    });
}

/// Below the range from which the kernel gives ports to outgoing connections: a node that is down for
/// a moment finds its ports still free when it comes back.
fn free_ports() -> Result<[u16; 3], Trouble> {
    let mut rng: StdRng = rand::make_rng();
    let mut found: Vec<(u16, TcpListener)> = Vec::new();
    for _ in 0..1000 {
        let port = rng.random_range(10_000..32_000);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            found.push((port, listener));
        }
        if let [(first, _), (second, _), (third, _)] = &found[..] {
            return Ok([*first, *second, *third]);
        }
    }
    Err(trouble("no free port on loopback"))
}

/// 32 hexadecimal digits nobody can guess.
fn secret() -> String {
    let mut rng: StdRng = rand::make_rng();
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_what_is_not_as_by_default_and_reads_as_the_same() {
        assert_eq!(toml_of(&Config::default()).expect("is told"), "");
        let mut config = Config::default();
        config.node.id = 7;
        config.raft.election_max_ms = 250;
        let told = toml_of(&config).expect("is told");
        assert_eq!(told, "[node]\nid = 7\n\n[raft]\nelection_max_ms = 250\n");
        let read: Config = toml::from_str(&told).expect("reads");
        assert_eq!(Table::try_from(read), Table::try_from(config));
    }
}
