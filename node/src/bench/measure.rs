//! The stop-watch: time, CPU by process and the nodes' own counters between start and stop.

use std::time::Duration;

use tokio::time::Instant;

use super::tally::Tally;
use crate::local::{self, Local, Usage, api, metrics};

/// What was measured, summed over all times the watch ran.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub measured: Duration,
    pub ops: u64,
    pub refused: u64,
    pub failed: u64,
    pub unknown: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub commands: f64,
    pub entries: f64,
    pub fsyncs: f64,
    /// By node.
    pub server_cpu: Vec<Duration>,
    pub resident_bytes: Vec<u64>,
    pub client_cpu: Duration,
    /// Reasons of refusals with their counts.
    pub reasons: Vec<(u16, u64)>,
}

impl Figures {
    pub fn count(&mut self, tally: &Tally) {
        self.ops = tally.ops.get();
        self.refused = tally.refused.get();
        self.failed = tally.failed.get();
        self.unknown = tally.unknown.get();
        self.p50_ms = tally.latency_ms(0.5);
        self.p99_ms = tally.latency_ms(0.99);
        self.max_ms = tally.latency_max_ms();
        self.reasons = tally.reasons();
    }
}

/// Sums over all nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    /// Applied, by each replica.
    commands: f64,
    /// Proposed, by leaders.
    entries: f64,
    fsyncs: f64,
}

pub struct Watch {
    counters: Counters,
    usage: Vec<Usage>,
    own: Duration,
    at: Instant,
}

impl Watch {
    pub async fn start(local: &Local, tally: &Tally) -> anyhow::Result<Watch> {
        let counters = counters(local).await?;
        tally.measure(true);
        Ok(Watch {
            counters,
            usage: local.usage(),
            own: local::own_cpu()?,
            at: Instant::now(),
        })
    }

    pub async fn stop(
        self,
        local: &Local,
        tally: &Tally,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        tally.measure(false);
        figures.measured += self.at.elapsed();
        figures.client_cpu += local::own_cpu()?.saturating_sub(self.own);
        let usage = local.usage();
        figures.server_cpu.resize(usage.len(), Duration::ZERO);
        for (index, (before, after)) in self.usage.iter().zip(&usage).enumerate() {
            figures.server_cpu[index] += after.cpu.saturating_sub(before.cpu);
        }
        figures.resident_bytes = usage.iter().map(|one| one.resident_bytes).collect();
        let after = counters(local).await?;
        // Every replica counts the commands it applies; a group has three replicas at most.
        let replicas = usage.len().clamp(1, 3) as f64;
        figures.commands += (after.commands - self.counters.commands) / replicas;
        figures.entries += after.entries - self.counters.entries;
        figures.fsyncs += after.fsyncs - self.counters.fsyncs;
        Ok(())
    }
}

async fn counters(local: &Local) -> anyhow::Result<Counters> {
    let addresses: Vec<String> = local
        .nodes()
        .iter()
        .map(|node| node.http_address.clone())
        .collect();
    api::off(move || {
        let mut counters = Counters::default();
        for address in addresses {
            let text = api::metrics(&address)?;
            counters.commands += metrics::sum(&text, "onsale_sale_commands_total");
            counters.entries += metrics::sum(&text, "onsale_raft_entries_total");
            counters.fsyncs += metrics::sum(&text, "onsale_log_fsyncs_total");
        }
        Ok(counters)
    })
    .await
}
