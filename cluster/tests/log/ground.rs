//! What the tests stand on: opening a log, entries, appends that wait for their answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cluster::components::{Halt, Lanes};
use cluster::disk::Disk;
use cluster::log::{Config, GroupLog, Log, LogMetrics, OpenFault};
use cluster::types::{
    CommittedLeaderId, Entry, EntryPayload, GroupId, LogId, Payload, Types, Vote,
};
use futures::future::BoxFuture;
use openraft::impls::TokioRuntime;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;

pub type Store = GroupLog<TokioRuntime>;

/// Lanes as tasks, as in simulation.
pub struct Tasks;

impl Lanes for Tasks {
    fn run(&self, _name: &str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

/// Counts how often the node was to end.
#[derive(Default)]
pub struct Halts(pub AtomicUsize);

impl Halts {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Halt for Halts {
    fn halt(&self, _why: &str) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Segments of a few sectors, marks at once.
pub fn tiny(segment_bytes: u64) -> Config {
    Config {
        segment_bytes,
        cache_bytes: 1 << 20,
        mark_after_ms: 1,
    }
}

/// A log that writes no mark by itself while a test runs.
pub fn unmarked(segment_bytes: u64) -> Config {
    Config {
        mark_after_ms: 3_600_000,
        ..tiny(segment_bytes)
    }
}

pub async fn open(disk: Arc<dyn Disk>, config: Config) -> Result<Log, OpenFault> {
    open_halting(disk, config, Arc::default()).await
}

pub async fn open_halting(
    disk: Arc<dyn Disk>,
    config: Config,
    halts: Arc<Halts>,
) -> Result<Log, OpenFault> {
    let metrics = LogMetrics::unregistered().unwrap();
    Log::open(disk, config, halts, Arc::new(Tasks), metrics).await
}

pub fn log_id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: CommittedLeaderId::new(term),
        index,
    }
}

pub fn entry(term: u64, index: u64, payload: impl Into<Vec<u8>>) -> Entry {
    Entry {
        log_id: log_id(term, index),
        payload: EntryPayload::Normal(Payload(Bytes::from(payload.into()))),
    }
}

/// `count` small entries from `first` on.
pub fn entries(term: u64, first: u64, count: u64) -> Vec<Entry> {
    let one = |index| entry(term, index, format!("{term}.{index}"));
    (first..first + count).map(one).collect()
}

/// Queues an append; the future resolves when it is answered.
pub async fn begin_append(
    store: &mut Store,
    entries: Vec<Entry>,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let (reply, answer) = Types::<TokioRuntime>::oneshot();
    store.append(entries, IOFlushed::signal(reply)).await?;
    Ok(async move { answer.await.expect("an append is always answered") })
}

pub async fn append(store: &mut Store, entries: Vec<Entry>) -> io::Result<()> {
    begin_append(store, entries).await?.await
}

/// All that a group's log says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
    pub entries: Vec<Entry>,
}

pub async fn content(log: &Log, group: GroupId) -> Content {
    let mut store: Store = log.group(group);
    let state = store.get_log_state().await.unwrap();
    Content {
        vote: store.read_vote().await.unwrap(),
        purged: state.last_purged_log_id,
        last: state.last_log_id,
        entries: store.try_get_log_entries(..).await.unwrap(),
    }
}

pub async fn contents(log: &Log) -> BTreeMap<GroupId, Content> {
    let mut all = BTreeMap::new();
    for group in log.groups() {
        all.insert(group, content(log, group).await);
    }
    all
}
