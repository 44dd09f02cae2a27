//! The disk as the log and the snapshots see it. Production: files of one folder, calls that
//! block, used only by the log's own thread. Simulation: bytes in memory with faults, calls that
//! sleep. Nothing else in the workspace touches a file that must survive.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

pub mod folder;
pub mod memory;

/// One open file. All positions are bytes from the file's start.
#[allow(clippy::len_without_is_empty)] // nobody asks a file whether it is empty
#[async_trait]
pub trait File: Send + Sync {
    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to `len` bytes; fewer only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;

    /// Returns when everything written to this file is on the medium. After an error the state of
    /// the file is unknown: it is never called again.
    async fn sync(&self) -> io::Result<()>;

    /// Reserves space so that writes below `len` need no metadata update; the file then has that
    /// length and reads as zeros.
    async fn preallocate(&self, len: u64) -> io::Result<()>;

    async fn len(&self) -> io::Result<u64>;

    /// Cuts the file.
    async fn truncate(&self, len: u64) -> io::Result<()>;
}

/// One folder (no sub-folders; names are plain).
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Creates a file that must not exist.
    async fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    async fn remove(&self, name: &str) -> io::Result<()>;
    /// Names in the folder, sorted.
    async fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals durable.
    async fn sync_dir(&self) -> io::Result<()>;
}

/// Whether a call failed for want of room: nothing is broken, and it may be tried again later.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
