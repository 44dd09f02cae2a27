//! Reads the batches of one segment, held in memory, in sequence. Decides what is a batch, what is
//! a torn write and what is damage; knows nothing of groups. Used by recovery.

use bytes::Bytes;

use super::format::{
    BATCH_HEADER, BatchHeader, COUNT_MAX, DATA, FRAME_HEADER, FrameHeader, SECTOR, end_of, is_zero,
    segment_header, stamp, u32_at, unstamp,
};
use super::mark::Mark;
use super::{OpenFault, corrupt};

pub struct Scan<'a> {
    number: u64,
    bytes: &'a [u8],
    offset: usize,
    batches: u64,
}

pub enum Scanned {
    Batch { mark: Mark, frames: Vec<Frame> },
    End(Tail),
}

pub enum Tail {
    Clean,
    /// A write that did not come to its end reached bytes up to `to`.
    Torn {
        to: u64,
    },
}

pub struct Frame {
    pub header: FrameHeader,
    /// Of its header, in bytes from the file's start.
    pub offset: u64,
    pub body: Bytes,
}

/// What one sector behind the last batch is.
enum Found {
    Nothing,
    Stamped,
    Damage,
}

impl<'a> Scan<'a> {
    pub fn new(number: u64, bytes: &'a [u8]) -> Result<Self, OpenFault> {
        if bytes.len() < SECTOR || bytes[..SECTOR] != segment_header(number, bytes.len() as u64) {
            let why = "the file's header is damaged or the file was cut";
            return Err(corrupt(number, 0, why));
        }
        Ok(Scan {
            number,
            bytes,
            offset: SECTOR,
            batches: 0,
        })
    }

    pub fn offset(&self) -> u64 {
        self.offset as u64
    }

    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// The batch before the first one here, as that one tells it.
    pub fn before_first(&self) -> Result<Mark, OpenFault> {
        let header = self.bytes.get(SECTOR..).and_then(BatchHeader::decode);
        let header = header.ok_or_else(|| self.corrupt("the first batch is damaged"))?;
        Ok(Mark {
            sequence: header.sequence.saturating_sub(1),
            chain: header.chain,
        })
    }

    /// The batch that follows `last`, or what stands in its place.
    pub fn next(&mut self, last: Mark) -> Result<Scanned, OpenFault> {
        let sequence = last.sequence.saturating_add(1);
        if sequence > COUNT_MAX {
            return Err(self.corrupt("the sequence number is beyond all that are written"));
        }
        match self.found(sequence, 0) {
            None => return Ok(Scanned::End(Tail::Clean)),
            Some(Found::Damage) => {
                return Err(self.corrupt("a sector is not what was written here"));
            }
            Some(Found::Nothing) => return self.tail(sequence, None),
            Some(Found::Stamped) => {}
        }
        let header = BatchHeader::decode(&self.bytes[self.offset..])
            .filter(|header| header.sequence == sequence)
            .ok_or_else(|| self.corrupt("a batch header is damaged"))?;
        if header.chain != last.chain {
            return Err(self.corrupt("the batch does not follow the one before"));
        }
        let sectors = header.sectors();
        if self.offset + sectors * SECTOR > self.bytes.len() {
            return Err(self.corrupt("a batch reaches beyond the file"));
        }
        for at in 1..sectors {
            match self.found(sequence, at) {
                Some(Found::Stamped) => {}
                Some(Found::Nothing) => return self.tail(sequence, Some(sectors)),
                Some(Found::Damage) | None => {
                    return Err(self.corrupt("a sector is not what was written here"));
                }
            }
        }
        self.batch(header)
    }

    /// Reads a batch of which all sectors are in place: whatever fails now is damage.
    fn batch(&mut self, header: BatchHeader) -> Result<Scanned, OpenFault> {
        let len = BATCH_HEADER + header.len as usize;
        let whole = header.sectors() * DATA;
        let mut data = Vec::new();
        unstamp(self.bytes, self.offset, whole, &mut data);
        if !is_zero(&data[len..]) {
            return Err(self.corrupt("the padding of a batch is damaged"));
        }
        data.truncate(len);
        let data = Bytes::from(data);
        let mut frames = Vec::with_capacity(header.frames.min(header.len) as usize);
        let mut chain = header.crc;
        let mut at = BATCH_HEADER;
        while at < len {
            let frame = FrameHeader::decode_chained(&data[at..], chain)
                .ok_or_else(|| self.corrupt("a frame header is damaged"))?;
            let body_at = at + FRAME_HEADER;
            let body_end = body_at + frame.len as usize;
            if body_end > len {
                return Err(self.corrupt("a frame reaches beyond its batch"));
            }
            let body = data.slice(body_at..body_end);
            if super::format::crc(0, &body) != frame.body_crc {
                return Err(self.corrupt("the body of a frame is damaged"));
            }
            chain = frame.crc;
            frames.push(Frame {
                header: frame,
                offset: end_of(self.offset as u64, at),
                body,
            });
            at = body_end;
        }
        if frames.len() != header.frames as usize {
            return Err(self.corrupt("a batch has another number of frames"));
        }
        self.offset += header.sectors() * SECTOR;
        self.batches += 1;
        let mark = Mark {
            sequence: header.sequence,
            chain,
        };
        Ok(Scanned::Batch { mark, frames })
    }

    /// The log ends here: what is left of batch `sequence` is a torn write if every sector is
    /// either untouched or exactly what that write would have put there.
    fn tail(&self, sequence: u64, sectors: Option<usize>) -> Result<Scanned, OpenFault> {
        let mut to = None;
        let mut at = 0;
        while let Some(found) = self.found(sequence, at) {
            match found {
                Found::Nothing => {}
                Found::Stamped if sectors.is_none_or(|sectors| at < sectors) => {
                    to = Some((self.offset + (at + 1) * SECTOR) as u64);
                }
                Found::Stamped | Found::Damage => {
                    return Err(self.corrupt("something stands behind the end of the log"));
                }
            }
            at += 1;
        }
        Ok(Scanned::End(to.map_or(Tail::Clean, |to| Tail::Torn { to })))
    }

    /// Sector `at` of a batch that begins at the present offset; `None` behind the file's end.
    fn found(&self, sequence: u64, at: usize) -> Option<Found> {
        let from = self.offset + at * SECTOR;
        let sector = self.bytes.get(from..from + SECTOR)?;
        Some(if is_zero(sector) {
            Found::Nothing
        } else if u32_at(sector, DATA) == stamp(self.number, sequence, at) {
            Found::Stamped
        } else {
            Found::Damage
        })
    }

    fn corrupt(&self, why: &'static str) -> OpenFault {
        corrupt(self.number, self.offset as u64, why)
    }
}
