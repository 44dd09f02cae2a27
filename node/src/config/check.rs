//! Which values make sense, and the one line that says why one does not. Reads nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::{Config, Founder};

/// A key whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl std::error::Error for Fault {}

fn fault(key: &str, why: impl Into<String>) -> Fault {
    Fault {
        key: key.to_owned(),
        why: why.into(),
    }
}

fn range<T>(key: &str, value: T, allowed: RangeInclusive<T>) -> Result<(), Fault>
where
    T: PartialOrd + fmt::Display,
{
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(fault(
        key,
        format!(
            "must be {} to {}, is {value}",
            allowed.start(),
            allowed.end()
        ),
    ))
}

impl Config {
    /// The first key whose value cannot be used.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_node()?;
        self.check_cluster()?;
        self.check_raft()?;
        self.check_sale()?;
        self.check_doors()
    }

    fn check_node(&self) -> Result<(), Fault> {
        let node = &self.node;
        range("node.id", node.id, 1..=u64::from(u32::MAX))?;
        range("node.threads", node.threads, 1..=64)?;
        if node.data_dir.as_os_str().is_empty() {
            return Err(fault("node.data_dir", "must name a folder"));
        }
        let addresses = [
            ("node.peer_address", &node.peer_address),
            ("node.partner_address", &node.partner_address),
            ("node.http_address", &node.http_address),
        ];
        check_addresses(&addresses)?;
        if !["text", "json"].contains(&node.log_format.as_str()) {
            return Err(fault(
                "node.log_format",
                format!("must be text or json, is {:?}", node.log_format),
            ));
        }
        tracing_subscriber::EnvFilter::try_new(&node.log_filter)
            .map_err(|error| fault("node.log_filter", error.to_string()))?;
        Ok(())
    }

    fn check_cluster(&self) -> Result<(), Fault> {
        let cluster = &self.cluster;
        range("cluster.sale_groups", cluster.sale_groups, 1..=1024)?;
        if ![1, 3, 5, 7].contains(&cluster.replicas) {
            return Err(fault(
                "cluster.replicas",
                format!("must be 1, 3, 5 or 7, is {}", cluster.replicas),
            ));
        }
        if !cluster.join.is_empty() {
            check_address("cluster.join", &cluster.join)?;
            if !cluster.founders.is_empty() {
                return Err(fault(
                    "cluster.join",
                    "a node either founds a cluster or joins one: remove cluster.founders or this",
                ));
            }
        }
        self.check_founders()?;
        let alone = cluster.founders.len() <= 1 && cluster.join.is_empty();
        if !alone && cluster.secret.is_empty() && !self.is_on_this_machine() {
            return Err(fault(
                "cluster.secret",
                "must be set: without it anybody who reaches the peer address is taken for a node",
            ));
        }
        Ok(())
    }

    fn check_founders(&self) -> Result<(), Fault> {
        let founders = &self.cluster.founders;
        if founders.is_empty() {
            return Ok(());
        }
        let key = "cluster.founders";
        let mut ids: Vec<u64> = founders.iter().map(|founder| founder.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fault(key, format!("node {} is listed twice", pair[0])));
        }
        let mut addresses = Vec::new();
        for founder in founders {
            range("cluster.founders.id", founder.id, 1..=u64::from(u32::MAX))?;
            addresses.push(("cluster.founders.peer_address", &founder.peer_address));
            addresses.push(("cluster.founders.partner_address", &founder.partner_address));
            addresses.push(("cluster.founders.http_address", &founder.http_address));
        }
        check_addresses(&addresses)?;
        if let Some((name, address)) = addresses
            .iter()
            .find(|(_, address)| founders.len() > 1 && is_unspecified(address))
        {
            return Err(fault(
                name,
                format!("{address} is no address that another node can reach"),
            ));
        }
        let node = &self.node;
        let this = Founder {
            id: node.id,
            peer_address: node.peer_address.clone(),
            partner_address: node.partner_address.clone(),
            http_address: node.http_address.clone(),
        };
        match founders.iter().find(|founder| founder.id == node.id) {
            None => Err(fault(
                key,
                format!("this node (node.id = {}) is not among them", node.id),
            )),
            Some(listed) if *listed != this => Err(fault(
                key,
                format!(
                    "node {} is listed with other addresses than [node] says",
                    node.id
                ),
            )),
            Some(_) => Ok(()),
        }
    }

    /// Whether every address is a loopback one: then nobody else reaches the peer listener.
    /// All peer addresses that are known are loopback's.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        let founders = self.cluster.founders.iter();
        founders
            .map(|founder| &founder.peer_address)
            .chain([&self.node.peer_address])
            .all(|address| is_loopback(address))
    }

    fn check_raft(&self) -> Result<(), Fault> {
        let raft = &self.raft;
        range("raft.heartbeat_ms", raft.heartbeat_ms, 10..=10_000)?;
        if raft.election_min_ms <= 3 * raft.heartbeat_ms {
            return Err(fault(
                "raft.election_min_ms",
                format!(
                    "must be more than three heartbeats (3 x {} ms), is {}",
                    raft.heartbeat_ms, raft.election_min_ms
                ),
            ));
        }
        if raft.election_max_ms <= raft.election_min_ms {
            return Err(fault(
                "raft.election_max_ms",
                format!(
                    "must be more than raft.election_min_ms ({}), is {}",
                    raft.election_min_ms, raft.election_max_ms
                ),
            ));
        }
        range("raft.election_max_ms", raft.election_max_ms, 1..=120_000)?;
        range("raft.keep_entries", raft.keep_entries, 1..=10_000_000)?;
        range(
            "raft.snapshot_after_mib",
            raft.snapshot_after_mib,
            1..=65_536,
        )?;
        range("raft.in_flight_entries", raft.in_flight_entries, 1..=64)?;
        range(
            "raft.entry_bytes_max",
            raft.entry_bytes_max,
            (64 << 10)..=(16 << 20),
        )?;
        range("raft.digest_entries", raft.digest_entries, 1..=1_000_000)?;
        range("log.segment_mib", self.log.segment_mib, 1..=1024)?;
        if self.log.segment_mib << 20 < 2 * raft.entry_bytes_max as u64 {
            return Err(fault(
                "log.segment_mib",
                format!(
                    "must be two entries or more (raft.entry_bytes_max = {})",
                    raft.entry_bytes_max
                ),
            ));
        }
        range("log.cache_mib", self.log.cache_mib, 1..=65_536)?;
        range("log.sync_max_ms", self.log.sync_max_ms, 100..=120_000)
    }

    fn check_sale(&self) -> Result<(), Fault> {
        let sale = &self.sale;
        range(
            "sale.queue_commands",
            sale.queue_commands,
            1_000..=4_000_000,
        )?;
        range(
            "sale.batch_commands",
            sale.batch_commands,
            1..=sale.queue_commands.min(10_000),
        )?;
        range(
            "sale.batch_bytes",
            sale.batch_bytes,
            4_096..=self.raft.entry_bytes_max,
        )?;
        range("sale.in_flight", sale.in_flight, 1..=64)?;
        range("sale.changes_kept", sale.changes_kept, 1_024..=16_777_216)
    }

    fn check_doors(&self) -> Result<(), Fault> {
        let partner = &self.partner;
        range("partner.message_kib", partner.message_kib, 16..=16_384)?;
        range(
            "partner.session_calls",
            partner.session_calls,
            1..=1_000_000,
        )?;
        range("partner.timeout_ms", partner.timeout_ms, 10..=600_000)?;
        range("partner.slow_call_ms", partner.slow_call_ms, 0..=600_000)?;
        range(
            "partner.holds_abandoned_per_100",
            partner.holds_abandoned_per_100,
            0..=100,
        )?;
        let key = &self.http.operator_key;
        if !key.is_empty() && (key.len() < 8 || !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(fault(
                "http.operator_key",
                "must be 8 or more printable ASCII characters without spaces, or empty",
            ));
        }
        range("http.body_mib", self.http.body_mib, 1..=1024)?;
        range("http.workers", self.http.workers, 1..=64)?;
        range("index.cache_mib", self.index.cache_mib, 1..=65_536)?;
        range(
            "index.rows_per_s_max",
            self.index.rows_per_s_max,
            100..=100_000_000,
        )?;
        self.check_trace()
    }

    fn check_trace(&self) -> Result<(), Fault> {
        let trace = &self.trace;
        range("trace.ratio", trace.ratio, 0.0..=1.0)?;
        range("trace.calls_per_s", trace.calls_per_s, 0..=100_000)?;
        let key = "trace.otlp_endpoint";
        let Some(address) = trace.otlp_endpoint.strip_prefix("http://") else {
            return match trace.otlp_endpoint.as_str() {
                "" => Ok(()),
                other => Err(fault(
                    key,
                    format!("must be http://host:port, is {other:?}"),
                )),
            };
        };
        check_address(key, address)?;
        match cfg!(feature = "otlp") {
            true => Ok(()),
            false => Err(fault(
                key,
                "this build has no export: build it with --features otlp",
            )),
        }
    }
}

/// Each is `host:port`, and no two are the same.
fn check_addresses(addresses: &[(&str, &String)]) -> Result<(), Fault> {
    for (position, (key, address)) in addresses.iter().enumerate() {
        check_address(key, address)?;
        if let Some((other, _)) = addresses[..position]
            .iter()
            .find(|(_, earlier)| earlier == address)
        {
            return Err(fault(key, format!("{address} is already taken by {other}")));
        }
    }
    Ok(())
}

pub fn check_address(key: &str, address: &str) -> Result<(), Fault> {
    let port = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(port) if port > 0 => Ok(()),
        _ => Err(fault(
            key,
            format!("must be host:port with a port from 1 to 65535, is {address:?}"),
        )),
    }
}

fn ip(address: &str) -> Option<IpAddr> {
    address
        .parse::<SocketAddr>()
        .ok()
        .map(|address| address.ip())
}

fn is_unspecified(address: &str) -> bool {
    ip(address).is_some_and(|ip| ip.is_unspecified())
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("localhost:") || ip(address).is_some_and(|ip| ip.is_loopback())
}
