//! Which calls are traced: those whose caller records its own trace (`traceparent` says sampled), and a
//! share drawn of the others, which can be changed while the node runs. Both together are bounded by
//! the second, so that a partner that asks for all of its calls cannot flood the log or the collector.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actors::trace::Context;
use cluster::components::WallClock;
use futures::future::BoxFuture;
use prometheus::Registry;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use super::call::CallSpan;
use super::context::{self, Parent};
use super::lines::Lines;
use super::metrics::TraceMetrics;
use super::span::{Anchor, TracePart};
use crate::observe::Ration;

/// Where spans go. Called when a call has ended: it never blocks.
pub trait Sink: Send + Sync + 'static {
    fn tell(&self, part: TracePart, metrics: &TraceMetrics);

    /// Ends when what was told before has arrived, or is given up.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The share of calls drawn, from 0 to 1.
    pub ratio: f64,
    /// Calls and messages traced in a second at most.
    pub calls_per_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings::from(&crate::config::TraceConfig::default())
    }
}

impl From<&crate::config::TraceConfig> for Settings {
    fn from(config: &crate::config::TraceConfig) -> Settings {
        let crate::config::TraceConfig {
            ratio,
            calls_per_s,
            otlp_endpoint: _,
        } = config;
        Settings {
            ratio: *ratio,
            calls_per_s: *calls_per_s,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is a number from 0 to 1")]
pub struct NotARatio;

/// Cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    inner: Arc<Inner>,
}

struct Inner {
    node_id: u64,
    wall: Arc<dyn WallClock>,
    /// The share drawn, as an `f64`'s bits; and the same as a part of all numbers: what is drawn below.
    ratio: AtomicU64,
    drawn_below: AtomicU64,
    calls_per_s: u32,
    ration: Mutex<Ration>,
    /// Where the next number comes from.
    sequence: AtomicU64,
    /// Lines of the log, until told otherwise.
    sink: OnceLock<Arc<dyn Sink>>,
    metrics: TraceMetrics,
}

impl Tracer {
    pub fn new(
        node_id: u64,
        wall: Arc<dyn WallClock>,
        seed: u64,
        settings: &Settings,
        registry: &Registry,
    ) -> prometheus::Result<Tracer> {
        // Ids are shown to partners and the seed makes secrets: it must not be found from them.
        let seed = Sha256::digest([b"spans".as_slice(), &seed.to_le_bytes()].concat());
        let mut first = [0; 8];
        first.copy_from_slice(&seed[..8]);
        let tracer = Tracer {
            inner: Arc::new(Inner {
                node_id,
                wall,
                ratio: AtomicU64::new(0),
                drawn_below: AtomicU64::new(0),
                calls_per_s: settings.calls_per_s,
                ration: Mutex::new(Ration::new(Instant::now())),
                sequence: AtomicU64::new(u64::from_le_bytes(first)),
                sink: OnceLock::new(),
                metrics: TraceMetrics::new(registry)?,
            }),
        };
        // One that is none was refused with the configuration.
        let _checked = tracer.set_ratio(settings.ratio);
        Ok(tracer)
    }

    /// Spans go there, from before the first call on.
    pub fn send_to(&self, sink: Arc<dyn Sink>) {
        // Set once, at start.
        let _again = self.inner.sink.set(sink);
    }

    /// Before the node goes: what waits to be told is told, or left after `limit`. Whether it was.
    pub async fn flush(&self, limit: Duration) -> bool {
        match self.inner.sink.get() {
            Some(sink) => timeout(limit, sink.flush()).await.is_ok(),
            None => true,
        }
    }

    pub fn metrics(&self) -> &TraceMetrics {
        &self.inner.metrics
    }

    pub fn ratio(&self) -> f64 {
        f64::from_bits(self.inner.ratio.load(Ordering::Relaxed))
    }

    /// From here on this share is drawn.
    pub fn set_ratio(&self, ratio: f64) -> Result<(), NotARatio> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(NotARatio);
        }
        let inner = &self.inner;
        inner.ratio.store(ratio.to_bits(), Ordering::Relaxed);
        // Beyond the largest it stays the largest.
        let below = (ratio * 2_f64.powi(64)) as u64;
        inner.drawn_below.store(below, Ordering::Relaxed);
        Ok(())
    }

