//! Faults of processes, machines and clocks, and what operators do at bad moments.

use std::time::Duration;

use cluster::disk::memory::Faults;
use cluster::types::NodeId;
use futures::FutureExt as _;
use rand::RngExt as _;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Active, Deposed, Leaving, Nemesis, PowerCut, Undo};
use crate::sim::computer::name;
use crate::sim::fault::Kind;
use crate::sim::links::Damage;
use crate::sim::world::World;

const LEAVE_LIMIT: Duration = Duration::from_secs(4);

impl Nemesis {
    pub(super) fn harm_node(&mut self, world: &mut World, kind: Kind) -> Option<String> {
        match kind {
            Kind::KillNode | Kind::KillLeader => {
                let node = match kind {
                    Kind::KillLeader => self.any_leader(world)?,
                    _ => self.any_up(world)?,
                };
                let until = self.soon(world);
                world.kill(node, Some(until));
                Some(format!("n{node}"))
            }
            Kind::KillAll => {
                let nodes = world.up();
                for node in &nodes {
                    let until = self.soon(world);
                    world.kill(*node, Some(until));
                }
                (!nodes.is_empty()).then(|| format!("{nodes:?}"))
            }
            Kind::PowerCutOne => {
                let node = self.any_up(world)?;
                self.cut_power(world, kind, vec![node])
            }
            Kind::PowerCutAll => self.cut_power(world, kind, world.up()),
            Kind::GracefulRestart => {
                let node = self.any_up(world)?;
                let left = world.ask(node, |hands| async move { hands.cluster.shutdown().await });
                let limit = world.elapsed() + LEAVE_LIMIT;
                self.leaving.insert(node, Leaving { left, limit });
                Some(format!("n{node}"))
            }
            Kind::Suspend => {
                let node = self.any_up(world)?;
                let ms = self.rng.random_range(50..6_000);
                // A sync that was under way seems to have hung for as long.
                self.suspects.insert(node);
                // What a process finds that was stopped: its monotonic clock has leapt, every timer
                // is due at once, and what was on its way to it is still to be read.
                world.ask(node, move |_| async move {
                    tokio::time::advance(Duration::from_millis(ms)).await;
                });
                Some(format!("n{node} for {ms} ms"))
            }
            Kind::ClockForward | Kind::ClockBack => {
                let node = self.any_clock(world)?;
                let by_ms = self.rng.random_range(200..7_200_000);
                let by_ms = if kind == Kind::ClockBack {
                    -by_ms
                } else {
                    by_ms
                };
                world.computers[&node].jump_clock(by_ms);
                self.for_a_while(world, Undo::Clock(node), 500..10_000);
                Some(format!("n{node} by {by_ms} ms"))
            }
            Kind::ClockDrift => {
                let node = self.any_clock(world)?;
                let ppm = self.rng.random_range(-500_000..10_000_000);
                world.computers[&node].drift_clock(ppm);
                self.for_a_while(world, Undo::Clock(node), 1_000..15_000);
                Some(format!("n{node} by {ppm} ppm"))
            }
            Kind::ClockStrobe => {
                let node = self.any_clock(world)?;
                let by_ms = self.rng.random_range(500..7_200_000);
                let left = self.rng.random_range(4..40);
                self.strobe(world, node, by_ms, left);
                Some(format!("n{node} by {by_ms} ms"))
            }
            Kind::LeaderTransfer => self.transfer(world),
            Kind::LeaderDeposed => self.depose(world),
            Kind::SnapshotInterrupted => self.interrupt_snapshot(world),
            Kind::MembershipChange => {
                if self.replacement.is_some() {
                    return None;
                }
                let node = self.any_up(world)?;
                self.replace(world, node);
                Some(format!("n{node} is to leave"))
            }
            _ => None,
        }
    }

    /// Mostly at a moment when one of them has written what it has not synced: syncs are short, and a
    /// cut between them loses nothing.
    fn cut_power(&mut self, world: &World, kind: Kind, nodes: Vec<NodeId>) -> Option<String> {
        if nodes.is_empty() {
            return None;
        }
        let patience = match self.rng.random_bool(0.8) {
            true => Duration::from_secs(1),
            false => Duration::ZERO,
        };
        let what = format!("{nodes:?}");
        self.cuts.push(PowerCut {
            kind,
            nodes,
            limit: world.elapsed() + patience,
        });
        Some(what)
    }

    pub(super) fn see_cuts(&mut self, world: &mut World) {
        let now = world.elapsed();
        let is_due = |cut: &PowerCut| {
            let mut up = cut.nodes.iter().filter(|node| world.is_up(**node));
            cut.limit <= now || up.any(|node| world.computers[node].log_disk.has_unsynced())
        };
        let (due, waiting) = std::mem::take(&mut self.cuts).into_iter().partition(is_due);
        self.cuts = waiting;
        let due: Vec<PowerCut> = due;
        for PowerCut { kind, nodes, .. } in due {
            let mut cut = 0;
            for node in nodes {
                // One that went down meanwhile has nothing left to lose.
                if world.is_up(node) {
                    let until = self.soon(world);
                    world.cut_power(node, Some(until));
                    cut = 1;
                }
            }
            world.trace.event("fault", kind.name(), format_args!("now"));
            self.counts.add(kind, cut);
        }
    }

