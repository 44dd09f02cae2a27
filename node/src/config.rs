//! Everything that can be set for a node, in one TOML file. `config/default.toml` lists every key
//! with its meaning and equals `Config::default()` (tested). Values only: what is injected is in
//! `Components`. Which values make sense is said in `check`. Read by `serve` and by whoever starts
//! local clusters.

pub mod check;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub node: NodeConfig,
    pub cluster: ClusterConfig,
    pub raft: RaftConfig,
    pub log: LogConfig,
    pub sale: SaleConfig,
    pub partner: PartnerConfig,
    pub http: HttpConfig,
    pub index: IndexConfig,
    pub trace: TraceConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// Never reused: a node that lost its folder joins under a new id.
    pub id: u64,
    pub data_dir: PathBuf,
    /// Runtime threads beside the log's own.
    pub threads: usize,
    /// Where peers, partners and operators reach this node, `host:port` each.
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
    /// `text` or `json`, to standard error.
    pub log_format: String,
    /// As in tracing's EnvFilter.
    pub log_filter: String,
    /// Lines that one place of the program may log in a second; 0 is no limit.
    pub log_lines_per_s: u32,
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            id: 1,
            data_dir: "data".into(),
            threads: 2,
            peer_address: "127.0.0.1:7300".into(),
            partner_address: "127.0.0.1:7100".into(),
            http_address: "127.0.0.1:7200".into(),
            log_format: "text".into(),
            log_filter: "info,openraft=error,openraft::raft::stream_append=off,actix_server=warn"
                .into(),
            log_lines_per_s: 100,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The nodes a new cluster starts with, this one among them; empty: a cluster of this node
    /// alone. The node with the lowest id founds it. Not read again once the cluster exists.
    pub founders: Vec<Founder>,
    /// Instead: ask this node's HTTP address to be taken into its cluster.
    pub join: String,
    /// Sale groups of a new cluster.
    pub sale_groups: u32,
    /// Replicas of each group (the nodes there are, when fewer).
    pub replicas: u32,
    /// Secret all nodes of the cluster share; peers that do not know it are refused.
    pub secret: String,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        ClusterConfig {
            founders: Vec::new(),
            join: String::new(),
            sale_groups: 8,
            replicas: 3,
            secret: String::new(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    pub id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaftConfig {
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    /// Entries a group keeps after a snapshot.
    pub keep_entries: u64,
    /// A group is snapshotted when its log since the last one is longer than this.
    pub snapshot_after_mib: u64,
    /// Entries a group may have proposed and not yet committed.
    pub in_flight_entries: usize,
    /// Bytes of proposals merged into one entry.
    pub entry_bytes_max: usize,
    /// Replicas compare their state after every so many entries, and when a group is at rest.
    pub digest_entries: u64,
}

impl Default for RaftConfig {
    fn default() -> Self {
        RaftConfig {
            heartbeat_ms: 250,
            election_min_ms: 1000,
            election_max_ms: 1500,
            keep_entries: 2000,
            snapshot_after_mib: 256,
            in_flight_entries: 8,
            entry_bytes_max: 1 << 20,
            digest_entries: 256,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub segment_mib: u64,
    /// Recent entries kept in memory for followers, all groups together.
    pub cache_mib: u64,
    /// A sync that takes longer ends the process.
    pub sync_max_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_mib: 64,
            cache_mib: 128,
            sync_max_ms: 2000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaleConfig {
    /// Commands a sale's queue holds; one more is refused as busy.
    pub queue_commands: usize,
    /// Commands closed into one proposal.
    pub batch_commands: usize,
    pub batch_bytes: usize,
    /// Proposals of one sale under way.
    pub in_flight: usize,
    /// Changes kept for watchers, fewer by small sales; a reader further behind takes a new snapshot.
    pub changes_kept: usize,
}

impl Default for SaleConfig {
    fn default() -> Self {
        SaleConfig {
            queue_commands: 65_536,
            batch_commands: 1000,
            batch_bytes: 64 << 10,
            in_flight: 4,
            changes_kept: 65_536,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartnerConfig {
    /// Largest message of a partner.
    pub message_kib: usize,
    /// Calls outstanding on one session stream.
    pub session_calls: usize,
    /// Deadline of a call that brings none, milliseconds.
    pub timeout_ms: u64,
    /// A call that takes longer is logged, milliseconds; 0 is never.
    pub slow_call_ms: u64,
    /// Calls one partner may make per second on this node; 0 is no limit.
    pub calls_per_s: u32,
    /// Reads of events, seats and places that one partner may make per second; 0 is no limit.
    pub reports_per_s: u32,
    /// Calls of one partner's sessions that this node refuses per second; it reads no faster than that from
    /// who is refused more; 0 is no limit.
    pub refusals_per_s: u32,
    /// Single joins to waiting rooms on this node, by visitor and by the address hash that partners
    /// tell, a minute; by event and all, a second; 0 is no limit.
    pub joins_per_visitor_min: u32,
    pub joins_per_address_min: u32,
    pub joins_per_event_s: u32,
    pub joins_per_s: u32,
    /// Joins from one address, and with one device, in a minute beyond which a challenge is asked for,
    /// and beyond how many times of that a visitor is put into class 255; 0 is never.
    pub welcome_per_address_min: u32,
    pub welcome_per_device_min: u32,
    pub slow_beyond: u32,
    /// A challenge is asked from buyers who let at least so many holds go, by expiry or release, when
    /// those were more than so many of a hundred; 0 is never.
    pub holds_abandoned_least: u32,
    pub holds_abandoned_per_100: u32,
}

impl Default for PartnerConfig {
    fn default() -> Self {
        PartnerConfig {
            message_kib: 1024,
            session_calls: 16_384,
            timeout_ms: 5000,
            slow_call_ms: 1000,
            calls_per_s: 0,
            reports_per_s: 0,
            refusals_per_s: 100_000,
            joins_per_visitor_min: 60,
            joins_per_address_min: 600,
            joins_per_event_s: 0,
            joins_per_s: 0,
            welcome_per_address_min: 20,
            welcome_per_device_min: 10,
            slow_beyond: 8,
            holds_abandoned_least: 10,
            holds_abandoned_per_100: 80,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Secret of the first operator; more are made through the API. Empty: none.
    pub operator_key: String,
    /// Largest body (seating plans), MiB.
    pub body_mib: usize,
    pub workers: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            operator_key: String::new(),
            body_mib: 64,
            workers: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    pub enabled: bool,
    /// Memory sled may use for its cache.
    pub cache_mib: u64,
    /// Orders and holds indexed per second at most, so that the index never starves the sale.
    pub rows_per_s_max: u32,
}

impl Default for IndexConfig {
    fn default() -> Self {
        IndexConfig {
            enabled: true,
            cache_mib: 64,
            rows_per_s_max: 50_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceConfig {
    /// The share of partners' and operators' calls traced beside those whose caller asks, from 0 to 1.
    pub ratio: f64,
    /// Calls and messages traced in a second at most, whoever asks.
    pub calls_per_s: u32,
    /// Where spans go by OTLP over gRPC; empty: into the log.
    pub otlp_endpoint: String,
}

impl Default for TraceConfig {
    fn default() -> Self {
        TraceConfig {
            ratio: 0.0,
            calls_per_s: 100,
            otlp_endpoint: String::new(),
        }
    }
}

/// Why a configuration is not taken: the file, the key, the reason, on one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot be read", file.display())]
    Unreadable {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: line {line}: {}{why}", file.display(), before(key))]
    Malformed {
        file: PathBuf,
        line: usize,
        /// Empty before the first one.
        key: String,
        why: String,
    },
    #[error("{}: {fault}", file.display())]
    Invalid { file: PathBuf, fault: check::Fault },
}

fn before(key: &str) -> String {
    match key {
        "" => String::new(),
        key => format!("{key}: "),
    }
}

impl Config {
    /// Reads a file; keys it does not name keep their defaults, unknown keys are refused, values
    /// out of range too.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            file: path.into(),
            source,
        })?;
        let config = Config::parse(&text, path)?;
        config.check().map_err(|fault| ConfigError::Invalid {
            file: path.into(),
            fault,
        })?;
        Ok(config)
    }

    /// The text of the file at `path`, which errors name; nothing is read.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, key) = place(text, at);
            ConfigError::Malformed {
                file: path.into(),
                line,
                key,
                // The parser's message may go over lines; the first says it.
                why: error.message().lines().next().unwrap_or("").to_owned(),
            }
        })
    }
}

/// The line a byte is on, and the dotted key that line sets, for a person who looks for it.
fn place(text: &str, at: usize) -> (usize, String) {
    let mut table = "";
    let mut found = (1, String::new());
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let content = line.split('#').next().unwrap_or("").trim();
        if content.starts_with('[') {
            table = content.trim_matches(['[', ']', ' ']);
            found = (number + 1, table.to_owned());
        } else if let Some((key, _)) = content.split_once('=') {
            let dot = if table.is_empty() { "" } else { "." };
            found = (number + 1, format!("{table}{dot}{}", key.trim()));
        }
        start += line.len();
        if at < start {
            found.0 = number + 1;
            break;
        }
    }
    found
}
