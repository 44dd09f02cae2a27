//! Segments: rotation, removal, what keeps them, and a disk without room.

use std::time::Duration;

use cluster::disk::memory::{Faults, MemoryDisk};
use cluster::types::Vote;
use openraft::storage::RaftLogStorage;

use crate::ground::{Store, append, content, contents, entries, log_id, open, tiny};

const TINY: u64 = 4 * 1024;

#[tokio::test(start_paused = true)]
async fn purged_segments_go_and_the_rest_survives() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    let mut busy: Store = log.group(1);
    let mut idle: Store = log.group(2);
    idle.save_vote(&Vote::new(8, 8)).await.unwrap();
    append(&mut idle, entries(8, 1, 2)).await.unwrap();
    for index in 1..=200 {
        append(&mut busy, entries(1, index, 1)).await.unwrap();
    }
    let before = log.segments();
    assert!(before > 10, "only {before} segments");
    busy.purge(log_id(1, 190)).await.unwrap();
    append(&mut busy, entries(1, 201, 1)).await.unwrap();
    assert_eq!(log.segments(), before, "the idle group needs the oldest");
    let pins = log.pinning();
    assert_eq!(pins, [(2, log.size(2))]);

    idle.purge(log_id(8, 2)).await.unwrap();
    append(&mut busy, entries(1, 202, 1)).await.unwrap();
    let after = log.segments();
    assert!(after < before / 2, "{after} of {before} segments are left");
    let kept = contents(&log).await;
    log.close().await;
    let files = disk.names().iter().filter(|n| n.ends_with(".wal")).count();
    assert!(files <= after + 1, "{files} files for {after} segments");

    disk.crash();
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    assert_eq!(contents(&log).await, kept);
    assert_eq!(kept[&2].vote, Some(Vote::new(8, 8)));
    append(&mut log.group(2), entries(8, 3, 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_append_larger_than_a_segment_is_spread_over_several() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    let mut store: Store = log.group(1);
    append(&mut store, entries(1, 1, 500)).await.unwrap();
    assert!(log.segments() > 5);
    log.close().await;
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    assert_eq!(content(&log, 1).await.entries, entries(1, 1, 500));
}

#[tokio::test(start_paused = true)]
async fn truncated_entries_do_not_keep_a_segment() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    let mut store: Store = log.group(1);
    for index in 1..=100 {
        append(&mut store, entries(1, index, 1)).await.unwrap();
    }
    store.truncate_after(Some(log_id(1, 10))).await.unwrap();
    store.purge(log_id(1, 10)).await.unwrap();
    append(&mut store, entries(2, 11, 1)).await.unwrap();
    assert!(log.segments() <= 2);
    let kept = content(&log, 1).await;
    log.close().await;
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    assert_eq!(content(&log, 1).await, kept);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_and_writing_goes_on_when_there_is_room() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(TINY)).await.unwrap();
    let mut store: Store = log.group(1);
    append(&mut store, entries(1, 1, 1)).await.unwrap();
    disk.set_faults(Faults {
        capacity_bytes: Some(3 * TINY),
        ..Faults::default()
    });
    let mut index = 2;
    while !log.is_full() {
        append(&mut store, entries(1, index, 1)).await.unwrap();
        index += 1;
        tokio::task::yield_now().await;
    }
    // Until the segment in use is full as well.
    let more = tokio::spawn(async move {
        for index in index..index + 500 {
            append(&mut store, entries(1, index, 1)).await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!more.is_finished());
    assert_eq!(log.writing_for(), None, "room is waited for, and no sync");
    disk.set_faults(Faults::default());
    more.await.unwrap();
    assert!(!log.is_full());
}
