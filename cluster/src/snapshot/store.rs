//! The folder of snapshots. One lane does all its work, one job after the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::Receiving;
use super::format;
use crate::bugs::{Bug, planted};
use crate::components::{Components, Lanes};
use crate::disk::{Disk, File};
use crate::types::{GroupId, SnapshotMeta};

type Job = Box<dyn FnOnce(Arc<dyn Disk>) -> BoxFuture<'static, ()> + Send>;

/// Jobs waiting for the lane.
const JOBS: usize = 64;
/// The log waits for snapshots, so they are given a third of the processor beside one who answers.
const NICENESS: i32 = 5;

/// A cheap handle to the lane.
#[derive(Clone)]
pub(crate) struct SnapshotStore {
    jobs: mpsc::Sender<Job>,
    /// Names received files.
    count: Arc<AtomicU64>,
}

/// A complete, durable snapshot file.
#[derive(Clone)]
pub(crate) struct SnapshotFile {
    store: SnapshotStore,
    file: Arc<dyn File>,
    name: String,
    length: u64,
    checksum: u32,
    /// Clears a received file away that nobody adopts.
    _received: Option<Arc<Unfinished>>,
}

/// A file under a temporary name: removed when the last who knows of it is gone. Adopted, it has
/// another name by then.
pub(super) struct Unfinished {
    pub(super) store: SnapshotStore,
    pub(super) name: String,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let job: Job = Box::new(move |disk| {
            Box::pin(async move {
                // Adopted, or cleared away at the next start.
                disk.remove(&name).await.ok();
            })
        });
        self.store.jobs.try_send(job).ok();
    }
}

impl SnapshotFile {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// CRC-32 of the whole file.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    pub(crate) async fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = self.file.clone();
        self.store
            .run(move |_| async move { file.read_at(offset, len).await })
            .await
    }
}

impl SnapshotStore {
    /// Starts the lane and clears away what an earlier incarnation left unfinished.
    pub(crate) async fn open(components: &Components) -> io::Result<Self> {
        let store = Self::start(components.snapshot_disk.clone(), &components.lanes);
        store
            .run(|disk| async move {
                for name in disk.list().await? {
                    if name.ends_with(TEMPORARY) {
                        disk.remove(&name).await?;
                    }
                }
                disk.sync_dir().await
            })
            .await?;
        Ok(store)
    }