    /// A call with these headers; `None`: it is not traced.
    pub fn call<'a>(
        &self,
        name: &'static str,
        parent: Option<&str>,
        state: impl FnOnce() -> Option<&'a str>,
    ) -> Option<Arc<CallSpan>> {
        self.call_of(name, parent, state, || true)
    }

    /// The same where a caller may be nobody, which is asked only of a call that would be traced, and
    /// before it takes anything.
    pub fn call_of<'a>(
        &self,
        name: &'static str,
        parent: Option<&str>,
        state: impl FnOnce() -> Option<&'a str>,
        is_known: impl FnOnce() -> bool,
    ) -> Option<Arc<CallSpan>> {
        let parent = parent.and_then(context::read);
        let is_asked = parent.is_some_and(|parent| parent.is_sampled);
        if !(is_asked || self.draws()) || !is_known() {
            return None;
        }
        let context = || match parent {
            Some(parent) => parent.context(state()),
            None => self.new_trace(),
        };
        self.take(name, is_asked, context)
    }

    /// What a stream's opening asks for its messages.
    pub fn asked<'a>(
        &self,
        parent: Option<&str>,
        state: impl FnOnce() -> Option<&'a str>,
    ) -> Option<Context> {
        let parent = parent.and_then(context::read)?;
        parent.is_sampled.then(|| parent.context(state()))
    }

    /// A message of a stream.
    pub fn message(&self, name: &'static str, asked: Option<&Context>) -> Option<Arc<CallSpan>> {
        if asked.is_none() && !self.draws() {
            return None;
        }
        let context = || asked.cloned().unwrap_or_else(|| self.new_trace());
        self.take(name, asked.is_some(), context)
    }

    fn take(
        &self,
        name: &'static str,
        is_asked: bool,
        context: impl FnOnce() -> Context,
    ) -> Option<Arc<CallSpan>> {
        let inner = &self.inner;
        let within = self.ration().pass(inner.calls_per_s, Instant::now());
        if within.is_none() {
            inner.metrics.observe_over_limit();
            return None;
        }
        inner.metrics.observe_taken(is_asked);
        Some(CallSpan::begin(self.clone(), name, context()))
    }

    fn ration(&self) -> std::sync::MutexGuard<'_, Ration> {
        let ration = &self.inner.ration;
        ration.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that was taken is not told of.
    pub(super) fn give_back(&self) {
        self.ration().give_back();
    }

    fn draws(&self) -> bool {
        match self.inner.drawn_below.load(Ordering::Relaxed) {
            0 => false,
            below => self.number() <= below,
        }
    }

    fn new_trace(&self) -> Context {
        let (high, low) = (self.new_id(), self.new_id());
        let parent = Parent {
            trace_id: u128::from(high) << 64 | u128::from(low),
            span_id: 0,
            is_sampled: true,
        };
        parent.context(None)
    }

    pub(super) fn new_id(&self) -> u64 {
        loop {
            let number = self.number();
            if number != 0 {
                return number;
            }
        }
    }

    /// Steele, Lea and Flood's SplitMix64: a sequence that whole threads may share.
    fn number(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.inner.sequence.fetch_add(STEP, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn anchor(&self) -> Anchor {
        Anchor {
            at: Instant::now(),
            ns: self.inner.wall.now_ns(),
        }
    }

    pub(crate) fn node_id(&self) -> u64 {
        self.inner.node_id
    }

    pub(super) fn observe_visit(&self) {
        self.inner.metrics.observe_visit();
    }

    pub(super) fn left_out(&self, spans: u64) {
        self.inner.metrics.observe_dropped(spans as usize);
    }

    pub(super) fn tell(&self, part: TracePart) {
        match self.inner.sink.get() {
            Some(sink) => sink.tell(part, &self.inner.metrics),
            None => Lines.tell(part, &self.inner.metrics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::{NOON_MS, tracer};
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[tokio::test(start_paused = true)]
    async fn without_a_share_only_who_asks_is_traced() {
        let (tracer, kept) = tracer(0.0, 1000);
        let call = |parent| tracer.call("place_hold", parent, || Some("vendor=1"));
        assert!(call(None).is_none());
        assert!(call(Some(UNSAMPLED)).is_none());
        assert!(call(Some("nonsense")).is_none());
        let traced = call(Some(SAMPLED)).expect("is traced");
        let own = context::read(&traced.traceparent()).expect("sound");
        assert_eq!(own.trace_id, 0x4bf92f3577b34da6a3ce929d0e0e4736);
        traced.end(false);
        drop(traced);
        let told = kept.parts();
        assert_eq!(told.len(), 1);
        assert_eq!(&*told[0].state, "vendor=1");
        let span = &told[0].spans[0];
        assert_eq!((span.id, span.parent_id), (own.span_id, 0x00f067aa0ba902b7));
        assert_eq!(span.from_ns, NOON_MS * 1_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_drawn_and_may_be_changed() {
        let (tracer, _) = tracer(0.25, u32::MAX);
        let drawn = |parent| {
            let traced = (0..4000).filter(|_| tracer.call("x", parent, || None).is_some());
            traced.count()
        };
        assert!((800..1200).contains(&drawn(None)));
        assert!((800..1200).contains(&drawn(Some(UNSAMPLED))));
        tracer.set_ratio(1.0).expect("a share");
        assert_eq!(drawn(None), 4000);
        tracer.set_ratio(0.0).expect("a share");
        assert_eq!(drawn(None), 0);
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(tracer.set_ratio(wrong), Err(NotARatio));
        }
        assert_eq!(tracer.ratio(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_all_gets_so_many_a_second() {
        let (tracer, kept) = tracer(0.0, 5);
        let ask = || tracer.call("x", Some(SAMPLED), || None);
        assert_eq!((0..50).filter(|_| ask().is_some()).count(), 5);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        // One whose caller is nobody is not counted.
        ask().expect("a new second").forget();
        assert_eq!((0..50).filter(|_| ask().is_some()).count(), 5);
        assert_eq!(kept.parts().len(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_message_for_a_thousand_sales_few_attempts_are_told() {
        let (tracer, kept) = tracer(1.0, 100);
        let call = tracer.message("session_message", None).expect("is drawn");
        let legs = (0..1000).filter_map(|event| call.leg(event, 1, 0));
        assert_eq!(legs.count(), 16, "other nodes tell of no more either");
        drop(call);
        assert!(kept.parts()[0].spans.len() <= 65);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_asks_has_its_messages_traced() {
        let (tracer, _) = tracer(0.0, 100);
        assert!(tracer.asked(Some(UNSAMPLED), || None).is_none());
        let asked = tracer.asked(Some(SAMPLED), || None);
        assert!(tracer.message("session_message", asked.as_ref()).is_some());
        assert!(tracer.message("session_message", None).is_none());
    }
}
