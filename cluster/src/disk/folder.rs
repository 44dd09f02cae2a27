//! A folder of real files. Its calls block: only lanes that may block use it. Errors keep the
//! operating system's code.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, File};

const LOCK: &str = "lock";

/// One folder, held exclusively: a second process that opens it is refused until this one ends.
pub struct FolderDisk {
    path: PathBuf,
    /// The lock lives as long as this is open.
    _lock: fs::File,
    /// The folder itself, to sync it.
    folder: fs::File,
}

impl FolderDisk {
    /// Opens the folder, making it if need be. `WouldBlock` says that another process has it.
    pub fn open(path: &Path) -> io::Result<FolderDisk> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            // The folder's own name must survive a power cut too.
            if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(FolderDisk {
            path: path.to_owned(),
            _lock: lock,
            folder: fs::File::open(path)?,
        })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        if !plain || name == LOCK {
            let why = format!("{name:?} is no plain file name");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(self.path.join(name))
    }
}

#[async_trait]
impl Disk for FolderDisk {
    async fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(self.path(name)?)?;
        Ok(Arc::new(FolderFile(file)))
    }

    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(name)?)?;
        Ok(Arc::new(FolderFile(file)))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for item in fs::read_dir(&self.path)? {
            let item = item?;
            if let Ok(name) = item.file_name().into_string()
                && name != LOCK
                && item.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn sync_dir(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }
}

struct FolderFile(fs::File);

#[async_trait]
impl File for FolderFile {
    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.0.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    async fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve: the length alone is kept then.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(len),
            Err(error) => Err(error.into()),
        }
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
