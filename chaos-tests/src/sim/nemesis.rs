//! Carries out what the plan drew: one fault after the other, overlapping, each ended after a time of
//! its own, all of them healed in the end. Counts what really happened.

mod disks;
mod logic;
mod network;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cluster::types::NodeId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot::Receiver;

use super::fault::{Counts, Kind};
use super::links::LinkFault;
use super::plan::Plan;
use super::replacement::Replacement;
use super::world::World;
use logic::Logic;

pub struct Nemesis {
    plan: Arc<Plan>,
    rng: StdRng,
    /// Drawn and not yet seen to strike; these come first.
    owed: Vec<Kind>,
    next: Duration,
    /// From then on only what has not struck yet strikes.
    until: Duration,
    active: Vec<Active>,
    counts: Counts,
    struck: BTreeSet<Kind>,
    /// Power cuts that wait for a moment at which something is lost.
    cuts: Vec<PowerCut>,
    /// Leaderships asked to be handed over, until the answer.
    transfers: Vec<Receiver<bool>>,
    /// As above, of a leader that is not to hear of the one that follows.
    deposed: Option<Deposed>,
    /// The next node that is at a snapshot file loses its process.
    interrupts: bool,
    /// Processes that were asked to leave in good order, until they have.
    leaving: BTreeMap<NodeId, Leaving>,
    /// Computers whose disk was touched: these may end themselves or refuse to start.
    suspects: BTreeSet<NodeId>,
    /// Computers whose bytes were changed, and until when they may take to be ready: after that they
    /// are replaced.
    damaged: BTreeMap<NodeId, Duration>,
    replacement: Option<Replacement>,
    logic: Logic,
    /// Who was taken out for good.
    pub gone: BTreeSet<NodeId>,
    violations: Vec<String>,
}

struct Active {
    ends: Duration,
    undo: Undo,
}

struct PowerCut {
    kind: Kind,
    nodes: Vec<NodeId>,
    /// The latest moment.
    limit: Duration,
}

struct Deposed {
    leader: NodeId,
    asked: Receiver<bool>,
}

struct Leaving {
    left: Receiver<()>,
    limit: Duration,
}

/// How a fault ends.
enum Undo {
    Links(LinkFault),
    Loss,
    Delay,
    Disk(NodeId),
    Clock(NodeId),
    /// The next jump of a clock that jumps to and fro.
    Strobe {
        node: NodeId,
        by_ms: i64,
        left: u32,
    },
    /// No node at a snapshot was met.
    Interrupt,
}

