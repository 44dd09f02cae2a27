//! Faults of processes, machines and clocks, and what operators do at bad moments.

use std::time::Duration;

use cluster::types::NodeId;
use futures::FutureExt as _;
use rand::RngExt as _;

use super::{Active, Leaving, Nemesis, Undo};
use crate::sim::fault::Kind;
use crate::sim::world::World;

const LEAVE_LIMIT: Duration = Duration::from_secs(4);

impl Nemesis {
    pub(super) fn harm_node(&mut self, world: &mut World, kind: Kind) -> Option<String> {
        match kind {
            Kind::KillNode | Kind::KillLeader | Kind::PowerCutOne => {
                let node = match kind {
                    Kind::KillLeader => self.any_leader(world)?,
                    _ => self.any_up(world)?,
                };
                let until = self.soon(world);
                match kind {
                    Kind::PowerCutOne => world.cut_power(node, Some(until)),
                    _ => world.kill(node, Some(until)),
                }
                Some(format!("n{node}"))
            }
            Kind::KillAll | Kind::PowerCutAll => {
                let nodes = world.up();
                if nodes.is_empty() {
                    return None;
                }
                for node in &nodes {
                    let until = self.soon(world);
                    match kind {
                        Kind::KillAll => world.kill(*node, Some(until)),
                        _ => world.cut_power(*node, Some(until)),
                    }
                }
                Some(format!("{nodes:?}"))
            }
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
        // Refused is fine: the one named may lag or may lead already.
        world.ask(at, move |hands| {
            async move { hands.cluster.transfer_leader(group, to).await.is_ok() }.boxed()
        });
        Some(format!("group {group} to n{to}"))
    }

    /// A snapshot is begun, and the process ends while it is written or sent.
    fn interrupt_snapshot(&mut self, world: &World) -> Option<String> {
        let node = self.any_up(world)?;
        let group = self.rng.random_range(1..=self.plan.sale_groups);
        world.ask(node, move |hands| async move {
            // A group that is not here has no snapshot to take.
            hands.cluster.snapshot(group).await.ok();
        });
        self.for_a_while(world, Undo::Kill(node), 1..60);
        Some(format!("group {group} on n{node}"))
    }
}
