//! Disks in memory, for simulation and tests. A [`MemoryDisk`] is the medium: it lives outside of
//! the simulated host and outlasts its crashes. [`MemoryDisk::attach`] gives what the host sees
//! from one start to the next crash; what an earlier incarnation began never completes.
//!
//! The model of a power cut: a sector of 512 bytes is written wholly or not at all; of what was
//! not synced any subset of sectors may have arrived; of the folder's changes that were not
//! synced any prefix. A killed process loses nothing: attach again without [`MemoryDisk::crash`].

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Disk, File};
use inode::{Inode, SECTOR};

mod inode;

/// How soon a hung sync notices that the disk works again.
const HUNG_LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Faults to come, counted over all calls of the disk. The default is a disk without faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The call with this number (from 1, counted since [`MemoryDisk::set_faults`]) fails once.
    /// A sync that fails drops what it should have made durable, and later syncs succeed, as
    /// Linux does it. A write that fails may have written its first sectors.
    pub fail_call: Option<u64>,
    /// The next call of this kind fails, once.
    pub fail_next: Option<Call>,
    /// Bytes that files may take in all; beyond, `StorageFull`.
    pub capacity_bytes: Option<u64>,
    /// How long a sync takes, in milliseconds; drawn from the seed.
    pub sync_ms: Option<Range<u64>>,
    /// Syncs do not return before the faults are set anew.
    pub hung: bool,
}

/// The kinds of calls that may be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Sync,
    Rename,
    Other,
}

/// What befell a disk since it was made, so that a test can tell whether its faults happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    pub failed_reads: u64,
    pub failed_writes: u64,
    pub failed_syncs: u64,
    /// Writes and reservations refused for want of room.
    pub full: u64,
    /// Syncs that hung.
    pub hung: u64,
    /// Sectors that were not synced when the power failed, and arrived all the same.
    pub sectors_arrived: u64,
    /// Sectors that were not synced when the power failed, and are lost.
    pub sectors_lost: u64,
    /// Changes of the folder lost when the power failed.
    pub names_lost: u64,
}

/// The medium. Cloning gives another view of the same bytes; [`MemoryDisk::fork`] copies them.
#[derive(Clone)]
pub struct MemoryDisk {
    medium: Arc<Mutex<Medium>>,
}

struct Medium {
    /// Names as a running host sees them.
    names: BTreeMap<String, Arc<Mutex<Inode>>>,
    /// Names as of the last sync of the folder.
    durable_names: BTreeMap<String, Arc<Mutex<Inode>>>,
    /// What happened to names since, in sequence.
    unsynced: Vec<NameChange>,
    incarnation: u64,
    rng: StdRng,
    faults: Faults,
    calls: u64,
    happened: Happened,
}

#[derive(Clone)]
enum NameChange {
    Link(String, Arc<Mutex<Inode>>),
    Unlink(String),
    Rename(String, String),
}

impl MemoryDisk {
    pub fn new(seed: u64) -> Self {
        let medium = Medium {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced: Vec::new(),
            incarnation: 0,
            rng: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            calls: 0,
            happened: Happened::default(),
        };
        MemoryDisk {
            medium: Arc::new(Mutex::new(medium)),
        }
    }

    /// The disk as the host of this incarnation sees it.
    pub fn attach(&self) -> Arc<dyn Disk> {
        Arc::new(Attached {
            incarnation: self.lock().incarnation,
            disk: self.clone(),
        })
    }

    /// Sets faults and begins to count calls anew.
    pub fn set_faults(&self, faults: Faults) {
        let mut medium = self.lock();
        medium.faults = faults;
        medium.calls = 0;
    }

    /// Calls since the faults were set.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// What befell the disk so far.
    pub fn happened(&self) -> Happened {
        self.lock().happened
    }

