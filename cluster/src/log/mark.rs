//! How far the log was acknowledged, in a small file beside the segments. It costs no append
//! anything: the files' lane writes it a moment after the sync it speaks of.
//!
//! It lets recovery tell a batch that was acknowledged from one that was not even where the log
//! alone cannot: when the end of the log reads as zeros, as if it had never been written. The file
//! has two sectors, written in turn, so that one is whole whenever the power fails.

use std::io;
use std::sync::Arc;

use super::format::{COUNT_MAX, SECTOR, crc, is_zero, u32_at, u64_at};
use crate::disk::{Disk, File};

pub const NAME: &str = "acknowledged.mark";
const PREPARING: &str = "acknowledged.tmp";
const MAGIC: u32 = 0x4b52_414d; // "MARK"
const LEN: usize = 32;

pub struct MarkFile {
    file: Arc<dyn File>,
    turn: u64,
}

/// What a mark says: everything up to and with this batch was synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub sequence: u64,
    /// The last checksum of that batch.
    pub chain: u32,
}

impl MarkFile {
    /// Makes the file of a new log.
    pub async fn create(disk: &dyn Disk) -> io::Result<MarkFile> {
        match disk.remove(PREPARING).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(PREPARING).await?;
        let mut both = [0; 2 * SECTOR];
        both[..SECTOR].copy_from_slice(&encode(0, Mark::default()));
        file.write_at(0, &both).await?;
        file.sync().await?;
        disk.rename(PREPARING, NAME).await?;
        disk.sync_dir().await?;
        Ok(MarkFile { file, turn: 0 })
    }

    /// Opens the file; an inner error says what is wrong with its content.
    pub async fn open(disk: &dyn Disk) -> io::Result<Result<(MarkFile, Mark), &'static str>> {
        let file = disk.open(NAME).await?;
        let bytes = file.read_at(0, 2 * SECTOR + 1).await?;
        if bytes.len() != 2 * SECTOR {
            return Ok(Err("the file has another length"));
        }
        let (first, second) = bytes.split_at(SECTOR);
        let (Ok(first), Ok(second)) = (decode(first), decode(second)) else {
            return Ok(Err("a sector is damaged"));
        };
        let newest = first
            .into_iter()
            .chain(second)
            .max_by_key(|(turn, _)| *turn);
        let Some((turn, mark)) = newest else {
            return Ok(Err("the file is empty"));
        };
        Ok(Ok((MarkFile { file, turn }, mark)))
    }

    /// Writes a mark over the older of the two and makes it durable.
    pub async fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.turn += 1;
        let offset = (self.turn % 2) * SECTOR as u64;
        self.file.write_at(offset, &encode(self.turn, mark)).await?;
        self.file.sync().await
    }
}

fn encode(turn: u64, mark: Mark) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    sector[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    sector[4..8].copy_from_slice(&mark.chain.to_le_bytes());
    sector[8..16].copy_from_slice(&turn.to_le_bytes());
    sector[16..24].copy_from_slice(&mark.sequence.to_le_bytes());
    let crc = crc(0, &sector[..LEN - 4]);
    sector[LEN - 4..LEN].copy_from_slice(&crc.to_le_bytes());
    sector
}

/// `Ok(None)` is a sector never written.
fn decode(sector: &[u8]) -> Result<Option<(u64, Mark)>, ()> {
    if is_zero(sector) {
        return Ok(None);
    }
    let whole = u32_at(sector, 0) == MAGIC
        && u64_at(sector, 8) <= COUNT_MAX
        && u32_at(sector, LEN - 4) == crc(0, &sector[..LEN - 4])
        && is_zero(&sector[LEN..]);
    let mark = Mark {
        sequence: u64_at(sector, 16),
        chain: u32_at(sector, 4),
    };
    whole.then_some(Some((u64_at(sector, 8), mark))).ok_or(())
}
