//! The files of a log in any condition: opened or refused. Refused, they are as they were; opened, every
//! entry can be read back, now and after the next start, and the node is not ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::components::{Halt, Lanes};
use cluster::disk::memory::MemoryDisk;
use cluster::log::{Config, Log, LogMetrics};
use cluster::types::{Entry, GroupId};
use futures::future::BoxFuture;

use super::drive::from_hex;
use super::feed::Feed;

const SECTOR: usize = 512;
const DATA: usize = 508;
const BATCH_HEADER: usize = 28;
const FRAME_HEADER: usize = 36;
const MARK: &str = "acknowledged.mark";
const FILE_MAX: u32 = 32 << 10;
const FILES_MAX: usize = 8;

/// The lowest bit of the first byte: put the checksums right. Then files: a number (0 is the mark, all
/// others are segments), the file's length, how many bytes follow; the rest of the file is zeros.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let seals = feed.u8() & 1 == 1;
    let mut files = BTreeMap::new();
    while !feed.is_empty() && files.len() < FILES_MAX {
        let (number, len) = (feed.u64(), feed.u32().min(FILE_MAX) as usize);
        let given = feed.u32().min(FILE_MAX) as usize;
        let mut bytes = feed.take(given).to_vec();
        bytes.resize(len, 0);
        files.insert(number, bytes);
    }
    if seals {
        seal(&mut files);
    }
    let disk = MemoryDisk::new(1);
    for (number, bytes) in files {
        disk.put(&name(number), bytes);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime
        .block_on(async {
            // Time passes only when nothing else can: whoever waits for ever is found out at once.
            tokio::time::timeout(Duration::from_secs(3600), recover(&disk)).await
        })
        .expect("recovery comes to its end");
}

fn name(number: u64) -> String {
    match number {
        0 => MARK.to_owned(),
        number => format!("{number:016}.wal"),
    }
}

async fn recover(disk: &MemoryDisk) {
    let before = all_bytes(disk);
    let Ok(first) = contents(disk).await else {
        assert_eq!(all_bytes(disk), before, "refused and changed");
        return;
    };
    let second = contents(disk).await.expect("opened once, it opens again");
    assert_eq!(second, first);
}

fn all_bytes(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.names().into_iter();
    names
        .filter_map(|name| Some((name.clone(), disk.bytes(&name)?)))
        .collect()
}

type Contents = BTreeMap<GroupId, Vec<Entry>>;

/// Opens the log, reads all of it and closes it.
async fn contents(disk: &MemoryDisk) -> Result<Contents, cluster::log::OpenFault> {
    let config = Config {
        segment_bytes: 4096,
        cache_bytes: 1 << 16,
        mark_after_ms: 1,
    };
    let halted = Arc::new(Halted::default());
    let metrics = LogMetrics::unregistered().expect("fixed names");
    let log = Log::open(
        disk.attach(),
        config,
        halted.clone(),
        Arc::new(Tasks),
        metrics,
    )
    .await?;
    let mut all = BTreeMap::new();
    for group in log.groups() {
        let entries = log
            .entries(group)
            .await
            .expect("was checked when it was opened");
        let indexes = entries.iter().map(|entry| entry.log_id.index);
        let first = entries.first().map_or(0, |entry| entry.log_id.index);
        assert!(indexes.eq((first..).take(entries.len())), "without holes");
        all.insert(group, entries);
    }
    log.close().await;
    assert!(
        !halted.0.load(Ordering::SeqCst),
        "a log that opens is sound"
    );
    Ok(all)
}

#[derive(Default)]
struct Halted(AtomicBool);

