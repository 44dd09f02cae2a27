//! The lane that reads entries no longer in memory. Entries that stand close together are read
//! with one call; each is checked against what the index says of it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::codec::decode_entry;
use super::format::{FRAME_HEADER, FrameHeader, SECTOR, crc, end_of, unstamp};
use super::request::{Read, Wanted};
use super::state::Shared;
use crate::types::{Entry, GroupId};

/// Bytes of a file read with one call, unless a single entry is larger.
const RUN_BYTES_MAX: u64 = 1 << 20;

pub struct Reader {
    pub shared: Arc<Shared>,
    pub queue: mpsc::Receiver<Read>,
}

impl Reader {
    /// Runs until all handles are gone or the log is closed.
    pub async fn run(mut self) {
        while let Some(Read::Entries {
            group,
            wanted,
            reply,
        }) = self.queue.recv().await
        {
            let entries = read(group, &wanted).await;
            if let Err(error) = &entries {
                // A log that cannot be read must not vote or serve.
                let failure = self.shared.fail("reading", error);
                self.shared.halt.halt(&failure.why);
            }
            // Who asked may have gone.
            let _ = reply.send(entries);
        }
    }
}

async fn read(group: GroupId, mut wanted: &[Wanted]) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::with_capacity(wanted.len());
    while !wanted.is_empty() {
        let (run, rest) = wanted.split_at(run_len(wanted));
        read_run(group, run, &mut entries).await?;
        wanted = rest;
    }
    Ok(entries)
}

fn end(wanted: &Wanted) -> u64 {
    end_of(
        wanted.place.offset,
        FRAME_HEADER + wanted.place.len as usize,
    )
}

/// How many of the first entries one call can read.
fn run_len(wanted: &[Wanted]) -> usize {
    let first = wanted[0].place;
    let fits = |next: &&Wanted| {
        next.place.segment == first.segment
            && next.place.offset >= first.offset
            && end(next) - first.offset <= RUN_BYTES_MAX
    };
    wanted.iter().take_while(fits).count().max(1)
}

async fn read_run(group: GroupId, run: &[Wanted], entries: &mut Vec<Entry>) -> io::Result<()> {
    let from = run[0].place.offset / SECTOR as u64 * SECTOR as u64;
    let to = run.last().map_or(from, end);
    let raw = run[0].file.read_at(from, (to - from) as usize).await?;
    let mut data = Vec::with_capacity(raw.len());
    let mut bodies = Vec::with_capacity(run.len());
    for wanted in run {
        let damaged = || {
            let (segment, offset) = (wanted.place.segment, wanted.place.offset);
            let why = format!("segment {segment} is damaged at {offset}");
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        if end(wanted) - from > raw.len() as u64 {
            return Err(damaged());
        }
        let at = data.len();
        let len = FRAME_HEADER + wanted.place.len as usize;
        unstamp(&raw, (wanted.place.offset - from) as usize, len, &mut data);
        let header = FrameHeader::decode(&data[at..]).ok_or_else(damaged)?;
        let expected = header.group == group
            && header.index == wanted.index
            && header.term == wanted.term
            && header.len == wanted.place.len
            && header.body_crc == crc(0, &data[at + FRAME_HEADER..]);
        if !expected {
            return Err(damaged());
        }
        bodies.push((header, at + FRAME_HEADER..at + len));
    }
    let data = Bytes::from(data);
    for (header, body) in bodies {
        let body = data.slice(body);
        let entry = decode_entry(header.kind, header.term, header.index, body);
        entries.push(entry.ok_or(io::ErrorKind::InvalidData)?);
    }
    Ok(())
}
