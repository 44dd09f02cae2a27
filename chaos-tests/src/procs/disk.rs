//! A node's disk: an ext4 file system of its own in a file. Its power can be cut, it can hang, and it
//! can be full.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::leftovers::{Ledger, Leftover};
use super::{Trouble, shell};

pub struct Disk {
    image: PathBuf,
    /// Where it is mounted.
    folder: PathBuf,
    ledger: Arc<Ledger>,
    /// Thaws the file system should this process die.
    watchdog: Option<Child>,
}

/// `_IOR('X', 125, u32)`: the file system stops at once, as if the power were gone.
const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// What is not yet in the journal is lost.
const NO_LOG_FLUSH: u32 = 2;
const FIFREEZE: libc::c_ulong = 0xc004_5877;
const FITHAW: libc::c_ulong = 0xc004_5878;

impl Disk {
    /// Makes and mounts a file system of so many MiB, at `folder`.
    pub fn make(ledger: &Arc<Ledger>, folder: &Path, mib: u64) -> Result<Disk, Trouble> {
        let image = folder.with_extension("img");
        File::create(&image)?.set_len(mib << 20)?;
        shell::run(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", &image.to_string_lossy()],
        )?;
        std::fs::create_dir_all(folder)?;
        ledger.note(Leftover::Frozen(folder.to_owned()))?;
        ledger.note(Leftover::Mount(folder.to_owned()))?;
        let disk = Disk {
            image,
            folder: folder.to_owned(),
            ledger: Arc::clone(ledger),
            watchdog: None,
        };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), Trouble> {
        let (image, folder) = (self.image.to_string_lossy(), self.folder.to_string_lossy());
        // The loop device goes with the mount.
        shell::run("mount", &["-o", "loop,noatime", &image, &folder])?;
        Ok(())
    }

    /// The power is gone: what was not synced is lost, and every write fails from now on.
    pub fn cut_power(&self) -> io::Result<()> {
        let mut flags = NO_LOG_FLUSH;
        control(&self.folder, EXT4_IOC_SHUTDOWN, &raw mut flags)
    }

    /// The power is back. No process may have a file of it open.
    pub fn restore_power(&self) -> Result<(), Trouble> {
        unmount(&self.folder)?;
        self.mount()
    }

    /// Another disk in the same place: everything is lost.
    pub fn replace(&self, mib: u64) -> Result<(), Trouble> {
        unmount(&self.folder)?;
        std::fs::remove_file(&self.image)?;
        File::create(&self.image)?.set_len(mib << 20)?;
        shell::run(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", &self.image.to_string_lossy()],
        )?;
        self.mount()
    }

    /// Writes hang from now on, unkillably, until `thaw`, or until `limit` has passed, whatever
    /// becomes of this process.
    pub fn freeze(&mut self, limit: Duration) -> Result<(), Trouble> {
        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", "sleep \"$1\" && exec fsfreeze --unfreeze \"$2\""])
            .arg("thaw")
            .arg(format!("{:.1}", limit.as_secs_f64()))
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        self.watchdog = Some(watchdog.spawn()?);
        self.ledger.note(Leftover::Frozen(self.folder.clone()))?;
        control(&self.folder, FIFREEZE, std::ptr::null_mut())?;
        Ok(())
    }

    /// Does nothing to a disk that does not hang.
    pub fn thaw(&mut self) -> Result<(), Trouble> {
        if let Some(mut watchdog) = self.watchdog.take() {
            // An error means that the watchdog was first.
            let _ = thaw(&self.folder);
            // The whole group: the shell waits for a `sleep`.
            // SAFETY: the child was not waited for, so the id is still its own.
            unsafe { libc::kill(-(watchdog.id() as libc::pid_t), libc::SIGKILL) };
            watchdog.wait()?;
        }
        Ok(())
    }

    /// Takes all the room there is; the bytes taken.
    pub fn fill(&self) -> io::Result<u64> {
        let file = File::create(self.ballast())?;
        let mut taken: u64 = 0;
        let mut step: i64 = 16 << 20;
        while step >= 4096 {
            // SAFETY: the descriptor is open for the length of the call.
            let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), taken as i64, step) };
            match failed {
                0 => taken += step as u64,
                libc::ENOSPC => step /= 2,
                other => return Err(io::Error::from_raw_os_error(other)),
            }
        }
        Ok(taken)
    }

    pub fn empty(&self) -> io::Result<()> {
        std::fs::remove_file(self.ballast())
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// `major:minor` of the loop device.
    pub fn device(&self) -> io::Result<String> {
        let device = std::fs::metadata(&self.folder)?.dev();
        Ok(format!("{}:{}", libc::major(device), libc::minor(device)))
    }
}

pub fn thaw(folder: &Path) -> io::Result<()> {
    control(folder, FITHAW, std::ptr::null_mut())
}

pub fn unmount(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends with a zero.
    match unsafe { libc::umount2(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn control(folder: &Path, request: libc::c_ulong, argument: *mut u32) -> io::Result<()> {
    let folder = File::open(folder)?;
    // SAFETY: the three requests take a pointer to an integer, or none.
    match unsafe { libc::ioctl(folder.as_raw_fd(), request as _, argument) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
