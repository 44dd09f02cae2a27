//! Every call of a scenario fails once: whoever waits is answered, the node ends, and on the good
//! disk everything acknowledged is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::disk::memory::{Faults, MemoryDisk};
use cluster::log::Log;
use cluster::types::{GroupId, Vote};
use openraft::storage::RaftLogStorage;
use tokio::time::timeout;

use crate::ground::{
    Halts, Store, append, begin_append, contents, entries, log_id, open, open_halting, tiny,
};

const SEGMENT: u64 = 3 * 1024;

/// What was acknowledged to a caller.
#[derive(Clone, Default)]
struct Acknowledged {
    votes: BTreeMap<GroupId, Vote>,
    last: BTreeMap<GroupId, u64>,
}

/// Votes, pipelined appends of two groups, purges and rotation, until an error or the end.
async fn scenario(log: &Log, acknowledged: &mut Acknowledged) {
    let mut next = BTreeMap::from([(1, 1), (2, 1)]);
    for round in 1..=6 {
        let mut answers = Vec::new();
        for group in [1, 2] {
            let mut store: Store = log.group(group);
            let vote = Vote::new(round, 1);
            if store.save_vote(&vote).await.is_ok() {
                acknowledged.votes.insert(group, vote);
            }
            for _ in 0..3 {
                let first = next[&group];
                let batch = entries(round, first, 2);
                if let Ok(answer) = begin_append(&mut store, batch).await {
                    answers.push((group, first + 1, answer));
                    next.insert(group, first + 2);
                }
            }
        }
        for (group, last, answer) in answers {
            let answered = timeout(Duration::from_secs(60), answer).await;
            if answered.expect("an append was not answered").is_ok() {
                acknowledged.last.insert(group, last);
            }
        }
        if round == 4 {
            let mut store: Store = log.group(1);
            // A failed log says so here as everywhere.
            let _ = store.purge(log_id(2, 8)).await;
        }
    }
    // The files' lane comes to its marks and removals.
    tokio::time::sleep(Duration::from_millis(5)).await;
    log.close().await;
}

async fn check(disk: &MemoryDisk, acknowledged: &Acknowledged, what: &str) {
    let log = open(disk.attach(), tiny(SEGMENT)).await;
    let log = log.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    let found = contents(&log).await;
    for (group, vote) in &acknowledged.votes {
        let kept = found.get(group).and_then(|content| content.vote);
        assert!(kept >= Some(*vote), "{what}: a vote is lost");
    }
    for (group, last) in &acknowledged.last {
        let kept = found.get(group).and_then(|content| content.last);
        let kept = kept.map(|kept| kept.index);
        assert!(kept >= Some(*last), "{what}: {last} of {group} is lost");
    }
    // It is a log that goes on.
    let mut store: Store = log.group(1);
    let last = found.get(&1).and_then(|content| content.last);
    let next = last.map_or(1, |last| last.index + 1);
    append(&mut store, entries(99, next, 1)).await.unwrap();
    log.close().await;
}

#[tokio::test(start_paused = true)]
async fn every_call_of_the_disk_fails_once() {
    let sound = MemoryDisk::new(0);
    let log = open(sound.attach(), tiny(SEGMENT)).await.unwrap();
    scenario(&log, &mut Acknowledged::default()).await;
    let calls = sound.calls();
    assert!(calls > 50, "only {calls} calls");

    let mut halted = 0;
    for call in 1..=calls {
        for power_cut in [false, true] {
            let what = format!("call {call} of {calls}, power cut {power_cut}");
            let disk = MemoryDisk::new(call);
            disk.set_faults(Faults {
                fail_call: Some(call),
                ..Faults::default()
            });
            let halts = Arc::new(Halts::default());
            let mut acknowledged = Acknowledged::default();
            // A log that cannot be opened has acknowledged nothing.
            if let Ok(log) = open_halting(disk.attach(), tiny(SEGMENT), halts.clone()).await {
                scenario(&log, &mut acknowledged).await;
                if disk.calls() >= call {
                    assert!(halts.count() > 0, "{what}: the node went on");
                    halted += 1;
                }
            }
            if power_cut {
                disk.crash();
            } else {
                disk.kill();
            }
            disk.set_faults(Faults::default());
            check(&disk, &acknowledged, &what).await;
            // What an earlier process saw fail is durable once a later one has read it.
            disk.crash();
            check(&disk, &acknowledged, &what).await;
        }
    }
    assert!(halted > 50, "the log was hit only {halted} times");
}
