//! Files of segments: their names, and how a new one comes to be. Used by the files' lane and by
//! recovery.

use std::io;
use std::sync::Arc;

use super::format::{SECTOR, segment_header};
use crate::disk::{Disk, File};

const SUFFIX: &str = ".wal";
const PREPARING: &str = "preparing.tmp";

/// An open segment.
#[derive(Clone)]
pub struct Segment {
    pub number: u64,
    pub file: Arc<dyn File>,
    /// Length of the file, fixed when it is prepared.
    pub len: u64,
}

pub fn name(number: u64) -> String {
    format!("{number:016}{SUFFIX}")
}

/// The number of the segment a file name stands for.
pub fn number(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Makes an empty segment durable. The name appears only when the file is whole, so a segment
/// that is shorter than its header says was cut by something else than this log.
pub async fn prepare(disk: &dyn Disk, number: u64, len: u64) -> io::Result<Segment> {
    let len = len.next_multiple_of(SECTOR as u64);
    remove_unfinished(disk).await?;
    let file = disk.create(PREPARING).await?;
    file.preallocate(len).await?;
    file.write_at(0, &segment_header(number, len)).await?;
    file.sync().await?;
    disk.rename(PREPARING, &name(number)).await?;
    disk.sync_dir().await?;
    Ok(Segment { number, file, len })
}

/// Removes what a preparation that did not come to its end left behind.
pub async fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    match disk.remove(PREPARING).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
