//! Traces kept for whoever tests what is told.

use std::sync::{Arc, Mutex};

use cluster::components::WallClock;
use prometheus::Registry;

use super::{Settings, Sink, TraceMetrics, TracePart, Tracer};

pub const NOON_MS: u64 = 1_795_000_000_000;

/// A clock that stands.
struct Noon;

impl WallClock for Noon {
    fn now_ms(&self) -> u64 {
        NOON_MS
    }
}

#[derive(Default)]
pub struct Kept(Mutex<Vec<TracePart>>);

impl Sink for Kept {
    fn tell(&self, part: TracePart, metrics: &TraceMetrics) {
        metrics.observe_told(part.spans.len());
        self.0.lock().unwrap().push(part);
    }
}

impl Kept {
    pub fn parts(&self) -> Vec<TracePart> {
        self.0.lock().unwrap().clone()
    }
}

pub fn tracer(ratio: f64, calls_per_s: u32) -> (Tracer, Arc<Kept>) {
    let settings = Settings { ratio, calls_per_s };
    let tracer = Tracer::new(1, Arc::new(Noon), 7, &settings, &Registry::new());
    let (tracer, kept) = (tracer.expect("registers"), Arc::new(Kept::default()));
    tracer.send_to(Arc::clone(&kept) as _);
    (tracer, kept)
}
