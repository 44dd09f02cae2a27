//! A snapshot on its way in: a temporary file that becomes a snapshot only when complete, checked
//! and durable. Dropped before that, it is cleared away.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::store::{SnapshotFile, SnapshotStore, TEMPORARY, Unfinished, replace};
use crate::bugs::{Bug, planted};
use crate::disk::File;
use crate::types::GroupId;

pub(crate) struct Receiving {
    store: SnapshotStore,
    file: Arc<dyn File>,
    unfinished: Arc<Unfinished>,
    length: u64,
    hasher: crc32fast::Hasher,
}

impl Receiving {
    pub(super) async fn begin(store: SnapshotStore, group: GroupId) -> io::Result<Self> {
        // Two leaders of different terms may send at once: each gets its own file.
        let count = store.next_count();
        let name = format!("received-{group}-{count}{TEMPORARY}");
        let named = name.clone();
        let file = store
            .run(move |disk| async move { replace(&disk, &named).await })
            .await?;
        let unfinished = Arc::new(Unfinished {
            store: store.clone(),
            name,
        });
        Ok(Receiving {
            store,
            file,
            unfinished,
            length: 0,
            hasher: crc32fast::Hasher::new(),
        })
    }

    pub(crate) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.hasher.update(&chunk);
        let (file, offset) = (self.file.clone(), self.length);
        self.length += chunk.len() as u64;
        self.store
            .run(move |_| async move { file.write_at(offset, &chunk).await })
            .await
    }

    pub(crate) async fn finish(self, length: u64, checksum: u32) -> io::Result<SnapshotFile> {
        let arrived = self.hasher.finalize();
        if self.length != length || arrived != checksum {
            let text = "the received snapshot is not what was announced";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let file = self.file.clone();
        if !planted(Bug::InstalledUnsynced) {
            self.store
                .run(move |_| async move { file.sync().await })
                .await?;
        }
        let name = self.unfinished.name.clone();
        let received = Some(self.unfinished);
        Ok(self.store.file(self.file, name, length, checksum, received))
    }
}
