//! One node's process: started in its namespace and its control groups, signalled, waited for. It
//! ends with the thread that started it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::leftovers::{self, Ledger, Leftover};
use super::limits::Limits;
use super::namespace;

pub struct Process {
    child: Child,
}

/// What a node is started with.
pub struct Birth<'a> {
    pub program: &'a Path,
    pub config: &'a Path,
    pub log: &'a Path,
    pub namespace: Option<RawFd>,
    pub limits: &'a Limits,
    pub environment: &'a [(String, String)],
}

impl Process {
    /// `PROGRAM serve --config FILE`, its output appended to the log.
    pub fn start(ledger: &Arc<Ledger>, birth: &Birth<'_>) -> io::Result<Process> {
        let log = File::options().create(true).append(true).open(birth.log)?;
        let entrances = birth.limits.entrances()?;
        let mut command = Command::new(birth.program);
        command
            .arg("serve")
            .arg("--config")
            .arg(birth.config)
            .envs(birth.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let parent = std::process::id();
        let space = birth.namespace;
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid, write
        // and setns; the descriptors stay open until the child has been started.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have ended before the line above.
                if libc::getppid() as u32 != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                for entrance in &entrances {
                    if libc::write(entrance.as_raw_fd(), c"0".as_ptr().cast(), 1) != 1 {
                        return Err(io::Error::last_os_error());
                    }
                }
                space.map_or(Ok(()), namespace::enter)
            });
        }
        let child = command.spawn()?;
        let pid = child.id() as i32;
        if let Some(began) = leftovers::began(pid) {
            ledger.note(Leftover::Process { pid, began })?;
        }
        Ok(Process { child })
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child was not waited for, so the id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// `kill -9`, without waiting: a process with a hung disk ends when the disk does not hang any more.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end; `None` if it did not come.
    pub fn wait(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whether the kernel or somebody else killed it, rather than that it ended itself.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}
