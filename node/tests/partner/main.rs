//! What a channel partner meets: the gRPC services of one node, over loopback, with a real client.

mod bad_input;
mod cluster;
mod discovery;
mod full;
mod house;
mod metrics;
mod room;
mod selling;
mod session;
mod tracing;
mod watching;
