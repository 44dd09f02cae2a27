//! What the log knows in memory, shared by its lanes and its handles under one short lock: per
//! group the marks, where each entry stands, and the recent entries themselves; which segments are
//! in use; whether the log has failed. Nothing here touches the disk.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::codec::{Marks, entry_len, log_id};
use super::format::FRAME_HEADER;
use super::mark::Mark;
use super::metrics::LogMetrics;
use super::segment::Segment;
use crate::components::Halt;
use crate::types::{Entry, GroupId, LogId};

/// Shared by the handles and the lanes. Holds no sender of a queue, so that the lanes end when the
/// last handle is gone.
pub struct Shared {
    state: Mutex<State>,
    pub metrics: LogMetrics,
    pub halt: Arc<dyn Halt>,
    /// Something to mark or to remove.
    pub changed: Notify,
    /// How many lanes have ended.
    pub ended: watch::Sender<usize>,
}

impl Shared {
    pub fn new(state: State, metrics: LogMetrics, halt: Arc<dyn Halt>) -> Self {
        metrics.set_segments(state.segments.len());
        Shared {
            state: Mutex::new(state),
            metrics,
            halt,
            changed: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not hide the log from those who can still answer their callers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log has failed for good: later calls fail, nothing is retried. The caller answers who
    /// waits and then halts.
    pub fn fail(&self, doing: &str, error: &io::Error) -> Failure {
        let mut state = self.lock();
        let failure = state.failure.get_or_insert_with(|| Failure {
            kind: error.kind(),
            closed: false,
            why: format!("the log has failed while {doing}: {error}"),
        });
        failure.clone()
    }
}

/// Why no call succeeds any more.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: io::ErrorKind,
    /// Nothing went wrong: the log was closed.
    pub closed: bool,
    pub why: String,
}

impl Failure {
    pub fn closed() -> Self {
        Failure {
            kind: io::ErrorKind::BrokenPipe,
            closed: true,
            why: "the log is closed".to_owned(),
        }
    }

    pub fn error(&self) -> io::Error {
        io::Error::new(self.kind, self.why.clone())
    }
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment: u64,
    /// Of its header, in bytes from the file's start.
    pub offset: u64,
    /// Of its body, in bytes.
    pub len: u32,
}

#[derive(Default)]
pub struct State {
    pub groups: BTreeMap<GroupId, GroupState>,
    /// Segments that hold a batch; the last one is written to.
    pub segments: BTreeMap<u64, SegmentUse>,
    /// Segments nothing needs, to be removed by the files' lane, oldest first.
    pub unneeded: VecDeque<u64>,
    /// Up to where entries of a group are gone for good, as synced.
    pub purged: BTreeMap<GroupId, u64>,
    pub acknowledged: Mark,
    pub failure: Option<Failure>,
    /// When the write that is under way began.
    pub writing_since: Option<Instant>,
    /// It waits for the next segment.
    pub wants_segment: bool,
    /// The disk has no room for the next segment.
    pub full: bool,
    recent: VecDeque<Recent>,
    cached_bytes: usize,
    tickets: u64,
}

/// A cached entry, in the sequence of appending over all groups.
struct Recent {
    group: GroupId,
    index: u64,
    ticket: u64,
}

/// A segment and the highest live index of each group in it.
pub struct SegmentUse {
    pub segment: Segment,
    pub highest: BTreeMap<GroupId, u64>,
}

#[derive(Default)]
pub struct GroupState {
    pub marks: Marks,
    /// One per entry, without holes, up to `marks.last`.
    slots: VecDeque<Slot>,
    /// The last of the entries.
    cached: VecDeque<Entry>,
    /// Bytes of all entries, with their frames.
    pub bytes: u64,
    /// Truncations queued for the writer: until they are written, entries on the disk may be others
    /// than those here.
    truncations_queued: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    term: u64,
    /// Tells an entry from one that stood at the same index before it.
    ticket: u64,
    /// Bytes of the body.
    len: u32,
    place: Option<Place>,
}

/// One entry as it can be had.
pub enum Piece {
    Cached(Entry),
    Stored { place: Place, index: u64, term: u64 },
}

impl State {
    /// What recovery found.
    pub fn new(
        groups: BTreeMap<GroupId, GroupState>,
        segments: BTreeMap<u64, SegmentUse>,
        acknowledged: Mark,
    ) -> Self {
        let purged = groups
            .iter()
            .filter_map(|(group, state)| Some((*group, state.marks.purged?.index)));
        State {
            purged: purged.collect(),
            groups,
            segments,
            acknowledged,
            ..State::default()
        }
    }