    /// The power fails: what was not synced may be lost or torn, and nothing that was begun
    /// completes. Attach again to go on.
    pub fn crash(&self) {
        let mut medium = self.lock();
        medium.incarnation += 1;
        let medium = &mut *medium;
        let arrived = medium.rng.random_range(0..=medium.unsynced.len());
        medium.happened.names_lost += (medium.unsynced.len() - arrived) as u64;
        let mut names = std::mem::take(&mut medium.durable_names);
        for change in medium.unsynced.drain(..).take(arrived) {
            change.make(&mut names);
        }
        for inode in names.values() {
            let cut = lock(inode).power_cut(&mut medium.rng);
            medium.happened.sectors_arrived += cut.arrived as u64;
            medium.happened.sectors_lost += cut.lost as u64;
        }
        medium.names = names.clone();
        medium.durable_names = names;
    }

    /// The process ends, the machine stays up: nothing written is lost, and nothing that was begun
    /// completes. Attach again to go on.
    pub fn kill(&self) {
        self.lock().incarnation += 1;
    }

    /// Another medium with the same bytes, all of them durable.
    pub fn fork(&self, seed: u64) -> MemoryDisk {
        let fork = MemoryDisk::new(seed);
        for (name, inode) in &self.lock().names {
            fork.put(name, lock(inode).bytes().to_vec());
        }
        fork
    }

    /// Whether something that was written would be lost or torn if the power failed now.
    pub fn has_unsynced(&self) -> bool {
        let medium = self.lock();
        let mut inodes = medium.names.values();
        inodes.any(|inode| lock(inode).is_dirty())
    }

    /// Names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// What a file reads as, if it is there.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inode = self.lock().names.get(name).cloned()?;
        let bytes = lock(&inode).bytes().to_vec();
        Some(bytes)
    }

    /// Puts a file there, durably, behind the back of the host.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut medium = self.lock();
        let inode = Arc::new(Mutex::new(Inode::durable(bytes)));
        medium.names.insert(name.to_owned(), inode.clone());
        medium.durable_names.insert(name.to_owned(), inode);
    }

    /// Takes a file away, durably, behind the back of the host.
    pub fn delete(&self, name: &str) {
        let mut medium = self.lock();
        medium.names.remove(name);
        medium.durable_names.remove(name);
    }

    /// Flips one bit of a file, durably. Panics when there is no such bit.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        let inode = self.lock().names[name].clone();
        lock(&inode).flip(byte, bit);
    }

    /// Makes it so, durably, that an earlier write of `sectors` at sector `meant` went to sector `found`
    /// instead: there it stands, and where it was meant to go are zeros. Panics when the file ends
    /// before.
    pub fn misdirect(&self, name: &str, meant: usize, found: usize, sectors: usize) {
        let inode = self.lock().names[name].clone();
        lock(&inode).misdirect(meant, found, sectors);
    }

    fn lock(&self) -> MutexGuard<'_, Medium> {
        lock(&self.medium)
    }
}

