//! Counts calls where they come in and streams where they end; begins and ends the spans of those that
//! are traced.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tonic::codegen::http;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::metrics::{Method, RpcMetrics};
use super::slow_calls::SlowCalls;
use crate::access::Door;
use crate::trace::{CallSpan, STATE_HEADER, TRACE_HEADER, Tracer, Value, context};

/// Something under way; counted when it is dropped.
pub struct Counted {
    metrics: Arc<RpcMetrics>,
    method: Method,
    code: Option<Code>,
}

impl Counted {
    /// Until it is told otherwise, whoever goes away has cancelled.
    pub fn begin(metrics: &Arc<RpcMetrics>, method: Method) -> Counted {
        metrics.observe_begin(method);
        Counted {
            metrics: metrics.clone(),
            method,
            code: Some(Code::Cancelled),
        }
    }

    pub fn ended(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.observe_end(self.method, self.code);
    }
}

#[derive(Clone)]
pub struct Meter {
    metrics: Arc<RpcMetrics>,
    tracer: Tracer,
    door: Door,
    slow_calls: Arc<SlowCalls>,
}

impl Meter {
    pub fn new(
        metrics: Arc<RpcMetrics>,
        tracer: Tracer,
        door: Door,
        slow_calls: SlowCalls,
    ) -> Meter {
        Meter {
            metrics,
            tracer,
            door,
            slow_calls: Arc::new(slow_calls),
        }
    }

    /// A caller without a key is nobody, and not told of. It is looked at here and not by the answer's
    /// code: a message that cannot be read is refused before anybody asks for the key.
    fn trace(&self, method: Method, headers: &http::HeaderMap) -> Option<Arc<CallSpan>> {
        if !method.is_partners() {
            return None;
        }
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let is_known = || self.door.partner(header("authorization")).is_ok();
        let state = || header(STATE_HEADER);
        let parent = header(TRACE_HEADER);
        self.tracer.call_of(method.label(), parent, state, is_known)
    }
}

impl<S> Layer<S> for Meter {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered {
            inner,
            meter: self.clone(),
        }
    }
}

#[derive(Clone)]
pub struct Metered<S> {
    inner: S,
    meter: Meter,
}

impl<S, Q, B> Service<http::Request<Q>> for Metered<S>
where
    S: Service<http::Request<Q>, Response = http::Response<B>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Metering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Q>) -> Self::Future {
        let method = Method::of(request.uri().path());
        let parent = request.headers().get(TRACE_HEADER).cloned();
        let traced = self.meter.trace(method, request.headers());
        if let Some(traced) = &traced {
            request.extensions_mut().insert(Arc::clone(traced));
        }
        Metering {
            began: Instant::now(),
            counted: Some(Counted::begin(&self.meter.metrics, method)),
            slow_calls: self.meter.slow_calls.clone(),
            parent,
            traced,
            answering: self.inner.call(request),
        }
    }
}

pub struct Metering<F> {
    began: Instant,
    counted: Option<Counted>,
    slow_calls: Arc<SlowCalls>,
    /// As the caller sent it.
    parent: Option<http::HeaderValue>,
    traced: Option<Arc<CallSpan>>,
    answering: F,
}

impl<F, B, E> Future for Metering<F>
where
    F: Future<Output = Result<http::Response<B>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut answer = ready!(Pin::new(&mut self.answering).poll(cx));
        if let (Ok(answer), Some(mut counted)) = (&mut answer, self.counted.take()) {
            let took = self.began.elapsed();
            counted.metrics.observe_answer(counted.method, took);
            // An answer that went well says so behind its body.
            let code = Status::from_header_map(answer.headers()).map_or(Code::Ok, |s| s.code());
            let goes_on = code == Code::Ok && counted.method.is_stream();
            counted.code = (!goes_on).then_some(code);
            let method = counted.method.label();
            let traced = self.traced.take();
            self.slow_calls.answered(method, code, took, || {
                let own = traced.as_ref().map(|traced| traced.trace_id());
                let parent = || context::read(self.parent.as_ref()?.to_str().ok()?);
                own.or_else(|| parent().map(|parent| parent.trace_id))
            });
            if let Some(traced) = traced {
                finish(&traced, code, answer.headers_mut());
            }
        }
        Poll::Ready(answer)
    }
}

/// Says in the answer where it is found.
fn finish(traced: &CallSpan, code: Code, headers: &mut http::HeaderMap) {
    traced.note("rpc.grpc.status_code", Value::Number(code as u64));
    if let Ok(parent) = http::HeaderValue::try_from(traced.traceparent()) {
        headers.insert(TRACE_HEADER, parent);
    }
    // The partner's own fault is none of the node's, as in OpenTelemetry's conventions.
    let is_failed = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    traced.end(is_failed);
}
