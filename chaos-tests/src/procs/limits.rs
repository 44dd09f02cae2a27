//! What a node's process may use, by control groups of version 1: memory, processor time, writes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leftovers::{Ledger, Leftover};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Cpu,
    Blkio,
}

impl Controller {
    pub const ALL: [Controller; 3] = [Controller::Memory, Controller::Cpu, Controller::Blkio];

    fn folder(self) -> &'static Path {
        Path::new(match self {
            Controller::Memory => "/sys/fs/cgroup/memory",
            Controller::Cpu => "/sys/fs/cgroup/cpu",
            Controller::Blkio => "/sys/fs/cgroup/blkio",
        })
    }

    /// Whether this process may make groups of it.
    pub fn is_there(self) -> bool {
        let probe = self
            .folder()
            .join(format!("onsale-{}-probe", std::process::id()));
        self.folder().join("cgroup.procs").exists()
            && fs::create_dir(&probe).is_ok()
            && fs::remove_dir(&probe).is_ok()
    }
}

/// The groups of one node, of those controllers that are there.
#[derive(Default)]
pub struct Limits {
    groups: Vec<(Controller, PathBuf)>,
}

impl Limits {
    pub fn make(ledger: &Arc<Ledger>, node: u64, controllers: &[Controller]) -> io::Result<Limits> {
        let mut groups = Vec::new();
        for controller in controllers {
            let name = format!("{}-n{node}", ledger.name());
            let group = controller.folder().join(name);
            ledger.note(Leftover::Cgroup(group.clone()))?;
            fs::create_dir(&group)?;
            groups.push((*controller, group));
        }
        Ok(Limits { groups })
    }

    /// Files to which a process writes "0" to be in the groups.
    pub fn entrances(&self) -> io::Result<Vec<File>> {
        let groups = self.groups.iter();
        groups
            .map(|(_, group)| {
                OpenOptions::new()
                    .write(true)
                    .open(group.join("cgroup.procs"))
            })
            .collect()
    }

    pub fn set(&self, controller: Controller, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.group(controller)?.join(file), value)
    }

    pub fn get(&self, controller: Controller, file: &str) -> io::Result<String> {
        fs::read_to_string(self.group(controller)?.join(file))
    }

    /// As much memory and processor time as there is.
    pub fn lift(&self) {
        // A controller that is not there has limited nothing.
        let _ = self.set(Controller::Memory, "memory.limit_in_bytes", "-1");
        let _ = self.set(Controller::Cpu, "cpu.cfs_quota_us", "-1");
    }

    fn group(&self, controller: Controller) -> io::Result<&Path> {
        let found = self.groups.iter().find(|(known, _)| *known == controller);
        let (_, group) = found.ok_or(io::ErrorKind::Unsupported)?;
        Ok(group)
    }
}
