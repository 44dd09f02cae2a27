//! Whoever runs the waiting rooms of a run while faults strike: pauses them, turns newcomers away, moves
//! the opening, takes visitors out by a rule, makes the beacon known. One command of a room at a time,
//! under one key until it is answered. Between two commands a look at any node must show what was told
//! to be done, and what a pause or a closed door means. Driven by `run`, between ticks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actors::sale::RoomReport;
use cluster::types::NodeId;
use domain::command::{Command, SetRoom};
use domain::ids::{SaleId, VisitorId};
use domain::room::RoomPhase;
use domain::room::merkle::Hash;
use domain::room::pace::Ceilings;
use onsale::access::pass::PassKey;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::computer::BEGIN_MS;
use super::deed::{Counts, Deed as Kind};
use super::plan::Plan;
use super::setup::room::{put, second_pass_key};
use super::setup::{Decided, decide};
use super::shop::{Shop, key};
use super::world::World;

const SEED: u64 = 0x6465_736b_7300_0000;
/// Its keys, apart from the setup's and the shop's.
const KEYS: u64 = 1 << 41;
/// A call may take so long before it is made again.
const PATIENCE: Duration = Duration::from_secs(7);
const AGAIN: Duration = Duration::from_millis(200);
const RULES: u32 = 9;
/// The second key is drawn apart from all deeds.
const ROTATION_SEED: u64 = 0x726f_7461_7465_0000;
/// What may be done at any time, so that a run that has not seen it goes on for a while.
const OWED: [Kind; 5] = [
    Kind::Pause,
    Kind::Resume,
    Kind::Close,
    Kind::Reopen,
    Kind::Remove,
];

pub struct Operator {
    desks: Vec<Desk>,
    rng: StdRng,
    shop: Shop,
    keys: u64,
    /// After it only what is owed is begun.
    until: Duration,
    /// Nothing new is begun, and what was begun is undone.
    is_ending: bool,
    counts: Counts,
    /// The second key that signs passes, where there is to be one.
    rotation: Option<Rotation>,
}

/// The change of the key that signs passes, tried until it is done.
struct Rotation {
    at: Duration,
    /// Made when it is first tried.
    key: Option<PassKey>,
    asked: Option<Receiver<bool>>,
    patience: Duration,
    is_done: bool,
}

/// One room's.
struct Desk {
    sale: u64,
    /// As it was told to be last; unknown until the first look.
    known: Option<Known>,
    next: Duration,
    act: Option<Act>,
    look: Option<Look>,
    next_look: Duration,
    /// Rises with each command: a look that was begun before says nothing of it.
    turn: u64,
}

struct Known {
    /// The log index from which on it is so.
    index: u64,
    is_paused: bool,
    is_closed: bool,
    ceilings: Ceilings,
    open_at_ms: u64,
    lobby_at_ms: u64,
    /// While paused: how many had been let in; while closed: how many had come.
    released: Option<u64>,
    joined: Option<u64>,
    owes_beacon: bool,
    /// When it was last looked at.
    gathers: bool,
}

struct Act {
    deed: Deed,
    key: u128,
    asked: Option<Receiver<Option<Decided>>>,
    again: Duration,
    patience: Duration,
}

#[derive(Clone, Copy)]
enum Deed {
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

struct Look {
    node: NodeId,
    turn: u64,
    seen: Receiver<Option<(u64, RoomReport)>>,
    patience: Duration,
}

impl Operator {
    pub fn new(plan: &Arc<Plan>, shop: &Shop) -> Operator {
        let rooms = plan.room_ids().filter(|_| plan.operators);
        let desk = |sale| Desk {
            sale,
            known: None,
            next: Duration::ZERO,
            act: None,
            look: None,
            next_look: Duration::ZERO,
            turn: 0,
        };
        let rotation = plan.rotates_key().then(|| {
            let mut rng = StdRng::seed_from_u64(plan.seed ^ ROTATION_SEED);
            let half_ms = plan.safety.as_millis() as u64 / 2;
            Rotation {
                at: Duration::from_millis(rng.random_range(1_000..half_ms)),
                key: None,
                asked: None,
                patience: Duration::ZERO,
                is_done: false,
            }
        });
        Operator {
            desks: rooms.map(desk).collect(),
            rng: StdRng::seed_from_u64(plan.seed ^ SEED),
            shop: shop.clone(),
            keys: KEYS,
            until: Duration::MAX,
            is_ending: false,
            counts: Counts::default(),
            rotation,
        }
    }

    /// Deeds are drawn until then; after it only those that are missing.
    pub fn plays_until(&mut self, until: Duration) {
        self.until = until;
    }

