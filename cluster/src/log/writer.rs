//! The one writer of the log, a lane of its own. Everything queued while a sync runs forms the
//! next write: one buffer, one write, one sync; then all who waited for it are answered. The first
//! error ends the log: who waits gets the error, the node halts, nothing is retried.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batch::Batch;
use super::codec::{Marks, encode_marks, encode_vote, entry_body, log_id};
use super::format::{FRAME_HEADER, Kind, SECTOR};
use super::mark::Mark;
use super::recover::Position;
use super::request::{Done, Request};
use super::segment::Segment;
use super::state::{Failure, Place, SegmentUse, Shared};
use crate::bugs::{Bug, planted};
use crate::types::{GroupId, LogId};

/// Requests taken from the queue at once.
const TAKE: usize = 1024;
/// Frames of one write, in bytes: a larger write would only delay the answers of its first part.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub struct Writer {
    pub shared: Arc<Shared>,
    pub queue: mpsc::Receiver<Request>,
    pub prepared: mpsc::Receiver<Segment>,
    pub position: Position,
    /// What the log says of each group up to the last frame written.
    pub marks: BTreeMap<GroupId, Marks>,
    pub cache_bytes: usize,
}

/// What becomes true in memory when the write is durable.
enum Effect {
    Stored {
        group: GroupId,
        index: u64,
        ticket: u64,
        at: usize,
        len: u32,
    },
    Truncated(GroupId, Option<LogId>),
    Purged(GroupId, LogId),
    Forgotten(GroupId),
}

/// The write being put together.
struct Write {
    batch: Batch,
    effects: Vec<Effect>,
    done: Vec<Done>,
}

impl Writer {
    /// Runs until all handles are gone, the log is closed, or it has failed.
    pub async fn run(mut self) {
        let mut taken = Vec::with_capacity(TAKE);
        let mut pending = VecDeque::with_capacity(TAKE);
        let mut write = Write {
            batch: Batch::new(),
            effects: Vec::new(),
            done: Vec::new(),
        };
        let mut closing = false;
        while !closing && self.queue.recv_many(&mut taken, TAKE).await > 0 {
            pending.extend(taken.drain(..));
            while !pending.is_empty() && !closing {
                match self.write(&mut pending, &mut write).await {
                    Ok(closed) => closing = closed,
                    Err((doing, error)) => {
                        self.fail(doing, &error, pending, write.done).await;
                        return;
                    }
                }
            }
        }
        self.shared
            .lock()
            .failure
            .get_or_insert_with(Failure::closed);
        self.refuse(pending).await;
    }

    /// Forms one write of what is pending, makes it durable and answers. Says whether the log was
    /// closed.
    async fn write(
        &mut self,
        pending: &mut VecDeque<Request>,
        write: &mut Write,
    ) -> Result<bool, (&'static str, io::Error)> {
        if matches!(pending.front(), Some(Request::Close)) {
            return Ok(true);
        }
        {
            let mut state = self.shared.lock();
            if let Some(failure) = &state.failure {
                return Err(("working", failure.error()));
            }
            state.writing_since = Some(Instant::now());
        }
        self.begin(write);
        if !self.fits(write, first_len(pending)) {
            self.shared.lock().wants_segment = true;
            let rotated = self.rotate().await;
            {
                let mut state = self.shared.lock();
                state.wants_segment = false;
                state.writing_since = Some(Instant::now());
            }
            rotated.map_err(|e| ("taking a segment", e))?;
            self.begin(write);
            if !self.fits(write, first_len(pending)) {
                let why = "an entry is larger than a segment";
                let error = io::Error::new(io::ErrorKind::InvalidInput, why);
                return Err(("writing", error));
            }
        }
        let mut closed = false;
        while let Some(request) = pending.pop_front() {
            if matches!(request, Request::Close) {
                closed = true;
                break;
            }
            if let Some(rest) = self.put(write, request) {
                pending.push_front(rest);
                break;
            }
        }
        if write.effects.is_empty() && write.done.is_empty() {
            self.shared.lock().writing_since = None;
            return Ok(closed);
        }
        self.put_committed(write);
        let frames = write.batch.frames();
        let (bytes, chain) = write.batch.finish();
        let file = &self.position.segment.file;
        let len = bytes.len();
        file.write_at(self.position.offset, bytes)
            .await
            .map_err(|e| ("writing", e))?;
        let sync_began = Instant::now();
        if planted(Bug::AckBeforeSync) {
            for done in write.done.drain(..) {
                done(Ok(()));
            }
        }
        if !planted(Bug::SyncSkipped) {
            let mut synced = file.sync().await;
            if planted(Bug::SyncRetried) && synced.is_err() {
                synced = file.sync().await;
            }
            synced.map_err(|e| ("syncing", e))?;
        }
        let metrics = &self.shared.metrics;
        metrics.observe_batch(frames, len, sync_began.elapsed());
        self.settle(
            write,
            Mark {
                sequence: self.position.last.sequence + 1,
                chain,
            },
        );
        self.position.offset += len as u64;
        for done in write.done.drain(..) {
            done(Ok(()));
        }
        Ok(closed)
    }

