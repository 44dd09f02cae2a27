//! What the HTTP server counts. Labels are route patterns and classes of status codes, never ids:
//! whatever is asked, the series stay few.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// Operators' calls are few and there are many routes.
const SECONDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

#[derive(Clone)]
pub struct HttpMetrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
    connections: IntGauge,
}

/// A connection; counted until it is dropped.
pub struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
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
        let connections = IntGauge::new(
            "onsale_http_connections",
            "Connections to the HTTP API that are open.",
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        Ok(HttpMetrics {
            calls,
            seconds,
            connections,
        })
    }

    pub fn observe_connect(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    pub fn observe_call(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.calls
            .with_label_values(&[method, route, class(status)])
            .inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }
}

fn class(status: u16) -> &'static str {
    match status {
        0..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500.. => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::super::routes::method_label;
    use super::*;

    #[test]
    fn whatever_is_asked_the_series_are_few() {
        const ROUTES: u32 = 50;
        const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
        let registry = Registry::new();
        let metrics = HttpMetrics::new(&registry).expect("registers");
        let mut random = StdRng::seed_from_u64(1);
        for number in 0..500_000 {
            let route = random.random_range(0..ROUTES);
            let taken = METHODS[route as usize % METHODS.len()];
            let (method, status) = match random.random_range(0..3) {
                0 => (format!("ODD{number}"), 405),
                1 => (METHODS[number % METHODS.len()].to_owned(), 405),
                _ => (taken.to_owned(), random.random_range(100..600)),
            };
            let label = method_label(&method, status);
            metrics.observe_call(label, &format!("/v1/{route}"), status, Duration::ZERO);
        }
        let series = |name: &str| {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == name);
            family.map_or(0, |family| family.get_metric().len())
        };
        let routes = ROUTES as usize;
        assert_eq!(series("onsale_http_calls_total"), routes * 4 + routes);
        assert_eq!(series("onsale_http_call_seconds"), routes);
    }
}
