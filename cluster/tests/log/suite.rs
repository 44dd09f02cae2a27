//! openraft's own suite for log stores. It wants a state machine beside the log: a toy one.

use std::io;
use std::sync::Arc;

use cluster::disk::memory::MemoryDisk;
use cluster::types::{LogId, StoredMembership, Types};
use futures::{Stream, StreamExt};
use openraft::impls::TokioRuntime;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::{EntryPayload, StorageError};
use tokio::sync::Mutex;

use crate::ground::{Store, open, tiny};

type Raft = Types<TokioRuntime>;

/// Remembers how far it is and nothing else.
#[derive(Clone, Default)]
struct Toy {
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotOf<Raft, ()>>,
}

impl RaftSnapshotBuilder<Raft> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Raft, ()>> {
        let mut toy = self.0.lock().await;
        let meta = SnapshotMetaOf::<Raft> {
            last_log_id: toy.applied,
            last_membership: toy.membership.clone(),
        };
        let snapshot = SnapshotOf::<Raft, ()> { meta, snapshot: () };
        toy.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

#[derive(Clone, Default)]
struct Machine(Arc<Mutex<Toy>>);

impl RaftStateMachine<Raft> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let toy = self.0.lock().await;
        Ok((toy.applied, toy.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Raft>>> + Unpin + Send,
    {
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            let mut toy = self.0.lock().await;
            toy.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                toy.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Raft>,
        snapshot: (),
    ) -> io::Result<()> {
        let mut toy = self.0.lock().await;
        toy.applied = meta.last_log_id;
        toy.membership = meta.last_membership.clone();
        toy.snapshot = Some(SnapshotOf::<Raft, ()> {
            meta: meta.clone(),
            snapshot,
        });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Raft, ()>>> {
        Ok(self.0.lock().await.snapshot.clone())
    }
}

/// A log of its own for each test of the suite.
struct Builder {
    cache_bytes: usize,
}

impl StoreBuilder<Raft, Store, Machine> for Builder {
    async fn build(&self) -> Result<((), Store, Machine), StorageError<Raft>> {
        let mut config = tiny(8 * 1024);
        config.cache_bytes = self.cache_bytes;
        let log = open(MemoryDisk::new(1).attach(), config).await.unwrap();
        Ok(((), log.group(3), Machine::default()))
    }
}

#[tokio::test(start_paused = true)]
async fn openrafts_suite_passes() {
    let cache_bytes = 1 << 20;
    Suite::test_all(Builder { cache_bytes }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn openrafts_suite_passes_when_nothing_stays_in_memory() {
    Suite::test_all(Builder { cache_bytes: 0 }).await.unwrap();
}
