//! Local clusters of real node processes for the demo, the benchmark and tests: starts them on
//! loopback with a folder each, watches over them, kills and restarts them. They end with the
//! process that started them. It decides nothing about what is sold.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::config::{Config, Founder, RaftConfig};

pub mod api;
pub mod metrics;
mod ports;
pub(crate) mod process;

pub use api::Api;
use process::Process;
pub use process::Usage;

/// How quickly the cluster notices that a leader is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Heartbeat 250 ms, election 1.0 to 1.5 s.
    #[default]
    Default,
    /// Heartbeat 40 ms, election 150 to 250 ms.
    Fast,
}

impl Profile {
    fn apply(self, raft: &mut RaftConfig) {
        if self == Profile::Fast {
            raft.heartbeat_ms = 40;
            raft.election_min_ms = 150;
            raft.election_max_ms = 250;
        }
    }
}

/// What a local cluster is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable of `onsale`.
    pub executable: PathBuf,
    pub nodes: usize,
    pub profile: Profile,
    /// Where the nodes keep their data; a folder that is removed at the end when absent.
    pub data: Option<PathBuf>,
    /// The base of every node's configuration; identity and addresses are filled in.
    pub base: Config,
}

impl Settings {
    /// This very program.
    pub fn of_this_program(nodes: usize, profile: Profile) -> anyhow::Result<Settings> {
        let executable =
            std::env::current_exe().context("cannot tell where this program's file is")?;
        Ok(Settings {
            executable,
            nodes,
            profile,
            data: None,
            base: Config::default(),
        })
    }
}

/// A running local cluster. Dropping it kills every node at once.
pub struct Local {
    executable: PathBuf,
    nodes: Vec<Node>,
    operator_key: String,
    secret: String,
    base: Config,
    folder: PathBuf,
    /// Removes the folder at the end, when nobody named one.
    _temporary: Option<tempfile::TempDir>,
}

/// One node of it, running or not.
pub struct Node {
    pub id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
    config: PathBuf,
    /// What its process says, from all its starts.
    pub log: PathBuf,
    process: Option<Process>,
}

impl Local {
    /// Starts the nodes and waits, blocking, until each says that it is ready.
    pub fn start(settings: Settings) -> anyhow::Result<Local> {
        let mut local = Local::launch(settings)?;
        for index in 0..local.nodes.len() {
            local.wait_ready(index, READY_WITHIN)?;
        }
        Ok(local)
    }

