//! A small log cut and flipped at every byte and bit. Only what was never acknowledged may be cut;
//! anything else is refused, and a log that is refused is left as it was.

use std::collections::BTreeMap;

use cluster::disk::memory::MemoryDisk;
use cluster::log::Log;
use cluster::types::{GroupId, Vote};
use openraft::storage::RaftLogStorage;

use crate::ground::{
    Content, Store, append, begin_append, contents, entries, entry, log_id, open, tiny, unmarked,
};

const SEGMENT: u64 = 3 * 1024;
const SECTOR: usize = 512;

type Contents = BTreeMap<GroupId, Content>;

/// Two groups over three segments, everything acknowledged. `marked` says whether the log had time
/// to write down that it was.
async fn acknowledged(marked: bool) -> (MemoryDisk, Contents) {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), unmarked(SEGMENT)).await.unwrap();
    let mut one: Store = log.group(1);
    let mut two: Store = log.group(2);
    one.save_vote(&Vote::new(1, 1)).await.unwrap();
    for index in 1..=4 {
        append(&mut one, entries(1, index, 1)).await.unwrap();
        append(&mut two, entries(2, index, 1)).await.unwrap();
    }
    one.truncate_after(Some(log_id(1, 3))).await.unwrap();
    one.purge(log_id(1, 1)).await.unwrap();
    // Zeros, so that a sector is told from one never written by its stamp alone.
    append(&mut one, vec![entry(3, 4, vec![0; 1300])])
        .await
        .unwrap();
    let contents = contents(&log).await;
    assert!(log.segments() >= 3);
    if marked {
        log.close().await;
    } else {
        disk.kill();
    }
    (disk, contents)
}

fn segments(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.names().into_iter();
    names.filter(|name| name.ends_with(".wal")).collect()
}

fn snapshot(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.names().into_iter();
    let file = |name: String| (name.clone(), disk.bytes(&name).unwrap());
    names.map(file).collect()
}

