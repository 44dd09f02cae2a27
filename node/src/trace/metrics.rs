//! What is counted of the tracing itself: to see why a trace is missing.

use prometheus::{
    IntCounter, Registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry,
};

#[derive(Clone)]
pub struct TraceMetrics {
    asked: IntCounter,
    drawn: IntCounter,
    visited: IntCounter,
    over_limit: IntCounter,
    told: IntCounter,
    dropped: IntCounter,
}

impl TraceMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<TraceMetrics> {
        let calls = register_int_counter_vec_with_registry!(
            "onsale_trace_calls_total",
            "Calls and messages traced: their caller asked, they were drawn, or another node sent them.",
            &["why"],
            registry
        )?;
        let spans = register_int_counter_vec_with_registry!(
            "onsale_trace_spans_total",
            "Spans of them: told, or dropped because the collector was slow, away or there were too many.",
            &["fate"],
            registry
        )?;
        Ok(TraceMetrics {
            asked: calls.with_label_values(&["asked"]),
            drawn: calls.with_label_values(&["drawn"]),
            visited: calls.with_label_values(&["sent_here"]),
            over_limit: register_int_counter_with_registry!(
                "onsale_trace_calls_over_limit_total",
                "Calls and messages to be traced that were not, beyond trace.calls_per_s.",
                registry
            )?,
            told: spans.with_label_values(&["told"]),
            dropped: spans.with_label_values(&["dropped"]),
        })
    }

    pub(super) fn observe_taken(&self, is_asked: bool) {
        if is_asked {
            self.asked.inc();
        } else {
            self.drawn.inc();
        }
    }

    pub(super) fn observe_visit(&self) {
        self.visited.inc();
    }

    pub(super) fn observe_over_limit(&self) {
        self.over_limit.inc();
    }

    pub fn observe_told(&self, spans: usize) {
        self.told.inc_by(spans as u64);
    }

    pub fn observe_dropped(&self, spans: usize) {
        self.dropped.inc_by(spans as u64);
    }
}
