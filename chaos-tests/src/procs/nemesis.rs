//! Faults, each begun and ended. Who begins one must end it: a fault that is dropped is only healed
//! with the whole cluster.

mod clocks;
mod disks;
mod links;
mod operations;
mod processes;
mod resources;

use std::time::{Duration, Instant};

use rand::seq::SliceRandom as _;

use super::Trouble;
use super::fault::{Kind, Means};
use super::stage::Stage;

/// A fault that has begun.
pub struct Active {
    pub kind: Kind,
    /// The nodes it has in its hands.
    pub nodes: Vec<usize>,
    pub began: Instant,
    /// A counter of the machine's when it began, where that tells whether it happened.
    before: u64,
}

/// A disk is frozen, or being filled, for no longer.
pub const FAULT_MAX: Duration = Duration::from_secs(20);

impl Stage {
    /// Begins a fault on nodes that no other has. `None` if there are none for it now.
    pub fn begin(&mut self, kind: Kind) -> Result<Option<Active>, Trouble> {
        let Some(nodes) = self.choose(kind)? else {
            return Ok(None);
        };
        self.shop.set_stormy(true);
        self.afflicted.extend(&nodes);
        let mut active = Active {
            kind,
            nodes,
            began: Instant::now(),
            before: 0,
        };
        match kind.means() {
            Means::Kill => self.kill(&active)?,
            Means::Pause => self.pause(&active),
            Means::Filter => self.filter(&active)?,
            Means::Relay => self.twist(&active)?,
            Means::Shaper => self.shape(&active)?,
            Means::PowerCut => self.cut_power(&active)?,
            Means::DiskFull => self.fill_disk(&active)?,
            Means::DiskSlow => active.before = self.slow_disk(&active)?,
            Means::DiskHung => self.hang_disk(&active)?,
            Means::Clock => self.turn_clock(&active)?,
            Means::Memory => self.limit_memory(&active)?,
            Means::Cpu => active.before = self.limit_cpu(&active)?,
            Means::RollingRestart => self.restart_rolling()?,
            Means::LeaderTransfer => self.transfer_leader(&active)?,
            Means::JoinDrain => self.join_and_drain(&active)?,
            Means::LostDisk => self.lose_disk(&active)?,
            Means::TwoVersions => self.mix_versions(&active)?,
        }
        Ok(Some(active))
    }

    /// Ends it, and counts it if it happened.
    pub fn end(&mut self, active: Active) -> Result<(), Trouble> {
        let times = match active.kind.means() {
            Means::Kill | Means::PowerCut => self.raise(&active)?,
            Means::Pause => self.resume(&active),
            Means::Filter => self.unfilter(&active)?,
            Means::Relay => self.untwist(&active)?,
            Means::Shaper => self.unshape(&active)?,
            Means::DiskFull => self.empty_disk(&active)?,
            Means::DiskSlow => self.unslow_disk(&active)?,
            Means::DiskHung => self.thaw_disk(&active)?,
            Means::Clock => self.right_clock(&active)?,
            Means::Memory => self.unlimit_memory(&active)?,
            Means::Cpu => self.unlimit_cpu(&active)?,
            Means::TwoVersions => self.unmix_versions(&active)?,
            // These are over when they have begun.
            Means::RollingRestart | Means::LeaderTransfer | Means::JoinDrain | Means::LostDisk => 1,
        };
        let may_end: &[usize] = match active.kind {
            // A node whose syncs take too long ends itself, whatever it is that keeps them.
            Kind::DiskHung | Kind::DiskSlow | Kind::CpuQuota => &active.nodes,
            _ => &[],
        };
        for at in &active.nodes {
            self.afflicted.remove(at);
        }
        self.watch(may_end)?;
        self.happened(active.kind, times);
        Ok(())
    }

    /// Ends whatever a fault left that was begun and could not be ended.
    pub fn heal(&mut self) -> Result<(), Trouble> {
        if let Some(network) = &mut self.cluster.network {
            network.heal()?;
        }
        for node in &mut self.cluster.nodes {
            if let Some(disk) = &mut node.disk {
                disk.thaw()?;
                // There is none unless the disk was filled.
                let _ = disk.empty();
            }
            if let Some(proxy) = &node.proxy {
                proxy.open();
            }
            node.limits.lift();
        }
        for at in self.cluster.running() {
            self.cluster.signal(at, libc::SIGCONT);
            self.cluster.set_wrong(at, "+0")?;
        }
        self.afflicted.clear();
        Ok(())
    }

    /// The nodes a fault strikes.
    fn choose(&mut self, kind: Kind) -> Result<Option<Vec<usize>>, Trouble> {
        let healthy = self.healthy();
        let all = healthy.len();
        Ok(match kind {
            Kind::KillLeader
            | Kind::PauseLeaderShort
            | Kind::PauseLeader
            | Kind::LeaderIsolated
            | Kind::PartitionOneWay
            | Kind::ConnectionsReset
            | Kind::Delay
            | Kind::Duplicate
            | Kind::Reorder
            | Kind::Bandwidth
            | Kind::DiskFull
            | Kind::DiskSlow
            | Kind::DiskHung
            | Kind::CpuQuota
            | Kind::ClientsCutOff
            | Kind::ClockForward
            | Kind::ClockBackward
            | Kind::ClockStrobe => {
                let leader = self.leader()?;
                healthy.contains(&leader).then(|| vec![leader])
            }
            Kind::KillFollower | Kind::PauseFollower => Some(vec![self.a_follower()?]),
            Kind::PowerCutOne | Kind::MemoryLimit | Kind::LostDisk | Kind::JoinDrain => {
                self.any_healthy().map(|at| vec![at])
            }
            Kind::KillMajority => {
                let leader = self.leader()?;
                let mut others: Vec<usize> =
                    healthy.into_iter().filter(|at| *at != leader).collect();
                others.shuffle(&mut self.rng);
                others.truncate(all / 2);
                others.push(leader);
                Some(others)
            }
            Kind::PartitionRing if all < 4 => None,
            Kind::KillAll
            | Kind::PowerCutAll
            | Kind::PartitionHalves
            | Kind::PartitionRing
            | Kind::PartitionBridge
            | Kind::PacketLoss
            | Kind::TwoVersions => Some(healthy),
            Kind::RollingRestart | Kind::LeaderTransfer => Some(Vec::new()),
        })
    }
}
