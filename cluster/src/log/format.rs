//! The bytes of a segment. Pure: no file is touched here. Used by the writer, by recovery and by
//! the reader.
//!
//! A segment is a row of 512-byte sectors: 508 bytes of data and a 4-byte stamp. Sector 0 is the
//! file header, written when the file is prepared. Behind it stand *batches*; one batch is what one
//! write carried, it begins on a sector and owns whole sectors:
//!
//! ```text
//! sector 0   magic u32 | version u32 | number u64 | file length u64 | crc u32 | zeros
//! batch      magic u32 | frames u32 | sequence u64 | data length u32 | chain u32 | crc u32
//!            then the frames, then zeros up to the end of the last sector
//! frame      length u32 | group u32 | kind u8, zero ×3 | body crc u32 | index u64 | term u64
//!            | header crc u32 | body
//! ```
//!
//! All integers are little-endian. Each checksum over a header is seeded by the one before it, so
//! the frames and batches of a log form one chain: a frame that is valid in itself but stands in
//! the wrong place is not accepted.
//!
//! The stamp tells a torn write from damage. A disk writes a sector wholly or not at all, so after
//! a power cut each sector of the last batch is either zeros, as it was prepared, or carries the
//! stamp of exactly that batch and place. Anything else is damage, and so is a batch with all its
//! stamps in place whose checksums fail.

use crc32fast::Hasher;

use crate::types::GroupId;

pub const SECTOR: usize = 512;
pub const STAMP: usize = 4;
/// Bytes of data in a sector.
pub const DATA: usize = SECTOR - STAMP;
pub const BATCH_HEADER: usize = 28;
pub const FRAME_HEADER: usize = 36;

const SEGMENT_MAGIC: u32 = 0x4c53_4e4f; // "ONSL"
const BATCH_MAGIC: u32 = 0x4853_5442; // "BTSH"
const VERSION: u32 = 1;

/// No index, sequence number or segment's number comes near this: a larger one was never written, and
/// whatever is counted on from it would not fit.
pub const COUNT_MAX: u64 = u64::MAX >> 1;

/// What a frame says. The numbers are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Opens a segment; as many group states follow as its index says.
    Checkpoint = 1,
    /// All that is known about a group at the segment's start, its entries excepted.
    GroupState = 2,
    Application = 3,
    Blank = 4,
    Membership = 5,
    Vote = 6,
    /// Entries behind this log id are gone.
    TruncateAfter = 7,
    /// All entries behind the purged ones are gone.
    TruncateAll = 8,
    /// Entries up to and with this log id are gone.
    Purge = 9,
    Committed = 10,
    /// The group has left this node.
    Forget = 11,
}

