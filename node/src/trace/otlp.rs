//! Spans to a collector: OTLP over gRPC, in batches, from a bounded queue. A collector that is slow or
//! away costs spans, which are counted, and nothing else: no call waits, nothing is kept or tried again.
//! What waits when the node leaves is told before it goes (`flush`).

use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Told, Status};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::{Channel, Endpoint};

use super::metrics::TraceMetrics;
use super::span::{Kind, Span, TracePart, Value};
use super::tracer::Sink;

/// Calls whose spans wait.
const QUEUE: usize = 2048;
/// Calls whose spans travel together.
const BATCH: usize = 256;
/// What came in this time travels together.
const GATHER: Duration = Duration::from_millis(500);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// `flags` of a span whose trace is recorded, as in W3C Trace Context.
const SAMPLED: u32 = 1;

pub struct Collector {
    queue: mpsc::Sender<Queued>,
}

enum Queued {
    Part(TracePart),
    /// All before it are to be told at once; answered when they were, or are dropped.
    Flush(oneshot::Sender<()>),
}

impl Collector {
    /// Connects when there is something to tell.
    pub fn start(endpoint: &str, node_id: u64, metrics: TraceMetrics) -> anyhow::Result<Collector> {
        let channel = Endpoint::from_shared(endpoint.to_owned())
            .with_context(|| format!("trace.otlp_endpoint {endpoint}"))?
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .connect_lazy();
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(export(channel, node_id, queued, metrics));
        Ok(Collector { queue })
    }
}

impl Sink for Collector {
    fn tell(&self, part: TracePart, metrics: &TraceMetrics) {
        let spans = part.spans.len();
        if self.queue.try_send(Queued::Part(part)).is_err() {
            metrics.observe_dropped(spans);
        }
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (flushed, is_flushed) = oneshot::channel();
            if self.queue.send(Queued::Flush(flushed)).await.is_ok() {
                // An error means that nobody exports any more.
                let _ = is_flushed.await;
            }
        })
    }
}

/// What travels together, and who waits for it.
#[derive(Default)]
struct Batch {
    parts: Vec<TracePart>,
    flushed: Option<oneshot::Sender<()>>,
}

impl Batch {
    fn take(&mut self, queued: Queued) {
        match queued {
            Queued::Part(part) => self.parts.push(part),
            Queued::Flush(flushed) => self.flushed = Some(flushed),
        }
    }

    async fn gather(&mut self, queue: &mut mpsc::Receiver<Queued>) {
        while self.parts.len() < BATCH
            && self.flushed.is_none()
            && let Some(queued) = queue.recv().await
        {
            self.take(queued);
        }
    }
}

async fn export(
    channel: Channel,
    node_id: u64,
    mut queue: mpsc::Receiver<Queued>,
    metrics: TraceMetrics,
) {
    let mut client = TraceServiceClient::new(channel);
    let mut is_away = false;
    while let Some(first) = queue.recv().await {
        let mut batch = Batch::default();
        batch.take(first);
        // What came until then is told.
        let _time_is_over = tokio::time::timeout(GATHER, batch.gather(&mut queue)).await;
        if !batch.parts.is_empty() {
            tell(&mut client, node_id, batch.parts, &metrics, &mut is_away).await;
        }
        if let Some(flushed) = batch.flushed {
            // Who waited may have gone.
            let _ = flushed.send(());
        }
    }
}

async fn tell(
    client: &mut TraceServiceClient<Channel>,
    node_id: u64,
    parts: Vec<TracePart>,
    metrics: &TraceMetrics,
    is_away: &mut bool,
) {
    let spans = parts.iter().map(|part| part.spans.len()).sum();
    match client.export(request(node_id, parts)).await {
        Ok(answer) => {
            let refused = answer.into_inner().partial_success;
            let refused = refused.map_or(0, |some| some.rejected_spans.max(0) as usize);
            metrics.observe_told(spans - refused.min(spans));
            metrics.observe_dropped(refused.min(spans));
            *is_away = false;
        }
        Err(status) => {
            metrics.observe_dropped(spans);
            if !*is_away {
                let why = status.message();
                tracing::warn!(why, "spans are dropped: the collector does not take them");
            }
            *is_away = true;
        }
    }
}

fn request(node_id: u64, parts: Vec<TracePart>) -> ExportTraceServiceRequest {
    let spans = parts.into_iter().flat_map(|part| {
        let TracePart {
            node_id: _,
            trace_id,
            state,
            spans,
        } = part;
        spans
            .into_iter()
            .map(move |span| told(trace_id, &state, span))
    });
    let scope = InstrumentationScope {
        name: "onsale".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    let resource = Resource {
        attributes: vec![
            word("service.name", "onsale"),
            word("service.version", env!("CARGO_PKG_VERSION")),
            word("service.instance.id", &node_id.to_string()),
        ],
        ..Resource::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn told(trace_id: u128, state: &str, span: Span) -> Told {
    let Span {
        name,
        id,
        parent_id,
        kind,
        from_ns,
        to_ns,
        is_failed,
        attributes,
    } = span;
    let kind = match kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Internal => SpanKind::Internal,
    };
    let code = match is_failed {
        true => StatusCode::Error,
        false => StatusCode::Unset,
    };
    let attributes = attributes.into_iter().map(|(key, value)| match value {
        Value::Number(number) => number_of(key, number),
        Value::Word(text) => word(key, text),
    });
    Told {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        trace_state: state.to_owned(),
        parent_span_id: match parent_id {
            0 => Vec::new(),
            parent_id => parent_id.to_be_bytes().to_vec(),
        },
        flags: SAMPLED,
        name: name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: from_ns,
        end_time_unix_nano: to_ns,
        attributes: attributes.collect(),
        status: Some(Status {
            code: code.into(),
            ..Status::default()
        }),
        ..Told::default()
    }
}

fn word(key: &str, text: &str) -> KeyValue {
    attribute(key, Any::StringValue(text.to_owned()))
}

fn number_of(key: &str, number: u64) -> KeyValue {
    attribute(
        key,
        Any::IntValue(i64::try_from(number).unwrap_or(i64::MAX)),
    )
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
