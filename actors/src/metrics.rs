//! What the sale actors of a node count. Methods are verbs of the domain; labels come from closed
//! sets, never from ids.

use domain::outcome::Outcome;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// Static handles, made once from the node's registry.
pub struct SaleMetrics {
    commands: IntCounter,
    done: IntCounter,
    rejected: IntCounter,
    refused_without_entry: IntCounter,
    batches: IntCounter,
    batch_commands: Histogram,
    frozen: IntGauge,
}

impl SaleMetrics {
    pub fn new(registry: &Registry) -> Result<SaleMetrics, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let buckets = prometheus::exponential_buckets(1.0, 2.0, 12)?;
        let batch_commands = Histogram::with_opts(
            HistogramOpts::new(
                "onsale_sale_batch_commands",
                "Commands closed into one proposal",
            )
            .buckets(buckets),
        )?;
        registry.register(Box::new(batch_commands.clone()))?;
        let frozen = IntGauge::new(
            "onsale_sale_frozen",
            "Sales frozen on this node after a panic of their logic",
        )?;
        registry.register(Box::new(frozen.clone()))?;
        Ok(SaleMetrics {
            commands: counter(
                "onsale_sale_commands_total",
                "Commands applied on this replica",
            )?,
            done: counter("onsale_sale_done_total", "Commands applied and carried out")?,
            rejected: counter(
                "onsale_sale_rejected_total",
                "Commands applied and rejected",
            )?,
            refused_without_entry: counter(
                "onsale_sale_refused_without_entry_total",
                "Hopeless holds refused by the leader after proving leadership, without a log entry",
            )?,
            batches: counter(
                "onsale_sale_batches_total",
                "Batches proposed by this node's sales",
            )?,
            batch_commands,
            frozen,
        })
    }

    pub(crate) fn observe_delivered(&self, commands: u32) {
        self.commands.inc_by(u64::from(commands));
    }

    pub(crate) fn observe_outcomes(&self, done: u64, rejected: u64) {
        self.done.inc_by(done);
        self.rejected.inc_by(rejected);
    }

    pub(crate) fn observe_batch(&self, commands: usize) {
        self.batches.inc();
        self.batch_commands.observe(commands as f64);
    }

    pub(crate) fn observe_refused_without_entry(&self, calls: usize) {
        self.refused_without_entry.inc_by(calls as u64);
    }

    pub(crate) fn observe_frozen(&self) {
        self.frozen.inc();
    }

    pub(crate) fn observe_released(&self) {
        self.frozen.dec();
    }
}

/// Outcomes of one batch, counted before they are told to the shared counters.
#[derive(Default)]
pub(crate) struct OutcomeCount {
    pub done: u64,
    pub rejected: u64,
}

impl OutcomeCount {
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::Rejected(_) => self.rejected += 1,
        }
    }
}
