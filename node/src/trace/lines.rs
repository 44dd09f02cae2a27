//! Where there is no collector: one line of the log for what a node tells of a call. Their number is
//! bounded by `trace.calls_per_s` of the nodes that took the calls and the attempts told of each, and by
//! nothing else in the logs.

use std::fmt::Write as _;

use super::metrics::TraceMetrics;
use super::span::TracePart;
use super::tracer::Sink;

pub const LOG_TARGET: &str = "onsale::trace";

pub struct Lines;

impl Sink for Lines {
    fn tell(&self, part: TracePart, metrics: &TraceMetrics) {
        metrics.observe_told(part.spans.len());
        let Some(whole) = part.spans.first() else {
            return;
        };
        let micros = |from_ns: u64, to_ns: u64| to_ns.saturating_sub(from_ns) / 1000;
        let mut stages = String::new();
        for span in &part.spans[1..] {
            let begins = micros(whole.from_ns, span.from_ns);
            let took = micros(span.from_ns, span.to_ns);
            let space = if stages.is_empty() { "" } else { " " };
            // A string takes whatever is written.
            let _ = write!(stages, "{space}{}@{begins}+{took}", span.name);
        }
        tracing::info!(
            target: LOG_TARGET,
            trace_id = format!("{:032x}", part.trace_id),
            span_id = format!("{:016x}", whole.id),
            parent_id = format!("{:016x}", whole.parent_id),
            node = part.node_id,
            name = &*whole.name,
            is_failed = whole.is_failed,
            took_us = micros(whole.from_ns, whole.to_ns),
            stages,
            "traced"
        );
    }
}