    fn begin(&self, write: &mut Write) {
        let number = self.position.segment.number;
        let Mark { sequence, chain } = self.position.last;
        write.batch.begin(number, sequence + 1, chain);
        if self.position.unused {
            let groups = self.marks.len() as u64;
            write.batch.frame(Kind::Checkpoint, 0, groups, 0, &[]);
            for (group, marks) in &self.marks {
                let body = encode_marks(marks);
                write.batch.frame(Kind::GroupState, *group, 0, 0, &body);
            }
        }
    }

    /// Whether `len` more bytes of frames fit this write, with a committed mark for each group.
    fn fits(&self, write: &Write, len: usize) -> bool {
        let reserved = (self.marks.len() + 1) * FRAME_HEADER;
        let whole = Batch::file_len_of(write.batch.len() + len + reserved) as u64;
        self.position.offset + whole <= self.position.segment.len
            && (write.effects.is_empty() || write.batch.len() + len <= BATCH_BYTES_MAX)
    }

    async fn rotate(&mut self) -> io::Result<()> {
        let segment = self.prepared.recv().await;
        let segment = segment.ok_or_else(|| io::Error::other("no segment can be prepared"))?;
        self.position.segment = segment;
        self.position.offset = SECTOR as u64;
        self.position.unused = true;
        Ok(())
    }

    /// Adds a request to the write; what does not fit comes back.
    fn put(&mut self, write: &mut Write, request: Request) -> Option<Request> {
        if !self.fits(write, front_len(&request)) {
            return Some(request);
        }
        match request {
            Request::Append {
                group,
                ticket,
                entries,
                done,
            } => return self.put_entries(write, group, ticket, entries, done),
            Request::Vote { group, vote, done } => {
                let (term, body) = (vote.leader_id.term, encode_vote(&vote));
                write.batch.frame(Kind::Vote, group, 0, term, &body);
                self.marks.entry(group).or_default().vote = Some(vote);
                write.done.push(done);
            }
            Request::TruncateAfter { group, after } => {
                let (kind, id) = match after {
                    Some(after) => (Kind::TruncateAfter, after),
                    None => (Kind::TruncateAll, log_id(0, 0)),
                };
                let batch = &mut write.batch;
                batch.frame(kind, group, id.index, *id.leader_id, &[]);
                self.marks.entry(group).or_default().truncate_after(after);
                self.shared.lock().truncation_taken(group);
                write.effects.push(Effect::Truncated(group, after));
            }
            Request::Purge { group, upto } => {
                let batch = &mut write.batch;
                batch.frame(Kind::Purge, group, upto.index, *upto.leader_id, &[]);
                self.marks.entry(group).or_default().purge(upto);
                write.effects.push(Effect::Purged(group, upto));
            }
            Request::Forget { group, done } => {
                write.batch.frame(Kind::Forget, group, 0, 0, &[]);
                self.marks.remove(&group);
                write.effects.push(Effect::Forgotten(group));
                write.done.push(done);
            }
            Request::Close => {}
        }
        None
    }

