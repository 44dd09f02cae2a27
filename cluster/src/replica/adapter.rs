//! Openraft's state machine: hands committed entries to the [`Machine`] in log sequence and keeps
//! what Raft itself must know (applied log id, membership, the newest snapshot). It knows nothing
//! of what the entries mean.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{AsyncRuntime, RaftSnapshotBuilder};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use super::digests::Digests;
use crate::bugs::{Bug, planted};
use crate::components::WallClock;
use crate::machine::{Committed, Encode, Machine, MachineFault};
use crate::metrics::GroupMetrics;
use crate::snapshot::{SnapshotFile, SnapshotStore};
use crate::types::{
    CommittedLeaderId, EntryPayload, GroupId, LogId, NodeId, Payload, Peer, SnapshotMeta,
    StoredMembership, Term, Types,
};

/// How long to wait before a snapshot that could not be written is tried again.
const SAVE_RETRY: Duration = Duration::from_secs(1);

type Snapshot = openraft::Snapshot<CommittedLeaderId, NodeId, Peer, SnapshotFile>;

/// What others of the replica see of the adapter.
pub(crate) struct Progress {
    /// The term of the last applied entry; changes with each new leader's first entry.
    pub(crate) applied_term: watch::Sender<Term>,
    /// Bytes of entries applied since the newest snapshot was begun.
    pub(crate) bytes_since_snapshot: AtomicU64,
    /// The newest complete snapshot.
    newest: Mutex<Option<(SnapshotMeta, SnapshotFile)>>,
    metrics: GroupMetrics,
    /// Only says when a snapshot was taken, to those who look at the metrics.
    wall: Arc<dyn WallClock>,
    /// The machine could not go on: it would not after a restart either.
    machine_failed: AtomicBool,
}

impl Progress {
    pub(crate) fn new(
        newest: Option<(SnapshotMeta, SnapshotFile)>,
        metrics: GroupMetrics,
        wall: Arc<dyn WallClock>,
    ) -> Arc<Self> {
        // A file does not say when it was written.
        metrics.set_snapshot_time(wall.now_ms());
        Arc::new(Progress {
            applied_term: watch::Sender::new(0),
            bytes_since_snapshot: AtomicU64::new(0),
            newest: Mutex::new(newest),
            metrics,
            wall,
            machine_failed: AtomicBool::new(false),
        })
    }

    /// Whether the replica stopped because of what its log or its state says, not of a disk.
    pub(super) fn machine_failed(&self) -> bool {
        self.machine_failed.load(Ordering::Acquire)
    }

    fn fault(&self, fault: MachineFault) -> io::Error {
        self.machine_failed.store(true, Ordering::Release);
        io::Error::other(fault)
    }

    /// Nobody watches the replica any more: it has stopped.
    fn is_over(&self) -> bool {
        self.applied_term.is_closed()
    }

    fn newest(&self) -> Option<(SnapshotMeta, SnapshotFile)> {
        self.newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_newest(&self, meta: SnapshotMeta, file: SnapshotFile) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // A snapshot built while a later one was installed must not come back over it.
        if newest
            .as_ref()
            .is_none_or(|(known, _)| known.last_log_id <= meta.last_log_id)
        {
            *newest = Some((meta, file));
            self.metrics.set_snapshot_time(self.wall.now_ms());
        }
    }
}

pub(crate) struct Adapter {
    group: GroupId,
    machine: Arc<dyn Machine>,
    store: SnapshotStore,
    progress: Arc<Progress>,
    digests: Arc<Digests>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl Adapter {
    pub(crate) fn new(
        group: GroupId,
        machine: Arc<dyn Machine>,
        store: SnapshotStore,
        progress: Arc<Progress>,
        digests: Arc<Digests>,
    ) -> Self {
        Adapter {
            group,
            machine,
            store,
            progress,
            digests,
            applied: None,
            membership: StoredMembership::default(),
        }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        }
    }

    fn set_applied(&mut self, log_id: LogId) {
        let term = log_id.leader_id.term;
        if self.applied.is_none_or(|last| last.leader_id.term != term) {
            self.progress.applied_term.send_replace(term);
        }
        self.applied = Some(log_id);
    }
}

