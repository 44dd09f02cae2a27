//! The bytes of a snapshot file: a fixed header, what the state belongs to, the state compressed.
//!
//! ```text
//!  0  8  magic "ONSALESN"
//!  8  2  version
//! 10  4  group
//! 14  4  length of the meta part
//! 18  8  length of the compressed state
//! 26  8  length of the state
//! 34  8  XXH3-64 of the compressed state
//! 42  4  CRC-32 of all above and of the meta part
//! 46     meta part: onsale.cluster.v1.SnapshotHeader (last log id and membership only)
//!        compressed state (zstd)
//! ```
//! All numbers little-endian.

use std::io::Read as _;

use prost::Message;
use proto::cluster::v1 as pb;
use xxhash_rust::xxh3::xxh3_64;

use crate::types::{GroupId, SnapshotMeta};
use crate::wire;

const MAGIC: &[u8; 8] = b"ONSALESN";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 46;
/// Fast, and half the size is all that is wanted.
const COMPRESSION: i32 = 1;
/// How many times its compressed length a state mostly has at most.
const EXPANDS: usize = 16;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("shorter than its header says")]
    Short,
    #[error("not a snapshot")]
    NotASnapshot,
    #[error("version {0} is not known here")]
    UnknownVersion(u16),
    #[error("a snapshot of group {0}")]
    OtherGroup(GroupId),
    #[error("the header's checksum does not match")]
    Header,
    #[error("the state's checksum does not match")]
    State,
    #[error("the meta part cannot be read")]
    Meta,
}

pub(crate) fn encode(
    group: GroupId,
    meta: &SnapshotMeta,
    state: &[u8],
) -> std::io::Result<Vec<u8>> {
    let compressed = zstd::bulk::compress(state, COMPRESSION)?;
    let meta = pb::SnapshotHeader {
        last_log_id: meta.last_log_id.as_ref().map(wire::log_id),
        membership: Some(wire::membership(
            meta.last_membership.log_id().as_ref(),
            meta.last_membership.membership(),
        )),
        ..Default::default()
    }
    .encode_to_vec();
    let mut file = Vec::with_capacity(HEADER_BYTES + meta.len() + compressed.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&group.to_le_bytes());
    file.extend_from_slice(&(meta.len() as u32).to_le_bytes());
    file.extend_from_slice(&(compressed.len() as u64).to_le_bytes());
    file.extend_from_slice(&(state.len() as u64).to_le_bytes());
    file.extend_from_slice(&xxh3_64(&compressed).to_le_bytes());
    let checksum = header_checksum(&file, &meta);
    file.extend_from_slice(&checksum.to_le_bytes());
    file.extend_from_slice(&meta);
    file.extend_from_slice(&compressed);
    Ok(file)
}

/// Checks everything and gives back what the state belongs to and the state.
pub(crate) fn decode(group: GroupId, file: &[u8]) -> Result<(SnapshotMeta, Vec<u8>), Damage> {
    let (meta, state_len, compressed) = open(group, file)?;
    // Room as for what is there: both the header's length and the frame's own are only claims.
    let mut state = Vec::with_capacity(state_len.min(compressed.len().saturating_mul(EXPANDS)));
    zstd::stream::read::Decoder::with_buffer(compressed)
        .and_then(|unpacked| {
            let most = (state_len as u64).saturating_add(1);
            unpacked.take(most).read_to_end(&mut state)
        })
        .map_err(|_| Damage::State)?;
    if state.len() != state_len {
        return Err(Damage::State);
    }
    Ok((meta, state))
}

/// Checks everything but does not decompress.
pub(crate) fn check(group: GroupId, file: &[u8]) -> Result<SnapshotMeta, Damage> {
    open(group, file).map(|(meta, ..)| meta)
}

fn open(group: GroupId, file: &[u8]) -> Result<(SnapshotMeta, usize, &[u8]), Damage> {
    let header = file.get(..HEADER_BYTES).ok_or(Damage::Short)?;
    if &header[..8] != MAGIC {
        return Err(Damage::NotASnapshot);
    }
    let version = u16::from_le_bytes(field(header, 8));
    if version != VERSION {
        return Err(Damage::UnknownVersion(version));
    }
    let meta_len = u32::from_le_bytes(field(header, 14)) as usize;
    let compressed_len =
        usize::try_from(u64::from_le_bytes(field(header, 18))).map_err(|_| Damage::Short)?;
    let state_len =
        usize::try_from(u64::from_le_bytes(field(header, 26))).map_err(|_| Damage::Short)?;
    let meta_end = HEADER_BYTES.checked_add(meta_len).ok_or(Damage::Short)?;
    let end = meta_end.checked_add(compressed_len).ok_or(Damage::Short)?;
    let meta = file.get(HEADER_BYTES..meta_end).ok_or(Damage::Short)?;
    if u32::from_le_bytes(field(header, 42)) != header_checksum(&header[..42], meta) {
        return Err(Damage::Header);
    }
    let of = GroupId::from_le_bytes(field(header, 10));
    if of != group {
        return Err(Damage::OtherGroup(of));
    }
    let compressed = file.get(meta_end..end).ok_or(Damage::Short)?;
    if u64::from_le_bytes(field(header, 34)) != xxh3_64(compressed) {
        return Err(Damage::State);
    }
    let meta = pb::SnapshotHeader::decode(meta).map_err(|_| Damage::Meta)?;
    let membership = meta.membership.ok_or(Damage::Meta)?;
    let meta = SnapshotMeta {
        last_log_id: meta.last_log_id.map(wire::read_log_id),
        last_membership: wire::read_membership(membership).map_err(|_| Damage::Meta)?,
    };
    Ok((meta, state_len, compressed))
}

fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

fn header_checksum(fixed: &[u8], meta: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fixed);
    hasher.update(meta);
    hasher.finalize()
}