    /// Takes entries into memory and returns the ticket of the first. Refuses a hole.
    pub fn append(&mut self, group: GroupId, entries: &[Entry]) -> io::Result<u64> {
        let first_ticket = self.tickets + 1;
        let state = self.groups.entry(group).or_default();
        state.expect(entries)?;
        for entry in entries {
            self.tickets += 1;
            state.push_slot(entry.log_id, entry_len(entry) as u32, self.tickets, None);
            state.cached.push_back(entry.clone());
            self.cached_bytes += cost(entry);
            self.recent.push_back(Recent {
                group,
                index: entry.log_id.index,
                ticket: self.tickets,
            });
        }
        Ok(first_ticket)
    }

    pub fn truncate_after(&mut self, group: GroupId, after: Option<LogId>) -> bool {
        let state = self.groups.entry(group).or_default();
        let freed = state.truncate_after(after);
        self.cached_bytes -= freed.unwrap_or(0);
        state.truncations_queued += u64::from(freed.is_some());
        freed.is_some()
    }

    /// A truncation goes into the write that is put together.
    pub fn truncation_taken(&mut self, group: GroupId) {
        if let Some(state) = self.groups.get_mut(&group) {
            state.truncations_queued = state.truncations_queued.saturating_sub(1);
        }
    }

    /// What is committed of a group, while its log on the disk is the beginning of the one here. What
    /// is committed may stand at an index where the disk still has an entry that is to go.
    pub fn committed_on_disk(&self, group: GroupId) -> Option<LogId> {
        let state = self.groups.get(&group)?;
        let committed = state.marks.committed;
        committed.filter(|_| state.truncations_queued == 0)
    }

    pub fn purge(&mut self, group: GroupId, upto: LogId) {
        let state = self.groups.entry(group).or_default();
        self.cached_bytes -= state.purge(upto);
    }

    pub fn forget(&mut self, group: GroupId) {
        if let Some(state) = self.groups.remove(&group) {
            self.cached_bytes -= state.cached.iter().map(cost).sum::<usize>();
        }
    }

    /// An entry was synced at this place.
    pub fn stored(&mut self, group: GroupId, index: u64, ticket: u64, place: Place) {
        if let Some(used) = self.segments.get_mut(&place.segment) {
            let highest = used.highest.entry(group).or_insert(index);
            *highest = index.max(*highest);
        }
        let state = self.groups.get_mut(&group);
        if let Some(slot) = state.and_then(|state| state.slot_mut(index))
            && slot.ticket == ticket
        {
            slot.place = Some(place);
        }
    }

    /// A truncation was synced: what it cut no longer keeps a segment.
    pub fn stored_truncation(&mut self, group: GroupId, after: Option<LogId>) {
        for used in self.segments.values_mut() {
            match (after, used.highest.get_mut(&group)) {
                (Some(after), Some(highest)) => *highest = after.index.min(*highest),
                (None, Some(_)) => {
                    used.highest.remove(&group);
                }
                (_, None) => {}
            }
        }
    }

    /// A purge was synced.
    pub fn stored_purge(&mut self, group: GroupId, upto: LogId) {
        let purged = self.purged.entry(group).or_insert(upto.index);
        *purged = upto.index.max(*purged);
    }

    /// That a group has left was synced.
    pub fn stored_forget(&mut self, group: GroupId) {
        self.purged.remove(&group);
        for used in self.segments.values_mut() {
            used.highest.remove(&group);
        }
    }

    /// Hands the oldest segments over for removal as long as nothing in them is needed.
    pub fn release_segments(&mut self) -> bool {
        let mut released = false;
        while self.segments.len() > 1 && self.pins().next().is_none() {
            if let Some((number, _)) = self.segments.pop_first() {
                self.unneeded.push_back(number);
                released = true;
            }
        }
        released
    }

    /// Groups with live entries in the oldest segment.
    pub fn pins(&self) -> impl Iterator<Item = GroupId> + '_ {
        let oldest = self.segments.values().next();
        let groups = oldest.into_iter().flat_map(|used| &used.highest);
        groups
            .filter(|(group, highest)| {
                self.purged
                    .get(group)
                    .is_none_or(|purged| purged < *highest)
            })
            .map(|(group, _)| *group)
    }

    /// Drops the oldest cached entries that can be read from disk until the cache is small enough.
    pub fn evict(&mut self, bytes_max: usize) {
        // Behind a live entry of an idle group those of busy ones may long be gone.
        let cached: usize = self.groups.values().map(|group| group.cached.len()).sum();
        if self.recent.len() > 2 * cached + 1024 {
            let groups = &mut self.groups;
            self.recent.retain(|recent| {
                let state = groups.get_mut(&recent.group);
                let slot = state.and_then(|state| state.slot_mut(recent.index));
                slot.is_some_and(|slot| slot.ticket == recent.ticket)
            });
        }
        while let Some(oldest) = self.recent.front() {
            let state = self.groups.get_mut(&oldest.group);
            let live = state.and_then(|state| {
                let slot = *state.slot_mut(oldest.index)?;
                (slot.ticket == oldest.ticket).then_some((state, slot))
            });
            // What was truncated or purged left the cache then.
            if let Some((state, slot)) = live {
                if self.cached_bytes <= bytes_max || slot.place.is_none() {
                    return;
                }
                if let Some(entry) = state.cached.pop_front() {
                    self.cached_bytes -= cost(&entry);
                }
            }
            self.recent.pop_front();
        }
    }

