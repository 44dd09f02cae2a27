//! What a group's log keeps over a restart, and that groups do not disturb each other.

use bytes::Bytes;
use cluster::disk::memory::MemoryDisk;
use cluster::types::{Entry, EntryPayload, Payload, Peer, Vote};
use openraft::Membership;
use openraft::storage::{RaftLogReader, RaftLogStorage};

use crate::ground::{Store, append, begin_append, content, entries, entry, log_id, open, tiny};

const ROOMY: u64 = 1 << 20;

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(ROOMY)).await.unwrap();
    let mut one: Store = log.group(1);
    let mut two: Store = log.group(2);
    one.save_vote(&Vote::new(4, 7)).await.unwrap();
    append(&mut one, entries(4, 1, 5)).await.unwrap();
    append(&mut two, entries(9, 0, 3)).await.unwrap();
    let peers = [
        (
            1,
            Peer {
                address: "here:1".to_owned(),
            },
        ),
        (2, Peer::default()),
    ];
    let voters = vec![[1].into(), [1, 2].into()];
    let membership = Membership::new(voters, std::collections::BTreeMap::from(peers)).unwrap();
    let change = Entry {
        log_id: log_id(4, 6),
        payload: EntryPayload::Membership(membership),
    };
    let blank = Entry {
        log_id: log_id(5, 7),
        payload: EntryPayload::Blank,
    };
    append(&mut one, vec![change, blank]).await.unwrap();
    one.truncate_after(Some(log_id(4, 6))).await.unwrap();
    one.purge(log_id(4, 2)).await.unwrap();
    one.save_committed(Some(log_id(4, 5))).await.unwrap();
    let mut vote = Vote::new(9, 2);
    vote.committed = true;
    two.save_vote(&vote).await.unwrap();
    let before = [content(&log, 1).await, content(&log, 2).await];
    assert_eq!(before[0].entries.len(), 4);
    assert_eq!(before[0].last, Some(log_id(4, 6)));
    log.close().await;
    disk.crash();

    let log = open(disk.attach(), tiny(ROOMY)).await.unwrap();
    assert_eq!(log.groups(), [1, 2]);
    assert_eq!([content(&log, 1).await, content(&log, 2).await], before);
    let mut one: Store = log.group(1);
    assert_eq!(one.read_committed().await.unwrap(), Some(log_id(4, 5)));
    let keys = one.get_key_log_ids(log_id(4, 3)..=log_id(4, 6)).await;
    assert_eq!(keys.unwrap(), [log_id(4, 6)]);
}

#[tokio::test]
async fn a_closed_log_answers_with_errors() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(ROOMY)).await.unwrap();
    let mut store: Store = log.group(1);
    let queued = begin_append(&mut store, entries(1, 1, 3)).await.unwrap();
    log.close().await;
    queued.await.unwrap();
    assert!(append(&mut store, entries(1, 4, 1)).await.is_err());
    assert!(store.save_vote(&Vote::new(1, 1)).await.is_err());
}

#[tokio::test]
async fn a_hole_is_refused() {
    let log = open(MemoryDisk::new(1).attach(), tiny(ROOMY))
        .await
        .unwrap();
    let mut store: Store = log.group(1);
    append(&mut store, entries(1, 1, 3)).await.unwrap();
    assert!(append(&mut store, entries(1, 5, 1)).await.is_err());
    assert!(append(&mut store, entries(1, 3, 1)).await.is_err());
    append(&mut store, entries(1, 4, 1)).await.unwrap();
}

#[tokio::test]
async fn a_message_is_cut_by_bytes_and_reads_from_disk_and_memory_join() {
    let mut config = tiny(16 << 20);
    config.cache_bytes = 300 << 10;
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), config).await.unwrap();
    let mut store: Store = log.group(1);
    let body = |index: u64| vec![index as u8; 100 << 10];
    for index in 1..=30 {
        append(&mut store, vec![entry(1, index, body(index))])
            .await
            .unwrap();
    }
    let message = store.limited_get_log_entries(1, 31).await.unwrap();
    assert_eq!(message.len(), 10);
    let joined = store.try_get_log_entries(20..31).await.unwrap();
    assert_eq!(joined.len(), 11);
    for (entry, index) in joined.iter().zip(20..) {
        let expected = EntryPayload::Normal(Payload(Bytes::from(body(index))));
        assert_eq!(
            (entry.log_id, &entry.payload),
            (log_id(1, index), &expected)
        );
    }
}

#[tokio::test]
async fn what_is_queued_during_a_sync_shares_the_next_one() {
    let log = open(MemoryDisk::new(1).attach(), tiny(ROOMY))
        .await
        .unwrap();
    let mut store: Store = log.group(1);
    let mut answers = Vec::new();
    for index in 1..=100 {
        let queued = begin_append(&mut store, entries(1, index, 1)).await;
        answers.push(queued.unwrap());
    }
    for answer in answers {
        answer.await.unwrap();
    }
    let fsyncs = log.metrics().fsyncs();
    assert!(fsyncs <= 3, "100 appends took {fsyncs} syncs");
}

#[tokio::test]
async fn a_forgotten_group_is_gone_for_good() {
    let disk = MemoryDisk::new(1);
    let log = open(disk.attach(), tiny(ROOMY)).await.unwrap();
    let mut store: Store = log.group(1);
    store.save_vote(&Vote::new(3, 1)).await.unwrap();
    append(&mut store, entries(1, 1, 3)).await.unwrap();
    log.forget(1).await.unwrap();
    log.close().await;
    let log = open(disk.attach(), tiny(ROOMY)).await.unwrap();
    assert!(log.groups().is_empty());
    append(&mut log.group(1), entries(5, 9, 1)).await.unwrap();
}
