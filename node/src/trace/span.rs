//! Spans as they are told: numbers and words of this program only, so that nothing of a buyer, a visitor
//! or a key can be in them.

use std::borrow::Cow;
use std::sync::Arc;

use actors::trace::{Stage, Traced};
use tokio::time::Instant;

/// What one node tells of one call; the first span holds the others.
#[derive(Clone, Debug)]
pub struct TracePart {
    pub node_id: u64,
    pub trace_id: u128,
    /// The caller's, as it came.
    pub state: Arc<str>,
    pub spans: Vec<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// A method, a route's pattern, or a stage.
    pub name: Cow<'static, str>,
    pub id: u64,
    /// 0: none.
    pub parent_id: u64,
    pub kind: Kind,
    /// Unix nanoseconds, by the clock of the node that tells it.
    pub from_ns: u64,
    pub to_ns: u64,
    pub is_failed: bool,
    pub attributes: Vec<(&'static str, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody outside this node asked.
    Server,
    /// Somebody outside this node is asked.
    Client,
    Internal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Word(&'static str),
}

/// One moment on both clocks of a node: durations are measured by the one that never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub at: Instant,
    pub ns: u64,
}

impl Anchor {
    pub fn ns(&self, at: Instant) -> u64 {
        let nanos = |since: std::time::Duration| u64::try_from(since.as_nanos()).unwrap_or(0);
        match at.checked_duration_since(self.at) {
            Some(since) => self.ns.saturating_add(nanos(since)),
            None => self.ns.saturating_sub(nanos(self.at.duration_since(at))),
        }
    }
}

/// What happens from a stage on, until the next that is reached.
fn after(stage: Stage) -> &'static str {
    match stage {
        Stage::Sent => "away",
        Stage::Taken => "collect",
        Stage::SetAside => "prove",
        Stage::Proposed => "log",
        Stage::Committed => "decide",
        Stage::Answered => "reply",
    }
}

/// The time between the stages that were reached, until `ended`: what it was spent on. `first` is what
/// it was spent on before the first of them.
pub(super) fn between(
    traced: &Traced,
    first: &'static str,
    ended: Instant,
) -> Vec<(&'static str, Instant, Instant)> {
    let mut reached: Vec<(Instant, &'static str)> = Stage::ALL
        .into_iter()
        .filter(|stage| *stage != Stage::Answered)
        .filter_map(|stage| Some((traced.reached(stage)?, after(stage))))
        .collect();
    // What was split may have been proposed, in part, after the other part was committed.
    reached.sort();
    let mut spent = Vec::with_capacity(reached.len() + 1);
    let (mut from, mut name) = (traced.began(), first);
    for (at, next) in reached {
        spent.push((name, from, at));
        (from, name) = (at, next);
    }
    spent.push((name, from, ended.max(from)));
    spent
}

/// The owner's span of some calls, and those of its stages.
pub(super) struct SaleSpan<'a> {
    pub traced: &'a Traced,
    pub id: u64,
    pub parent_id: u64,
    pub kind: Kind,
    pub event: u64,
    pub calls: u64,
    pub ended: Instant,
}

impl SaleSpan<'_> {
    pub fn put(&self, anchor: Anchor, mut new_id: impl FnMut() -> u64, spans: &mut Vec<Span>) {
        let began = self.traced.began();
        let span = |name: &'static str, id, parent_id, kind, from, to, attributes| Span {
            name: name.into(),
            id,
            parent_id,
            kind,
            from_ns: anchor.ns(from),
            to_ns: anchor.ns(to),
            is_failed: false,
            attributes,
        };
        let mut said = vec![
            ("onsale.event_id", Value::Number(self.event)),
            ("onsale.calls", Value::Number(self.calls)),
        ];
        let entry = self.traced.log_index().map(Value::Number);
        said.extend(entry.map(|index| ("onsale.log_index", index)));
        let batch = self.traced.batch_commands().map(Value::Number);
        said.extend(batch.map(|commands| ("onsale.batch_commands", commands)));
        let (id, parent) = (self.id, self.parent_id);
        spans.push(span("sale", id, parent, self.kind, began, self.ended, said));
        for (name, from, to) in between(self.traced, "mailbox", self.ended) {
            let (child, kind) = (new_id(), Kind::Internal);
            spans.push(span(name, child, id, kind, from, to, Vec::new()));
        }
    }
}