impl Kind {
    fn from_u8(kind: u8) -> Option<Kind> {
        Some(match kind {
            1 => Kind::Checkpoint,
            2 => Kind::GroupState,
            3 => Kind::Application,
            4 => Kind::Blank,
            5 => Kind::Membership,
            6 => Kind::Vote,
            7 => Kind::TruncateAfter,
            8 => Kind::TruncateAll,
            9 => Kind::Purge,
            10 => Kind::Committed,
            11 => Kind::Forget,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub len: u32,
    pub group: GroupId,
    pub kind: Kind,
    pub body_crc: u32,
    pub index: u64,
    pub term: u64,
    /// The header's own checksum, seeded by the checksum before it.
    pub crc: u32,
}

impl FrameHeader {
    /// A header without its own checksum, which [`Self::follow`] adds.
    pub fn new(kind: Kind, group: GroupId, index: u64, term: u64, body: &[u8]) -> Self {
        FrameHeader {
            len: body.len() as u32,
            group,
            kind,
            body_crc: crc(0, body),
            index,
            term,
            crc: 0,
        }
    }

    /// Makes this the header of a frame that follows the checksum `chain`.
    pub fn follow(&mut self, chain: u32) -> [u8; FRAME_HEADER] {
        let mut bytes = self.encode();
        self.crc = crc(chain, &bytes[..FRAME_HEADER - 4]);
        bytes[FRAME_HEADER - 4..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    fn encode(&self) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.group.to_le_bytes());
        bytes[8] = self.kind as u8;
        bytes[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.index.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.term.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// Reads a header without looking at the chain: for a frame whose place is known.
    pub fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        if bytes.len() < FRAME_HEADER || bytes[9..12] != [0; 3] {
            return None;
        }
        Some(FrameHeader {
            len: u32_at(bytes, 0),
            group: u32_at(bytes, 4),
            kind: Kind::from_u8(bytes[8])?,
            body_crc: u32_at(bytes, 12),
            index: u64_at(bytes, 16),
            term: u64_at(bytes, 24),
            crc: u32_at(bytes, 32),
        })
    }

    /// Reads a header that must follow the checksum `chain`.
    pub fn decode_chained(bytes: &[u8], chain: u32) -> Option<FrameHeader> {
        let header = Self::decode(bytes)?;
        (crc(chain, &bytes[..FRAME_HEADER - 4]) == header.crc).then_some(header)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub frames: u32,
    /// Counts the batches of the log, over all segments, from 1.
    pub sequence: u64,
    /// Bytes of all frames.
    pub len: u32,
    /// The last checksum of the batch before.
    pub chain: u32,
    /// The header's own checksum; seeds the first frame.
    pub crc: u32,
}

impl BatchHeader {
    pub fn new(frames: u32, sequence: u64, len: u32, chain: u32) -> Self {
        let mut header = BatchHeader {
            frames,
            sequence,
            len,
            chain,
            crc: 0,
        };
        header.crc = crc(0, &header.encode()[..BATCH_HEADER - 4]);
        header
    }

    pub fn encode(&self) -> [u8; BATCH_HEADER] {
        let mut bytes = [0; BATCH_HEADER];
        bytes[0..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.frames.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.len.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.chain.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<BatchHeader> {
        if bytes.len() < BATCH_HEADER || u32_at(bytes, 0) != BATCH_MAGIC {
            return None;
        }
        let header = BatchHeader {
            frames: u32_at(bytes, 4),
            sequence: u64_at(bytes, 8),
            len: u32_at(bytes, 16),
            chain: u32_at(bytes, 20),
            crc: u32_at(bytes, 24),
        };
        (crc(0, &bytes[..BATCH_HEADER - 4]) == header.crc).then_some(header)
    }

    /// Sectors the batch owns.
    pub fn sectors(&self) -> usize {
        (BATCH_HEADER + self.len as usize).div_ceil(DATA)
    }
}

/// Sector 0 of segment `number`.
pub fn segment_header(number: u64, file_len: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    bytes[0..4].copy_from_slice(&SEGMENT_MAGIC.to_le_bytes());
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..24].copy_from_slice(&file_len.to_le_bytes());
    let crc = crc(0, &bytes[..24]);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The stamp of sector `at` of batch `sequence` in segment `number`: never near zero, so that no
/// single flipped bit makes a written sector look like one that never was.
pub fn stamp(number: u64, sequence: u64, at: usize) -> u32 {
    let mixed = mix(mix(mix(number) ^ sequence) ^ at as u64);
    (mixed >> 32) as u32 | 0x8000_0001
}

/// Splitmix64's finaliser.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where the frame that begins at byte `offset` of a file and has `len` bytes of data ends.
pub fn end_of(offset: u64, len: usize) -> u64 {
    let in_sector = offset as usize % SECTOR;
    let sectors_passed = (in_sector + len) / DATA;
    offset + (len + sectors_passed * STAMP) as u64
}

/// Copies `len` bytes of data out of raw sectors, from `offset` on, leaving out the stamps.
pub fn unstamp(raw: &[u8], mut offset: usize, mut len: usize, out: &mut Vec<u8>) {
    out.reserve(len);
    while len > 0 {
        let take = (DATA - offset % SECTOR).min(len);
        out.extend_from_slice(&raw[offset..offset + take]);
        len -= take;
        offset += take;
        if offset % SECTOR == DATA {
            offset += STAMP;
        }
    }
}

pub fn crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