    fn put_entries(
        &mut self,
        write: &mut Write,
        group: GroupId,
        ticket: u64,
        mut entries: Vec<crate::types::Entry>,
        done: Done,
    ) -> Option<Request> {
        let mut last = None;
        for (taken, entry) in entries.iter().enumerate() {
            let (kind, body) = entry_body(entry);
            if !self.fits(write, FRAME_HEADER + body.len()) {
                let rest = entries.split_off(taken);
                self.appended(group, last);
                let ticket = ticket + taken as u64;
                let request = Request::Append {
                    group,
                    ticket,
                    entries: rest,
                    done,
                };
                return Some(request);
            }
            let id = entry.log_id;
            let term = *id.leader_id;
            let at = write.batch.frame(kind, group, id.index, term, &body);
            write.effects.push(Effect::Stored {
                group,
                index: id.index,
                ticket: ticket + taken as u64,
                at,
                len: body.len() as u32,
            });
            last = Some(id);
        }
        self.appended(group, last);
        write.done.push(done);
        None
    }

    fn appended(&mut self, group: GroupId, last: Option<LogId>) {
        if last.is_some() {
            self.marks.entry(group).or_default().last = last;
        }
    }

    /// What is committed travels with a write that is made anyhow.
    fn put_committed(&mut self, write: &mut Write) {
        let state = self.shared.lock();
        for (group, marks) in &mut self.marks {
            let committed = state.committed_on_disk(*group);
            let written = marks.last.map(|last| last.index);
            if let Some(id) = committed.filter(|id| Some(id.index) <= written)
                && marks.committed != Some(id)
            {
                let term = *id.leader_id;
                let batch = &mut write.batch;
                batch.frame(Kind::Committed, *group, id.index, term, &[]);
                marks.committed = Some(id);
            }
        }
    }

    /// The write is durable.
    fn settle(&mut self, write: &mut Write, mark: Mark) {
        let mut state = self.shared.lock();
        let segment = self.position.segment.number;
        if self.position.unused {
            let used = SegmentUse {
                segment: self.position.segment.clone(),
                highest: BTreeMap::new(),
            };
            state.segments.insert(segment, used);
            self.position.unused = false;
        }
        let mut reclaim = false;
        for effect in write.effects.drain(..) {
            match effect {
                Effect::Stored {
                    group,
                    index,
                    ticket,
                    at,
                    len,
                } => {
                    let offset = self.position.offset + at as u64;
                    let place = Place {
                        segment,
                        offset,
                        len,
                    };
                    state.stored(group, index, ticket, place);
                }
                Effect::Truncated(group, after) => state.stored_truncation(group, after),
                Effect::Purged(group, upto) => {
                    state.stored_purge(group, upto);
                    reclaim = true;
                }
                Effect::Forgotten(group) => {
                    state.stored_forget(group);
                    reclaim = true;
                }
            }
        }
        if reclaim {
            state.release_segments();
        }
        self.position.last = mark;
        state.acknowledged = mark;
        state.writing_since = None;
        state.evict(self.cache_bytes);
        let metrics = &self.shared.metrics;
        metrics.set_cache_bytes(state.cached_bytes());
        metrics.set_segments(state.segments.len());
        drop(state);
        self.shared.changed.notify_one();
    }

    async fn fail(
        self,
        doing: &str,
        error: &io::Error,
        pending: VecDeque<Request>,
        done: Vec<Done>,
    ) {
        let failure = self.shared.fail(doing, error);
        for done in done {
            done(Err(failure.error()));
        }
        let shared = self.shared.clone();
        self.refuse(pending).await;
        shared.halt.halt(&failure.why);
    }

    /// Answers everything that waits, and all that is still queued, with the failure.
    async fn refuse(mut self, pending: VecDeque<Request>) {
        self.queue.close();
        let failure = self.shared.lock().failure.clone();
        let failure = failure.unwrap_or_else(Failure::closed);
        let mut rest = pending;
        while let Some(request) = self.queue.recv().await {
            rest.push_back(request);
        }
        for done in rest.into_iter().filter_map(Request::into_done) {
            done(Err(failure.error()));
        }
    }
}

/// Bytes of frames the first pending request needs at least.
fn first_len(pending: &VecDeque<Request>) -> usize {
    pending.front().map_or(0, front_len)
}

fn front_len(request: &Request) -> usize {
    match request {
        Request::Append { entries, .. } => entries
            .first()
            .map_or(0, |entry| FRAME_HEADER + entry_body(entry).1.len()),
        Request::Vote { .. } => FRAME_HEADER + 9,
        _ => FRAME_HEADER,
    }
}
