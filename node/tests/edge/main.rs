//! What a node and its command line do with what they cannot or need not take: a real process,
//! spoken to as a partner or a person does.

mod ask;
mod boards;
mod cli;
mod creation;
mod forecast;
mod metrics;
mod node;
mod overload;
mod refusals;
mod series;
mod tracing;
mod trouble;
