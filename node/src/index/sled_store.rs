//! The store on disk: sled 0.34, one tree. sled may panic on damaged files, so every call is guarded
//! and any trouble means the same: this store is no longer trusted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::store::{Batch, Each, IndexStore, Opener, StoreFault};

/// sled's cache grows to several times what it is told.
const CACHE_OVERSHOOT: u64 = 4;

pub struct SledOpener {
    folder: PathBuf,
    cache_bytes: u64,
}

impl SledOpener {
    /// `folder` belongs to the index alone: it is deleted when in doubt.
    pub fn new(folder: &Path, cache_mib: u64) -> SledOpener {
        SledOpener {
            folder: folder.to_path_buf(),
            cache_bytes: (cache_mib << 20) / CACHE_OVERSHOOT,
        }
    }
}

/// How sled says that somebody else has the folder open.
const LOCKED: &str = "could not acquire lock";
const LOCK_TRIES: u32 = 200;
const LOCK_WAIT: std::time::Duration = std::time::Duration::from_millis(10);

impl Opener for SledOpener {
    fn open(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        let config = sled::Config::new()
            .path(&self.folder)
            .cache_capacity(self.cache_bytes)
            .flush_every_ms(Some(500))
            .mode(sled::Mode::HighThroughput);
        // A store that was dropped a moment ago gives its lock back from a thread of its own.
        let mut tries = 0;
        loop {
            match guarded(|| config.open()) {
                Ok(db) => return Ok(Box::new(SledStore { db })),
                Err(fault) if tries < LOCK_TRIES && fault.0.contains(LOCKED) => {
                    tries += 1;
                    std::thread::sleep(LOCK_WAIT);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn renew(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreFault(format!(
                "{} cannot be deleted: {error}",
                self.folder.display()
            ))),
            _ => self.open(),
        }
    }
}

struct SledStore {
    db: sled::Db,
}

impl IndexStore for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        let value = guarded(|| self.db.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreFault> {
        let mut writes = sled::Batch::default();
        for (key, value) in batch.writes {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        guarded(|| self.db.apply_batch(writes))
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, each: Each<'_>) -> Result<(), StoreFault> {
        guarded(|| {
            let mut range = match end {
                Some(end) if end <= from => return Ok(()),
                Some(end) => self.db.range(from..end),
                None => self.db.range(from..),
            };
            range
                .try_for_each(|entry| {
                    let (key, value) = entry?;
                    match each(&key, &value) {
                        true => Ok(()),
                        false => Err(Ended::Enough),
                    }
                })
                .or_else(|ended| match ended {
                    Ended::Enough => Ok(()),
                    Ended::Broken(error) => Err(error),
                })
        })
    }
}

enum Ended {
    Enough,
    Broken(sled::Error),
}

impl From<sled::Error> for Ended {
    fn from(error: sled::Error) -> Ended {
        Ended::Broken(error)
    }
}

/// After a panic the store is dropped and deleted, so that its broken inside is never seen again.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreFault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| StoreFault(error.to_string())),
        Err(_) => Err(StoreFault("sled panicked".into())),
    }
}