impl<R: AsyncRuntime> RaftStateMachine<Types<R>> for Adapter {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<R>>>> + Unpin + Send,
    {
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            let log_id = entry.log_id;
            match entry.payload {
                EntryPayload::Normal(Payload(payload)) => {
                    let bytes = payload.len() as u64;
                    self.progress
                        .bytes_since_snapshot
                        .fetch_add(bytes, Ordering::Relaxed);
                    let committed = Committed {
                        group: self.group,
                        term: log_id.leader_id.term,
                        index: log_id.index,
                        payload,
                    };
                    let delivered = self.machine.deliver(committed).await;
                    delivered.map_err(|fault| self.progress.fault(fault))?;
                }
                EntryPayload::Blank => {}
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(log_id), membership);
                }
            }
            self.set_applied(log_id);
            if let Some(responder) = responder {
                responder.send(());
            }
            if self.digests.is_due(log_id.index) {
                let digested = self.digest().await;
                digested.map_err(|fault| self.progress.fault(fault))?;
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.builder().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let begun = Instant::now();
        let file = self.store.adopt(self.group, meta, file).await?;
        let state = self.store.load(self.group, &file).await?;
        let restored = self.machine.restore(state).await;
        restored.map_err(|fault| self.progress.fault(fault))?;
        self.digests.forget();
        self.membership = meta.last_membership.clone();
        if let Some(last) = meta.last_log_id {
            self.set_applied(last);
        }
        self.progress
            .bytes_since_snapshot
            .store(0, Ordering::Relaxed);
        self.progress.set_newest(meta.clone(), file);
        self.progress
            .metrics
            .observe_snapshot_installed(begun.elapsed());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let newest = self.progress.newest();
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl Adapter {
    /// Asks for a digest of the state as it stands now.
    pub(super) async fn digest(&self) -> Result<(), MachineFault> {
        match self.applied {
            Some(applied) => {
                let machine = self.machine.as_ref();
                self.digests.ask(machine, applied.index).await
            }
            None => Ok(()),
        }
    }

    async fn begin_snapshot(&self) -> State {
        if planted(Bug::BarrierLate) {
            let machine = self.machine.clone();
            return Ok(Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                machine.snapshot().await?.await
            }));
        }
        self.machine.snapshot().await
    }

    /// Queues the machine's barriers now: behind what was delivered, before what will be.
    async fn builder(&mut self) -> Builder {
        self.progress
            .bytes_since_snapshot
            .store(0, Ordering::Relaxed);
        Builder {
            begun: Instant::now(),
            group: self.group,
            meta: self.meta(),
            state: Mutex::new(Some(self.begin_snapshot().await)),
            store: self.store.clone(),
            progress: self.progress.clone(),
        }
    }
}

type State = Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault>;

/// Waits for the machine's barriers and writes the file; entries are applied meanwhile.
pub(crate) struct Builder {
    begun: Instant,
    group: GroupId,
    meta: SnapshotMeta,
    /// Taken once; in a lock only because openraft wants builders to be `Sync`.
    state: Mutex<Option<State>>,
    store: SnapshotStore,
    progress: Arc<Progress>,
}

impl<R: AsyncRuntime> RaftSnapshotBuilder<Types<R>> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = self.state.get_mut();
        let state = state
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| io::Error::other("a builder builds once"))?;
        let fault = |fault| self.progress.fault(fault);
        let encode = state.map_err(fault)?.await.map_err(fault)?;
        let state = self.store.run(|_| async { Ok(encode()) }).await?;
        let file = self.save(state).await?;
        self.progress.set_newest(self.meta.clone(), file.clone());
        self.progress
            .metrics
            .observe_snapshot_written(self.begun.elapsed());
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot: file,
        })
    }
}

impl Builder {
    /// Writes the file, and tries again until it is there: openraft takes any error of a builder for
    /// the end of the replica, and nothing is lost meanwhile, for the log keeps what the snapshot would
    /// stand for. Each attempt writes another file, so no sync is asked again for the same bytes.
    async fn save(&self, state: Bytes) -> io::Result<SnapshotFile> {
        loop {
            let saved = self.store.save(self.group, &self.meta, state.clone());
            match saved.await {
                Err(error) if !self.progress.is_over() => {
                    tracing::warn!(group = self.group, %error, "a snapshot is not written yet");
                    tokio::time::sleep(SAVE_RETRY).await;
                }
                saved => return saved,
            }
        }
    }
}
