//! Values the cluster part of a node is started with. Plain: no file, no environment; reading them
//! is the binary's.

use std::time::Duration;

use crate::types::NodeId;

/// A node as it is written down before any cluster exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Founder {
    pub id: NodeId,
    /// `host:port` each.
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub node_id: NodeId,
    /// The nodes that form a new cluster. Read on an empty disk only; empty on a node that joins.
    pub founders: Vec<Founder>,
    /// `host:port` this node listens on for its peers; what they dial stands in the map.
    pub listen_address: String,
    /// What peers show each other. Never empty in production.
    pub secret: String,
    /// How many sale groups a new cluster gets.
    pub sale_groups: u32,
    /// How many nodes carry a group.
    pub replicas: usize,
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    /// A sync of the log that takes longer, and longer than an election, ends the process. Leaderships
    /// are handed over long before, so this may outlast what a busy or shared disk does now and then.
    pub sync_max_ms: u64,
    /// Entries of the log kept behind a snapshot, for followers a little behind.
    pub keep_entries: u64,
    /// A group is snapshotted after so many bytes of entries.
    pub snapshot_after_bytes: u64,
    /// Proposed entries of one group on their way at once.
    pub in_flight_entries: usize,
    /// Proposals are merged into one entry up to this size.
    pub entry_bytes_max: usize,
    /// Replicas compare their digests after every so many entries, and when a group is at rest.
    pub digest_entries: u64,
    pub log: crate::log::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            node_id: 1,
            founders: Vec::new(),
            listen_address: "127.0.0.1:7101".into(),
            secret: String::new(),
            sale_groups: 8,
            replicas: 3,
            heartbeat_ms: 250,
            election_min_ms: 1_000,
            election_max_ms: 1_500,
            sync_max_ms: 2_000,
            keep_entries: 500,
            snapshot_after_bytes: 128 << 20,
            in_flight_entries: 6,
            entry_bytes_max: 256 << 10,
            digest_entries: 256,
            log: crate::log::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(crate) fn election_min(&self) -> Duration {
        Duration::from_millis(self.election_min_ms)
    }

    pub(crate) fn election_max(&self) -> Duration {
        Duration::from_millis(self.election_max_ms)
    }

    pub(crate) fn sync_max(&self) -> Duration {
        Duration::from_millis(self.sync_max_ms.max(self.election_max_ms))
    }

    /// How long a peer may take to answer before its connection is given up.
    pub(crate) fn request_limit(&self) -> Duration {
        self.election_max()
    }

    /// How long a proposal may stay without an outcome before it is called unknown.
    pub(crate) fn proposal_limit(&self) -> Duration {
        self.election_max() * 4
    }
}