impl Nemesis {
    pub fn new(plan: &Arc<Plan>) -> Nemesis {
        let mut owed = plan.faults.clone();
        // The shop sees to these.
        owed.retain(|kind| *kind != Kind::DuplicateCall);
        owed.reverse();
        Nemesis {
            plan: plan.clone(),
            rng: StdRng::seed_from_u64(plan.seed ^ 0x6e65_6d65_7369_7300),
            owed,
            next: Duration::ZERO,
            until: Duration::MAX,
            active: Vec::new(),
            counts: Counts::default(),
            struck: BTreeSet::new(),
            cuts: Vec::new(),
            transfers: Vec::new(),
            deposed: None,
            interrupts: false,
            leaving: BTreeMap::new(),
            suspects: BTreeSet::new(),
            damaged: BTreeMap::new(),
            replacement: None,
            logic: Logic::default(),
            gone: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    /// Faults strike as drawn until then; after it only those that are missing.
    pub fn plays_until(&mut self, until: Duration) {
        self.until = until;
    }

    /// Called between ticks while faults may strike.
    pub fn strike(&mut self, world: &mut World) {
        self.tend(world);
        if self.logic.wants_quiet() {
            return;
        }
        let is_alone = self.active.is_empty() && self.deposed.is_none();
        if world.elapsed() < self.next || !(is_alone || self.plan.overlaps) {
            return;
        }
        let is_late = world.elapsed() > self.until;
        let pause_max = if is_late { 600 } else { self.plan.between_ms };
        let pause = self.rng.random_range(200..=pause_max);
        self.next = world.elapsed() + Duration::from_millis(pause);
        let drawn = match is_late {
            true => self.missing(world),
            false => self.plan.faults.clone(),
        };
        let Some(kind) = self.owed.pop().or_else(|| self.any(&drawn)) else {
            return;
        };
        if kind == Kind::DuplicateCall {
            return;
        }
        let begun = self.begin(world, kind);
        match begun {
            Some(what) => {
                world
                    .trace
                    .event("fault", kind.name(), format_args!("{what}"));
                if !told_later(kind) {
                    self.counts.add(kind, 1);
                }
                self.struck.insert(kind);
            }
            // Not possible at the moment: it stays owed.
            None if !self.struck.contains(&kind) => {
                self.owed.insert(0, kind);
            }
            None => {}
        }
    }

    /// Ends what is due and goes on with what takes several steps.
    pub fn tend(&mut self, world: &mut World) {
        let now = world.elapsed();
        let (due, rest) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|active| active.ends <= now);
        self.active = rest;
        let due: Vec<Active> = due;
        for active in due {
            self.end(world, active.undo);
        }
        self.see_ends(world);
        self.see_cuts(world);
        self.see_transfers();
        self.see_deposed(world);
        self.see_snapshots(world);
        self.see_leaving(world);
        self.see_damaged(world);
        self.tend_logic(world);
        if let Some(replacement) = &mut self.replacement
            && replacement.advance(world, &mut self.rng)
        {
            self.gone.insert(replacement.old);
            self.replacement = None;
        }
    }

    /// Ends everything and brings everybody back.
    pub fn heal(&mut self, world: &mut World) {
        self.cuts.clear();
        self.deposed = None;
        self.heal_logic(world);
        for active in std::mem::take(&mut self.active) {
            let strobes = match active.undo {
                // One more jump would begin another.
                Undo::Strobe { node, .. } => Undo::Clock(node),
                undo => undo,
            };
            self.end(world, strobes);
        }
        for id in world.computers.keys().copied().collect::<Vec<_>>() {
            self.mend_disk(world, id);
            world.computers[&id].mend_clock();
        }
        world.bring_all_back();
        world.trace.event("fault", "healed", format_args!(""));
    }

    /// Nothing takes its course any more.
    pub fn is_done(&self) -> bool {
        self.replacement.is_none()
            && self.leaving.is_empty()
            && self.damaged.is_empty()
            && self.logic.is_over()
    }

    /// Where stands what is not done yet.
    pub fn unfinished(&self) -> Option<String> {
        let replacement = self.replacement.as_ref();
        let replacement = replacement.map(|replacement| replacement.to_string());
        replacement.or_else(|| self.logic.unfinished())
    }

    /// Kinds that are enabled and have not happened yet.
    pub fn missing(&self, world: &World) -> Vec<Kind> {
        let counts = self.happened(world);
        let enabled = self.plan.faults.iter().copied();
        let missing = enabled.filter(|kind| *kind != Kind::DuplicateCall && counts.of(*kind) == 0);
        missing.collect()
    }

    /// Everybody is whole again: from now on nobody has a reason to end.
    pub fn trust(&mut self, world: &mut World) {
        self.see_ends(world);
        self.suspects.clear();
    }

    /// What happened, and what should not have.
    pub fn report(mut self, world: &mut World) -> (Counts, Vec<String>) {
        self.see_ends(world);
        (self.happened(world), self.violations)
    }

    fn happened(&self, world: &World) -> Counts {
        let mut counts = self.counts.clone();
        for computer in world.computers.values() {
            for disk in [&computer.log_disk, &computer.snapshot_disk] {
                let happened = disk.happened();
                counts.add(Kind::TornWrites, happened.sectors_arrived);
                let lost = happened.sectors_lost + happened.names_lost;
                counts.add(Kind::LostWrites, lost);
                counts.add(Kind::ReadError, happened.failed_reads);
                counts.add(Kind::WriteError, happened.failed_writes);
                counts.add(Kind::FailedSync, happened.failed_syncs);
                counts.add(Kind::DiskFull, happened.full);
                counts.add(Kind::HungDisk, happened.hung);
            }
        }
        counts
    }

    fn begin(&mut self, world: &mut World, kind: Kind) -> Option<String> {
        use Kind::*;
        if kind.needs_replacement() && self.logic.lacks_a_voter() {
            return None;
        }
        match kind {
            PartitionHalves | PartitionRing | PartitionBridge | PartitionOneWay
            | LeaderInMinority | ClientsCutOff | LinksHeld | SwizzleClog | MessageLoss | Delay => {
                self.harm_network(world, kind)
            }
            KillNode | KillLeader | KillAll | GracefulRestart | PowerCutOne | PowerCutAll
            | Suspend | LeaderTransfer | LeaderDeposed | MembershipChange | SnapshotInterrupted
            | ClockForward | ClockBack | ClockDrift | ClockStrobe => self.harm_node(world, kind),
            SlowDisk | HungDisk | WriteError | ReadError | FailedSync | DiskFull | LogBitFlip
            | SnapshotBitFlip | MisdirectedWrite | LostDisk => self.harm_disk(world, kind),
            PoisonPill | ReplicaDiffers => self.harm_logic(world, kind),
            TornWrites | LostWrites | DuplicateCall => None,
        }
    }

    fn end(&mut self, world: &mut World, undo: Undo) {
        match undo {
            Undo::Links(fault) => world.mend(fault),
            Undo::Loss => world.sim.set_fail_rate(0.0),
            Undo::Delay => world.sim.set_max_message_latency(self.plan.latency.1),
            Undo::Disk(node) => self.mend_disk(world, node),
            Undo::Clock(node) => world.computers[&node].mend_clock(),
            Undo::Strobe { node, by_ms, left } => self.strobe(world, node, by_ms, left),
            Undo::Interrupt => self.stop_interrupting(world),
        }
        world.trace.event("fault", "ended", format_args!(""));
    }

    /// Processes that ended themselves: for a reason, or not.
    fn see_ends(&mut self, world: &mut World) {
        for (id, why) in std::mem::take(&mut world.ends) {
            if self.gone.contains(&id) {
                continue;
            }
            let is_damage = why.starts_with("it does not start") && why.contains("corrupt");
            if self.damaged.contains_key(&id) && why.starts_with("it does not start") {
                self.give_up(world, id);
            } else if is_damage {
                self.violations
                    .push(format!("n{id} finds damage that nobody did: {why}"));
            } else if !self.suspects.contains(&id) {
                self.violations.push(format!(
                    "n{id} ended itself without any fault of its disk: {why}"
                ));
            }
        }
    }

    /// A damaged node that is not whole again in time will not be: the operator gives it up.
    fn see_damaged(&mut self, world: &mut World) {
        let now = world.elapsed();
        let is_ready = |id: NodeId| {
            let hands = world.hands(id);
            hands.is_some_and(|hands| hands.cluster.ready())
        };
        self.damaged
            .retain(|id, until| !world.is_up(*id) || *until > now || !is_ready(*id));
        let late = self.damaged.iter().find(|(_, until)| **until <= now);
        if let Some(id) = late.map(|(id, _)| *id) {
            self.give_up(world, id);
        }
    }

    fn give_up(&mut self, world: &mut World, id: NodeId) {
        self.damaged.remove(&id);
        world.leave_down(id);
        self.replace(world, id);
    }

    fn see_leaving(&mut self, world: &mut World) {
        let now = world.elapsed();
        let mut left = Vec::new();
        for (id, leaving) in &mut self.leaving {
            let is_over = leaving.left.try_recv().is_ok() || leaving.limit <= now;
            if is_over || !world.is_up(*id) {
                left.push(*id);
            }
        }
        for id in left {
            self.leaving.remove(&id);
            if world.is_up(id) {
                let until = self.soon(world);
                world.kill(id, Some(until));
            }
        }
    }

    /// Puts a new computer in the place of one that will not serve again.
    fn replace(&mut self, world: &mut World, old: NodeId) {
        let new = world
            .computers
            .keys()
            .next_back()
            .map_or(1, |last| last + 1);
        world.add(new);
        self.replacement = Some(Replacement::new(old, new, &self.plan));
    }

    fn for_a_while(&mut self, world: &World, undo: Undo, ms: std::ops::Range<u64>) {
        let ends = world.elapsed() + Duration::from_millis(self.rng.random_range(ms));
        self.active.push(Active { ends, undo });
    }

    /// When what goes down now comes back.
    fn soon(&mut self, world: &World) -> Duration {
        world.elapsed() + Duration::from_millis(self.rng.random_range(100..4_000))
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        Some(of[self.rng.random_range(0..of.len())])
    }

    fn any_up(&mut self, world: &World) -> Option<NodeId> {
        self.any(&world.up())
    }

    /// A node that leads some group, the root group among them.
    fn any_leader(&mut self, world: &World) -> Option<NodeId> {
        let leads = |id: &NodeId| {
            let hands = world.hands(*id);
            hands.is_some_and(|hands| {
                let groups = 0..=self.plan.sale_groups;
                groups
                    .into_iter()
                    .any(|group| hands.cluster.leader(group) == Some(*id))
            })
        };
        let leaders: Vec<NodeId> = world.up().into_iter().filter(leads).collect();
        self.any(&leaders)
    }

    /// A node whose clock may be set wrong: the one that is wrong already, while there is one. Time is
    /// what a majority says, so no more than one clock is wrong at once.
    fn any_clock(&mut self, world: &World) -> Option<NodeId> {
        let wrong = self.active.iter().find_map(|active| match active.undo {
            Undo::Clock(node) | Undo::Strobe { node, .. } => Some(node),
            _ => None,
        });
        match wrong {
            Some(node) => Some(node),
            None => self.any_up(world),
        }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.rng.random_range(0..=last));
        }
    }
}

/// Counted when it is seen to happen, not when it was set.
fn told_later(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReadError
            | Kind::WriteError
            | Kind::FailedSync
            | Kind::DiskFull
            | Kind::HungDisk
            | Kind::PowerCutOne
            | Kind::PowerCutAll
            | Kind::LeaderTransfer
            | Kind::LeaderDeposed
            | Kind::SnapshotInterrupted
            | Kind::PoisonPill
            | Kind::ReplicaDiffers
    )
}
