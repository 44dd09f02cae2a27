//! Faults injected into public surfaces; nothing depends on it.
//!
//! So far: the pure domain by seed. Several replicas are fed one log, and each is thrown away and
//! brought back from its exported state or from the whole log wherever the seed says so.

pub mod buyers;
pub mod replicas;