impl Halt for Halted {
    fn halt(&self, _why: &str) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Tasks;

impl Lanes for Tasks {
    fn run(&self, _name: &str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

/// Puts stamps and checksums right, as far as the lengths lead: a second reading of the description at
/// `cluster::log::format`.
fn seal(files: &mut BTreeMap<u64, Vec<u8>>) {
    let mut chain = 0;
    let mut sequence = None;
    let mut chains = BTreeMap::new();
    for (number, bytes) in files.range_mut(1..) {
        if bytes.len() < SECTOR {
            continue;
        }
        let len = bytes.len() as u64;
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..24].copy_from_slice(&len.to_le_bytes());
        put_crc(bytes, 24, 0);
        let mut at = SECTOR;
        while let Some(sectors) = seal_batch(*number, &mut bytes[at..], &mut chain, &mut sequence) {
            chains.insert(sequence, chain);
            at += sectors * SECTOR;
        }
    }
    let mark = files.get_mut(&0).map_or(&mut [][..], Vec::as_mut_slice);
    for sector in mark.chunks_exact_mut(SECTOR) {
        if sector.starts_with(b"MARK") {
            if let Some(chain) = chains.get(&Some(u64_at(sector, 16))) {
                sector[4..8].copy_from_slice(&chain.to_le_bytes());
            }
            put_crc(sector, 28, 0);
        }
    }
}

/// The first batch keeps its sequence number, the others follow it. `None` when there is no batch.
fn seal_batch(
    number: u64,
    bytes: &mut [u8],
    chain: &mut u32,
    sequence: &mut Option<u64>,
) -> Option<usize> {
    if bytes.get(..4)? != b"BTSH" {
        return None;
    }
    let len = u32_at(bytes, 16) as usize;
    let sectors = (BATCH_HEADER + len).div_ceil(DATA);
    let raw = bytes.get_mut(..sectors * SECTOR)?;
    let mut data: Vec<u8> = raw
        .chunks_exact(SECTOR)
        .flat_map(|s| &s[..DATA])
        .copied()
        .collect();
    let this = match *sequence {
        Some(last) => u64::wrapping_add(last, 1),
        None => u64_at(&data, 8),
    };
    *sequence = Some(this);
    data[8..16].copy_from_slice(&this.to_le_bytes());
    data[20..24].copy_from_slice(&chain.to_le_bytes());
    *chain = put_crc(&mut data, BATCH_HEADER - 4, 0);
    let end = BATCH_HEADER + len;
    let mut at = BATCH_HEADER;
    while at + FRAME_HEADER <= end {
        let body = at + FRAME_HEADER;
        let body_end = body.saturating_add(u32_at(&data, at) as usize).min(end);
        let body_crc = crc(0, &data[body..body_end]);
        data[at + 12..at + 16].copy_from_slice(&body_crc.to_le_bytes());
        *chain = put_crc(&mut data[at..], FRAME_HEADER - 4, *chain);
        at = body_end;
    }
    for (at, (sector, data)) in raw
        .chunks_exact_mut(SECTOR)
        .zip(data.chunks_exact(DATA))
        .enumerate()
    {
        sector[..DATA].copy_from_slice(data);
        sector[DATA..].copy_from_slice(&stamp(number, this, at as u64).to_le_bytes());
    }
    Some(sectors)
}

/// Writes the checksum of the first `at` bytes behind them.
fn put_crc(bytes: &mut [u8], at: usize, seed: u32) -> u32 {
    let crc = crc(seed, &bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

fn crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

fn stamp(number: u64, sequence: u64, at: u64) -> u32 {
    let mix = |value: u64| {
        let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (mix(mix(mix(number) ^ sequence) ^ at) >> 32) as u32 | 0x8000_0001
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The log whose bytes are written down for ever, as it is, and with numbers at their end.
pub fn corpus() -> Vec<Vec<u8>> {
    let golden = golden();
    let input = |seals: u8, files: &BTreeMap<u64, Vec<u8>>| {
        let mut input = vec![seals];
        for (number, bytes) in files {
            let end = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            input.extend(number.to_le_bytes());
            input.extend((bytes.len() as u32).to_le_bytes());
            input.extend((end as u32).to_le_bytes());
            input.extend_from_slice(&bytes[..end]);
        }
        input
    };
    let mut inputs = vec![input(0, &golden), input(1, &golden)];
    // A log of another number of segments, as after years.
    for last in [1000, u64::MAX - 1, u64::MAX] {
        let shift = last - golden.keys().last().copied().unwrap_or(0);
        let moved = golden.iter().map(|(number, bytes)| match number {
            0 => (0, bytes.clone()),
            number => (number + shift, bytes.clone()),
        });
        inputs.push(input(1, &moved.collect()));
    }
    // The last batch, entry or mark there can be.
    let first = golden
        .keys()
        .find(|number| **number > 0)
        .copied()
        .unwrap_or(1);
    for at in [8, BATCH_HEADER + 16, BATCH_HEADER + 24, 52, 100] {
        for value in [u64::MAX, u64::MAX - 1] {
            let mut bent = golden.clone();
            if let Some(bytes) = bent.get_mut(&first) {
                bytes[SECTOR + at..SECTOR + at + 8].copy_from_slice(&value.to_le_bytes());
            }
            inputs.push(input(1, &bent));
        }
    }
    for at in [8, 16] {
        let mut bent = golden.clone();
        if let Some(mark) = bent.get_mut(&0) {
            mark[at..at + 8].fill(0xff);
            mark[SECTOR + at..SECTOR + at + 8].fill(0xff);
        }
        inputs.push(input(1, &bent));
    }
    inputs
}

/// The golden log of `cluster/tests/log`: lines of a name, a length and the bytes.
fn golden() -> BTreeMap<u64, Vec<u8>> {
    let text = include_str!("../../../cluster/tests/log/golden.hex");
    text.lines()
        .filter_map(|line| {
            let mut parts = line.split(' ');
            let (name, len, hex) = (parts.next()?, parts.next()?, parts.next()?);
            let number = match name.strip_suffix(".wal") {
                Some(number) => number.parse().ok()?,
                None if name == MARK => 0,
                None => return None,
            };
            let mut bytes = from_hex(hex)?;
            bytes.resize(len.parse().ok()?, 0);
            Some((number, bytes))
        })
        .collect()
}