    /// Whether something that can be done at any time was not done yet.
    pub fn owes(&self) -> bool {
        let is_missing = |deed: &Kind| self.counts.of(*deed) == 0;
        let rotates = self.rotation.as_ref();
        !self.desks.is_empty() && OWED.iter().any(is_missing)
            || rotates.is_some_and(|rotation| !rotation.is_done)
    }

    /// What was done.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Called between ticks.
    pub fn tend(&mut self, world: &World) {
        for at in 0..self.desks.len() {
            self.see_look(world, at);
            self.see_act(world, at);
            self.look(world, at);
            self.begin(world, at);
        }
        self.rotate(world);
    }

    /// The key that signs passes is followed by another, once, under whatever faults there are.
    fn rotate(&mut self, world: &World) {
        let now = world.elapsed();
        let rotation = self.rotation.as_mut();
        let Some(rotation) = rotation.filter(|rotation| !rotation.is_done && rotation.at <= now)
        else {
            return;
        };
        if let Some(asked) = &mut rotation.asked {
            match asked.try_recv() {
                Ok(true) => {
                    rotation.is_done = true;
                    self.counts.add(Kind::RotateKey, 1);
                    let what = format_args!("the second key");
                    world.trace.event("desk", "is told", what);
                }
                Err(TryRecvError::Empty) if rotation.patience > now => {}
                Ok(false) | Err(_) => {
                    rotation.asked = None;
                    rotation.at = now + AGAIN;
                }
            }
            return;
        }
        let Some(node) = self.any_up(world) else {
            return;
        };
        let Some(rotation) = &mut self.rotation else {
            return;
        };
        let seed = world.plan().seed;
        let made = || second_pass_key(seed, world.now.ms());
        let change = put(rotation.key.get_or_insert_with(made).clone());
        rotation.patience = now + PATIENCE;
        rotation.asked = Some(world.ask(node, move |hands| async move {
            hands.cluster.change_map(change).await.is_ok()
        }));
    }

    /// From now on rooms are left as they shall stay: neither paused nor closed.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// Where something is left to be done.
    pub fn unfinished(&self) -> Option<u64> {
        let is_done = |desk: &&Desk| {
            let known = desk.known.as_ref();
            let is_left = |known: &Known| known.is_paused || known.is_closed || known.owes_beacon;
            desk.act.is_none() && known.is_some_and(|known| !is_left(known))
        };
        let desk = self.desks.iter().find(|desk| !is_done(desk));
        desk.map(|desk| desk.sale)
    }

    fn begin(&mut self, world: &World, at: usize) {
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
    fn see_act(&mut self, world: &World, at: usize) {
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

    fn look(&mut self, world: &World, at: usize) {
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

    fn see_look(&mut self, world: &World, at: usize) {
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

    fn any_up(&mut self, world: &World) -> Option<NodeId> {
        let up = world.up();
        (!up.is_empty()).then(|| up[self.rng.random_range(0..up.len())])
    }
}

impl Known {
    /// Before the first command.
    fn of(report: &RoomReport) -> Known {
        let RoomReport { room, plan, .. } = report;
        Known {
            index: room.applied_index,
            is_paused: room.is_paused,
            is_closed: room.is_closed,
            ceilings: plan.ceilings,
            open_at_ms: room.open_at_ms,
            lobby_at_ms: room.lobby_at_ms,
            released: None,
            joined: None,
            owes_beacon: plan.waits_for_beacon,
            gathers: true,
        }
    }

    /// What a look shows otherwise than it was told to be.
    fn wrong(&mut self, index: u64, report: &RoomReport) -> Option<String> {
        let room = &report.room;
        if index < self.index {
            return None;
        }
        let set = (
            room.is_paused,
            room.is_closed,
            room.open_at_ms,
            room.lobby_at_ms,
        );
        let told = (
            self.is_paused,
            self.is_closed,
            self.open_at_ms,
            self.lobby_at_ms,
        );
        if set != told {
            return Some(format!(
                "paused, closed, opening and lobby are {set:?}, and were told to be {told:?}"
            ));
        }
        let (released, joined) = (room.census.released, room.census.joined);
        if self.is_paused && *self.released.get_or_insert(released) != released {
            let before = self.released;
            return Some(format!(
                "{released} were let in, {before:?} before, while it was paused"
            ));
        }
        if self.is_closed && *self.joined.get_or_insert(joined) != joined {
            let before = self.joined;
            return Some(format!(
                "{joined} have come, {before:?} before, while it was closed"
            ));
        }
        None
    }
}
