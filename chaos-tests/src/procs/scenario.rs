//! Scenarios by name: how many nodes, which faults, for how long.

use std::time::{Duration, Instant};

use super::cluster::Plan;
use super::facility::{Facilities, Need};
use super::fault::Kind;
use super::stage::{Ending, Stage};
use super::sum::{Outcome, Report};
use super::{Trouble, failover, mix, words};

pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub nodes: usize,
    /// Each in turn, for so many milliseconds, the sale going on in between.
    pub strikes: &'static [(Kind, u64)],
}

/// What the command line adds.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub plan: Plan,
    pub seed: u64,
    pub buyers: u32,
    /// How often each scenario's faults strike.
    pub rounds: u32,
    pub kills: u32,
    /// How long the mix goes on.
    pub mix: Duration,
    /// More or fewer nodes than the scenario says.
    pub nodes: Option<usize>,
}

/// Between two faults.
const REST: Duration = Duration::from_millis(700);
/// Beyond what the strikes themselves take.
const LIMIT: Duration = Duration::from_secs(180);
/// What the sale may take to go on after each.
const AFTER_EACH: Duration = Duration::from_secs(15);
const DISK_MIB: u64 = 192;
/// Small enough to be filled, large enough for an empty cluster.
const SMALL_DISK_MIB: u64 = 64;

macro_rules! scenarios {
    ($($name:literal, $nodes:literal, $about:literal, [$(($kind:ident, $ms:literal)),* $(,)?];)*) => {
        pub const ALL: &[Scenario] = &[$(Scenario {
            name: $name,
            about: $about,
            nodes: $nodes,
            strikes: &[$((Kind::$kind, $ms)),*],
        }),*];
    };
}

scenarios! {
    "kill_leader", 3, "kill -9 of the leader", [(KillLeader, 1000), (KillLeader, 200)];
    "kill_follower", 3, "kill -9 of a follower", [(KillFollower, 1000), (KillFollower, 200)];
    "kill_majority", 5, "kill -9 of three of five, the leader among them", [(KillMajority, 1500)];
    "kill_all", 3, "kill -9 of all nodes at once", [(KillAll, 500), (KillAll, 0)];
    "pause_short", 3, "the leader stops for a moment", [
        (PauseLeaderShort, 60), (PauseLeaderShort, 120), (PauseLeaderShort, 240),
    ];
    "pause_leader", 3, "the leader stops, and comes back believing that it leads", [
        (PauseLeader, 1500), (PauseLeader, 4000),
    ];
    "pause_follower", 3, "a follower stops and catches up", [(PauseFollower, 3000)];
    "partition_halves", 5, "the nodes fall into two parts", [
        (PartitionHalves, 2500), (PartitionHalves, 2500),
    ];
    "partition_ring", 5, "each node reaches its two neighbours only", [(PartitionRing, 3000)];
    "partition_bridge", 5, "two parts with one node between them", [(PartitionBridge, 3000)];
    "partition_one_way", 3, "the leader speaks and does not hear, or hears and does not speak", [
        (PartitionOneWay, 2500), (PartitionOneWay, 2500),
    ];
    "leader_isolated", 3, "the leader reaches nobody, buyers reach it", [
        (LeaderIsolated, 2500), (LeaderIsolated, 400),
    ];
    "clients_cut_off", 3, "buyers do not reach the leader, nodes do", [(ClientsCutOff, 2500)];
    "connections_reset", 3, "every packet to the leader is answered with a reset", [
        (ConnectionsReset, 2000),
    ];
    "packet_loss", 3, "5 to 20 % of all packets are lost", [(PacketLoss, 5000)];
    "delay", 3, "the leader's packets are 5 to 30 ms late", [(Delay, 5000)];
    "duplicate", 3, "30 % of the leader's packets come twice", [(Duplicate, 4000)];
    "reorder", 3, "20 % of the leader's packets overtake others", [(Reorder, 4000)];
    "bandwidth", 3, "the leader has 400 kbit/s", [(Bandwidth, 5000)];
    "power_cut_one", 3, "one node loses its power", [(PowerCutOne, 800), (PowerCutOne, 0)];
    "power_cut_all", 3, "all nodes lose their power at once", [
        (PowerCutAll, 300), (PowerCutAll, 0), (PowerCutAll, 0),
    ];
    "power_cut_all_of_five", 5, "all of five nodes lose their power at once", [
        (PowerCutAll, 0), (PowerCutAll, 0),
    ];
    "disk_full", 3, "the leader's disk is full", [(DiskFull, 3000)];
    "disk_slow", 3, "the leader's disk does 25 writes a second", [(DiskSlow, 6000)];
    "disk_hung", 3, "the leader's disk hangs", [(DiskHung, 3000)];
    "clock_forward", 3, "the leader's wall clock is two hours ahead", [(ClockForward, 3000)];
    "clock_backward", 3, "the leader's wall clock is two hours behind", [(ClockBackward, 3000)];
    "clock_strobe", 3, "the leader's wall clock jumps to and fro", [(ClockStrobe, 500)];
    "memory_limit", 3, "a node is ended by the kernel for want of memory", [(MemoryLimit, 500)];
    "cpu_quota", 3, "the leader gets 8 % of a processor", [(CpuQuota, 5000)];
    "rolling_restart", 3, "SIGTERM to one node after the other", [(RollingRestart, 0)];
    "leader_transfer", 3, "leadership moves by the API", [
        (LeaderTransfer, 0), (LeaderTransfer, 0), (LeaderTransfer, 0), (LeaderTransfer, 0),
    ];
    "join_drain", 3, "a node joins, another is drained and removed", [(JoinDrain, 0)];
    "lost_disk", 3, "a disk is lost with all that is on it, a new node takes its place", [
        (LostDisk, 0),
    ];
    "two_versions", 3, "half of the nodes run another version, then none do", [
        (TwoVersions, 2000),
    ];
    "failover", 5, "the leader is killed again and again; write to write", [(KillLeader, 0)];
    "failover_paused", 5, "the leader is stopped again and again", [(PauseLeader, 0)];
    "failover_isolated", 5, "the leader is isolated again and again", [(LeaderIsolated, 0)];
    "failover_hung", 5, "the leader's disk hangs again and again", [(DiskHung, 0)];
    "mix", 5, "faults drawn from a seed, several at a time", [];
}

pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// What keeps it from being run here.
    pub fn lacks(&self, facilities: &Facilities) -> Option<&'static str> {
        let mut kinds = self.strikes.iter().map(|(kind, _)| *kind);
        kinds.find_map(|kind| facilities.lacks(kind.need()))
    }

    /// Runs it; whatever goes wrong is in the report.
    pub fn run(&self, wishes: &Wishes, facilities: &Facilities) -> Report {
        let began = Instant::now();
        let mut report = Report::new(self.name);
        if let Some(lack) = self.lacks(facilities) {
            report.outcome = Outcome::Skipped(lack.to_owned());
            return report;
        }
        match self.play(wishes, facilities, &mut report) {
            Ok(ending) => report.close(ending, self.strikes.iter().map(|(kind, _)| *kind)),
            Err(error) => report.fail(format!("no fault struck: {}", words(&error))),
        }
        report.seconds = began.elapsed().as_secs_f64();
        report
    }

    fn play(
        &self,
        wishes: &Wishes,
        facilities: &Facilities,
        report: &mut Report,
    ) -> Result<Ending, Trouble> {
        let plan = self.plan(wishes);
        if self.name.starts_with("failover") {
            return failover::play(self.strikes[0].0, plan, wishes, facilities, report);
        }
        if self.name == "mix" {
            return mix::play(plan, wishes, facilities);
        }
        let time: u64 = self.strikes.iter().map(|(_, ms)| ms).sum();
        let each = AFTER_EACH * self.strikes.len() as u32 + Duration::from_millis(time);
        let limit = LIMIT + each * wishes.rounds;
        let mut stage = Stage::open(plan, facilities, wishes.buyers, wishes.seed, limit)?;
        for _ in 0..wishes.rounds {
            if let Err(error) = self.strike_all(&mut stage) {
                stage.give_up(&error);
                break;
            }
        }
        // Whatever went wrong, what buyers were told must be true.
        Ok(stage.finish(Vec::new()))
    }

    fn strike_all(&self, stage: &mut Stage) -> Result<(), Trouble> {
        for (kind, ms) in self.strikes {
            stage.strike(*kind, Duration::from_millis(*ms))?;
            stage.sells_on()?;
            stage.pass(REST)?;
        }
        Ok(())
    }

    fn plan(&self, wishes: &Wishes) -> Plan {
        let has = |need| self.strikes.iter().any(|(kind, _)| kind.need() == need);
        let fills = self.strikes.iter().any(|(kind, _)| *kind == Kind::DiskFull);
        Plan {
            nodes: wishes.nodes.unwrap_or(self.nodes),
            wrong_clocks: has(Need::FakeTime),
            disk_mib: if fills { SMALL_DISK_MIB } else { DISK_MIB },
            ..wishes.plan.clone()
        }
    }
}
