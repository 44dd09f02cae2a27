//! What the log tells about itself. Made from a registry that is passed in: simulated nodes share
//! a process.

use std::time::Duration;

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct LogMetrics {
    fsync_seconds: Histogram,
    under_way_seconds: Gauge,
    fsyncs: IntCounter,
    mark_fsyncs: IntCounter,
    written_bytes: IntCounter,
    batch_frames: Histogram,
    cache_bytes: IntGauge,
    segments: IntGauge,
    full: IntGauge,
}

impl LogMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::unregistered()?;
        registry.register(Box::new(metrics.fsync_seconds.clone()))?;
        registry.register(Box::new(metrics.under_way_seconds.clone()))?;
        registry.register(Box::new(metrics.fsyncs.clone()))?;
        registry.register(Box::new(metrics.mark_fsyncs.clone()))?;
        registry.register(Box::new(metrics.written_bytes.clone()))?;
        registry.register(Box::new(metrics.batch_frames.clone()))?;
        registry.register(Box::new(metrics.cache_bytes.clone()))?;
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.full.clone()))?;
        Ok(metrics)
    }

    /// Counts without being scraped.
    pub fn unregistered() -> prometheus::Result<Self> {
        let from_50_us = prometheus::exponential_buckets(0.000_05, 2.0, 17)?;
        let from_1_frame = prometheus::exponential_buckets(1.0, 4.0, 8)?;
        Ok(LogMetrics {
            fsync_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "onsale_log_fsync_seconds",
                    "Duration of a sync of the log, in seconds.",
                )
                .buckets(from_50_us),
            )?,
            under_way_seconds: Gauge::new(
                "onsale_log_write_under_way_seconds",
                "How long the write of the log that is under way, with its sync, has taken so far; 0: none is.",
            )?,
            fsyncs: IntCounter::new(
                "onsale_log_fsyncs_total",
                "Syncs of the log; each answers everything written with it.",
            )?,
            mark_fsyncs: IntCounter::new(
                "onsale_log_mark_fsyncs_total",
                "Syncs of the small file that says how far the log was acknowledged.",
            )?,
            written_bytes: IntCounter::new(
                "onsale_log_written_bytes_total",
                "Bytes written to the log, framing and padding included.",
            )?,
            batch_frames: Histogram::with_opts(
                HistogramOpts::new("onsale_log_batch_frames", "Frames in one write of the log.")
                    .buckets(from_1_frame),
            )?,
            cache_bytes: IntGauge::new(
                "onsale_log_cache_bytes",
                "Bytes of recent entries kept in memory.",
            )?,
            segments: IntGauge::new("onsale_log_segments", "Segment files of the log in use.")?,
            full: IntGauge::new(
                "onsale_log_disk_full",
                "1 while the disk has no room for the next segment and sales are refused.",
            )?,
        })
    }

    /// Syncs of the log so far.
    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.get()
    }

    /// Bytes written to the log so far.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.get()
    }

    pub(super) fn observe_batch(&self, frames: usize, bytes: usize, sync: Duration) {
        self.fsyncs.inc();
        self.fsync_seconds.observe(sync.as_secs_f64());
        self.written_bytes.inc_by(bytes as u64);
        self.batch_frames.observe(frames as f64);
    }

    /// Told by who watches the log: a sync that does not end is in no histogram.
    pub(crate) fn set_under_way(&self, so_far: Duration) {
        self.under_way_seconds.set(so_far.as_secs_f64());
    }

    pub(super) fn count_mark(&self) {
        self.mark_fsyncs.inc();
    }

    pub(super) fn set_cache_bytes(&self, bytes: usize) {
        self.cache_bytes.set(bytes as i64);
    }

    pub(super) fn set_full(&self, full: bool) {
        self.full.set(full.into());
    }

    pub(super) fn set_segments(&self, segments: usize) {
        self.segments.set(segments as i64);
    }
}
