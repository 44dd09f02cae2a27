//! How long calls took, in buckets that are counted by call: a batch of a thousand that is slow is a
//! thousand slow calls. `prometheus::Histogram` takes one observation at a time, which would be a step
//! for each call; here a batch is one addition to its bucket.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// As of single calls, so that the same objective can be told.
const BOUNDS: [f64; 13] = [
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0,
];

/// One histogram for each set of labels. Clones share them.
#[derive(Clone)]
pub struct CallSeconds {
    desc: Desc,
    of: Arc<[OfLabels]>,
}

struct OfLabels {
    labels: Vec<LabelPair>,
    /// The last is beyond all bounds.
    calls: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl CallSeconds {
    /// `labels`, sorted by their names, and the values of each histogram.
    pub fn new<const L: usize>(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: [&str; L],
        values: impl IntoIterator<Item = [&'static str; L]>,
    ) -> prometheus::Result<CallSeconds> {
        let names = labels.map(str::to_owned).to_vec();
        let of = values.into_iter().map(|values| OfLabels {
            labels: labels
                .iter()
                .zip(values)
                .map(|(name, value)| {
                    let mut pair = LabelPair::default();
                    pair.set_name((*name).to_owned());
                    pair.set_value(value.to_owned());
                    pair
                })
                .collect(),
            calls: Default::default(),
            sum_ns: AtomicU64::new(0),
        });
        let seconds = CallSeconds {
            desc: Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new())?,
            of: of.collect(),
        };
        registry.register(Box::new(seconds.clone()))?;
        Ok(seconds)
    }

    /// So many calls took so long; `at`: the place of their labels' values.
    pub fn observe(&self, at: usize, calls: u32, took: Duration) {
        let Some(of) = self.of.get(at) else { return };
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        of.calls[bucket].fetch_add(calls.into(), Ordering::Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let sum = ns.saturating_mul(calls.into());
        of.sum_ns.fetch_add(sum, Ordering::Relaxed);
    }
}

impl OfLabels {
    fn metric(&self) -> Metric {
        let mut all = 0;
        let mut told = Histogram::default();
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (at, calls) in self.calls.iter().enumerate() {
            all += calls.load(Ordering::Relaxed);
            if let Some(bound) = BOUNDS.get(at) {
                let mut bucket = Bucket::default();
                bucket.set_cumulative_count(all);
                bucket.set_upper_bound(*bound);
                buckets.push(bucket);
            }
        }
        told.set_bucket(buckets);
        told.set_sample_count(all);
        let sum = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed));
        told.set_sample_sum(sum.as_secs_f64());
        let mut metric = Metric::from_label(self.labels.clone());
        metric.set_histogram(told);
        metric
    }
}

impl Collector for CallSeconds {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(self.of.iter().map(OfLabels::metric).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_not_their_batches() {
        let registry = Registry::new();
        let values = [["hold", "unary"], ["hold", "session"]];
        let labels = ["command", "entry"];
        let seconds = CallSeconds::new(&registry, "took_seconds", "Calls.", labels, values);
        let seconds = seconds.expect("registers");
        seconds.observe(1, 1000, Duration::from_millis(250));
        seconds.observe(1, 1, Duration::from_millis(375));
        seconds.observe(1, 2, Duration::from_secs(60));
        seconds.observe(7, 9, Duration::ZERO);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .expect("is text");
        let labels = "command=\"hold\",entry=\"session\"";
        for line in [
            format!("took_seconds_bucket{{{labels},le=\"0.1\"}} 0"),
            format!("took_seconds_bucket{{{labels},le=\"0.25\"}} 1000"),
            format!("took_seconds_bucket{{{labels},le=\"0.5\"}} 1001"),
            format!("took_seconds_bucket{{{labels},le=\"10\"}} 1001"),
            format!("took_seconds_bucket{{{labels},le=\"+Inf\"}} 1003"),
            format!("took_seconds_sum{{{labels}}} 370.375"),
            format!("took_seconds_count{{{labels}}} 1003"),
            "took_seconds_count{command=\"hold\",entry=\"unary\"} 0".to_owned(),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