/// Opens a damaged log: either it is refused and untouched, or it has everything.
async fn refused_or_whole(disk: &MemoryDisk, whole: &Contents, what: &str) -> bool {
    let before = snapshot(disk);
    match open(disk.attach(), tiny(SEGMENT)).await {
        Err(_) => {
            assert_eq!(snapshot(disk), before, "{what}: refused and changed");
            true
        }
        Ok(log) => {
            assert_eq!(&contents(&log).await, whole, "{what}: entries are lost");
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_of_an_acknowledged_log_is_refused() {
    for marked in [true, false] {
        let (disk, whole) = acknowledged(marked).await;
        assert!(!refused_or_whole(&disk.fork(1), &whole, "sound").await);
        for name in disk.names() {
            let len = disk.bytes(&name).unwrap().len();
            for byte in 0..len {
                for bit in 0..8 {
                    let what = format!("marked {marked}, {name}, byte {byte}, bit {bit}");
                    disk.flip(&name, byte, bit);
                    let refused = refused_or_whole(&disk, &whole, &what).await;
                    assert!(refused, "{what}: accepted");
                    disk.flip(&name, byte, bit);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_file_of_an_acknowledged_log_is_refused() {
    for marked in [true, false] {
        let (disk, whole) = acknowledged(marked).await;
        for name in disk.names() {
            let bytes = disk.bytes(&name).unwrap();
            for len in 0..bytes.len() {
                let what = format!("marked {marked}, {name} cut to {len}");
                disk.put(&name, bytes[..len].to_vec());
                assert!(refused_or_whole(&disk, &whole, &what).await, "{what}");
            }
            disk.put(&name, bytes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_missing_is_noticed() {
    let (disk, whole) = acknowledged(true).await;
    // A segment that was prepared and never used holds nothing.
    let used = segments(&disk).into_iter().filter(|name| {
        let bytes = disk.bytes(name).unwrap();
        bytes[SECTOR..].iter().any(|byte| *byte != 0)
    });
    for name in used.chain(["acknowledged.mark".to_owned()]) {
        let fork = disk.fork(1);
        fork.delete(&name);
        assert!(refused_or_whole(&fork, &whole, &name).await, "{name}");
    }
    let fork = disk.fork(1);
    for name in segments(&disk) {
        fork.delete(&name);
    }
    assert!(refused_or_whole(&fork, &whole, "all segments").await);
}

#[tokio::test(start_paused = true)]
async fn lost_sectors_of_a_marked_log_are_refused() {
    let (disk, whole) = acknowledged(true).await;
    for name in segments(&disk) {
        let bytes = disk.bytes(&name).unwrap();
        for from in (SECTOR..bytes.len()).step_by(SECTOR) {
            for to in (from + SECTOR..=bytes.len()).step_by(SECTOR) {
                if bytes[from..to].iter().all(|byte| *byte == 0) {
                    continue;
                }
                let mut lost = bytes.clone();
                lost[from..to].fill(0);
                disk.put(&name, lost);
                let what = format!("{name}, lost {from}..{to}");
                assert!(refused_or_whole(&disk, &whole, &what).await, "{what}");
            }
        }
        disk.put(&name, bytes);
    }
}

/// A log whose last write, of several sectors, was never acknowledged: the segment with it, and
/// where it begins and ends.
async fn unacknowledged() -> (MemoryDisk, Contents, Contents, String, usize, usize) {
    let (disk, before) = acknowledged(false).await;
    let name = |disk: &MemoryDisk| {
        let used = |name: &String| disk.bytes(name).unwrap()[SECTOR..].iter().any(|b| *b != 0);
        segments(disk).into_iter().rfind(used).unwrap()
    };
    let written = |disk: &MemoryDisk, name: &str| {
        let bytes = disk.bytes(name).unwrap();
        let sectors = bytes
            .chunks(SECTOR)
            .rposition(|s| s.iter().any(|b| *b != 0));
        (sectors.unwrap() + 1) * SECTOR
    };
    let log: Log = open(disk.attach(), unmarked(SEGMENT)).await.unwrap();
    let (from_name, from) = (name(&disk), written(&disk, &name(&disk)));
    let mut two: Store = log.group(2);
    let body = vec![entry(2, 5, vec![0; 900])];
    begin_append(&mut two, body).await.unwrap().await.unwrap();
    let after = contents(&log).await;
    disk.kill();
    let (to_name, to) = (name(&disk), written(&disk, &name(&disk)));
    let from = if from_name == to_name { from } else { SECTOR };
    assert!(to - from >= 2 * SECTOR);
    (disk, before, after, to_name, from, to)
}

#[tokio::test(start_paused = true)]
async fn a_torn_write_is_cut_and_nothing_else() {
    let (disk, before, after, name, from, to) = unacknowledged().await;
    let bytes = disk.bytes(&name).unwrap();
    let sectors = (to - from) / SECTOR;
    for arrived in 0..1u32 << sectors {
        let fork = disk.fork(1);
        let mut torn = bytes.clone();
        for at in 0..sectors {
            if arrived & 1 << at == 0 {
                torn[from + at * SECTOR..from + (at + 1) * SECTOR].fill(0);
            }
        }
        fork.put(&name, torn);
        let log = open(fork.attach(), tiny(SEGMENT)).await.unwrap();
        let whole = arrived + 1 == 1 << sectors;
        let expected = if whole { &after } else { &before };
        assert_eq!(&contents(&log).await, expected, "arrived {arrived:b}");
        // What was cut is cut for good: another write takes its place.
        let mut two: Store = log.group(2);
        let next = expected[&2].last.unwrap().index + 1;
        append(&mut two, entries(7, next, 1)).await.unwrap();
        let now = contents(&log).await;
        log.close().await;
        fork.crash();
        let log = open(fork.attach(), tiny(SEGMENT)).await.unwrap();
        assert_eq!(contents(&log).await, now, "arrived {arrived:b}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_a_torn_log_never_loses_what_was_acknowledged() {
    let (disk, before, _, name, from, to) = unacknowledged().await;
    let mut torn = disk.bytes(&name).unwrap();
    torn[to - SECTOR..to].fill(0);
    for byte in 0..torn.len() {
        for bit in 0..8 {
            torn[byte] ^= 1 << bit;
            let fork = disk.fork(1);
            fork.put(&name, torn.clone());
            if let Ok(log) = open(fork.attach(), tiny(SEGMENT)).await {
                assert_eq!(contents(&log).await, before, "byte {byte}, bit {bit}");
                assert!(byte >= from, "byte {byte}, bit {bit}: accepted");
            }
            torn[byte] ^= 1 << bit;
        }
    }
}
