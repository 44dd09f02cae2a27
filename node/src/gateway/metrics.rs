//! What the gateway counts, by batch and never by call: a batch is what it handles.

use std::time::Duration;

use prometheus::{
    Histogram, IntCounter, IntGauge, Registry, exponential_buckets,
    register_histogram_vec_with_registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry, register_int_gauge_with_registry,
};

/// Through which door calls came to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One gRPC call each.
    Unary,
    /// A partner's session stream.
    Session,
    /// The HTTP API.
    Operator,
}

impl Entry {
    const ALL: [Entry; 3] = [Entry::Unary, Entry::Session, Entry::Operator];

    fn label(self) -> &'static str {
        match self {
            Entry::Unary => "unary",
            Entry::Session => "session",
            Entry::Operator => "operator",
        }
    }
}

/// Handles, made once from the node's registry.
pub struct GatewayMetrics {
    here: To,
    there: To,
    busy_calls: IntCounter,
    repeated_calls: IntCounter,
    under_way: IntGauge,
    /// In the sequence of `Entry::ALL`.
    answer_seconds: [Histogram; 3],
}

struct To {
    batches: IntCounter,
    calls: IntCounter,
}

impl To {
    fn count(&self, calls: usize) {
        self.batches.inc();
        self.calls.inc_by(calls as u64);
    }
}

impl GatewayMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<GatewayMetrics> {
        let batches = register_int_counter_vec_with_registry!(
            "onsale_gateway_batches_total",
            "Batches of calls given to their sale's owner: here, or there on another node.",
            &["to"],
            registry
        )?;
        let calls = register_int_counter_vec_with_registry!(
            "onsale_gateway_calls_total",
            "Calls in those batches; those that went there were forwarded.",
            &["to"],
            registry
        )?;
        let to = |owner: &str| To {
            batches: batches.with_label_values(&[owner]),
            calls: calls.with_label_values(&[owner]),
        };
        let seconds = register_histogram_vec_with_registry!(
            "onsale_gateway_answer_seconds",
            "From the taking of a batch of calls to an answer of it, repeats included.",
            &["entry"],
            exponential_buckets(0.000_25, 2.0, 16)?,
            registry
        )?;
        Ok(GatewayMetrics {
            here: to("here"),
            there: to("there"),
            busy_calls: register_int_counter_with_registry!(
                "onsale_gateway_busy_calls_total",
                "Calls refused because the owner's queue, the link to it or this node was full.",
                registry
            )?,
            repeated_calls: register_int_counter_with_registry!(
                "onsale_gateway_repeated_calls_total",
                "Calls sent again, for want of a leader or of an outcome.",
                registry
            )?,
            under_way: register_int_gauge_with_registry!(
                "onsale_gateway_calls_under_way",
                "Calls taken on this node and not yet answered.",
                registry
            )?,
            answer_seconds: Entry::ALL.map(|entry| seconds.with_label_values(&[entry.label()])),
        })
    }

    pub(super) fn observe_taken(&self, calls: usize) {
        self.under_way.add(calls as i64);
    }

    pub(super) fn observe_answer(&self, entry: Entry, calls: u32, took: Duration) {
        self.under_way.sub(calls.into());
        self.answer_seconds[entry as usize].observe(took.as_secs_f64());
    }

    pub(super) fn observe_here(&self, calls: usize) {
        self.here.count(calls);
    }

    pub(super) fn observe_there(&self, calls: usize) {
        self.there.count(calls);
    }

    pub(super) fn observe_busy(&self, calls: usize) {
        self.busy_calls.inc_by(calls as u64);
    }

    pub(super) fn observe_repeat(&self, calls: usize) {
        self.repeated_calls.inc_by(calls as u64);
    }
}
