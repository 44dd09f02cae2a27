//! The bytes of a log, written down: a log of today must be readable for ever.

use std::collections::BTreeMap;

use cluster::disk::memory::MemoryDisk;
use cluster::log::LogMetrics;
use cluster::types::{Entry, EntryPayload, Peer, Vote};
use openraft::Membership;
use openraft::storage::RaftLogStorage;

use crate::ground::{Store, append, contents, entries, entry, log_id, open, unmarked};

const SEGMENT: u64 = 4096;
const GOLDEN: &str = include_str!("golden.hex");

async fn write(disk: &MemoryDisk) {
    let log = open(disk.attach(), unmarked(SEGMENT)).await.unwrap();
    let mut one: Store = log.group(1);
    let mut two: Store = log.group(2);
    let mut vote = Vote::new(3, 7);
    vote.committed = true;
    one.save_vote(&vote).await.unwrap();
    let peer = |address: &str| Peer {
        address: address.to_owned(),
    };
    let peers = BTreeMap::from([(7, peer("a:1")), (8, peer("b:2"))]);
    let membership = Membership::new(vec![[7].into(), [7, 8].into()], peers).unwrap();
    let change = Entry {
        log_id: log_id(3, 0),
        payload: EntryPayload::Membership(membership),
    };
    let blank = Entry {
        log_id: log_id(3, 1),
        payload: EntryPayload::Blank,
    };
    append(&mut one, vec![change, blank, entry(3, 2, "hold")])
        .await
        .unwrap();
    one.save_committed(Some(log_id(3, 1))).await.unwrap();
    append(&mut two, entries(5, 1, 2)).await.unwrap();
    two.truncate_after(Some(log_id(5, 1))).await.unwrap();
    append(&mut two, entries(6, 2, 1)).await.unwrap();
    two.truncate_after(None).await.unwrap();
    one.purge(log_id(3, 0)).await.unwrap();
    append(&mut two, vec![entry(6, 4, vec![9; 600])])
        .await
        .unwrap();
    // The next segment begins with a checkpoint.
    append(&mut one, vec![entry(6, 3, vec![8; 900])])
        .await
        .unwrap();
    log.close().await;
}

/// Files as lines of a name and of their bytes up to the last that is not zero.
fn dump(disk: &MemoryDisk) -> String {
    let mut lines = String::new();
    for name in disk.names() {
        let bytes = disk.bytes(&name).unwrap();
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        let hex: String = bytes[..end]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        lines += &format!("{name} {} {hex}\n", bytes.len());
    }
    lines
}

fn load(dump: &str) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    for line in dump.lines() {
        let mut parts = line.split(' ');
        let (name, len, hex) = (parts.next(), parts.next(), parts.next());
        let digits = hex.unwrap().as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let mut bytes: Vec<u8> = digits.map(byte).collect();
        bytes.resize(len.unwrap().parse().unwrap(), 0);
        disk.put(name.unwrap(), bytes);
    }
    disk
}

#[tokio::test(start_paused = true)]
async fn the_bytes_are_those_written_down() {
    let disk = MemoryDisk::new(1);
    write(&disk).await;
    assert_eq!(dump(&disk), GOLDEN, "found:\n{}", dump(&disk));
}

#[tokio::test(start_paused = true)]
async fn a_log_of_old_is_read() {
    let today = MemoryDisk::new(1);
    write(&today).await;
    let today = open(today.attach(), unmarked(SEGMENT)).await.unwrap();
    let old = open(load(GOLDEN).attach(), unmarked(SEGMENT))
        .await
        .unwrap();
    let contents_of_old = contents(&old).await;
    assert_eq!(contents_of_old, contents(&today).await);
    assert_eq!(contents_of_old[&1].entries.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_metrics_have_their_names() {
    let registry = prometheus::Registry::new();
    LogMetrics::new(&registry).unwrap();
    let names: Vec<String> = registry
        .gather()
        .iter()
        .map(|f| f.name().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "onsale_log_batch_frames",
            "onsale_log_cache_bytes",
            "onsale_log_disk_full",
            "onsale_log_fsync_seconds",
            "onsale_log_fsyncs_total",
            "onsale_log_mark_fsyncs_total",
            "onsale_log_segments",
            "onsale_log_write_under_way_seconds",
            "onsale_log_written_bytes_total",
        ]
    );
}
