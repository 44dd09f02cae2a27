//! Faults of disks: slow, hung, failing, full, and bytes that changed or are gone.

use std::time::Duration;

use cluster::disk::memory::{Call, Faults, MemoryDisk};
use cluster::types::NodeId;
use rand::RngExt as _;

use super::{Nemesis, Undo};
use crate::sim::fault::Kind;
use crate::sim::world::World;

const SECTOR: usize = 512;
/// How long a node may take to be ready after it was started with damaged bytes.
const READY_LIMIT: Duration = Duration::from_secs(12);

impl Nemesis {
    pub(super) fn harm_disk(&mut self, world: &mut World, kind: Kind) -> Option<String> {
        let node = self.any_up(world)?;
        let usual = self.plan.disk.clone();
        let faults = match kind {
            Kind::SlowDisk => {
                let most = self.rng.random_range(20..=self.plan.times.election_max / 2);
                Faults {
                    sync_ms: Some(5..most + 10),
                    ..usual
                }
            }
            Kind::HungDisk => Faults {
                hung: true,
                ..usual
            },
            Kind::WriteError => failing(Call::Write, usual),
            Kind::ReadError => return self.fail_reads(world, node),
            Kind::FailedSync => failing(Call::Sync, usual),
            Kind::DiskFull => Faults {
                // What is there stays, and nothing more fits.
                capacity_bytes: Some(0),
                ..usual
            },
            Kind::LogBitFlip | Kind::SnapshotBitFlip | Kind::MisdirectedWrite | Kind::LostDisk => {
                return self.damage_disk(world, kind, node);
            }
            _ => return None,
        };
        let computer = &world.computers[&node];
        let on_snapshots = match kind {
            Kind::WriteError | Kind::FailedSync => self.rng.random_range(0..4) == 0,
            _ => false,
        };
        if on_snapshots || kind == Kind::DiskFull {
            computer.snapshot_disk.set_faults(faults.clone());
            self.take_snapshots(world, node);
        }
        if !on_snapshots {
            computer.log_disk.set_faults(faults);
        }
        if kind != Kind::SlowDisk {
            self.suspects.insert(node);
        }
        // Whole segments must be written before the log wants room for another.
        let least_ms = if kind == Kind::DiskFull { 2_000 } else { 300 };
        self.for_a_while(world, Undo::Disk(node), least_ms..6_000);
        // What counts is what the disk says happened.
        Some(format!("n{node}"))
    }

    pub(super) fn mend_disk(&self, world: &World, node: NodeId) {
        let computer = &world.computers[&node];
        computer.log_disk.set_faults(self.plan.disk.clone());
        computer.snapshot_disk.set_faults(self.plan.disk.clone());
    }

    /// What a node reads while it runs is in memory but for snapshots and old entries; a process that
    /// starts reads everything, and one whose reads fail does not start.
    fn fail_reads(&mut self, world: &mut World, node: NodeId) -> Option<String> {
        let computer = world.computers[&node].clone();
        let names = computer.snapshot_disk.names();
        let has_snapshot = names.iter().any(|name| name.ends_with(".snap"));
        let disk = match has_snapshot && self.rng.random_bool(0.5) {
            true => &computer.snapshot_disk,
            false => &computer.log_disk,
        };
        disk.set_faults(failing(Call::Read, self.plan.disk.clone()));
        self.suspects.insert(node);
        let until = world.elapsed() + Duration::from_millis(self.rng.random_range(100..1_500));
        world.kill(node, Some(until));
        self.for_a_while(world, Undo::Disk(node), 2_000..6_000);
        Some(format!("n{node} when it starts again"))
    }

    /// The process ends, and its bytes are not what they were when it comes back.
    fn damage_disk(&mut self, world: &mut World, kind: Kind, node: NodeId) -> Option<String> {
        if self.replacement.is_some() || !self.damaged.is_empty() {
            return None;
        }
        let computer = world.computers[&node].clone();
        let what = match kind {
            Kind::LogBitFlip => self.flip(&computer.log_disk, ".wal")?,
            Kind::SnapshotBitFlip => {
                let names = computer.snapshot_disk.names();
                if !names.iter().any(|name| name.ends_with(".snap")) {
                    // There is none yet: it is tried again when there is one.
                    self.take_snapshots(world, node);
                    return None;
                }
                self.flip(&computer.snapshot_disk, ".snap")?
            }
            Kind::MisdirectedWrite => self.misdirect(&computer.log_disk)?,
            _ => "everything".into(),
        };
        self.suspects.insert(node);
        if kind == Kind::LostDisk {
            // An empty disk under an old name could vote twice: the operator brings another one.
            world.cut_power(node, None);
            self.replace(world, node);
        } else {
            let until = self.soon(world);
            self.damaged.insert(node, until + READY_LIMIT);
            world.kill(node, Some(until));
        }
        Some(format!("{what} of n{node}"))
    }

    /// An acknowledged write that went elsewhere. Not one of the very last: a disk that reports a sync
    /// and has nothing at the end of the log is what the log does not promise to notice.
    fn misdirect(&mut self, disk: &MemoryDisk) -> Option<String> {
        let mut names = disk.names();
        names.retain(|name| name.ends_with(".wal"));
        let name = names[..].get(self.rng.random_range(0..names.len().max(1)))?;
        let bytes = disk.bytes(name)?;
        let is_written = |(_, sector): &(usize, &[u8])| sector.iter().any(|byte| *byte != 0);
        // The first is the file's header.
        let written = sectors(&bytes).enumerate().skip(1).filter(is_written);
        let written: Vec<usize> = written.map(|(at, _)| at).collect();
        if written.len() < 12 {
            return None;
        }
        let length = self.rng.random_range(1..=3);
        let meant = self.any(&written[..written.len() * 2 / 3])?;
        let last = sectors(&bytes).count() - length;
        let found = self.rng.random_range(1..=last);
        if found.abs_diff(meant) < length {
            return None;
        }
        disk.misdirect(name, meant, found, length);
        Some(format!(
            "{length} sectors at {meant} of {name} stand at {found}"
        ))
    }

    /// One bit of what was written.
    fn flip(&mut self, disk: &MemoryDisk, suffix: &str) -> Option<String> {
        let mut names = disk.names();
        names.retain(|name| name.ends_with(suffix));
        let name = names[..].get(self.rng.random_range(0..names.len().max(1)))?;
        let bytes = disk.bytes(name)?;
        let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let byte = self.any(&written)?;
        disk.flip(name, byte, self.rng.random_range(0..8));
        Some(format!("byte {byte} of {name}"))
    }
}

fn sectors(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks_exact(SECTOR)
}

fn failing(call: Call, usual: Faults) -> Faults {
    Faults {
        fail_next: Some(call),
        ..usual
    }
}
