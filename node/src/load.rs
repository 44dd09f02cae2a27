//! A partner's client, written only against the public gRPC: what the demo, the benchmark and the
//! tests buy with.
//!
//! It shares no code with the server. [`packed`] encodes and decodes the packed layouts of
//! `session.proto` a second time on purpose, so that each side checks the other.
//!
//! ```text
//! Buyer ── Seller ─┬─ session::Sessions   many calls on one stream, resent after a reconnect
//!                  └─ unary::Unary        one gRPC call each
//! Visitor ─ visitors::Visitors            the waiting room, many visitors a call
//! bench ── session::Stream ── packed       no task and no allocation per call
//! ```

pub mod call;
pub mod client;
pub mod connect;
pub mod keys;
pub mod packed;
pub mod session;
pub mod slab;
pub mod unary;
pub mod venue;
pub mod visitors;

pub use call::{Answer, Call, Line, Rejected, Run};
pub use client::{Client, GaveUp, Seller};
pub use visitors::{Pass, Visitors};
