//! One write-ahead log per node for all its Raft groups: segments of a [`Disk`](crate::disk::Disk),
//! one writer, one sync for everything that waits. Knows openraft's storage traits and nothing of
//! what an entry means.
//!
//! [`Log::open`] reads the log back and starts three lanes: the writer, the keeper of the files and
//! the reader of old entries. [`Log::group`] gives a group's view to openraft. The bytes are told
//! in `format.rs`, what is cut and what is refused in `recover.rs`.
//!
//! What cannot be told apart: if whole sectors of the last writes are lost although the disk said
//! they were synced, and no mark reached the disk since (`Config::mark_after_ms`), the log looks as
//! if those writes had never come to their end. No flipped bit and no cut file looks so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bugs::{Bug, planted};
use crate::components::{Halt, Lanes};
use crate::disk::Disk;
use crate::types::{Entry, GroupId};
use files::Files;
use read::Reader;
use recover::{Recovered, recover};
use request::{Read, Request};
use state::{Shared, State};
use writer::Writer;

mod batch;
mod codec;
mod files;
mod format;
mod mark;
mod metrics;
mod read;
mod recover;
mod replay;
mod request;
mod scan;
mod segment;
mod state;
mod store;
mod writer;

pub use metrics::LogMetrics;
pub use store::GroupLog;

/// Requests that may wait for the writer.
const QUEUE: usize = 4096;
/// Reads that may wait for the reader.
const READS: usize = 64;
const LANES: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Length of a segment file, in bytes. An entry must fit one.
    pub segment_bytes: u64,
    /// Recent entries kept in memory, over all groups, in bytes.
    pub cache_bytes: usize,
    /// How soon after a sync it is written down beside the log that it happened, in milliseconds.
    pub mark_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            segment_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            mark_after_ms: 50,
        }
    }
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    #[error("the disk failed: {0}")]
    Io(#[from] io::Error),
    /// The log is not what was written. It is left as it is: the node must be rebuilt from its
    /// peers.
    #[error("segment {segment} of the log is corrupt at byte {offset}: {why}")]
    Corrupt {
        segment: u64,
        offset: u64,
        why: &'static str,
    },
    /// The file that tells how far the log was acknowledged is not what was written.
    #[error("the mark of the log is corrupt: {0}")]
    Mark(&'static str),
}

fn corrupt(segment: u64, offset: u64, why: &'static str) -> OpenFault {
    OpenFault::Corrupt {
        segment,
        offset,
        why,
    }
}

/// A handle to the log; cheap to clone. The log ends when all handles are gone, or by
/// [`Log::close`].
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    requests: mpsc::Sender<Request>,
    reads: mpsc::Sender<Read>,
    shared: Arc<Shared>,
    entry_bytes_max: u64,
}

