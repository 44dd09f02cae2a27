//! The runtime and the scope of a simulated node: Raft's randomness comes from a seed. Never used in
//! production, where election timeouts must differ by themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use openraft_rt::deterministic_rng::DeterministicRng;

use crate::components::Scope;

/// Tokio with seeded randomness; every entry into Raft outside a [`SeededScope`] panics.
pub type SeededRuntime = DeterministicRng<openraft::TokioRuntime>;

/// Gives each task that may enter Raft the next seed of its node and incarnation.
pub struct SeededScope(AtomicU64);

impl SeededScope {
    pub fn new(seed: u64) -> Self {
        SeededScope(AtomicU64::new(seed))
    }
}

impl Scope for SeededScope {
    fn enter<'a>(&self, future: BoxFuture<'a, ()>) -> BoxFuture<'a, ()> {
        let seed = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(SeededRuntime::scope(seed, future))
    }
}
