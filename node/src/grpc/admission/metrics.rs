//! How true the waits were that visitors were told: counted when one that was followed (`waits`) has ended.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// Borders of what the wait was off, in seconds.
const ERROR_SECONDS: [f64; 7] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Of the wait as a multiple of what was told: a fifth less and a quarter more is still well told.
const RATIOS: [f64; 6] = [0.5, 0.8, 1.0, 1.25, 2.0, 4.0];

const FATES: [&str; 3] = ["let_in", "left", "in_vain"];

/// Handles, made once from the node's registry.
pub struct WaitMetrics {
    error_seconds: Histogram,
    ratio: Histogram,
    beyond_p90: IntCounter,
    let_in: IntCounter,
    left: IntCounter,
    in_vain: IntCounter,
}

impl WaitMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<WaitMetrics> {
        let histogram = |name: &str, help: &str, borders: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(borders.to_vec());
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone()))?;
            prometheus::Result::Ok(histogram)
        };
        let beyond_p90 = IntCounter::new(
            "onsale_queue_waits_beyond_p90_total",
            "Visitors let in later than the time that nine in ten who are told it wait at most.",
        )?;
        registry.register(Box::new(beyond_p90.clone()))?;
        let ended = IntCounterVec::new(
            Opts::new(
                "onsale_queue_waits_followed_total",
                "Visitors who were told a wait on this node and were followed to its end, by what became of them.",
            ),
            &["fate"],
        )?;
        registry.register(Box::new(ended.clone()))?;
        let [let_in, left, in_vain] = FATES.map(|fate| ended.with_label_values(&[fate]));
        Ok(WaitMetrics {
            error_seconds: histogram(
                "onsale_queue_wait_error_seconds",
                "Between the wait that a visitor was told and the one that it was, too long and too short alike.",
                &ERROR_SECONDS,
            )?,
            ratio: histogram(
                "onsale_queue_wait_ratio",
                "The wait that it was as a multiple of the one that a visitor was told: above 1 it was longer.",
                &RATIOS,
            )?,
            beyond_p90,
            let_in,
            left,
            in_vain,
        })
    }

    /// `told` is not zero.
    pub fn observe_let_in(&self, told: Duration, told_p90: Duration, waited: Duration) {
        self.error_seconds
            .observe(waited.abs_diff(told).as_secs_f64());
        self.ratio.observe(waited.div_duration_f64(told));
        if waited > told_p90 {
            self.beyond_p90.inc();
        }
        self.let_in.inc();
    }

    /// They went away or were taken out.
    pub fn count_left(&self) {
        self.left.inc();
    }

    /// The sale closed first.
    pub fn count_in_vain(&self) {
        self.in_vain.inc();
    }
}