    pub fn cached_bytes(&self) -> usize {
        self.cached_bytes
    }
}

impl GroupState {
    /// A group without entries.
    pub fn new(marks: Marks) -> Self {
        GroupState {
            marks,
            ..GroupState::default()
        }
    }

    fn first(&self) -> u64 {
        self.next() - self.slots.len() as u64
    }

    fn next(&self) -> u64 {
        self.marks.last.map_or(0, |last| last.index + 1)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = index.checked_sub(self.first())?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    /// Refuses entries that would leave a hole or stand over others.
    fn expect(&self, entries: &[Entry]) -> io::Result<()> {
        let mut last = self.marks.last.map(|last| last.index);
        for entry in entries {
            let index = entry.log_id.index;
            if last.is_some_and(|last| index != last + 1) {
                let (id, last) = (entry.log_id, self.marks.last);
                let why = format!("entry {id} does not follow the last one, {last:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            last = Some(index);
        }
        Ok(())
    }

    /// Takes the next entry in; `None` if it is not the next.
    pub fn push_slot(
        &mut self,
        id: LogId,
        len: u32,
        ticket: u64,
        place: Option<Place>,
    ) -> Option<()> {
        if self
            .marks
            .last
            .is_some_and(|last| id.index != last.index + 1)
        {
            return None;
        }
        self.slots.push_back(Slot {
            term: *id.leader_id,
            ticket,
            len,
            place,
        });
        self.bytes += (FRAME_HEADER as u64) + u64::from(len);
        self.marks.last = Some(id);
        Some(())
    }

    /// Drops entries behind `after`; returns the bytes of cache freed, or `None` if there was
    /// nothing to drop.
    pub fn truncate_after(&mut self, after: Option<LogId>) -> Option<usize> {
        let dropped_to = self.next();
        if !self.marks.truncate_after(after) {
            return None;
        }
        let mut freed = 0;
        for _ in self.next()..dropped_to {
            let Some(slot) = self.slots.pop_back() else {
                break;
            };
            self.bytes -= (FRAME_HEADER as u64) + u64::from(slot.len);
            if let Some(entry) = self.cached.pop_back() {
                freed += cost(&entry);
            }
        }
        Some(freed)
    }

    /// Drops entries up to and with `upto`; returns the bytes of cache freed.
    pub fn purge(&mut self, upto: LogId) -> usize {
        let mut freed = 0;
        while !self.slots.is_empty() && self.first() <= upto.index {
            let cached_from = self.next() - self.cached.len() as u64;
            if cached_from == self.first()
                && let Some(entry) = self.cached.pop_front()
            {
                freed += cost(&entry);
            }
            if let Some(slot) = self.slots.pop_front() {
                self.bytes -= (FRAME_HEADER as u64) + u64::from(slot.len);
            }
        }
        self.marks.purge(upto);
        freed
    }

    /// Entries from `from` up to, not with, `to`, as far as they are there and fit `bytes_max`;
    /// always at least one if there is one.
    pub fn pieces(&self, from: u64, to: u64, bytes_max: usize) -> Vec<Piece> {
        let from = from.max(self.first());
        let to = to.min(self.next());
        let cached_from = self.next() - self.cached.len() as u64;
        let mut pieces = Vec::with_capacity((to.saturating_sub(from) as usize).min(1024));
        let mut bytes = 0;
        for index in from..to {
            let slot = self.slots[(index - self.first()) as usize];
            bytes += slot.len as usize + FRAME_HEADER;
            if bytes > bytes_max && !pieces.is_empty() {
                break;
            }
            let piece = match (index.checked_sub(cached_from), slot.place) {
                (Some(at), _) => Piece::Cached(self.cached[at as usize].clone()),
                (None, Some(place)) => Piece::Stored {
                    place,
                    index,
                    term: slot.term,
                },
                // An entry leaves the cache only when it has a place.
                (None, None) => break,
            };
            pieces.push(piece);
        }
        pieces
    }

    /// The log id at an index, if the entry is here.
    pub fn id_at(&self, index: u64) -> Option<LogId> {
        let at = index.checked_sub(self.first())?;
        let slot = self.slots.get(usize::try_from(at).ok()?)?;
        Some(log_id(slot.term, index))
    }
}

/// What an entry counts in the cache: its payload and its own size.
fn cost(entry: &Entry) -> usize {
    entry_len(entry) + size_of::<Entry>()
}
