//! The owner's part of calls that another node sent: told by this node, as a child of that node's span.

use std::sync::Arc;

use actors::trace::{Stage, Traced};
use tokio::time::Instant;

use super::context;
use super::span::{Anchor, Kind, SaleSpan, TracePart};
use super::tracer::Tracer;

pub struct Visit {
    tracer: Tracer,
    traced: Arc<Traced>,
    anchor: Anchor,
    event: u64,
    calls: usize,
}

impl Visit {
    /// `None` when the other node does not trace these calls.
    pub fn begin(tracer: &Tracer, packed: &[u8], event: u64, calls: usize) -> Option<Visit> {
        if packed.is_empty() {
            return None;
        }
        let traced = Arc::new(Traced::begin(context::unpack(packed)?));
        tracer.observe_visit();
        Some(Visit {
            anchor: tracer.anchor(),
            tracer: tracer.clone(),
            traced,
            event,
            calls,
        })
    }

    pub fn traced(&self) -> Arc<Traced> {
        Arc::clone(&self.traced)
    }

    pub fn answered(&self) {
        self.traced.reach(Stage::Answered);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let answered = self.traced.reached(Stage::Answered);
        let context = self.traced.context();
        let mut spans = Vec::new();
        SaleSpan {
            traced: &self.traced,
            id: self.tracer.new_id(),
            parent_id: context.span_id,
            kind: Kind::Server,
            event: self.event,
            calls: self.calls as u64,
            ended: answered.unwrap_or_else(Instant::now),
        }
        .put(self.anchor, || self.tracer.new_id(), &mut spans);
        self.tracer.tell(TracePart {
            node_id: self.tracer.node_id(),
            trace_id: context.trace_id,
            state: Arc::clone(&context.state),
            spans,
        });
    }
}
