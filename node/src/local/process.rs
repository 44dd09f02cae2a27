//! One node's process: start, end, and what it costs. Linux only, by `/proc` and `prctl`.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

pub struct Process {
    child: Child,
}

type Birth = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Forks on a thread that lives as long as this process: `PR_SET_PDEATHSIG` fires when the *thread*
/// ends that forked, and threads of a runtime's pool end when they are idle.
fn spawn(command: Command) -> io::Result<Child> {
    static MOTHER: OnceLock<mpsc::Sender<Birth>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts nodes has ended");
    let mother = MOTHER.get_or_init(|| {
        let (births, asked) = mpsc::channel::<Birth>();
        std::thread::spawn(move || {
            for (mut command, reply) in asked {
                // Who asked waits for it.
                let _ = reply.send(command.spawn());
            }
        });
        births
    });
    let (reply, born) = mpsc::sync_channel(1);
    mother.send((command, reply)).map_err(|_| gone())?;
    born.recv().map_err(|_| gone())?
}

/// What a process has used up to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Process {
    /// `onsale serve --config FILE`, its output appended to `log`. It is killed when this process
    /// ends, however it ends.
    pub fn start(executable: &Path, config: &Path, log: &Path) -> io::Result<Process> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(executable);
        command
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the parent, which ends its nodes itself.
            .process_group(0);
        let parent = std::process::id();
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have ended before the line above.
                if libc::getppid() as u32 != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
        Ok(Process {
            child: spawn(command)?,
        })
    }

    /// `kill -9`, and waits until the kernel has taken everything back.
    pub fn kill(mut self) {
        // An error means that it had ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; `None` when it had to be killed after `within`.
    pub fn terminate(mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        // SAFETY: the child was not waited for, so the id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        Ok(None)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub fn usage(&self) -> io::Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let memory = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let cpu = cpu_of_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let resident_bytes = resident_of_statm(&memory).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Usage {
            cpu,
            resident_bytes,
        })
    }
}

/// The name of the process, in brackets, may hold anything: fields are counted behind it.
pub fn cpu_of_stat(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs(user + system) / ticks_per_s())
}

/// Bytes in RAM.
pub fn resident_of_statm(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

fn ticks_per_s() -> u32 {
    // SAFETY: sysconf reads a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u32::try_from(ticks).unwrap_or(100).max(1)
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf reads a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

pub fn own_cpu() -> io::Result<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the struct it is given; an all-zero one is valid too.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let time = |value: libc::timeval| {
        Duration::from_secs(value.tv_sec as u64) + Duration::from_micros(value.tv_usec as u64)
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_behind_any_name() {
        let stat = "7 (on) sale (x) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        let cpu = cpu_of_stat(stat).unwrap();
        assert_eq!(cpu, Duration::from_secs(200) / ticks_per_s());
        assert!(own_cpu().unwrap() > Duration::ZERO);
    }
}
