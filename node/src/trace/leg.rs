//! One attempt of the gateway to have calls decided: by the sale here, or by the node that owns it. Its
//! spans are made when the gateway lets it go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::trace::{Stage, Traced};
use tokio::time::Instant;

use super::call::CallSpan;
use super::span::{Kind, SaleSpan, Span, Value, between};

pub struct Leg {
    call: Arc<CallSpan>,
    id: u64,
    traced: Arc<Traced>,
    event: u64,
    calls: usize,
    attempt: u32,
    /// Zero: the sale is owned here.
    to_node: AtomicU64,
}

pub(super) fn begin(call: Arc<CallSpan>, event: u64, calls: usize, attempt: u32) -> Leg {
    let id = call.tracer.new_id();
    Leg {
        traced: Arc::new(Traced::begin(call.child_context(id))),
        call,
        id,
        event,
        calls,
        attempt,
        to_node: AtomicU64::new(0),
    }
}

impl Leg {
    pub fn call(&self) -> &Arc<CallSpan> {
        &self.call
    }

    /// Travels with the calls.
    pub fn traced(&self) -> Arc<Traced> {
        Arc::clone(&self.traced)
    }

    pub fn goes_to(&self, node: u64) {
        self.to_node.store(node, Ordering::Relaxed);
    }

    pub fn answered(&self) {
        self.traced.reach(Stage::Answered);
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let answered = self.traced.reached(Stage::Answered);
        let ended = answered.unwrap_or_else(Instant::now);
        let (call, traced) = (&self.call, &self.traced);
        let (anchor, began) = (call.anchor, traced.began());
        let mut attributes = vec![
            ("onsale.event_id", Value::Number(self.event)),
            ("onsale.calls", Value::Number(self.calls as u64)),
            ("onsale.attempt", Value::Number(self.attempt.into())),
        ];
        let node = self.to_node.load(Ordering::Relaxed);
        let (kind, to) = match node {
            0 => (Kind::Internal, Value::Word("here")),
            node => (Kind::Client, Value::Number(node)),
        };
        attributes.push(("onsale.to_node", to));
        let span = |name: &'static str, id, parent_id, kind, to| Span {
            name: name.into(),
            id,
            parent_id,
            kind,
            from_ns: anchor.ns(began),
            to_ns: anchor.ns(to),
            is_failed: answered.is_none(),
            attributes: Vec::new(),
        };
        let mut spans = vec![Span {
            attributes,
            ..span("gateway", self.id, call.id, kind, ended)
        }];
        let new_id = || call.tracer.new_id();
        if node == 0 {
            SaleSpan {
                traced,
                id: new_id(),
                parent_id: self.id,
                kind: Kind::Internal,
                event: self.event,
                calls: self.calls as u64,
                ended,
            }
            .put(anchor, new_id, &mut spans);
        } else if let Some((_, _, sent)) = between(traced, "link", ended).first() {
            spans.push(Span {
                is_failed: traced.reached(Stage::Sent).is_none(),
                ..span("link", new_id(), self.id, Kind::Internal, *sent)
            });
        }
        call.add(spans, ended);
    }
}
