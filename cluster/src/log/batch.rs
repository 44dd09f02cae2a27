//! The buffer in which one write is put together: frames one after the other, stamped sector by
//! sector. Payloads are copied once, into this buffer. Used by the writer only.

use super::format::{BATCH_HEADER, BatchHeader, DATA, FRAME_HEADER, FrameHeader, Kind};
use super::format::{SECTOR, STAMP, stamp};
use crate::types::GroupId;

pub struct Batch {
    bytes: Vec<u8>,
    number: u64,
    sequence: u64,
    /// The last checksum of the batch before.
    before: u32,
    heads: Vec<FrameHead>,
    len: usize,
}

/// A frame not chained yet: the batch header, which seeds the first checksum, is known only when
/// all frames are in.
struct FrameHead {
    header: FrameHeader,
    at: usize,
}

impl Batch {
    pub fn new() -> Self {
        Batch {
            bytes: Vec::new(),
            number: 0,
            sequence: 0,
            before: 0,
            heads: Vec::new(),
            len: 0,
        }
    }

    /// Begins batch `sequence` of segment `number`, to follow the checksum `chain`.
    pub fn begin(&mut self, number: u64, sequence: u64, chain: u32) {
        self.bytes.clear();
        self.heads.clear();
        self.len = 0;
        self.number = number;
        self.sequence = sequence;
        self.before = chain;
        self.put(&[0; BATCH_HEADER]);
    }

    /// Adds a frame and returns where it begins, in bytes from the batch's start.
    pub fn frame(
        &mut self,
        kind: Kind,
        group: GroupId,
        index: u64,
        term: u64,
        body: &[u8],
    ) -> usize {
        let header = FrameHeader::new(kind, group, index, term, body);
        let at = self.bytes.len();
        self.put(&[0; FRAME_HEADER]);
        self.put(body);
        self.len += FRAME_HEADER + body.len();
        self.heads.push(FrameHead { header, at });
        at
    }

    pub fn frames(&self) -> usize {
        self.heads.len()
    }

    /// Bytes the batch takes in the file.
    pub fn file_len(&self) -> usize {
        Self::file_len_of(self.len)
    }

    /// Bytes a batch with `len` bytes of frames takes in the file.
    pub fn file_len_of(len: usize) -> usize {
        (BATCH_HEADER + len).div_ceil(DATA) * SECTOR
    }

    /// Bytes of frames so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Closes the batch: what to write, and the checksum the next batch follows.
    pub fn finish(&mut self) -> (&[u8], u32) {
        let header = BatchHeader::new(
            self.heads.len() as u32,
            self.sequence,
            self.len as u32,
            self.before,
        );
        self.patch(0, &header.encode());
        let mut chain = header.crc;
        let mut heads = std::mem::take(&mut self.heads);
        for head in &mut heads {
            let bytes = head.header.follow(chain);
            self.patch(head.at, &bytes);
            chain = head.header.crc;
        }
        self.heads = heads;
        self.bytes.resize(self.file_len(), 0);
        for (at, sector) in self.bytes.chunks_exact_mut(SECTOR).enumerate() {
            let stamp = stamp(self.number, self.sequence, at);
            sector[DATA..].copy_from_slice(&stamp.to_le_bytes());
        }
        (&self.bytes, chain)
    }

    fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let room = DATA - self.bytes.len() % SECTOR;
            if bytes.len() < room {
                self.bytes.extend_from_slice(bytes);
                return;
            }
            let (head, tail) = bytes.split_at(room);
            self.bytes.extend_from_slice(head);
            // The room of the stamp; the position never rests inside it.
            self.bytes.extend_from_slice(&[0; STAMP]);
            bytes = tail;
        }
    }

    fn patch(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = (DATA - at % SECTOR).min(bytes.len());
            self.bytes[at..at + take].copy_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            at += take;
            if at % SECTOR == DATA {
                at += STAMP;
            }
        }
    }
}