    fn start(disk: Arc<dyn Disk>, lanes: &Arc<dyn Lanes>) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(JOBS);
        let work = async move {
            while let Some(job) = queue.recv().await {
                job(disk.clone()).await;
            }
        };
        lanes.run_behind("snapshots", NICENESS, Box::pin(work));
        SnapshotStore {
            jobs,
            count: Arc::default(),
        }
    }

    /// Compresses and writes; returns when the file is durable under its name and its elders are
    /// gone.
    pub(crate) async fn save(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        state: Bytes,
    ) -> io::Result<SnapshotFile> {
        let name = file_name(group, meta);
        let (of, named) = (meta.clone(), name.clone());
        let (file, length, checksum) = self
            .run(move |disk| async move {
                let bytes = format::encode(group, &of, &state)?;
                let temporary = format!("{named}{TEMPORARY}");
                let file = replace(&disk, &temporary).await?;
                if let Err(error) = written(file.as_ref(), &bytes).await {
                    // Half a file on a full disk would be in its own way.
                    disk.remove(&temporary).await.ok();
                    return Err(error);
                }
                publish(&disk, &temporary, &named).await?;
                remove_others(&disk, group, &named).await?;
                Ok((file, bytes.len() as u64, crc32fast::hash(&bytes)))
            })
            .await?;
        Ok(self.file(file, name, length, checksum, None))
    }

    /// The newest snapshot of a group that can be read. Damaged ones are named in the log; when
    /// there is no other it is an error, for the log before it may be gone.
    pub(crate) async fn newest(
        &self,
        group: GroupId,
    ) -> io::Result<Option<(SnapshotMeta, SnapshotFile)>> {
        let found = self
            .run(move |disk| async move {
                let mut names = names_of(&disk, group).await?;
                let mut damaged = None;
                while let Some(name) = names.pop() {
                    let file = disk.open(&name).await?;
                    let bytes = read_all(file.as_ref()).await?;
                    match format::check(group, &bytes) {
                        Ok(meta) => {
                            let checksum = crc32fast::hash(&bytes);
                            return Ok(Some((meta, file, name, bytes.len() as u64, checksum)));
                        }
                        Err(damage) => {
                            tracing::error!(file = name, %damage, "a snapshot is damaged");
                            damaged = Some(format!("snapshot {name} is damaged: {damage}"));
                        }
                    }
                }
                match damaged {
                    Some(text) => Err(io::Error::new(io::ErrorKind::InvalidData, text)),
                    None => Ok(None),
                }
            })
            .await?;
        Ok(found.map(|(meta, file, name, length, checksum)| {
            (meta, self.file(file, name, length, checksum, None))
        }))
    }

    /// The state in a file, checked whole.
    pub(crate) async fn load(&self, group: GroupId, from: &SnapshotFile) -> io::Result<Bytes> {
        let file = from.file.clone();
        let name = from.name.clone();
        self.run(move |_| async move {
            let bytes = read_all(file.as_ref()).await?;
            let (_, state) = format::decode(group, &bytes).map_err(|damage| {
                let text = format!("snapshot {name} is damaged: {damage}");
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            Ok(Bytes::from(state))
        })
        .await
    }

    /// Gives a received file its place. A file that has it already is left as it is.
    pub(crate) async fn adopt(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        received: SnapshotFile,
    ) -> io::Result<SnapshotFile> {
        let name = file_name(group, meta);
        if received.name == name {
            return Ok(received);
        }
        let (from, to) = (received.name.clone(), name.clone());
        self.run(move |disk| async move {
            publish(&disk, &from, &to).await?;
            remove_others(&disk, group, &to).await
        })
        .await?;
        Ok(SnapshotFile { name, ..received })
    }

    /// Begins to take a snapshot from a leader.
    pub(crate) async fn receive(&self, group: GroupId) -> io::Result<Receiving> {
        Receiving::begin(self.clone(), group).await
    }

    /// All files of a group that is no longer carried here; the mark goes last.
    pub(crate) async fn remove(&self, group: GroupId) -> io::Result<()> {
        self.run(move |disk| async move {
            remove_others(&disk, group, "").await?;
            match disk.remove(&mark_name(group)).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => disk.sync_dir().await,
            }
        })
        .await
    }

    /// Leaves a mark that the replica here was stopped because it differed from the others.
    pub(crate) async fn mark_stopped(&self, group: GroupId) -> io::Result<()> {
        self.run(move |disk| async move {
            replace(&disk, &mark_name(group)).await?.sync().await?;
            disk.sync_dir().await
        })
        .await
    }

    /// The groups that bear a mark.
    pub(crate) async fn stopped(&self) -> io::Result<Vec<GroupId>> {
        self.run(|disk| async move {
            let names = disk.list().await?;
            Ok(names.iter().filter_map(|name| marked(name)).collect())
        })
        .await
    }

    pub(super) fn next_count(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn file(
        &self,
        file: Arc<dyn File>,
        name: String,
        length: u64,
        checksum: u32,
        received: Option<Arc<Unfinished>>,
    ) -> SnapshotFile {
        SnapshotFile {
            store: self.clone(),
            file,
            name,
            length,
            checksum,
            _received: received,
        }
    }

    /// Does a job in the lane.
    pub(crate) async fn run<T, F, Fut>(&self, job: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn Disk>) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<T>> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let boxed: Job = Box::new(move |disk| {
            Box::pin(async move {
                // Nobody may wait any more: the work is done all the same.
                done.send(job(disk).await).ok();
            })
        });
        let stopped = || io::Error::other("the snapshot lane has stopped");
        self.jobs.send(boxed).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

/// What a file not yet complete ends in.
pub(super) const TEMPORARY: &str = ".tmp";
const SUFFIX: &str = ".snap";

/// Sorts by log position within a group: committed indexes never come twice.
fn file_name(group: GroupId, meta: &SnapshotMeta) -> String {
    let (term, index) = meta
        .last_log_id
        .map_or((0, 0), |id| (id.leader_id.term, id.index));
    format!("g{group:010}-i{index:020}-t{term:020}{SUFFIX}")
}

/// What a file ends in that says of a group that its replica was stopped.
const MARK: &str = "-stopped";

fn mark_name(group: GroupId) -> String {
    format!("g{group:010}{MARK}")
}

fn marked(name: &str) -> Option<GroupId> {
    let group = name.strip_prefix('g')?.strip_suffix(MARK)?;
    group.parse().ok()
}

async fn names_of(disk: &Arc<dyn Disk>, group: GroupId) -> io::Result<Vec<String>> {
    let prefix = format!("g{group:010}-");
    let mut names = disk.list().await?;
    names.retain(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX));
    Ok(names)
}

/// Creates a temporary file, in the place of one an interrupted attempt left.
pub(super) async fn replace(disk: &Arc<dyn Disk>, name: &str) -> io::Result<Arc<dyn File>> {
    match disk.create(name).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(name).await?;
            disk.create(name).await
        }
        created => created,
    }
}

async fn written(file: &dyn File, bytes: &[u8]) -> io::Result<()> {
    file.write_at(0, bytes).await?;
    if planted(Bug::SnapshotUnsynced) {
        return Ok(());
    }
    file.sync().await
}

async fn publish(disk: &Arc<dyn Disk>, from: &str, to: &str) -> io::Result<()> {
    disk.rename(from, to).await?;
    disk.sync_dir().await
}

async fn remove_others(disk: &Arc<dyn Disk>, group: GroupId, keep: &str) -> io::Result<()> {
    for name in names_of(disk, group).await? {
        if name != keep {
            disk.remove(&name).await?;
        }
    }
    disk.sync_dir().await
}

async fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = file.len().await?;
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    file.read_at(0, len).await
}