    /// Starts the nodes and waits until each says that it is ready. To be awaited on a thread that
    /// lives as long as the cluster.
    pub async fn started(settings: Settings) -> anyhow::Result<Local> {
        let mut local = Local::launch(settings)?;
        let until = Instant::now() + READY_WITHIN;
        for index in 0..local.nodes.len() {
            loop {
                local.check_alive(index)?;
                let address = local.nodes[index].http_address.clone();
                if api::off(move || Ok(api::is_ready(&address))).await? {
                    break;
                }
                if Instant::now() > until {
                    return Err(local.not_ready(index, READY_WITHIN));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(local)
    }

    fn launch(settings: Settings) -> anyhow::Result<Local> {
        let (folder, temporary) = match &settings.data {
            Some(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make the folder {}", folder.display()))?;
                if folder.read_dir()?.next().is_some() {
                    bail!("the folder {} is not empty", folder.display());
                }
                (folder.canonicalize()?, None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("onsale-")
                    .tempdir()
                    .context("cannot make a folder for the nodes")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let mut base = settings.base;
        settings.profile.apply(&mut base.raft);
        let mut local = Local {
            executable: settings.executable,
            nodes: Vec::new(),
            operator_key: secret(),
            secret: secret(),
            base,
            folder,
            _temporary: temporary,
        };
        for id in 1..=settings.nodes as u64 {
            local.prepare(id)?;
        }
        let founders: Vec<Founder> = local.nodes.iter().map(Node::founder).collect();
        for index in 0..local.nodes.len() {
            local.configure(index, &founders, String::new())?;
            local.restart(index)?;
        }
        Ok(local)
    }

    /// Starts one more node that asks to be taken into the cluster; it carries nothing until it is
    /// promoted. Its index.
    pub fn join_one(&mut self) -> anyhow::Result<usize> {
        let through = self.nodes[0].http_address.clone();
        let id = self.nodes.iter().map(|node| node.id).max().unwrap_or(0) + 1;
        self.prepare(id)?;
        let index = self.nodes.len() - 1;
        self.configure(index, &[], through)?;
        self.restart(index)?;
        self.wait_ready(index, READY_WITHIN)?;
        Ok(index)
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn index_of(&self, id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    pub fn operator_key(&self) -> &str {
        &self.operator_key
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The cluster API of all nodes.
    pub fn api(&self) -> Api {
        let addresses = self
            .nodes
            .iter()
            .map(|node| node.http_address.clone())
            .collect();
        Api::new(addresses, &self.operator_key)
    }

    pub fn partner_addresses(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.partner_address.clone())
            .collect()
    }

    /// `kill -9`: nothing is flushed, nobody is told.
    pub fn kill(&mut self, index: usize) {
        if let Some(process) = self.nodes[index].process.take() {
            process.kill();
        }
    }

    /// SIGTERM, then waits until the node has left in good order.
    pub fn terminate(&mut self, index: usize, within: Duration) -> anyhow::Result<()> {
        let Some(process) = self.nodes[index].process.take() else {
            return Ok(());
        };
        let id = self.nodes[index].id;
        match process.terminate(within)? {
            Some(status) if status.success() && !self.has_panicked(index)? => Ok(()),
            Some(status) => bail!("node {id} ended with {status}{}", self.last_words(index)),
            None => bail!("node {id} did not end within {} s", within.as_secs()),
        }
    }

    /// Starts the node's process on its folder; it is not yet ready.
    pub fn restart(&mut self, index: usize) -> anyhow::Result<()> {
        let node = &mut self.nodes[index];
        let process = Process::start(&self.executable, &node.config, &node.log)
            .with_context(|| format!("cannot start {}", self.executable.display()))?;
        node.process = Some(process);
        Ok(())
    }

    pub fn is_running(&self, index: usize) -> bool {
        self.nodes[index].process.is_some()
    }

    /// An error when the node's process has ended.
    pub fn check_alive(&mut self, index: usize) -> anyhow::Result<()> {
        let id = self.nodes[index].id;
        let Some(process) = &mut self.nodes[index].process else {
            bail!("node {id} is not running");
        };
        if let Some(status) = process.ended()? {
            bail!("node {id} ended with {status}{}", self.last_words(index));
        }
        Ok(())
    }

    /// Whether the node answers that it is ready. An error when its process has ended.
    pub fn is_ready(&mut self, index: usize) -> anyhow::Result<bool> {
        self.check_alive(index)?;
        Ok(api::is_ready(&self.nodes[index].http_address))
    }

    pub fn wait_ready(&mut self, index: usize, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        while !self.is_ready(index)? {
            if Instant::now() > until {
                return Err(self.not_ready(index, within));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn not_ready(&self, index: usize, within: Duration) -> anyhow::Error {
        anyhow::anyhow!(
            "node {} was not ready within {} s{}",
            self.nodes[index].id,
            within.as_secs(),
            self.last_words(index)
        )
    }

    /// CPU time and memory of each node's process; zero of one that is not running.
    pub fn usage(&self) -> Vec<Usage> {
        self.nodes
            .iter()
            .map(|node| match &node.process {
                Some(process) => process.usage().unwrap_or_default(),
                None => Usage::default(),
            })
            .collect()
    }

    fn prepare(&mut self, id: u64) -> anyhow::Result<()> {
        let has = |node: &Node, port: u16| {
            let tail = format!(":{port}");
            [
                &node.peer_address,
                &node.partner_address,
                &node.http_address,
            ]
            .iter()
            .any(|address| address.ends_with(&tail))
        };
        let is_taken = |port| self.nodes.iter().any(|node| has(node, port));
        let [peer, partner, http] = ports::free(is_taken).context("no free port on loopback")?;
        self.nodes.push(Node {
            id,
            peer_address: format!("127.0.0.1:{peer}"),
            partner_address: format!("127.0.0.1:{partner}"),
            http_address: format!("127.0.0.1:{http}"),
            config: self.folder.join(format!("node-{id}.toml")),
            log: self.folder.join(format!("node-{id}.log")),
            process: None,
        });
        Ok(())
    }

    fn configure(&self, index: usize, founders: &[Founder], join: String) -> anyhow::Result<()> {
        let node = &self.nodes[index];
        let mut config = self.base.clone();
        config.node.id = node.id;
        // All nodes share one disk and nobody starts them again: a long pause of it must not end them
        // all at once.
        config.log.sync_max_ms = config.log.sync_max_ms.max(SYNC_MAX_MS);
        config.node.data_dir = self.folder.join(format!("node-{}", node.id));
        config.node.peer_address.clone_from(&node.peer_address);
        config
            .node
            .partner_address
            .clone_from(&node.partner_address);
        config.node.http_address.clone_from(&node.http_address);
        config.cluster.founders = founders.to_vec();
        config.cluster.join = join;
        config.cluster.secret.clone_from(&self.secret);
        config.http.operator_key.clone_from(&self.operator_key);
        let text = toml::to_string(&config).context("cannot write the configuration")?;
        std::fs::write(&node.config, text)
            .with_context(|| format!("cannot write {}", node.config.display()))
    }

    /// Whether a thread of any of its processes did, which by itself ends none.
    fn has_panicked(&self, index: usize) -> anyhow::Result<bool> {
        let log = std::fs::read_to_string(&self.nodes[index].log)?;
        Ok(log.contains("panicked at"))
    }

    /// The end of a node's log, for a message about why it ended.
    fn last_words(&self, index: usize) -> String {
        let log = &self.nodes[index].log;
        let Ok(text) = std::fs::read_to_string(log) else {
            return String::new();
        };
        let lines: Vec<&str> = text.lines().rev().take(LAST_WORDS).collect();
        let mut words = format!("; the end of {}:", log.display());
        for line in lines.iter().rev() {
            words.push_str("\n  ");
            words.push_str(line);
        }
        words
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

impl Drop for Local {
    fn drop(&mut self) {
        for index in 0..self.nodes.len() {
            // Who fails for its nodes' sake takes their folder along: what they said is told first.
            if std::thread::panicking() {
                let id = self.nodes[index].id;
                let standing = match &mut self.nodes[index].process {
                    None => "is not running".to_owned(),
                    Some(process) => match process.ended() {
                        Ok(None) => "runs".to_owned(),
                        Ok(Some(status)) => format!("ended with {status}"),
                        Err(error) => error.to_string(),
                    },
                };
                eprintln!("node {id} {standing}{}", self.last_words(index));
            }
            if let Some(process) = self.nodes[index].process.take() {
                process.kill();
            }
        }
    }
}

const SYNC_MAX_MS: u64 = 20_000;
/// Lines of a node's log that tell why it ended.
const LAST_WORDS: usize = 12;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Recovery of a long log may take a while on a busy machine.
pub const READY_WITHIN: Duration = Duration::from_secs(60);

/// 32 hexadecimal digits nobody can guess.
fn secret() -> String {
    use rand::Rng as _;
    let mut rng: rand::rngs::StdRng = rand::make_rng();
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}

/// CPU time this process has used.
pub fn own_cpu() -> io::Result<Duration> {
    process::own_cpu()
}

#[cfg(test)]
mod tests;
