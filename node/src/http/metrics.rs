//! What the HTTP server counts. Labels are route patterns and status codes, never ids.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// From a millisecond to the call limit.
const SECONDS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0, 30.0];

#[derive(Clone)]
pub struct HttpMetrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
}

impl HttpMetrics {
    pub fn new(registry: &Registry) -> Result<HttpMetrics, prometheus::Error> {
        let calls = IntCounterVec::new(
            Opts::new("onsale_http_calls_total", "Calls of the HTTP API answered."),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "onsale_http_call_seconds",
                "Time from a call's head to its answer's head.",
            )
            .buckets(SECONDS.to_vec()),
            &["route"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(HttpMetrics { calls, seconds })
    }

    pub fn observe_call(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.calls
            .with_label_values(&[method, route, &status.to_string()])
            .inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }
}
