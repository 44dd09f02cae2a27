//! Rebuilds what the log knows of its groups from the frames read back. Used by recovery.

use std::collections::BTreeMap;

use super::codec::{Marks, decode_entry, decode_marks, decode_vote, log_id};
use super::format::{COUNT_MAX, Kind};
use super::scan::Frame;
use super::state::{GroupState, Place, SegmentUse};
use super::{OpenFault, corrupt};
use crate::types::{GroupId, LogId};

#[derive(Default)]
pub struct Replay {
    groups: BTreeMap<GroupId, Replayed>,
    /// Truncations and departures not yet applied to what keeps segments.
    cuts: Vec<(GroupId, Cut)>,
}

#[derive(Default)]
struct Replayed {
    state: GroupState,
    /// Entries up to this index stood in segments that are gone: all of them must turn out to be
    /// purged or truncated.
    absent_to: Option<u64>,
}

enum Cut {
    After(Option<LogId>),
    Forget,
}

impl Replay {
    /// Takes the frames of a batch in. `highest` gathers the highest index of each group in the
    /// segment; `oldest` says that nothing is known from segments before.
    pub fn batch(
        &mut self,
        number: u64,
        from: u64,
        frames: &[Frame],
        highest: &mut BTreeMap<GroupId, u64>,
        oldest: bool,
    ) -> Result<(), OpenFault> {
        let fault = |why| corrupt(number, from, why);
        let begins_segment = from == super::format::SECTOR as u64;
        let mut frames = frames.iter();
        if begins_segment {
            self.checkpoint(&mut frames, oldest).map_err(fault)?;
        }
        for frame in frames {
            self.frame(number, frame, highest).map_err(fault)?;
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        frames: &mut std::slice::Iter<'_, Frame>,
        oldest: bool,
    ) -> Result<(), &'static str> {
        let Some(head) = frames.next().filter(|f| f.header.kind == Kind::Checkpoint) else {
            return Err("the segment does not begin with a checkpoint");
        };
        let mut stated: BTreeMap<GroupId, Marks> = BTreeMap::new();
        for _ in 0..head.header.index {
            let frame = frames.next().filter(|f| f.header.kind == Kind::GroupState);
            let frame = frame.ok_or("the checkpoint is not complete")?;
            let marks = decode_marks(&frame.body).ok_or("a group state cannot be read")?;
            stated.insert(frame.header.group, marks);
        }
        if oldest {
            for (group, marks) in stated {
                let first_live = marks.purged.map_or(0, |purged| purged.index + 1);
                let last = marks.last.map(|last| last.index);
                let replayed = Replayed {
                    state: GroupState::new(marks),
                    absent_to: last.filter(|last| *last >= first_live),
                };
                self.groups.insert(group, replayed);
            }
            return Ok(());
        }
        let known = self.groups.iter();
        let same = known
            .map(|(group, known)| (*group, known.state.marks))
            .eq(stated);
        same.then_some(())
            .ok_or("the checkpoint contradicts the segments before")
    }

    fn frame(
        &mut self,
        number: u64,
        frame: &Frame,
        highest: &mut BTreeMap<GroupId, u64>,
    ) -> Result<(), &'static str> {
        let header = frame.header;
        let group = header.group;
        if header.index > COUNT_MAX {
            return Err("an index is beyond all that are written");
        }
        let id = log_id(header.term, header.index);
        let replayed = self.groups.entry(group).or_default();
        let state = &mut replayed.state;
        match header.kind {
            Kind::Application | Kind::Blank | Kind::Membership => {
                decode_entry(header.kind, header.term, header.index, frame.body.clone())
                    .ok_or("an entry cannot be read")?;
                let place = Place {
                    segment: number,
                    offset: frame.offset,
                    len: header.len,
                };
                state
                    .push_slot(id, header.len, 0, Some(place))
                    .ok_or("an entry does not follow the one before")?;
                let highest = highest.entry(group).or_insert(id.index);
                *highest = id.index.max(*highest);
            }
            Kind::Vote => {
                let vote = decode_vote(header.term, &frame.body).ok_or("a vote cannot be read")?;
                state.marks.vote = Some(vote);
            }
            Kind::TruncateAfter | Kind::TruncateAll => {
                let after = (header.kind == Kind::TruncateAfter).then_some(id);
                state.truncate_after(after);
                let kept = state.marks.last.map(|last| last.index);
                replayed.absent_to = replayed.absent_to.min(kept);
                cut(highest, group, after);
                self.cuts.push((group, Cut::After(after)));
            }
            Kind::Purge => {
                state.purge(id);
            }
            Kind::Committed => state.marks.committed = Some(id),
            Kind::Forget => {
                self.groups.remove(&group);
                highest.remove(&group);
                self.cuts.push((group, Cut::Forget));
            }
            Kind::Checkpoint | Kind::GroupState => return Err("a checkpoint stands in a segment"),
        }
        Ok(())
    }

    /// Applies what was cut to what keeps the segments read so far.
    pub fn trim(&mut self, used: &mut BTreeMap<u64, SegmentUse>) {
        let Some((&newest, _)) = used.last_key_value() else {
            return;
        };
        for (group, what) in self.cuts.drain(..) {
            for (_, used) in used.range_mut(..newest) {
                match what {
                    Cut::After(after) => cut(&mut used.highest, group, after),
                    Cut::Forget => {
                        used.highest.remove(&group);
                    }
                }
            }
        }
    }

    /// All frames are read: no group may lack an entry it counts as live.
    pub fn finish(&self, number: u64, offset: u64) -> Result<(), OpenFault> {
        for replayed in self.groups.values() {
            let purged = replayed.state.marks.purged.map(|purged| purged.index);
            if replayed.absent_to > purged {
                return Err(corrupt(
                    number,
                    offset,
                    "entries of removed segments are missing",
                ));
            }
        }
        Ok(())
    }

    pub fn groups(self) -> BTreeMap<GroupId, GroupState> {
        let groups = self.groups.into_iter();
        groups
            .map(|(group, replayed)| (group, replayed.state))
            .collect()
    }
}

fn cut(highest: &mut BTreeMap<GroupId, u64>, group: GroupId, after: Option<LogId>) {
    match (after, highest.get_mut(&group)) {
        (Some(after), Some(highest)) => *highest = after.index.min(*highest),
        (None, Some(_)) => {
            highest.remove(&group);
        }
        (_, None) => {}
    }
}
