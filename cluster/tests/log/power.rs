//! Power cuts at random moments: what was acknowledged is there, votes never regress, the log
//! never refuses what it wrote itself.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::disk::memory::{Faults, MemoryDisk};
use cluster::types::{Entry, GroupId, LogId, Vote};
use openraft::storage::RaftLogStorage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::ground::{
    Content, Store, append, begin_append, content, contents, entries, entry, log_id, open, tiny,
};

/// What the disk owes a group: it may hold more, never less.
#[derive(Clone, Default)]
struct Owed {
    vote: Option<Vote>,
    /// Entries queued, in sequence, and how many of them are acknowledged.
    queued: Vec<Entry>,
    acknowledged: usize,
    purged: u64,
}

async fn life(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let disk = MemoryDisk::new(seed);
    disk.set_faults(Faults {
        sync_ms: Some(0..20),
        ..Faults::default()
    });
    let mut owed: BTreeMap<GroupId, Owed> = BTreeMap::new();
    for incarnation in 1..=6 {
        let mut config = tiny(rng.random_range(8..40) * 512);
        config.cache_bytes = rng.random_range(0..4096);
        let opened = open(disk.attach(), config).await;
        let log = opened.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let found = contents(&log).await;
        for (group, owed) in &mut owed {
            let content = found.get(group).cloned().unwrap_or_default();
            settle(seed, *group, owed, content);
        }
        let run = rng.random_range(1..400);
        let mut running: Vec<JoinHandle<(GroupId, usize)>> = Vec::new();
        let until = tokio::time::Instant::now() + Duration::from_millis(run);
        while tokio::time::Instant::now() < until {
            let group = rng.random_range(1..4);
            let owed = owed.entry(group).or_default();
            let mut store: Store = log.group(group);
            match rng.random_range(0..10) {
                0 => {
                    let term = owed.vote.map_or(0, |vote| vote.leader_id.term);
                    let vote = Vote::new(term + 1, incarnation);
                    store.save_vote(&vote).await.unwrap();
                    owed.vote = Some(vote);
                    owed.acknowledged = owed.acknowledged.max(owed.queued.len());
                }
                1 if owed.acknowledged > owed.purged as usize => {
                    let upto = rng.random_range(owed.purged + 1..=owed.acknowledged as u64);
                    let id = owed.queued[upto as usize - 1].log_id;
                    store.purge(id).await.unwrap();
                    owed.purged = upto;
                }
                2 if owed.queued.len() > owed.purged as usize => {
                    for task in running.drain(..) {
                        task.await.unwrap();
                    }
                    let keep = rng.random_range(owed.purged as usize..=owed.queued.len());
                    let after = keep.checked_sub(1).map(|at| owed.queued[at].log_id);
                    store.truncate_after(after).await.unwrap();
                    // Whether it arrived is known when something later is acknowledged.
                    store
                        .save_vote(&owed.vote.unwrap_or(Vote::new(0, 0)))
                        .await
                        .unwrap();
                    owed.vote.get_or_insert(Vote::new(0, 0));
                    owed.queued.truncate(keep);
                    owed.acknowledged = keep;
                }
                _ => {
                    let count = rng.random_range(1..4);
                    let len = rng.random_range(0..1500);
                    let first = owed.queued.len() as u64 + 1;
                    let batch: Vec<Entry> = (first..first + count)
                        .map(|index| entry(incarnation, index, vec![index as u8; len]))
                        .collect();
                    owed.queued.extend(batch.iter().cloned());
                    let len = owed.queued.len();
                    let answer = begin_append(&mut store, batch).await.unwrap();
                    running.push(tokio::spawn(async move {
                        answer.await.unwrap();
                        (group, len)
                    }));
                }
            }
            if rng.random_bool(0.3) {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..15))).await;
            }
        }
        if rng.random_bool(0.7) {
            disk.crash();
        } else {
            disk.kill();
        }
        for task in running {
            if task.is_finished() {
                let (group, len) = task.await.unwrap();
                let owed = owed.entry(group).or_default();
                owed.acknowledged = owed.acknowledged.max(len.min(owed.queued.len()));
            } else {
                task.abort();
            }
        }
    }
}

/// Compares what is there with what is owed, and takes over what is there.
fn settle(seed: u64, group: GroupId, owed: &mut Owed, content: Content) {
    assert!(
        content.vote >= owed.vote,
        "seed {seed}: a vote of {group} regressed"
    );
    let last = content.last.map_or(0, |last| last.index) as usize;
    assert!(
        last >= owed.acknowledged,
        "seed {seed}: entries of {group} are lost"
    );
    assert!(
        last <= owed.queued.len(),
        "seed {seed}: {group} has what nobody wrote"
    );
    let purged = content.purged.map_or(0, |purged| purged.index);
    assert!(
        purged <= owed.purged,
        "seed {seed}: {group} purged too much"
    );
    let expected = &owed.queued[purged as usize..last];
    assert_eq!(content.entries, expected, "seed {seed}: entries of {group}");
    assert_eq!(
        content.last.map(|id| id.index),
        (last > 0).then_some(last as u64)
    );
    let same = last == 0 || content.last == Some(owed.queued[last - 1].log_id);
    assert!(
        same,
        "seed {seed}: {group} ends with {:?}",
        log_id(0, last as u64)
    );
    owed.queued.truncate(last);
    owed.acknowledged = last;
    owed.purged = purged;
    owed.vote = content.vote;
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_survives_power_cuts() {
    for seed in 1..=150 {
        life(seed).await;
    }
}

/// What is committed is kept in memory and written beside whatever is written next, which may be a
/// write that began before a truncation it has overtaken.
#[tokio::test(start_paused = true)]
async fn what_is_committed_never_names_entries_that_a_truncation_took() {
    for seed in 0..32 {
        let disk = MemoryDisk::new(seed);
        let log = open(disk.attach(), tiny(16 << 20)).await.unwrap();
        let (mut one, mut two): (Store, Store) = (log.group(1), log.group(2));
        append(&mut one, entries(1, 1, 8)).await.unwrap();
        disk.set_faults(Faults {
            sync_ms: Some(5..6),
            ..Faults::default()
        });
        // Two writes: the second begins with the entry for which the first has no room.
        let first = entry(1, 1, vec![1; 3 << 20]);
        let first = begin_append(&mut two, vec![first]).await.unwrap();
        let second = entry(1, 2, vec![2; 2 << 20]);
        let second = begin_append(&mut two, vec![second]).await.unwrap();
        one.truncate_after(Some(log_id(1, 5))).await.unwrap();
        let third = begin_append(&mut one, entries(2, 6, 3)).await.unwrap();
        one.save_committed(Some(log_id(2, 7))).await.unwrap();
        first.await.unwrap();
        disk.crash();
        drop((second, third, log));

        let log = open(disk.attach(), tiny(16 << 20)).await.unwrap();
        let mut one: Store = log.group(1);
        let there = content(&log, 1).await.entries;
        let committed = one.read_committed().await.unwrap();
        let is_there = |id| there.iter().any(|entry| entry.log_id == id);
        assert!(committed.is_none_or(is_there), "seed {seed}: {committed:?}");
        // Entries 6 to 8 of the first term were never committed.
        let taken = |id: LogId| *id.leader_id == 1 && id.index > 5;
        assert!(!committed.is_some_and(taken), "seed {seed}: {committed:?}");
    }
}
