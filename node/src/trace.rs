//! Traces of single calls: which are taken, and what is told of them. A call that is not taken costs a
//! look at one header and one number; it carries nothing, and no byte of it goes to other nodes.
//!
//! ```text
//! grpc, http ── Tracer ── CallSpan ─┬─ Leg      gateway: one attempt, here or sent to the owner
//!                                   └─ reply
//!     owner's end of a link ── Visit ── sale ─┬─ mailbox, collect, prove, log, decide: `actors::trace`
//! ```
//!
//! Spans are made at the end, of stamps that were taken on the way, by each node for its own part and by
//! its own clock; what travels to another node is the trace's id and the parent's. They go to a `Sink`:
//! a line of the log, or a collector (feature `otlp`). A span holds numbers and words of this program,
//! and nothing that a caller sent but the ids of its trace; its `tracestate` is passed on as it came.

mod call;
pub mod context;
#[cfg(test)]
pub(crate) mod kept;
mod leg;
mod lines;
mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
mod span;
mod tracer;
mod visit;

pub use call::{CallSpan, current, within};
pub use context::{STATE_HEADER, TRACE_HEADER};
pub use leg::Leg;
pub use lines::{LOG_TARGET, Lines};
pub use metrics::TraceMetrics;
pub use span::{Kind, Span, TracePart, Value};
pub use tracer::{NotARatio, Settings, Sink, Tracer};
pub use visit::Visit;
