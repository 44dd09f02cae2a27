//! What an operator does: each command is drawn, tried under one key until it is answered, and then known.

use std::fmt;
use std::time::Duration;

use domain::command::{Command, SetRoom};
use domain::ids::VisitorId;
use domain::room::merkle::Hash;
use rand::RngExt as _;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::desk::Desk;
use super::{AGAIN, Kind, Operator, PATIENCE};
use crate::sim::computer::BEGIN_MS;
use crate::sim::setup::{Decided, decide};
use crate::sim::shop::key;
use crate::sim::world::World;

const RULES: u32 = 9;

pub(super) struct Act {
    pub(super) deed: Deed,
    pub(super) key: u128,
    pub(super) asked: Option<Receiver<Option<Decided>>>,
    pub(super) again: Duration,
    pub(super) patience: Duration,
}

#[derive(Clone, Copy)]
pub(super) enum Deed {
    Pause(bool),
    Close(bool),
    Move { open_at_ms: u64 },
    Remove { visitor: u128, reason: u32 },
    Beacon(Hash),
}

impl Deed {
    fn kind(self) -> Kind {
        match self {
            Deed::Pause(true) => Kind::Pause,
            Deed::Pause(false) => Kind::Resume,
            Deed::Close(true) => Kind::Close,
            Deed::Close(false) => Kind::Reopen,
            Deed::Move { .. } => Kind::Move,
            Deed::Remove { .. } => Kind::Remove,
            Deed::Beacon(_) => Kind::Beacon,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Pause(true) => write!(f, "pause"),
            Deed::Pause(false) => write!(f, "resume"),
            Deed::Close(true) => write!(f, "close"),
            Deed::Close(false) => write!(f, "reopen"),
            Deed::Move { open_at_ms } => write!(f, "open at {}", open_at_ms - BEGIN_MS),
            Deed::Remove { visitor, reason } => write!(f, "remove {visitor:x} by rule {reason}"),
            Deed::Beacon(_) => write!(f, "beacon"),
        }
    }
}

impl Operator {
    pub(super) fn begin(&mut self, world: &World, at: usize) {
        let now = world.elapsed();
        if self.desks[at].act.is_some() || self.desks[at].next > now {
            return;
        }
        let pause = self.rng.random_range(500..4_000);
        self.desks[at].next = now + Duration::from_millis(pause);
        let Some(deed) = self.draw(world, at) else {
            return;
        };
        self.keys += 1;
        let desk = &mut self.desks[at];
        desk.turn += 1;
        desk.act = Some(Act {
            deed,
            key: key(world.now.ms(), self.keys),
            asked: None,
            again: Duration::ZERO,
            patience: Duration::ZERO,
        });
        world.trace.event(
            "desk",
            "begins",
            format_args!("{} {deed}", self.desks[at].sale),
        );
    }

    fn draw(&mut self, world: &World, at: usize) -> Option<Deed> {
        let Desk { sale, known, .. } = &self.desks[at];
        let (sale, known) = (*sale, known.as_ref()?);
        if known.is_paused && (self.is_ending || self.rng.random_bool(0.6)) {
            return Some(Deed::Pause(false));
        }
        if known.is_closed && (self.is_ending || self.rng.random_bool(0.6)) {
            return Some(Deed::Close(false));
        }
        if self.is_ending {
            return None;
        }
        if world.elapsed() > self.until {
            return self.owed(sale);
        }
        match self.rng.random_range(0..10) {
            0..=2 if !known.is_paused => Some(Deed::Pause(true)),
            3 | 4 if !known.is_closed => Some(self.close(sale)),
            5..=7 if known.gathers => {
                let later_ms = self.rng.random_range(1_500..8_000);
                let open_at_ms = BEGIN_MS + world.now.ms() + later_ms;
                (open_at_ms >= known.lobby_at_ms).then_some(Deed::Move { open_at_ms })
            }
            8 => self.removal(sale),
            _ => None,
        }
    }

    /// Of a room that is neither paused nor closed.
    fn owed(&mut self, sale: u64) -> Option<Deed> {
        let is_missing = |deed| self.counts.of(deed) == 0;
        if is_missing(Kind::Pause) || is_missing(Kind::Resume) {
            Some(Deed::Pause(true))
        } else if is_missing(Kind::Close) || is_missing(Kind::Reopen) {
            Some(self.close(sale))
        } else if is_missing(Kind::Remove) {
            self.removal(sale)
        } else {
            None
        }
    }

    fn close(&mut self, sale: u64) -> Deed {
        self.shop.ledger().guests.closes(sale);
        Deed::Close(true)
    }

