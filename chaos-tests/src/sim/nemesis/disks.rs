//! Faults of disks: slow, hung, failing, full, and bytes that changed or are gone.

use std::time::Duration;

use cluster::disk::memory::{Call, Faults, MemoryDisk};
use cluster::types::NodeId;
use rand::RngExt as _;

use super::{Nemesis, Undo};
use crate::sim::fault::Kind;
use crate::sim::world::World;

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
            Kind::ReadError => failing(Call::Read, usual),
            Kind::FailedSync => failing(Call::Sync, usual),
            Kind::DiskFull => Faults {
                // What is there stays, and nothing more fits.
                capacity_bytes: Some(0),
                ..usual
            },
            Kind::LogBitFlip | Kind::SnapshotBitFlip | Kind::LostDisk => {
                return self.damage_disk(world, kind, node);
            }
            _ => return None,
        };
        let computer = &world.computers[&node];
        let disk = match (kind, self.rng.random_range(0..4)) {
            // Nothing but snapshots is read back while a node runs, but for old entries.
            (Kind::ReadError | Kind::WriteError | Kind::DiskFull, 0) => &computer.snapshot_disk,
            _ => &computer.log_disk,
        };
        disk.set_faults(faults);
        if kind != Kind::SlowDisk {
            self.suspects.insert(node);
        }
        self.for_a_while(world, Undo::Disk(node), 300..6_000);
        // What counts is what the disk says happened.
        Some(format!("n{node}"))
    }

    pub(super) fn mend_disk(&self, world: &World, node: NodeId) {
        let computer = &world.computers[&node];
        computer.log_disk.set_faults(self.plan.disk.clone());
        computer.snapshot_disk.set_faults(self.plan.disk.clone());
    }

    /// The process ends, and its bytes are not what they were when it comes back.
    fn damage_disk(&mut self, world: &mut World, kind: Kind, node: NodeId) -> Option<String> {
        if self.replacement.is_some() || !self.damaged.is_empty() {
            return None;
        }
        let computer = world.computers[&node].clone();
        let what = match kind {
            Kind::LogBitFlip => self.flip(&computer.log_disk, ".wal")?,
            Kind::SnapshotBitFlip => self.flip(&computer.snapshot_disk, ".snap")?,
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

fn failing(call: Call, usual: Faults) -> Faults {
    Faults {
        fail_next: Some(call),
        ..usual
    }
}