    /// To and fro, until it has jumped often enough.
    pub(super) fn strobe(&mut self, world: &World, node: NodeId, by_ms: i64, left: u32) {
        let computer = &world.computers[&node];
        if left == 0 {
            computer.mend_clock();
            return;
        }
        computer.jump_clock(by_ms);
        let ends = world.elapsed() + Duration::from_millis(self.rng.random_range(10..500));
        let undo = Undo::Strobe {
            node,
            by_ms: -by_ms,
            left: left - 1,
        };
        self.active.push(Active { ends, undo });
    }

    fn transfer(&mut self, world: &World) -> Option<String> {
        let group = self.rng.random_range(0..=self.plan.sale_groups);
        let at = self.any_up(world)?;
        let to = self.any_up(world)?;
        let leader = world.hands(at)?.cluster.leader(group)?;
        if leader == to {
            return None;
        }
        // Refused is fine: the one named may lag or may be no voter.
        let asked = world.ask(at, move |hands| {
            async move { hands.cluster.transfer_leader(group, to).await.is_ok() }.boxed()
        });
        self.transfers.push(asked);
        Some(format!("group {group} to n{to}"))
    }

    pub(super) fn see_transfers(&mut self) {
        let mut begun = 0;
        self.transfers.retain_mut(|asked| match asked.try_recv() {
            Ok(accepted) => {
                begun += u64::from(accepted);
                false
            }
            Err(TryRecvError::Closed) => false,
            Err(TryRecvError::Empty) => true,
        });
        self.counts.add(Kind::LeaderTransfer, begun);
    }

    /// A sale's leader hands over and hears nothing from then on: for as long as its last word from a
    /// quorum counts it takes itself for the leader, while another leads. A leader that is only cut off
    /// stops before the others elect.
    fn depose(&mut self, world: &World) -> Option<String> {
        if self.deposed.is_some() {
            return None;
        }
        let group = self.rng.random_range(1..=self.plan.sale_groups);
        let up = world.up();
        let leads = |id: &NodeId| {
            let hands = world.hands(*id);
            hands.is_some_and(|hands| hands.cluster.leader(group) == Some(*id))
        };
        let leader = up.iter().copied().find(leads)?;
        let others: Vec<NodeId> = up.into_iter().filter(|id| *id != leader).collect();
        let to = self.any(&others)?;
        let asked = world.ask(leader, move |hands| {
            async move { hands.cluster.transfer_leader(group, to).await.is_ok() }.boxed()
        });
        self.deposed = Some(Deposed { leader, asked });
        Some(format!("n{leader} of group {group} by n{to}"))
    }

    pub(super) fn see_deposed(&mut self, world: &mut World) {
        let Some(mut deposed) = self.deposed.take() else {
            return;
        };
        match deposed.asked.try_recv() {
            Ok(true) => {
                let deaf = name(deposed.leader);
                let others = world.computers.keys().filter(|id| **id != deposed.leader);
                let cut = others.map(|id| (name(*id), deaf.clone())).collect();
                let fault = world.damage(Damage::Cut(cut));
                // Its last word from a quorum counts for the longest election timeout.
                let least_ms = self.plan.times.election_max;
                self.for_a_while(world, Undo::Links(fault), least_ms..3 * least_ms);
                self.counts.add(Kind::LeaderDeposed, 1);
            }
            Ok(false) | Err(TryRecvError::Closed) => {}
            Err(TryRecvError::Empty) => self.deposed = Some(deposed),
        }
    }

    /// Snapshots are begun and take long; the first node that is seen at one, writing its own or
    /// receiving another's, loses its process.
    fn interrupt_snapshot(&mut self, world: &World) -> Option<String> {
        if self.interrupts {
            return None;
        }
        let node = self.any_up(world)?;
        let slow = Faults {
            sync_ms: Some(20..80),
            ..self.plan.disk.clone()
        };
        for id in world.up() {
            world.computers[&id].snapshot_disk.set_faults(slow.clone());
        }
        self.take_snapshots(world, node);
        self.interrupts = true;
        self.for_a_while(world, Undo::Interrupt, 500..3_000);
        Some(format!("begun on n{node}"))
    }

    pub(super) fn take_snapshots(&self, world: &World, node: NodeId) {
        let groups = 0..=self.plan.sale_groups;
        world.ask(node, move |hands| async move {
            for group in groups {
                // A group that is not here has no snapshot to take.
                hands.cluster.snapshot(group).await.ok();
            }
        });
    }

    pub(super) fn see_snapshots(&mut self, world: &mut World) {
        if !self.interrupts {
            return;
        }
        let is_writing = |id: &NodeId| {
            let names = world.computers[id].snapshot_disk.names();
            names.iter().any(|name| name.ends_with(".tmp"))
        };
        let Some(node) = world.up().into_iter().find(is_writing) else {
            return;
        };
        let until = self.soon(world);
        world.kill(node, Some(until));
        world
            .trace
            .event("fault", "interrupts", format_args!("n{node}"));
        self.counts.add(Kind::SnapshotInterrupted, 1);
        self.stop_interrupting(world);
    }

    pub(super) fn stop_interrupting(&mut self, world: &World) {
        if std::mem::take(&mut self.interrupts) {
            for computer in world.computers.values() {
                computer.snapshot_disk.set_faults(self.plan.disk.clone());
            }
        }
    }
}