impl NameChange {
    fn make(self, names: &mut BTreeMap<String, Arc<Mutex<Inode>>>) {
        match self {
            NameChange::Link(name, inode) => {
                names.insert(name, inode);
            }
            NameChange::Unlink(name) => {
                names.remove(&name);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

impl Medium {
    /// Counts a call; says whether it fails.
    fn call(&mut self, call: Call) -> io::Result<()> {
        self.calls += 1;
        let told = self.faults.fail_next == Some(call);
        if told {
            self.faults.fail_next = None;
        }
        if !told && self.faults.fail_call != Some(self.calls) {
            return Ok(());
        }
        match call {
            Call::Read => self.happened.failed_reads += 1,
            Call::Write => self.happened.failed_writes += 1,
            Call::Sync => self.happened.failed_syncs += 1,
            Call::Rename | Call::Other => {}
        }
        Err(injected())
    }

    fn change(&mut self, change: NameChange) {
        change.clone().make(&mut self.names);
        self.unsynced.push(change);
    }

    fn room_for(&mut self, grown: u64) -> io::Result<()> {
        let Some(capacity) = self.faults.capacity_bytes else {
            return Ok(());
        };
        let taken = self.names.values().map(|inode| lock(inode).len());
        if taken.sum::<u64>() + grown > capacity {
            self.happened.full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// One incarnation's view.
struct Attached {
    disk: MemoryDisk,
    incarnation: u64,
}

impl Attached {
    /// The medium, if this incarnation still runs; a host that crashed waits for ever.
    async fn alive(&self) -> MutexGuard<'_, Medium> {
        {
            let medium = self.disk.lock();
            if medium.incarnation == self.incarnation {
                return medium;
            }
        }
        std::future::pending().await
    }

    fn file(&self, inode: Arc<Mutex<Inode>>) -> Arc<dyn File> {
        Arc::new(AttachedFile {
            host: Attached {
                disk: self.disk.clone(),
                incarnation: self.incarnation,
            },
            inode,
        })
    }
}

#[async_trait]
impl Disk for Attached {
    async fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut medium = self.alive().await;
        medium.call(Call::Other)?;
        if medium.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Arc::new(Mutex::new(Inode::default()));
        medium.change(NameChange::Link(name.to_owned(), inode.clone()));
        Ok(self.file(inode))
    }

    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut medium = self.alive().await;
        medium.call(Call::Other)?;
        let inode = medium.names.get(name).cloned();
        Ok(self.file(inode.ok_or(io::ErrorKind::NotFound)?))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut medium = self.alive().await;
        medium.call(Call::Rename)?;
        if !medium.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        medium.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let mut medium = self.alive().await;
        medium.call(Call::Other)?;
        if !medium.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        medium.change(NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        let mut medium = self.alive().await;
        medium.call(Call::Other)?;
        Ok(medium.names.keys().cloned().collect())
    }

    async fn sync_dir(&self) -> io::Result<()> {
        let mut medium = self.alive().await;
        medium.call(Call::Sync)?;
        medium.durable_names = medium.names.clone();
        medium.unsynced.clear();
        Ok(())
    }
}

struct AttachedFile {
    host: Attached,
    inode: Arc<Mutex<Inode>>,
}

#[async_trait]
impl File for AttachedFile {
    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut medium = self.host.alive().await;
        let call = medium.call(Call::Write);
        let mut inode = lock(&self.inode);
        let grown = (offset + bytes.len() as u64).saturating_sub(inode.len());
        if grown > 0 {
            drop(inode);
            medium.room_for(grown)?;
            inode = lock(&self.inode);
        }
        let take = match &call {
            Ok(()) => bytes.len(),
            // The kernel copies page by page, so what arrived ends with a sector.
            Err(_) => medium.rng.random_range(0..=bytes.len()) / SECTOR * SECTOR,
        };
        inode.write(offset, &bytes[..take]);
        call
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut medium = self.host.alive().await;
        medium.call(Call::Read)?;
        Ok(lock(&self.inode).read(offset, len))
    }

    async fn sync(&self) -> io::Result<()> {
        let delay = {
            let mut medium = self.host.alive().await;
            let range = medium.faults.sync_ms.clone();
            let drawn = range.map(|range| medium.rng.random_range(range));
            let call = medium.call(Call::Sync);
            if call.is_err() {
                lock(&self.inode).drop_dirty();
                return call;
            }
            drawn
        };
        if let Some(delay) = delay {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let mut hangs = false;
        loop {
            {
                let mut medium = self.host.alive().await;
                if !medium.faults.hung {
                    break;
                }
                medium.happened.hung += u64::from(!hangs);
                hangs = true;
            }
            tokio::time::sleep(HUNG_LOOK_AGAIN).await;
        }
        // A crash in between leaves the host waiting here.
        let _medium = self.host.alive().await;
        lock(&self.inode).make_durable();
        Ok(())
    }

    async fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut medium = self.host.alive().await;
        medium.call(Call::Other)?;
        let grown = len.saturating_sub(lock(&self.inode).len());
        medium.room_for(grown)?;
        lock(&self.inode).grow(len);
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        let mut medium = self.host.alive().await;
        medium.call(Call::Other)?;
        Ok(lock(&self.inode).len())
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        let mut medium = self.host.alive().await;
        medium.call(Call::Other)?;
        lock(&self.inode).truncate(len);
        Ok(())
    }
}

fn injected() -> io::Error {
    io::Error::other("injected fault")
}

/// A panic elsewhere leaves the bytes as they were: they are read on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
