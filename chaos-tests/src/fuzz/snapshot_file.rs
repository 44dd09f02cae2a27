//! A snapshot's file: taken as it is, or with its checksums put right so that what is behind them is
//! read too; then the state in it, as the sales of a group read it.

use cluster::intake;
use prost::Message;
use proto::log::v1 as log;
use xxhash_rust::xxh3::xxh3_64;

use super::feed::Feed;
use super::sale_snapshot;
use super::samples;

/// Bytes of the fixed header, as `cluster::snapshot::format` has it.
const HEADER: usize = 46;
const GROUP: u32 = 3;
/// No small file says so much: memory is spent on what is there, not on what is claimed.
const STATE_MAX: usize = 64 << 20;

/// The lowest bit of the first byte: put the checksums right. The rest is the file.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let seals = feed.u8() & 1 == 1;
    let mut file = feed.rest().to_vec();
    if seals {
        seal(&mut file);
    }
    let Ok((state, again)) = intake::snapshot_file(GROUP, &file) else {
        return;
    };
    assert!(state.len() <= STATE_MAX);
    let (same, _) = intake::snapshot_file(GROUP, &again).expect("our own file");
    assert_eq!(same, state);
    if let Ok(snapshot) = log::GroupSnapshot::decode(&state[..]) {
        for contents in snapshot.sales.into_iter().filter_map(|sale| sale.contents) {
            sale_snapshot::go_on(contents, &[]);
        }
    }
}

/// Puts both checksums right, as far as the lengths in the header lead to bytes that are there.
fn seal(file: &mut [u8]) {
    let Some(header) = file.first_chunk::<HEADER>() else {
        return;
    };
    let number = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&header[at..at + len]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let meta_end = HEADER.saturating_add(number(14, 4)).min(file.len());
    let end = meta_end.saturating_add(number(18, 8)).min(file.len());
    let hash = xxh3_64(&file[meta_end..end]);
    file[34..42].copy_from_slice(&hash.to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&file[..42]);
    checksum.update(&file[HEADER..meta_end]);
    file[42..HEADER].copy_from_slice(&checksum.finalize().to_le_bytes());
}

/// Files made here: a second writer of the format, from its description.
fn file(state: &[u8], claimed: u64) -> Vec<u8> {
    let compressed = zstd::bulk::compress(state, 1).unwrap_or_default();
    let meta = proto::cluster::v1::SnapshotHeader {
        last_log_id: Some(proto::cluster::v1::LogId { term: 2, index: 9 }),
        membership: Some(proto::cluster::v1::Membership {
            log_id: None,
            configs: vec![proto::cluster::v1::VoterSet { node_ids: vec![1] }],
            members: vec![proto::cluster::v1::Member {
                node_id: 1,
                peer_address: "a:1".to_owned(),
            }],
        }),
        ..Default::default()
    }
    .encode_to_vec();
    let mut file = b"ONSALESN".to_vec();
    file.extend(1_u16.to_le_bytes());
    file.extend(GROUP.to_le_bytes());
    file.extend((meta.len() as u32).to_le_bytes());
    file.extend((compressed.len() as u64).to_le_bytes());
    file.extend(claimed.to_le_bytes());
    file.extend([0; 12]);
    file.extend(meta);
    file.extend(compressed);
    seal(&mut file);
    file
}

pub fn corpus() -> Vec<Vec<u8>> {
    let sale = samples::sold();
    let contents = actors::codec::snapshot::to_proto(&sale.export());
    let state = log::GroupSnapshot {
        sales: vec![log::SaleSnapshot {
            sale_id: 9,
            applied_index: 12,
            layout: vec![1, 2, 3].into(),
            contents: Some(contents),
            frozen: Some(log::FrozenSale {
                log_index: 12,
                command: 1,
                why: "a panic".to_owned(),
                journal: vec![log::JournalEntry {
                    at_ms: samples::START_MS,
                    records: samples::records().into(),
                }],
            }),
        }],
    }
    .encode_to_vec();
    let input = |seals: u8, file: Vec<u8>| {
        let mut input = vec![seals];
        input.extend(file);
        input
    };
    let sound = file(&state, state.len() as u64);
    vec![
        input(0, sound.clone()),
        input(1, sound),
        input(1, file(&[], 0)),
        // A frame that claims nearly all there is, under a header that believes it.
        input(1, claims_too_much()),
    ]
}

/// A sound file but for two lengths: the header's, and the one in the compressed frame itself.
fn claims_too_much() -> Vec<u8> {
    const CLAIMED: u64 = 1 << 62;
    let mut file = file(&[], CLAIMED);
    let meta_len = u32::from_le_bytes([file[14], file[15], file[16], file[17]]) as usize;
    file.truncate(HEADER + meta_len);
    // RFC 8878: magic; descriptor with an 8-byte content size; window; that size; a last empty block.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x00];
    frame.extend(CLAIMED.to_le_bytes());
    frame.extend([0x01, 0x00, 0x00]);
    file[18..26].copy_from_slice(&(frame.len() as u64).to_le_bytes());
    file.extend(frame);
    seal(&mut file);
    file
}