    fn removal(&mut self, sale: u64) -> Option<Deed> {
        let mut ledger = self.shop.ledger();
        let guests = ledger
            .guests
            .guests
            .range_mut((sale, 0)..=(sale, u128::MAX));
        let mut present: Vec<_> = guests
            .filter(|(_, guest)| guest.is_in && !guest.may_be_away())
            .collect();
        if present.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..present.len());
        let ((_, visitor), guest) = &mut present[at];
        let reason = self.rng.random_range(1..=RULES);
        guest.removal = Some(reason);
        let visitor = *visitor;
        Some(Deed::Remove { visitor, reason })
    }

    /// Makes a call that is due, and sees what became of one that was made.
    pub(super) fn see_act(&mut self, world: &World, at: usize) {
        let now = world.elapsed();
        let Some(act) = &mut self.desks[at].act else {
            return;
        };
        let decided = match &mut act.asked {
            None if act.again > now => return,
            None => {
                self.ask(world, at);
                return;
            }
            Some(asked) => match asked.try_recv() {
                Ok(decided) => decided,
                Err(TryRecvError::Closed) => None,
                Err(TryRecvError::Empty) if act.patience > now => return,
                Err(TryRecvError::Empty) => None,
            },
        };
        match decided {
            None => {
                act.asked = None;
                act.again = now + AGAIN;
            }
            Some(decided) => {
                let told = act.deed;
                self.desks[at].act = None;
                self.settle(world, at, told, decided);
            }
        }
    }

    fn ask(&mut self, world: &World, at: usize) {
        let Some(node) = self.any_up(world) else {
            return;
        };
        let now = world.elapsed();
        let desk = &mut self.desks[at];
        let (sale, known) = (desk.sale, desk.known.as_ref());
        let (Some(act), Some(known)) = (&mut desk.act, known) else {
            return;
        };
        let set = |is_paused, is_closed| {
            Command::SetRoom(SetRoom {
                is_paused,
                is_closed,
                ceilings: known.ceilings,
                weights: &[],
            })
        };
        let command = match act.deed {
            Deed::Pause(is_paused) => set(is_paused, known.is_closed),
            Deed::Close(is_closed) => set(known.is_paused, is_closed),
            Deed::Move { open_at_ms } => Command::MoveRoom {
                lobby_at_ms: known.lobby_at_ms,
                open_at_ms,
            },
            Deed::Remove { visitor, reason } => Command::RemoveVisitor {
                visitor: VisitorId(visitor),
                reason,
            },
            Deed::Beacon(beacon) => Command::SetBeacon { beacon },
        };
        let key = act.key;
        act.patience = now + PATIENCE;
        act.asked = Some(world.ask(node, move |hands| async move {
            decide(&hands, sale, key, command).await
        }));
    }

    fn settle(&mut self, world: &World, at: usize, deed: Deed, decided: Decided) {
        let now_ms = world.now.ms();
        let desk = &mut self.desks[at];
        let sale = desk.sale;
        desk.turn += 1;
        world.trace.event(
            "desk",
            "is told",
            format_args!("{sale} {deed}: {decided:?}"),
        );
        let Some(known) = &mut desk.known else { return };
        let log_index = match decided {
            Decided::Done { log_index } => log_index,
            Decided::Rejected(rejection) => {
                // A lobby may close before it is moved, a visitor go before they are removed.
                let may_be = matches!(deed, Deed::Move { .. } | Deed::Remove { .. });
                if !may_be {
                    self.shop.violation(format!(
                        "room of sale {sale}: {deed} was rejected: {rejection:?}"
                    ));
                }
                return;
            }
        };
        known.index = log_index;
        self.counts.add(deed.kind(), 1);
        match deed {
            Deed::Pause(is_paused) => (known.is_paused, known.released) = (is_paused, None),
            Deed::Close(is_closed) => {
                (known.is_closed, known.joined) = (is_closed, None);
                if !is_closed {
                    self.shop.ledger().guests.reopened(sale, now_ms);
                }
            }
            Deed::Move { open_at_ms } => known.open_at_ms = open_at_ms,
            Deed::Remove { visitor, .. } => {
                let mut ledger = self.shop.ledger();
                if let Some(guest) = ledger.guests.guests.get_mut(&(sale, visitor)) {
                    guest.removed_ms = Some(now_ms);
                }
            }
            Deed::Beacon(beacon) => {
                known.owes_beacon = false;
                self.shop.ledger().guests.beacons.insert(sale, beacon);
            }
        }
    }
}
