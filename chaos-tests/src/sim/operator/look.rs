//! Looks at a room between two commands: any node shows what was told to be done, and what a pause or a
//! closed door means.

use std::time::Duration;

use actors::sale::RoomReport;
use cluster::types::NodeId;
use domain::ids::SaleId;
use domain::room::RoomPhase;
use rand::RngExt as _;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::act::{Act, Deed};
use super::desk::Known;
use super::{Operator, PATIENCE};
use crate::sim::shop::key;
use crate::sim::world::World;

pub(super) struct Look {
    node: NodeId,
    turn: u64,
    seen: Receiver<Option<(u64, RoomReport)>>,
    patience: Duration,
}

impl Operator {
    pub(super) fn look(&mut self, world: &World, at: usize) {
        let now = world.elapsed();
        let desk = &self.desks[at];
        if desk.look.is_some() || desk.next_look > now || desk.act.is_some() {
            return;
        }
        let Some(node) = self.any_up(world) else {
            return;
        };
        let pause = Duration::from_millis(self.rng.random_range(50..500));
        let desk = &mut self.desks[at];
        let sale = SaleId(desk.sale);
        desk.next_look = now + pause;
        desk.look = Some(Look {
            node,
            turn: desk.turn,
            patience: now + PATIENCE,
            seen: world.ask(node, move |hands| async move {
                let report = hands.sales.get(sale)?.room().await.ok()??;
                Some((report.room.applied_index, report))
            }),
        });
    }

    pub(super) fn see_look(&mut self, world: &World, at: usize) {
        let desk = &mut self.desks[at];
        let Some(look) = &mut desk.look else { return };
        let seen = match look.seen.try_recv() {
            Ok(seen) => seen,
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) if look.patience > world.elapsed() => return,
            Err(TryRecvError::Empty) => None,
        };
        let (node, is_of_now) = (look.node, look.turn == desk.turn);
        desk.look = None;
        let Some((index, report)) = seen.filter(|_| is_of_now) else {
            return;
        };
        let sale = desk.sale;
        let known = desk.known.get_or_insert_with(|| Known::of(&report));
        let wrong = known.wrong(index, &report);
        known.gathers = report.room.phase == RoomPhase::Gathering;
        let awaits = report.room.phase == RoomPhase::AwaitsBeacon;
        if let Some(wrong) = wrong {
            self.shop.violation(format!(
                "room of sale {sale} on n{node} at {index}: {wrong}"
            ));
        }
        if awaits && known.owes_beacon && desk.act.is_none() {
            self.keys += 1;
            desk.turn += 1;
            desk.act = Some(Act {
                deed: Deed::Beacon(self.rng.random()),
                key: key(world.now.ms(), self.keys),
                asked: None,
                again: world.elapsed() + Duration::from_millis(self.rng.random_range(0..3_000)),
                patience: Duration::ZERO,
            });
        }
    }
}
