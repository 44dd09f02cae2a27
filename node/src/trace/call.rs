//! The span of one call, from its coming in to its answer's leaving. It is told when the last who works
//! for the call lets it go, which may be after its caller has gone.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::trace::Context;
use tokio::time::Instant;

use super::Leg;
use super::span::{Anchor, Kind, Span, TracePart, Value};
use super::tracer::Tracer;
use super::{context, leg};

/// Spans told of one call.
const SPANS_MAX: usize = 64;
/// Attempts told of one call: a message of a session may be for a thousand sales, and what other nodes
/// tell of it is bounded here alone.
const LEGS_MAX: u32 = 16;

pub struct CallSpan {
    pub(super) tracer: Tracer,
    /// Whose trace it is part of; its parent.
    context: Context,
    pub(super) id: u64,
    pub(super) anchor: Anchor,
    legs: AtomicU32,
    course: Mutex<Course>,
}

/// How it has gone so far.
struct Course {
    name: Cow<'static, str>,
    /// When the last answer of its sales came.
    answered: Option<Instant>,
    ended: Option<Instant>,
    is_failed: bool,
    attributes: Vec<(&'static str, Value)>,
    spans: Vec<Span>,
    left_out: u64,
    is_forgotten: bool,
}

impl CallSpan {
    pub(super) fn begin(tracer: Tracer, name: &'static str, context: Context) -> Arc<CallSpan> {
        Arc::new(CallSpan {
            id: tracer.new_id(),
            anchor: tracer.anchor(),
            tracer,
            context,
            legs: AtomicU32::new(0),
            course: Mutex::new(Course {
                name: name.into(),
                answered: None,
                ended: None,
                is_failed: false,
                attributes: Vec::new(),
                spans: Vec::new(),
                left_out: 0,
                is_forgotten: false,
            }),
        })
    }

    pub fn trace_id(&self) -> u128 {
        self.context.trace_id
    }

    /// What a callee, or the caller, is told of this span.
    pub fn traceparent(&self) -> String {
        context::write(self.context.trace_id, self.id)
    }

    /// As `traceparent`, between nodes.
    pub(super) fn child_context(&self, span_id: u64) -> Context {
        Context {
            span_id,
            ..self.context.clone()
        }
    }

    /// A name that is known only at the end: never what a caller sent.
    pub fn rename(&self, name: String) {
        self.course().name = name.into();
    }

    pub fn note(&self, attribute: &'static str, value: Value) {
        self.course().attributes.push((attribute, value));
    }

    /// An answer leaves; of several, the last ends the call.
    pub fn end(&self, is_failed: bool) {
        let mut course = self.course();
        course.ended = course.ended.max(Some(Instant::now()));
        course.is_failed |= is_failed;
    }

    /// Nothing is told of it: who called is nobody.
    pub fn forget(&self) {
        self.course().is_forgotten = true;
        self.tracer.give_back();
    }

    /// One attempt to have its calls decided by their sale; `None`: as many as are told were made.
    pub fn leg(self: &Arc<Self>, event: u64, calls: usize, attempt: u32) -> Option<Box<Leg>> {
        if self.legs.fetch_add(1, Ordering::Relaxed) >= LEGS_MAX {
            self.tracer.left_out(1);
            return None;
        }
        Some(Box::new(leg::begin(
            Arc::clone(self),
            event,
            calls,
            attempt,
        )))
    }

    pub(super) fn add(&self, spans: Vec<Span>, answered: Instant) {
        let mut course = self.course();
        course.answered = course.answered.max(Some(answered));
        if course.spans.len() + spans.len() > SPANS_MAX {
            course.left_out += spans.len() as u64;
        } else {
            course.spans.extend(spans);
        }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        let course = self
            .course
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if course.is_forgotten {
            return;
        }
        let ended = course.ended.unwrap_or_else(Instant::now);
        let anchor = self.anchor;
        let span = |name, id, parent_id, kind, from| Span {
            name,
            id,
            parent_id,
            kind,
            from_ns: anchor.ns(from),
            to_ns: anchor.ns(ended),
            is_failed: false,
            attributes: Vec::new(),
        };
        let name = std::mem::take(&mut course.name);
        let mut spans = vec![Span {
            is_failed: course.is_failed,
            attributes: std::mem::take(&mut course.attributes),
            ..span(name, self.id, self.context.span_id, Kind::Server, anchor.at)
        }];
        spans.append(&mut course.spans);
        if let Some(answered) = course.answered.filter(|answered| *answered <= ended) {
            let id = self.tracer.new_id();
            spans.push(span("reply".into(), id, self.id, Kind::Internal, answered));
        }
        self.tracer.left_out(course.left_out);
        self.tracer.tell(TracePart {
            node_id: self.tracer.node_id(),
            trace_id: self.context.trace_id,
            state: Arc::clone(&self.context.state),
            spans,
        });
    }
}

tokio::task_local! {
    static CURRENT: Arc<CallSpan>;
}

/// Does the work of a call of the HTTP API; what it brings to the gateway finds its span by `current`.
pub async fn within<F: Future>(call: Option<Arc<CallSpan>>, work: F) -> F::Output {
    match call {
        Some(call) => CURRENT.scope(call, work).await,
        None => work.await,
    }
}

pub fn current() -> Option<Arc<CallSpan>> {
    CURRENT.try_with(Arc::clone).ok()
}
