//! The real world: folders on a disk, TCP, threads, the system's clock, and an end by abort.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;

use crate::components::{Components, Halt, Io, Lanes, Net, Scope, WallClock};
use crate::disk::folder::FolderDisk;

/// Everything real, with `log` and `snapshots` as folders of `data_dir`.
pub fn production(data_dir: &Path) -> io::Result<Components> {
    let log = data_dir.join("log");
    let snapshots = data_dir.join("snapshots");
    let seed = SysRng.try_next_u64().map_err(io::Error::other)?;
    Ok(Components {
        log_disk: Arc::new(FolderDisk::open(&log)?),
        snapshot_disk: Arc::new(FolderDisk::open(&snapshots)?),
        net: Arc::new(Tcp),
        wall: Arc::new(SystemWall),
        halt: Arc::new(Abort),
        lanes: Arc::new(Threads),
        scope: Arc::new(NoScope),
        seed,
    })
}

/// TCP without Nagle's delay.
pub struct Tcp;

#[async_trait]
impl Net for Tcp {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn listen(
        &self,
        address: &str,
    ) -> io::Result<BoxStream<'static, io::Result<Box<dyn Io>>>> {
        let listener = TcpListener::bind(address).await?;
        let accepted = TcpListenerStream::new(listener).map(|accepted| {
            let stream = accepted?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        });
        Ok(accepted.boxed())
    }
}

pub struct SystemWall;

impl WallClock for SystemWall {
    fn now_ms(&self) -> u64 {
        // A clock before 1970 is as wrong as any other: the median of the nodes decides.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    fn now_ns(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos() as u64)
    }
}

/// Ends the process at once: nothing may be flushed, answered or retried after a failed sync.
pub struct Abort;

impl Halt for Abort {
    fn halt(&self, why: &str) {
        eprintln!("onsale: ending the process: {why}");
        std::process::abort();
    }
}

/// A thread for each lane, with the timers of the runtime it was started from.
pub struct Threads;

impl Lanes for Threads {
    fn run(&self, name: &str, future: BoxFuture<'static, ()>) {
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name(name.into());
        if let Err(error) = thread.spawn(move || runtime.block_on(future)) {
            // A node without its writer is no node.
            Abort.halt(&format!("no thread for {name}: {error}"));
        }
    }

    fn run_behind(&self, name: &str, niceness: i32, future: BoxFuture<'static, ()>) {
        let behind = async move {
            // On Linux a priority belongs to a thread, and threads that it starts inherit it. Where it is
            // refused the work is merely less polite.
            let _refused = rustix::process::setpriority_process(None, niceness);
            future.await;
        };
        self.run(name, Box::pin(behind));
    }
}

pub struct NoScope;

impl Scope for NoScope {
    fn enter<'a>(&self, future: BoxFuture<'a, ()>) -> BoxFuture<'a, ()> {
        future
    }
}
