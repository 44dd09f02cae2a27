//! Reads the log back at start. Everything is looked at before anything is changed: a log that is
//! refused stays as it was found.
//!
//! Only what was never acknowledged is cut: a last batch of which sectors are missing, with nothing
//! behind it, that no mark speaks of. All else that is not exactly what was written is corruption.
//! What is read back is written again and synced before it counts: an earlier process may have read
//! an error from its last sync, after which the pages look clean and are on no disk.

use std::collections::BTreeMap;

use super::format::COUNT_MAX;
use super::mark::{self, Mark, MarkFile};
use super::replay::Replay;
use super::scan::{Scan, Scanned, Tail};
use super::segment::{self, Segment};
use super::state::{GroupState, SegmentUse};
use super::{OpenFault, corrupt};
use crate::bugs::{Bug, planted};
use crate::disk::Disk;
use crate::types::GroupId;

pub struct Recovered {
    pub groups: BTreeMap<GroupId, GroupState>,
    pub segments: BTreeMap<u64, SegmentUse>,
    pub position: Position,
    /// A segment that was prepared and not used.
    pub prepared: Option<Segment>,
    /// The number of the next segment to prepare.
    pub next_number: u64,
    pub mark_file: MarkFile,
}

/// Where the next batch goes.
pub struct Position {
    pub segment: Segment,
    pub offset: u64,
    /// The segment holds no batch yet: the next one begins with a checkpoint.
    pub unused: bool,
    /// The last batch.
    pub last: Mark,
}

/// Bytes of one segment from the first batch that no mark speaks of.
struct Unmarked {
    number: u64,
    from: u64,
    to: u64,
}

pub async fn recover(disk: &dyn Disk, segment_bytes: u64) -> Result<Recovered, OpenFault> {
    let names = disk.list().await?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();
    if let Some(last) = numbers.last().filter(|last| **last > COUNT_MAX) {
        return Err(corrupt(*last, 0, "the number is beyond all that are given"));
    }
    let has_mark = names.iter().any(|name| name == mark::NAME);
    if numbers.is_empty() {
        return begin(disk, segment_bytes, has_mark).await;
    }
    if !has_mark {
        return Err(OpenFault::Mark("the file is missing"));
    }
    let (mut mark_file, mark) = MarkFile::open(disk).await?.map_err(OpenFault::Mark)?;
    let found = look(disk, &numbers, mark).await?;

    // From here on the log is known to be good, and is made to stay so.
    segment::remove_unfinished(disk).await?;
    let Found {
        mut used,
        mut unused,
        replay,
        unmarked,
        torn,
        last,
        tail,
    } = found;
    for range in unmarked {
        let file = &used[&range.number].segment.file;
        let bytes = file
            .read_at(range.from, (range.to - range.from) as usize)
            .await?;
        file.write_at(range.from, &bytes).await?;
    }
    if let Some((segment, from, to)) = torn
        && !planted(Bug::TornTailKept)
    {
        tracing::warn!(segment = segment.number, from, to, "a torn write is cut");
        let zeros = vec![0; (to - from) as usize];
        segment.file.write_at(from, &zeros).await?;
        segment.file.sync().await?;
    }
    for used in used.values() {
        used.segment.file.sync().await?;
    }
    let mut next_number = numbers.last().map_or(1, |last| last + 1);
    // Two can be left over when the power fails while one is taken into use.
    while unused.len() > 1
        && let Some(segment) = unused.pop()
    {
        disk.remove(&segment::name(segment.number)).await?;
        disk.sync_dir().await?;
        next_number = segment.number;
    }
    if last != mark {
        mark_file.write(last).await?;
    }
    let mut prepared = unused.pop();
    let position = match used.last_entry() {
        Some(active) => Position {
            segment: active.get().segment.clone(),
            offset: tail,
            unused: false,
            last,
        },
        None => Position {
            // The first segment was prepared and nothing more.
            segment: prepared.take().ok_or(OpenFault::Mark("no segment"))?,
            offset: super::format::SECTOR as u64,
            unused: true,
            last,
        },
    };
    Ok(Recovered {
        groups: replay.groups(),
        segments: used,
        position,
        prepared,
        next_number,
        mark_file,
    })
}

