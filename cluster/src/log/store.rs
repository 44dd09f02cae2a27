//! One group's log as openraft sees it.
//!
//! Appends return when they are queued and are answered together when their sync is through. A
//! vote returns when it is durable. A truncation and a purge return when they are queued: the log
//! is one sequence, so whatever is acknowledged later is durable only with them.

use std::fmt::{self, Debug};
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds, RangeInclusive};

use futures::stream::{self, Stream};
use openraft::AsyncRuntime;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::oneshot;

use super::Log;
use super::codec::entry_len;
use super::request::{Read, Request, Wanted};
use super::state::Piece;
use crate::types::{Entry, GroupId, LogId, Types, Vote};

/// Entries given to a peer at once, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A handle to one group's log; its clones are the readers.
pub struct GroupLog<R> {
    log: Log,
    group: GroupId,
    _runtime: PhantomData<fn() -> R>,
}

impl<R> Clone for GroupLog<R> {
    fn clone(&self) -> Self {
        Self::new(self.log.clone(), self.group)
    }
}

impl<R> Debug for GroupLog<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupLog({})", self.group)
    }
}

impl<R> GroupLog<R> {
    pub(super) fn new(log: Log, group: GroupId) -> Self {
        GroupLog {
            log,
            group,
            _runtime: PhantomData,
        }
    }

    /// Entries from `from` up to, not with, `to`, as many as fit `bytes_max`, at least one if
    /// there is one.
    pub(super) async fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> io::Result<Vec<Entry>> {
        let inner = &self.log.inner;
        let mut wanted = Vec::new();
        let mut cached = Vec::new();
        {
            let state = inner.shared.lock();
            let Some(group) = state.groups.get(&self.group) else {
                return Ok(Vec::new());
            };
            for piece in group.pieces(from, to, bytes_max) {
                match piece {
                    Piece::Cached(entry) => cached.push(entry),
                    Piece::Stored { place, index, term } => {
                        let used = state.segments.get(&place.segment);
                        let used = used.ok_or_else(|| io::Error::other("a segment is gone"))?;
                        wanted.push(Wanted {
                            file: used.segment.file.clone(),
                            place,
                            index,
                            term,
                        });
                    }
                }
            }
        }
        if wanted.is_empty() {
            return Ok(cached);
        }
        let (reply, answer) = oneshot::channel();
        let read = Read::Entries {
            group: self.group,
            wanted,
            reply,
        };
        let failure = || self.log.failure();
        inner.reads.send(read).await.map_err(|_| failure())?;
        let mut entries = answer.await.map_err(|_| failure())??;
        // The cache holds the last entries: they follow what was read.
        entries.append(&mut cached);
        Ok(entries)
    }
}

impl<R: AsyncRuntime> RaftLogReader<Types<R>> for GroupLog<R> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (from, to) = bounds(&range);
        self.read(from, to, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        self.read(from, to, MESSAGE_BYTES_MAX).await
    }

    /// Reads piece by piece: what is to be applied may be larger than memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (from, to) = bounds(&range);
        let log = self.clone();
        let read = Vec::new().into_iter();
        stream::try_unfold(
            (log, from, read),
            move |(log, mut from, mut read)| async move {
                loop {
                    if let Some(entry) = read.next() {
                        let entry: Entry = entry;
                        from = entry.log_id.index + 1;
                        return Ok(Some((entry, (log, from, read))));
                    }
                    let entries = log.read(from, to, MESSAGE_BYTES_MAX).await?;
                    if entries.is_empty() {
                        return Ok(None);
                    }
                    read = entries.into_iter();
                }
            },
        )
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let state = self.log.inner.shared.lock();
        Ok(state.groups.get(&self.group).and_then(|g| g.marks.vote))
    }

    /// The last log id of each leader, from the index in memory: no entry is read. (openraft's page
    /// on this method speaks of the first ones; its own implementation, its suite and
    /// `LogIdList` mean the last.)
    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> io::Result<Vec<LogId>> {
        let state = self.log.inner.shared.lock();
        let Some(group) = state.groups.get(&self.group) else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<LogId> = Vec::new();
        for index in range.start().index..=range.end().index {
            let Some(id) = group.id_at(index) else {
                continue;
            };
            match ids.last_mut() {
                Some(last) if last.leader_id == id.leader_id => *last = id,
                _ => ids.push(id),
            }
        }
        Ok(ids)
    }
}

impl<R: AsyncRuntime> RaftLogStorage<Types<R>> for GroupLog<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types<R>>> {
        let state = self.log.inner.shared.lock();
        let marks = state.groups.get(&self.group).map(|group| group.marks);
        let marks = marks.unwrap_or_default();
        Ok(LogState {
            last_purged_log_id: marks.purged,
            last_log_id: marks.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let permit = self.log.permit().await?;
        {
            let mut state = self.log.inner.shared.lock();
            state.groups.entry(self.group).or_default().marks.vote = Some(*vote);
        }
        permit.send(Request::Vote {
            group: self.group,
            vote: *vote,
            done: Box::new(|result| {
                // Who asked may have gone.
                let _ = reply.send(result);
            }),
        });
        answer.await.map_err(|_| self.log.failure())?
    }

    /// Kept in memory; it reaches the disk with the next write that is made anyhow.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut state = self.log.inner.shared.lock();
        state.groups.entry(self.group).or_default().marks.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let state = self.log.inner.shared.lock();
        let marks = state.groups.get(&self.group).map(|group| group.marks);
        Ok(marks.and_then(|marks| marks.committed.min(marks.last)))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let longest = entries.iter().map(entry_len).max().unwrap_or(0);
        if longest as u64 > self.log.inner.entry_bytes_max {
            let why = format!("an entry of {longest} bytes is too large for a segment");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let permit = self.log.permit().await?;
        let ticket = {
            let mut state = self.log.inner.shared.lock();
            state.append(self.group, &entries)?
        };
        permit.send(Request::Append {
            group: self.group,
            ticket,
            entries,
            done: Box::new(|result| callback.io_completed(result)),
        });
        Ok(())
    }

    async fn truncate_after(&mut self, after: Option<LogId>) -> io::Result<()> {
        let permit = self.log.permit().await?;
        let cut = {
            let mut state = self.log.inner.shared.lock();
            state.truncate_after(self.group, after)
        };
        if cut {
            permit.send(Request::TruncateAfter {
                group: self.group,
                after,
            });
        }
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let permit = self.log.permit().await?;
        self.log.inner.shared.lock().purge(self.group, upto);
        permit.send(Request::Purge {
            group: self.group,
            upto,
        });
        Ok(())
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}