impl Log {
    /// Reads the log back and starts its lanes. The lanes need a tokio context with time.
    pub async fn open(
        disk: Arc<dyn Disk>,
        config: Config,
        halt: Arc<dyn Halt>,
        lanes: Arc<dyn Lanes>,
        metrics: LogMetrics,
    ) -> Result<Log, OpenFault> {
        let Recovered {
            mut groups,
            segments,
            position,
            prepared,
            next_number,
            mark_file,
        } = recover(&*disk, config.segment_bytes).await?;
        if planted(Bug::VoteForgotten) {
            for group in groups.values_mut() {
                group.marks.vote = None;
            }
        }
        let marks = groups.iter().map(|(group, state)| (*group, state.marks));
        let marks = marks.collect();
        let mut state = State::new(groups, segments, position.last);
        let released = state.release_segments();
        let marked = position.last.sequence;
        let shared = Arc::new(Shared::new(state, metrics, halt));
        if released {
            shared.changed.notify_one();
        }
        let (requests, queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(READS);
        let (ready, ready_queue) = mpsc::channel(1);
        if let Some(segment) = prepared {
            // The queue is empty and holds one.
            let _ = ready.try_send(segment);
        }
        let writer = Writer {
            shared: shared.clone(),
            queue,
            prepared: ready_queue,
            position,
            marks,
            cache_bytes: config.cache_bytes,
        };
        let files = Files {
            disk,
            shared: shared.clone(),
            prepared: ready,
            next_number,
            segment_bytes: config.segment_bytes,
            mark_file,
            marked,
            mark_after: Duration::from_millis(config.mark_after_ms),
        };
        let reader = Reader {
            shared: shared.clone(),
            queue: read_queue,
        };
        start(&*lanes, "log", &shared, writer.run());
        start(&*lanes, "log-files", &shared, files.run());
        start(&*lanes, "log-read", &shared, reader.run());
        Ok(Log {
            inner: Arc::new(Inner {
                requests,
                reads,
                shared,
                entry_bytes_max: config.segment_bytes / 2,
            }),
        })
    }

    /// Bytes an entry may have. Longer ones are a fault of the storage, which ends the node: who
    /// proposes looks here first.
    pub(crate) fn entry_bytes_max(&self) -> usize {
        usize::try_from(self.inner.entry_bytes_max).unwrap_or(usize::MAX)
    }

    /// Groups of which anything is known.
    pub fn groups(&self) -> Vec<GroupId> {
        self.inner.shared.lock().groups.keys().copied().collect()
    }

    /// A group's log, as openraft sees it. One at a time per group.
    pub fn group<R>(&self, group: GroupId) -> GroupLog<R> {
        GroupLog::new(self.clone(), group)
    }

    /// All live entries of a group, as they can be read back.
    pub async fn entries(&self, group: GroupId) -> io::Result<Vec<Entry>> {
        let log = GroupLog::<()>::new(self.clone(), group);
        log.read(0, u64::MAX, usize::MAX).await
    }

    /// Groups whose live entries keep the oldest segment, with the bytes of all their live
    /// entries. While there is but one segment nothing is kept needlessly.
    pub fn pinning(&self) -> Vec<(GroupId, u64)> {
        let state = self.inner.shared.lock();
        if state.segments.len() < 2 {
            return Vec::new();
        }
        let bytes = |group| state.groups.get(&group).map_or(0, |state| state.bytes);
        state.pins().map(|group| (group, bytes(group))).collect()
    }

    /// Bytes of a group's live entries.
    pub fn size(&self, group: GroupId) -> u64 {
        let state = self.inner.shared.lock();
        state.groups.get(&group).map_or(0, |state| state.bytes)
    }

    /// Segments in use.
    pub fn segments(&self) -> usize {
        self.inner.shared.lock().segments.len()
    }

    /// How long the present write has taken so far, if one is under way: waiting for a segment,
    /// writing, syncing. While the disk is full nothing is under way: room is waited for, and no sync.
    pub fn writing_for(&self) -> Option<Duration> {
        let state = self.inner.shared.lock();
        if state.full && state.wants_segment {
            return None;
        }
        state.writing_since.map(|since| since.elapsed())
    }

    /// The disk has no room for the next segment: proposals are refused before the present one is
    /// full. It is tried again every second.
    pub fn is_full(&self) -> bool {
        self.inner.shared.lock().full
    }

    pub fn metrics(&self) -> &LogMetrics {
        &self.inner.shared.metrics
    }

    /// Drops all that is known of a group that has left this node, its vote included: the node
    /// must not vote in that group under the same id again.
    pub async fn forget(&self, group: GroupId) -> io::Result<()> {
        let permit = self.permit().await?;
        self.inner.shared.lock().forget(group);
        let (reply, answer) = tokio::sync::oneshot::channel();
        permit.send(Request::Forget {
            group,
            done: Box::new(|result| {
                let _ = reply.send(result);
            }),
        });
        answer.await.map_err(|_| self.failure())?
    }

    /// Writes what is queued, then ends the log; later calls fail. Returns when nothing of it
    /// touches the disk any more.
    pub async fn close(&self) {
        let mut ended = self.inner.shared.ended.subscribe();
        // A queue that is closed belongs to a lane that has ended.
        let _ = self.inner.requests.send(Request::Close).await;
        let _ = self.inner.reads.send(Read::Close).await;
        let _ = ended.wait_for(|ended| *ended == LANES).await;
    }

    /// Room for one request to the writer.
    async fn permit(&self) -> io::Result<mpsc::Permit<'_, Request>> {
        if let Some(failure) = &self.inner.shared.lock().failure {
            return Err(failure.error());
        }
        let permit = self.inner.requests.reserve().await;
        permit.map_err(|_| self.failure())
    }

    /// Why a lane does not answer.
    fn failure(&self) -> io::Error {
        let failure = self.inner.shared.lock().failure.clone();
        failure.unwrap_or_else(state::Failure::closed).error()
    }
}

/// Counts the end of a lane, when it has let go of everything; also if it panics.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

fn start(
    lanes: &dyn Lanes,
    name: &str,
    shared: &Arc<Shared>,
    lane: impl Future<Output = ()> + Send + 'static,
) {
    let ended = Ended(shared.clone());
    let counted = async move {
        let _ended = ended;
        lane.await;
    };
    lanes.run(name, Box::pin(counted));
}
