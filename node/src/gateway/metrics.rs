//! What the gateway counts, by batch and never by call: a batch is what it handles.

use std::time::Duration;

use prometheus::{
    Histogram, IntCounter, IntGauge, Registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_with_registry,
};

/// As of single calls, so that the same objective can be told.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

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

/// How calls ended without a decision of their sale: unknown, and certain failures by their numbers.
const ENDINGS: [&str; 9] = [
    "unknown",
    "bad_request",
    "unknown_event",
    "busy",
    "no_leader",
    "deadline_passed",
    "sale_frozen",
    "forbidden",
    "disk_full",
];

/// Handles, made once from the node's registry.
pub struct GatewayMetrics {
    here: To,
    there: To,
    busy_calls: IntCounter,
    repeated_calls: IntCounter,
    under_way: IntGauge,
    /// In the sequence of `Entry::ALL`.
    answer_seconds: [Histogram; 3],
    answered_calls: [IntCounter; 3],
    /// By door, then in the sequence of `ENDINGS`.
    undecided_calls: [[IntCounter; ENDINGS.len()]; 3],
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
            SECONDS.to_vec(),
            registry
        )?;
        let answered = register_int_counter_vec_with_registry!(
            "onsale_gateway_answered_calls_total",
            "Calls answered, however they ended.",
            &["entry"],
            registry
        )?;
        let undecided = register_int_counter_vec_with_registry!(
            "onsale_gateway_undecided_calls_total",
            "Calls answered without a decision of their sale, by how they ended.",
            &["entry", "ending"],
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
            answered_calls: Entry::ALL.map(|entry| answered.with_label_values(&[entry.label()])),
            undecided_calls: Entry::ALL.map(|entry| {
                ENDINGS.map(|ending| undecided.with_label_values(&[entry.label(), ending]))
            }),
        })
    }

    pub(super) fn observe_taken(&self, calls: usize) {
        self.under_way.add(calls as i64);
    }

    pub(super) fn observe_answer(&self, entry: Entry, calls: u32, took: Duration) {
        self.under_way.sub(calls.into());
        self.answered_calls[entry as usize].inc_by(calls.into());
        self.answer_seconds[entry as usize].observe(took.as_secs_f64());
    }

    /// `failure`: the number of its reason; `None` where nobody knows whether it may still happen.
    pub(super) fn observe_undecided(&self, entry: Entry, failure: Option<u16>) {
        let ending = failure.map_or(0, usize::from);
        if let Some(counter) = self.undecided_calls[entry as usize].get(ending) {
            counter.inc();
        }
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

#[cfg(test)]
mod tests {
    use proto::channel::v1::FailureReason;

    use super::*;

    #[test]
    fn endings_have_the_names_of_their_failures() {
        for (number, ending) in (1..).zip(ENDINGS.iter().skip(1)) {
            let reason = FailureReason::try_from(number).expect("is a reason");
            let name = format!("FAILURE_REASON_{}", ending.to_uppercase());
            assert_eq!(reason.as_str_name(), name);
        }
        let next = i32::try_from(ENDINGS.len()).expect("few");
        assert!(FailureReason::try_from(next).is_err(), "a new reason");
    }
}
