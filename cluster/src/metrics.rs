//! What the cluster part measures, per group. Groups are few and fixed, so their number may be a
//! label.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use crate::types::{GroupId, Term};

const GROUP: &[&str] = &["group"];

/// Of a snapshot, in seconds: a quiet group's is written in a few milliseconds, that of a stadium in a
/// fraction of a second, and one that a full disk holds up takes long.
const SNAPSHOT_SECONDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Made once per node; cheap to clone.
#[derive(Clone)]
pub struct ClusterMetrics {
    leader: IntGaugeVec,
    term: IntGaugeVec,
    commit_index: IntGaugeVec,
    apply_index: IntGaugeVec,
    snapshot_index: IntGaugeVec,
    snapshot_timestamp: GaugeVec,
    /// Of all groups, as are those of installing.
    snapshot_write_seconds: Histogram,
    snapshot_install_seconds: Histogram,
    in_flight: IntGaugeVec,
    elections_won: IntCounterVec,
    pre_votes: IntCounterVec,
    entries: IntCounterVec,
    /// Of all groups: as many buckets for each would be most of a node's series.
    proposals_per_entry: Histogram,
    digest_agreed: IntGaugeVec,
    digest_mismatches: IntCounterVec,
    silent_peers: IntGauge,
}

impl ClusterMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), GROUP)?)
        };
        let counter = |name: &str, help: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), GROUP)?)
        };
        let snapshot_seconds = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(SNAPSHOT_SECONDS.to_vec());
            register(registry, Histogram::with_opts(options)?)
        };
        let timestamp = Opts::new(
            "onsale_raft_snapshot_timestamp_seconds",
            "When this replica's newest snapshot was written or installed, Unix seconds; before the first since its start, the start.",
        );
        let batch_sizes = HistogramOpts::new(
            "onsale_raft_proposals_per_entry",
            "Proposals that travelled together in one entry.",
        )
        .buckets(prometheus::exponential_buckets(1.0, 2.0, 9)?);
        let silent_peers = IntGauge::new(
            "onsale_cluster_silent_peers",
            "Other nodes of the cluster that did not answer this one when it asked last.",
        )?;
        Ok(ClusterMetrics {
            leader: gauge(
                "onsale_raft_leader",
                "1 where this node leads the group and has lately heard so from a quorum.",
            )?,
            term: gauge("onsale_raft_term", "The group's term as seen here.")?,
            commit_index: gauge("onsale_raft_commit_index", "Last committed entry.")?,
            apply_index: gauge("onsale_raft_apply_index", "Last entry handed over.")?,
            snapshot_index: gauge(
                "onsale_raft_snapshot_index",
                "Last entry that this replica's snapshot stands for; the log is kept from a little before it.",
            )?,
            snapshot_timestamp: register(registry, GaugeVec::new(timestamp, GROUP)?)?,
            snapshot_write_seconds: snapshot_seconds(
                "onsale_raft_snapshot_write_seconds",
                "From the decision to take a snapshot until its file was durable, retries included.",
            )?,
            snapshot_install_seconds: snapshot_seconds(
                "onsale_raft_snapshot_install_seconds",
                "From the arrival of a leader's snapshot until the replica stood on it.",
            )?,
            in_flight: gauge(
                "onsale_raft_in_flight_entries",
                "Entries proposed here and without an outcome.",
            )?,
            elections_won: counter(
                "onsale_raft_elections_won_total",
                "Leaderships this node took up.",
            )?,
            pre_votes: counter(
                "onsale_raft_pre_votes_total",
                "Times this node asked another whether it would vote for it.",
            )?,
            entries: counter("onsale_raft_entries_total", "Entries proposed here.")?,
            proposals_per_entry: register(registry, Histogram::with_opts(batch_sizes)?)?,
            digest_agreed: gauge(
                "onsale_raft_digest_agreed_index",
                "Last entry at which this replica's digest was the majority's.",
            )?,
            digest_mismatches: counter(
                "onsale_raft_digest_mismatches_total",
                "Times this replica's digest differed from another's: it stopped, or nobody knows who is right.",
            )?,
            silent_peers: register(registry, silent_peers)?,
        })
    }

    pub(crate) fn set_silent_peers(&self, peers: usize) {
        self.silent_peers.set(gauge(peers as u64));
    }

    /// A replica is gone from this node: what it told last must not stand for ever. What was counted
    /// stays counted.
    pub(crate) fn forget(&self, group: GroupId) {
        let label = group.to_string();
        for gauges in [
            &self.leader,
            &self.term,
            &self.commit_index,
            &self.apply_index,
            &self.snapshot_index,
            &self.in_flight,
            &self.digest_agreed,
        ] {
            // Nothing was told of a replica that never ran.
            gauges.remove_label_values(&[label.as_str()]).ok();
        }
        let timestamps = &self.snapshot_timestamp;
        timestamps.remove_label_values(&[label.as_str()]).ok();
    }

    pub(crate) fn group(&self, group: GroupId) -> GroupMetrics {
        let label = group.to_string();
        let label = [label.as_str()];
        GroupMetrics {
            leader: self.leader.with_label_values(&label),
            term: self.term.with_label_values(&label),
            commit_index: self.commit_index.with_label_values(&label),
            apply_index: self.apply_index.with_label_values(&label),
            snapshot_index: self.snapshot_index.with_label_values(&label),
            snapshot_timestamp: self.snapshot_timestamp.with_label_values(&label),
            snapshot_write_seconds: self.snapshot_write_seconds.clone(),
            snapshot_install_seconds: self.snapshot_install_seconds.clone(),
            in_flight: self.in_flight.with_label_values(&label),
            elections_won: self.elections_won.with_label_values(&label),
            pre_votes: self.pre_votes.with_label_values(&label),
            entries: self.entries.with_label_values(&label),
            proposals_per_entry: self.proposals_per_entry.clone(),
            digest_agreed: self.digest_agreed.with_label_values(&label),
            digest_mismatches: self.digest_mismatches.with_label_values(&label),
        }
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// One group's, without a lookup per observation.
#[derive(Clone)]
pub(crate) struct GroupMetrics {
    leader: IntGauge,
    term: IntGauge,
    commit_index: IntGauge,
    apply_index: IntGauge,
    snapshot_index: IntGauge,
    snapshot_timestamp: Gauge,
    snapshot_write_seconds: Histogram,
    snapshot_install_seconds: Histogram,
    in_flight: IntGauge,
    elections_won: IntCounter,
    pre_votes: IntCounter,
    entries: IntCounter,
    proposals_per_entry: Histogram,
    digest_agreed: IntGauge,
    digest_mismatches: IntCounter,
}

impl GroupMetrics {
    pub(crate) fn observe_entry(&self, proposals: usize) {
        self.entries.inc();
        self.proposals_per_entry.observe(proposals as f64);
    }

    pub(crate) fn count_election_won(&self) {
        self.elections_won.inc();
    }

    pub(crate) fn count_pre_vote(&self) {
        self.pre_votes.inc();
    }

    pub(crate) fn set_digest_agreed(&self, index: u64) {
        self.digest_agreed.set(gauge(index));
    }

    pub(crate) fn count_digest_mismatch(&self) {
        self.digest_mismatches.inc();
    }

    pub(crate) fn set_snapshot(&self, index: u64) {
        self.snapshot_index.set(gauge(index));
    }

    /// The replica has ended: it leads nothing, and nothing of it is under way.
    pub(crate) fn end(&self) {
        self.leader.set(0);
        self.in_flight.set(0);
    }

    /// The newest snapshot is of this moment, Unix milliseconds.
    pub(crate) fn set_snapshot_time(&self, at_ms: u64) {
        self.snapshot_timestamp.set(at_ms as f64 / 1000.0);
    }

    pub(crate) fn observe_snapshot_written(&self, took: Duration) {
        self.snapshot_write_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_snapshot_installed(&self, took: Duration) {
        self.snapshot_install_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn set_progress(
        &self,
        leads: bool,
        term: Term,
        committed: u64,
        applied: u64,
        in_flight: usize,
    ) {
        self.leader.set(leads.into());
        self.term.set(gauge(term));
        self.commit_index.set(gauge(committed));
        self.apply_index.set(gauge(applied));
        self.in_flight.set(gauge(in_flight as u64));
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