/// A log that has no segment yet.
async fn begin(
    disk: &dyn Disk,
    segment_bytes: u64,
    has_mark: bool,
) -> Result<Recovered, OpenFault> {
    let mark_file = if has_mark {
        let (file, mark) = MarkFile::open(disk).await?.map_err(OpenFault::Mark)?;
        if mark != Mark::default() {
            return Err(corrupt(1, 0, "the segments are missing"));
        }
        file
    } else {
        MarkFile::create(disk).await?
    };
    let segment = segment::prepare(disk, 1, segment_bytes).await?;
    Ok(Recovered {
        groups: BTreeMap::new(),
        segments: BTreeMap::new(),
        position: Position {
            segment,
            offset: super::format::SECTOR as u64,
            unused: true,
            last: Mark::default(),
        },
        prepared: None,
        next_number: 2,
        mark_file,
    })
}

struct Found {
    used: BTreeMap<u64, SegmentUse>,
    unused: Vec<Segment>,
    replay: Replay,
    unmarked: Vec<Unmarked>,
    /// A segment and the bytes in it that a torn write may have reached.
    torn: Option<(Segment, u64, u64)>,
    last: Mark,
    /// Where the next batch goes in the last used segment.
    tail: u64,
}

/// Reads all segments, changes nothing.
async fn look(disk: &dyn Disk, numbers: &[u64], mark: Mark) -> Result<Found, OpenFault> {
    let mut found = Found {
        used: BTreeMap::new(),
        unused: Vec::new(),
        replay: Replay::default(),
        unmarked: Vec::new(),
        torn: None,
        last: Mark::default(),
        tail: 0,
    };
    let oldest = numbers[0];
    for (at, &number) in numbers.iter().enumerate() {
        if number != oldest + at as u64 {
            return Err(corrupt(oldest + at as u64, 0, "the segment is missing"));
        }
        let file = disk.open(&segment::name(number)).await?;
        let len = file.len().await?;
        let bytes = file.read_at(0, len as usize).await?;
        let mut scan = Scan::new(number, &bytes)?;
        let segment = Segment { number, file, len };
        // The first batch of the oldest segment tells its own sequence, unless it is the log's
        // first.
        if at == 0 && number > 1 {
            found.last = scan.before_first()?;
        }
        let mut highest = BTreeMap::new();
        loop {
            let from = scan.offset();
            let scanned = match scan.next(found.last) {
                Err(OpenFault::Corrupt { .. }) if planted(Bug::TruncatedAtDamage) => {
                    Scanned::End(Tail::Torn { to: len })
                }
                scanned => scanned?,
            };
            match scanned {
                Scanned::Batch { mark: read, frames } => {
                    if planted(Bug::TruncatedAtDamage) && found.torn.is_some() {
                        break;
                    }
                    if found.torn.is_some() || !found.unused.is_empty() {
                        return Err(corrupt(number, from, "a batch stands behind a torn one"));
                    }
                    found
                        .replay
                        .batch(number, from, &frames, &mut highest, at == 0)?;
                    if read.sequence == mark.sequence && read.chain != mark.chain {
                        return Err(corrupt(number, from, "the batch is not the one marked"));
                    }
                    if read.sequence > mark.sequence {
                        extend(&mut found.unmarked, number, from, scan.offset());
                    }
                    found.last = read;
                    found.tail = scan.offset();
                }
                Scanned::End(tail) => {
                    if let Tail::Torn { to } = tail {
                        if found.torn.is_some() && !planted(Bug::TruncatedAtDamage) {
                            return Err(corrupt(number, from, "two batches are torn"));
                        }
                        found.torn = Some((segment.clone(), from, to));
                    }
                    break;
                }
            }
        }
        if scan.batches() == 0 {
            if at == 0 && number > 1 {
                return Err(corrupt(number, 0, "the oldest segment is empty"));
            }
            found.unused.push(segment);
        } else {
            found.used.insert(number, SegmentUse { segment, highest });
            found.replay.trim(&mut found.used);
        }
    }
    let number = found.used.keys().last().copied().unwrap_or(oldest);
    if found.last.sequence < mark.sequence && !planted(Bug::TruncatedAtDamage) {
        let why = "acknowledged batches are missing at the end";
        return Err(corrupt(number, found.tail, why));
    }
    if found.unused.len() > 2 {
        return Err(corrupt(
            number,
            found.tail,
            "too many unused segments follow",
        ));
    }
    found.replay.finish(number, found.tail)?;
    Ok(found)
}

fn extend(ranges: &mut Vec<Unmarked>, number: u64, from: u64, to: u64) {
    match ranges.last_mut() {
        Some(last) if last.number == number => last.to = to,
        _ => ranges.push(Unmarked { number, from, to }),
    }
}
