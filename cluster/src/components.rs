//! What is injected so that a whole cluster can run in one simulated thread: network, time,
//! randomness, threads, the end of the process. Separate from `Config`, which is only values.

use std::future::Future;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::disk::Disk;

pub use crate::production::production;

/// A byte connection.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Connections between nodes. The real one is tokio's TCP.
#[async_trait]
pub trait Net: Send + Sync + 'static {
    /// Connects to `host:port` of a peer listener.
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Io>>;
    /// Listens on `host:port`.
    async fn listen(
        &self,
        address: &str,
    ) -> io::Result<BoxStream<'static, io::Result<Box<dyn Io>>>>;
}

/// Wall time, read in one place. Monotonic time is `tokio::time::Instant` everywhere.
pub trait WallClock: Send + Sync + 'static {
    /// Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// The same in nanoseconds, as fine as the clock has it: spans of one call are shorter than that.
    fn now_ns(&self) -> u64 {
        self.now_ms().saturating_mul(1_000_000)
    }
}

/// Ends the process: production aborts, a simulation marks the node as crashed.
pub trait Halt: Send + Sync + 'static {
    fn halt(&self, why: &str);
}

/// Where a writer that may block runs: a thread of its own, or a task in simulation.
pub trait Lanes: Send + Sync + 'static {
    fn run(&self, name: &str, future: BoxFuture<'static, ()>);

    /// As `run`, for long work that may wait: others have the processor before it, the more the higher
    /// its niceness (0 to 19), where that can be said.
    fn run_behind(&self, name: &str, niceness: i32, future: BoxFuture<'static, ()>) {
        let _ = niceness;
        self.run(name, future);
    }
}

/// Entered around every future that calls into Raft: identity in production, the seeded
/// randomness of the simulated node otherwise.
pub trait Scope: Send + Sync + 'static {
    fn enter<'a>(&self, future: BoxFuture<'a, ()>) -> BoxFuture<'a, ()>;
}

/// Everything injected into the cluster part of a node.
#[derive(Clone)]
pub struct Components {
    /// The folder of the log.
    pub log_disk: Arc<dyn Disk>,
    /// The folder of snapshots.
    pub snapshot_disk: Arc<dyn Disk>,
    pub net: Arc<dyn Net>,
    pub wall: Arc<dyn WallClock>,
    pub halt: Arc<dyn Halt>,
    pub lanes: Arc<dyn Lanes>,
    pub scope: Arc<dyn Scope>,
    /// Seed of this node and incarnation.
    pub seed: u64,
}

impl Components {
    /// Spawns a task that may call into Raft.
    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.scope.enter(Box::pin(future)))
    }

    /// Runs a future that calls into Raft inside the caller's task.
    pub async fn enter<T, F>(&self, future: F) -> T
    where
        T: Send,
        F: Future<Output = T> + Send,
    {
        let mut output = None;
        self.scope
            .enter(Box::pin(async { output = Some(future.await) }))
            .await;
        output.expect("a scope runs its future to the end")
    }
}
