//! Measures the node's log on a real folder: `cargo run --release -p cluster --example log_speed
//! [FOLDER]`. Prints the median of three runs per load. Not a test: nothing is asserted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster::components::{Halt, Lanes};
use cluster::disk::folder::FolderDisk;
use cluster::log::{Config, GroupLog, Log, LogMetrics};
use cluster::types::{CommittedLeaderId, Entry, EntryPayload, LogId, Payload, Types};
use futures::future::BoxFuture;
use openraft::impls::TokioRuntime;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use tokio::task::JoinSet;

/// Each lane on a thread of its own.
struct Threads;

impl Lanes for Threads {
    fn run(&self, name: &str, future: BoxFuture<'static, ()>) {
        let lane = move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime for a lane")
                .block_on(future);
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(lane)
            .expect("a thread for a lane");
    }
}

struct Abort;

impl Halt for Abort {
    fn halt(&self, why: &str) {
        eprintln!("{why}");
        std::process::abort();
    }
}

/// One caller that appends `batch` entries at a time to a group of its own, `in_flight` appends
/// unanswered at most.
struct Load {
    name: &'static str,
    callers: u32,
    batch: u64,
    in_flight: usize,
}

const RUN: Duration = Duration::from_secs(2);
const PAYLOAD: &[u8] = &[7; 100];

async fn caller(mut store: GroupLog<TokioRuntime>, batch: u64, in_flight: usize) -> u64 {
    let began = Instant::now();
    let mut next = 1;
    let mut answers = std::collections::VecDeque::new();
    while began.elapsed() < RUN {
        let entries = (next..next + batch).map(|index| Entry {
            log_id: LogId {
                leader_id: CommittedLeaderId::new(1),
                index,
            },
            payload: EntryPayload::Normal(Payload(Bytes::from_static(PAYLOAD))),
        });
        let entries: Vec<Entry> = entries.collect();
        next += batch;
        let (reply, answer) = Types::<TokioRuntime>::oneshot();
        let append = store.append(entries, IOFlushed::signal(reply)).await;
        append.expect("an append is queued");
        answers.push_back(answer);
        if answers.len() == in_flight
            && let Some(answer) = answers.pop_front()
        {
            answer.await.expect("an answer").expect("a sync");
        }
        // As Raft would: what is applied and in a snapshot goes.
        if next % 100_000 < batch {
            let leader_id = CommittedLeaderId::new(1);
            let index = next.saturating_sub(50_000).max(1);
            store
                .purge(LogId { leader_id, index })
                .await
                .expect("a purge");
        }
    }
    for answer in answers {
        answer.await.expect("an answer").expect("a sync");
    }
    next - 1
}

async fn run(folder: &Path, load: &Load) -> (f64, f64, f64) {
    let disk = Arc::new(FolderDisk::open(folder).expect("the folder opens"));
    let metrics = LogMetrics::unregistered().expect("metrics");
    let log = Log::open(
        disk,
        Config::default(),
        Arc::new(Abort),
        Arc::new(Threads),
        metrics,
    );
    let log = log.await.expect("the log opens");
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for group in 0..load.callers {
        callers.spawn(caller(log.group(group), load.batch, load.in_flight));
    }
    let entries: u64 = callers.join_all().await.into_iter().sum();
    let seconds = began.elapsed().as_secs_f64();
    let fsyncs = log.metrics().fsyncs() as f64;
    log.close().await;
    let appends = entries as f64 / load.batch as f64;
    (
        entries as f64 / seconds,
        appends / seconds,
        fsyncs / seconds,
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let loads = [
        ("1 caller", 1, 1, 1),
        ("64 callers", 64, 1, 1),
        ("1 caller, 1000 entries", 1, 1000, 1),
        ("8 x 1000 entries in flight", 1, 1000, 8),
    ];
    for (name, callers, batch, in_flight) in loads {
        let load = Load {
            name,
            callers,
            batch,
            in_flight,
        };
        let mut runs = Vec::new();
        for _ in 0..3 {
            let folder = tempfile::tempdir_in(&parent).expect("a folder to measure in");
            runs.push(run(folder.path(), &load).await);
        }
        runs.sort_by(|left, right| left.0.total_cmp(&right.0));
        let (entries, appends, fsyncs) = runs[1];
        println!(
            "{:28} {entries:>10.0} entries/s {appends:>8.0} appends/s {fsyncs:>7.0} fsyncs/s",
            load.name
        );
    }
}
