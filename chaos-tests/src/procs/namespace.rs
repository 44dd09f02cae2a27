//! Network namespaces by name, and the thread's way into them and back.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use super::leftovers::{Ledger, Leftover};
use super::{Trouble, shell};

pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    pub fn make(ledger: &Arc<Ledger>, suffix: &str) -> Result<Namespace, Trouble> {
        let name = format!("{}-{suffix}", ledger.name());
        ledger.note(Leftover::Namespace(name.clone()))?;
        shell::run("ip", &["netns", "add", &name])?;
        let file = File::open(format!("/run/netns/{name}"))?;
        let made = Namespace { name, file };
        made.ip("link set lo up")?;
        Ok(made)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Commands of `ip`, one a line, carried out in it.
    pub fn ip(&self, lines: &str) -> Result<(), Trouble> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        shell::feed(&mut command, lines)?;
        Ok(())
    }

    /// Runs a program in it.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, Trouble> {
        let mut command = Command::new(program);
        command.args(arguments);
        let namespace = self.descriptor();
        // SAFETY: between fork and exec only one system call is made.
        unsafe { command.pre_exec(move || enter(namespace)) };
        shell::feed(&mut command, input)
    }

    /// This thread, and threads it starts later, are in it until the visit is dropped.
    pub fn visit(&self) -> io::Result<Visit> {
        let home = File::open("/proc/thread-self/ns/net")?;
        enter(self.descriptor())?;
        Ok(Visit { home })
    }
}

/// A thread's stay in a namespace; to be dropped on the same thread.
pub struct Visit {
    home: File,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Err(error) = enter(self.home.as_raw_fd()) {
            eprintln!("procs: a thread cannot leave a network namespace: {error}");
        }
    }
}

/// Safe to call between fork and exec.
pub fn enter(namespace: RawFd) -> io::Result<()> {
    // SAFETY: the call takes two integers.
    match unsafe { libc::setns(namespace, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
