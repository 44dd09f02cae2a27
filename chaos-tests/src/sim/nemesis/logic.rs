//! Faults of the sales' own logic. A pill is a command on which it panics: its sale is frozen on every
//! replica alike, other sales go on, and somebody releases it. An odd command is one that a single node
//! passes over, as if its memory had lied: that node's replica differs, is found out by its digests, stops,
//! and somebody has it rebuilt. Both are given by the nemesis itself, under keys that every node is started
//! with (`Plan::settings`), and ask for nothing that a buyer could see.

mod odd;
mod pill;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::types::NodeId;
use domain::command::Command;
use domain::ids::{HoldId, IdempotencyKey};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::Nemesis;
use crate::sim::fault::Kind;
use crate::sim::setup::{Decided, decide};
use crate::sim::world::World;
use odd::Odd;
use pill::Pill;

/// Of commands that only show whether a sale answers.
const PROBES: u64 = 1 << 44;
/// A call may take so long before it is made again: longer than nodes try one.
const PATIENCE: Duration = Duration::from_secs(7);
const AGAIN: Duration = Duration::from_millis(200);
/// Nobody has this hold: whoever is to release it is told so, and nothing has changed.
const NOTHING: Command<'static> = Command::ReleaseHold { hold: HoldId(1) };

/// What the nemesis knows of these faults.
#[derive(Default)]
pub(super) struct Logic {
    /// By the sale that was given one.
    pills: BTreeMap<u64, Pill>,
    odd: Option<Odd>,
    /// Sales that ever were given a pill: one given long ago may still be swallowed.
    given: BTreeSet<u64>,
    /// Nodes that passed a command over: they do so once.
    passed_over: BTreeSet<NodeId>,
    /// What was asked for a release may still come of it, at any time.
    is_uncertain: bool,
    probes: u64,
    is_healing: bool,
}

impl Logic {
    /// Nothing else may strike: what is waited for is promised where nothing else does.
    pub fn wants_quiet(&self) -> bool {
        let hidden = self.odd.as_ref().is_some_and(Odd::is_hidden);
        hidden || self.pills.values().any(|pill| pill.is_alone)
    }

    /// A replica does not vote: its group can spare no other computer.
    pub fn lacks_a_voter(&self) -> bool {
        self.odd.is_some()
    }

    pub fn is_over(&self) -> bool {
        self.pills.is_empty() && self.odd.is_none()
    }

    /// Where it stands that takes so long.
    pub fn unfinished(&self) -> Option<String> {
        let pill = self.pills.iter().next();
        let pill = pill.map(|(sale, pill)| format!("the frozen sale {sale}: {pill}"));
        pill.or_else(|| Some(self.odd.as_ref()?.to_string()))
    }
}

impl Nemesis {
    pub(super) fn harm_logic(&mut self, world: &World, kind: Kind) -> Option<String> {
        match kind {
            Kind::PoisonPill => self.give_pill(world),
            Kind::ReplicaDiffers => self.give_odd(world),
            _ => None,
        }
    }

    pub(super) fn tend_logic(&mut self, world: &mut World) {
        self.tend_pills(world);
        self.tend_odd(world);
    }

    pub(super) fn heal_logic(&mut self, world: &World) {
        self.logic.is_healing = true;
        self.look_for_late_pills(world);
    }

    /// Everybody is there, and nothing takes its course.
    fn is_quiet(&self, world: &World) -> bool {
        self.active.is_empty()
            && self.cuts.is_empty()
            && self.transfers.is_empty()
            && self.deposed.is_none()
            && !self.interrupts
            && self.is_done()
            && self.are_all_well(world)
    }

    fn are_all_well(&self, world: &World) -> bool {
        let mut nodes = world.computers.keys();
        nodes.all(|id| {
            let hands = world.hands(*id);
            self.gone.contains(id)
                || world.is_up(*id) && hands.is_some_and(|hands| hands.cluster.ready())
        })
    }

    /// Has the command that asks for nothing decided, at any node; `None`: no node is up.
    fn ask_for_nothing(
        &mut self,
        world: &World,
        sale: u64,
        key: IdempotencyKey,
    ) -> Option<Asked<Option<Decided>>> {
        let node = self.any_up(world)?;
        let IdempotencyKey(key) = key;
        let asked = world.ask(node, move |hands| async move {
            decide(&hands, sale, key, NOTHING).await
        });
        Some(Asked::new(asked, world))
    }
}

/// Something that was asked of a node.
struct Asked<T> {
    answer: Receiver<T>,
    patience: Duration,
}

impl<T> Asked<T> {
    fn new(answer: Receiver<T>, world: &World) -> Asked<T> {
        Asked {
            answer,
            patience: world.elapsed() + PATIENCE,
        }
    }

    /// `None`: not yet. An inner `None`: there will be no answer.
    fn told(&mut self, world: &World) -> Option<Option<T>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(Some(answer)),
            Err(TryRecvError::Closed) => Some(None),
            Err(TryRecvError::Empty) => (self.patience <= world.elapsed()).then_some(None),
        }
    }
}
