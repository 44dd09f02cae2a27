//! The owner of one sale: its state and what it does with each message. Synchronous; it never
//! waits for the cluster. The ractor shell in `actor` calls it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cluster::group::Group;
use cluster::types::Term;
use domain::Sale;
use domain::change::Change;
use domain::ids::{Revision, SaleId};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::answering::fail_calls;
use super::change_log::ChangeLog;
use super::handle::{ReadFailure, Shared};
use super::in_flight::{InFlight, InFlights};
use super::journal::{Body, Frozen, Journal};
use super::message::{Creation, Message, Note, Read, SalePart};
use super::refuse::Refusals;
use super::time::SaleTime;
use super::turnstile::Turnstile;
use super::view::{Figures, Frost, Summary, seats_view};
use crate::bugs::{Bug, planted};
use crate::calls::Calls;
use crate::clock::Clock;
use crate::codec::answer::FailureReason;
use crate::codec::command::Scratch;
use crate::config::Config;
use crate::faults::Faults;
use crate::feed::FeedSender;
use crate::metrics::SaleMetrics;
use crate::size::Size;
use crate::trace::Stage;

/// What every sale of a node is given.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub config: Arc<Config>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<SaleMetrics>,
    pub feed: FeedSender,
    pub faults: Faults,
    /// This node and incarnation, in parts it proposes.
    pub proposer: u64,
}

pub(crate) struct Owner {
    pub(super) id: SaleId,
    pub(super) around: Surroundings,
    pub(super) group: Arc<dyn Group>,
    pub(super) shared: Arc<Shared>,
    pub(super) creation: Arc<Creation>,
    pub(super) state: State,
    /// The event's. Of a sale that is frozen from the start it is told when it is released.
    pub(super) size: Size,
    pub(super) change_log: ChangeLog,
    pub(super) applied_index: u64,
    /// Leading, in this term.
    pub(super) term: Option<Term>,
    pub(super) time: SaleTime,
    pub(super) next_proposal: u64,
    /// Calls that are not yet proposed.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) in_flight: InFlights,
    /// Closed, but the group's queue was full.
    pub(super) stalled: Option<(InFlight, Bytes)>,
    pub(super) refusals: Refusals,
    /// An `ExpireHolds` is under way.
    pub(super) expiring: bool,
    pub(super) turnstile: Turnstile,
    pub(super) scratch: Scratch,
    /// Changes of this round that are not told yet.
    pub(super) changes: Vec<Change>,
}

/// Calls in the queue of what is to be proposed.
pub(super) struct Waiting {
    pub calls: Calls,
    /// When they came, where that is counted.
    pub since: Option<Instant>,
    /// They were set aside once and could not be refused: the log decides. Set aside again, they
    /// would go round and round for as long as leadership cannot be proved.
    pub is_for_the_log: bool,
}

pub(super) enum State {
    Live { sale: Box<Sale>, journal: Journal },
    Frozen(Box<Frozen>),
}

/// How soon a proposal that found the group's queue full is tried again.
const STALLED_MS: u64 = 25;
/// How often a sale with calls under way looks whether their deadlines have passed.
const CALLERS_MS: u64 = 200;
/// A full disk is looked at again after a second; who asks sooner is told the same.
const DISK_FULL_RETRY_MS: u32 = 1_000;

impl Owner {
    pub fn on(&mut self, message: Message) {
        if !matches!(message, Message::Calls(_) | Message::Deliver(_)) {
            self.tell_changes();
        }
        match message {
            Message::Calls(calls) => self.take_in(calls),
            Message::Deliver(delivery) => self.deliver(delivery),
            Message::Proved(proof) => self.on_proved(proof.is_ok()),
            Message::Lead(term) => self.lead(term),
            Message::Barrier(reply) => {
                // The reader may have given up; nothing depends on it here.
                let _ = reply.send(self.part());
            }
            Message::Digest(reply) => {
                // As above.
                let _ = reply.send(self.digest());
            }
            Message::Restore { part, done } => {
                self.restore(part);
                let _ = done.send(());
            }
            Message::Read(read) => self.read(read),
            Message::ReadRoom(read) => self.read_room(read),
        }
    }

    pub fn note(&mut self, note: Note) {
        match note {
            Note::Lost { proposal, failure } => self.on_lost(proposal, failure),
            Note::Tick => self.on_tick(),
        }
    }

    /// After a run of messages: proposes what waits and says when to be woken at the latest.
    pub fn settle(&mut self) {
        self.tell_changes();
        self.close_batches();
        self.prove_refusals();
        self.set_alarm();
        self.show_room();
    }

    fn take_in(&mut self, calls: Calls) {
        if self.term.is_none() {
            self.leave_queue(calls.call_ids.len());
            fail_calls(calls, FailureReason::NoLeader, 0);
        } else if matches!(self.state, State::Frozen(_)) {
            self.leave_queue(calls.call_ids.len());
            fail_calls(calls, FailureReason::SaleFrozen, 0);
        } else {
            calls.reach(Stage::Taken);
            self.waiting.push_back(Waiting {
                calls,
                since: self.has_room().then(Instant::now),
                is_for_the_log: false,
            });
        }
    }

    /// Commands left the queue whose length `SaleHandle::submit` bounds.
    pub(super) fn leave_queue(&self, commands: usize) {
        self.shared.queued.fetch_sub(commands, Ordering::AcqRel);
    }

    fn lead(&mut self, term: Option<Term>) {
        if self.term == term {
            return;
        }
        self.term = term;
        self.turnstile = Turnstile::default();
        self.expiring = false;
        // What was proposed in the old term is answered when its proposal's fate is told.
        if term.is_none() {
            self.fail_waiting(FailureReason::NoLeader);
        }
    }

    /// Answers everything that was not proposed: certainly without effect.
    pub(super) fn fail_waiting(&mut self, reason: FailureReason) {
        // One by one: should telling one of them fail the actor, the others still wait to be told.
        while let Some(Waiting { calls, .. }) = self.waiting.pop_front() {
            self.leave_queue(calls.call_ids.len());
            fail_calls(calls, reason, 0);
        }
        while let Some(calls) = self.refusals.pop() {
            fail_calls(calls, reason, 0);
        }
        if let Some((in_flight, _)) = self.stalled.take() {
            for mut piece in in_flight.pieces {
                piece.answer_failed(reason, 0);
            }
        }
    }

    /// The actor ends, with these messages not handled. What was not proposed is certainly without
    /// effect; what becomes of the rest nobody will know here.
    pub fn end(&mut self, left: impl Iterator<Item = Message>) {
        self.fail_waiting(FailureReason::NoLeader);
        self.forget_proposals();
        for message in left {
            if let Message::Calls(calls) = message {
                self.leave_queue(calls.call_ids.len());
                fail_calls(calls, FailureReason::NoLeader, 0);
            }
        }
    }

    fn forget_proposals(&mut self) {
        for in_flight in self.in_flight.drain() {
            for mut piece in in_flight.pieces {
                piece.answer_unknown();
            }
        }
    }

    fn on_lost(&mut self, proposal: u64, failure: Option<FailureReason>) {
        self.expiring = false;
        let Some(in_flight) = self.in_flight.take(proposal) else {
            return;
        };
        for mut piece in in_flight.pieces {
            match failure {
                Some(FailureReason::DiskFull) => {
                    piece.answer_failed(FailureReason::DiskFull, DISK_FULL_RETRY_MS);
                }
                Some(reason) => piece.answer_failed(reason, 0),
                None => piece.answer_unknown(),
            }
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        self.in_flight.give_up(now);
        self.fail_stalled(now);
        self.fail_overdue(now);
        self.expire_when_due();
    }

    /// A batch that finds no room in the group's queue: dropped when nobody waits for it any more.
    fn fail_stalled(&mut self, now: Instant) {
        let Some((mut in_flight, entry)) = self.stalled.take() else {
            return;
        };
        if in_flight.is_overdue(now) {
            for mut piece in in_flight.pieces {
                piece.answer_failed(FailureReason::DeadlinePassed, 0);
            }
            return;
        }
        in_flight.give_up(now);
        self.stalled = Some((in_flight, entry));
    }

    /// Calls whose deadline passed while they waited behind what is under way.
    fn fail_overdue(&mut self, now: Instant) {
        if self
            .waiting
            .iter()
            .all(|waiting| waiting.calls.deadline > now)
        {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            if waiting.calls.deadline > now {
                self.waiting.push_back(waiting);
            } else {
                self.leave_queue(waiting.calls.call_ids.len());
                fail_calls(waiting.calls, FailureReason::DeadlinePassed, 0);
            }
        }
    }

    /// The time by which this node decides about the sale.
    pub(super) fn now_ms(&self) -> u64 {
        self.time.now_ms(self.around.clock.now_ms())
    }

    /// Asks for a tick when the first deadline may have passed: a hold's, or a caller's.
    fn set_alarm(&self) {
        let clock_ms = self.around.clock.now_ms();
        let hold_ms = match &self.state {
            // The alarm stands on the node's clock, the deadline on the sale's time.
            State::Live { sale, .. } if self.term.is_some() => sale
                .next_deadline_ms()
                .map_or(u64::MAX, |at| clock_ms + at.saturating_sub(self.now_ms())),
            _ => u64::MAX,
        };
        let waits = !self.waiting.is_empty() || self.in_flight.len() > 0;
        let alarm_ms = if !self.around.clock.is_set() && (waits || hold_ms < u64::MAX) {
            // A clock that is not set yet may be set back: what is due by it might never come.
            0
        } else if self.stalled.is_some() {
            clock_ms + STALLED_MS
        } else if waits {
            hold_ms.min(clock_ms + CALLERS_MS)
        } else {
            hold_ms
        };
        self.shared.alarm_ms.store(alarm_ms, Ordering::Release);
    }

    pub(super) fn part(&mut self) -> SalePart {
        let body = match &mut self.state {
            State::Live { sale, journal } => {
                let image = Arc::new(sale.image());
                journal.take_along(&image);
                Body::Live(image)
            }
            State::Frozen(frozen) if planted(Bug::FrostNotInSnapshot) => {
                Body::Live(Arc::clone(&frozen.checkpoint))
            }
            State::Frozen(frozen) => Body::Frozen((**frozen).clone()),
        };
        SalePart {
            sale: self.id,
            applied_index: self.applied_index,
            creation: Arc::clone(&self.creation),
            body,
        }
    }

    /// What replicas compare. Of a frozen sale nothing is digested but where it froze, which is the
    /// same on every replica: its last good state is not, for each cuts its journal by itself.
    fn digest(&self) -> u64 {
        match &self.state {
            State::Live { sale, .. } => sale.digest(),
            State::Frozen(frozen) => {
                let Frost {
                    log_index,
                    command,
                    why: _,
                } = &frozen.frost;
                let mut hasher = Xxh3::new();
                hasher.update(b"frozen");
                hasher.update(&log_index.to_le_bytes());
                hasher.update(&command.to_le_bytes());
                hasher.digest()
            }
        }
    }

    fn restore(&mut self, part: SalePart) {
        let SalePart {
            sale: _,
            applied_index,
            creation,
            body,
        } = part;
        self.fail_waiting(FailureReason::NoLeader);
        self.forget_proposals();
        self.applied_index = applied_index;
        self.creation = creation;
        let state = State::from_body(body, self.around.config.journal_bytes);
        self.set_state(state);
        self.time.see(self.state.now_ms());
        self.change_log.restart(self.revision());
    }

    /// The gauge counts the replicas that are frozen here.
    pub(super) fn set_state(&mut self, state: State) {
        let was_frozen = self.state.is_frozen();
        self.size = state.size().unwrap_or(self.size);
        self.state = state;
        match (was_frozen, self.state.is_frozen()) {
            (false, true) => self.around.metrics.observe_frozen(),
            (true, false) => self.around.metrics.observe_released(),
            _ => {}
        }
    }

    pub(super) fn revision(&self) -> Revision {
        match &self.state {
            State::Live { sale, .. } => sale.revision(),
            State::Frozen(frozen) => frozen.checkpoint.revision(),
        }
    }

    fn read(&mut self, read: Read) {
        // A reader that has given up is not told; nothing depends on it here.
        match (read, &self.state) {
            (Read::Seats(reply), State::Live { sale, .. }) => {
                let _ = reply.send(Some(seats_view(sale, self.applied_index)));
            }
            (Read::Seats(reply), State::Frozen(_)) => {
                let _ = reply.send(None);
            }
            (Read::Summary(reply), _) => {
                let _ = reply.send(self.summary());
            }
            (Read::Figures(reply), _) => {
                let _ = reply.send(self.figures());
            }
            (Read::Layout(reply), _) => {
                let _ = reply.send(self.creation.layout.clone());
            }
            (Read::Hold(id, reply), State::Live { sale, .. }) => {
                let _ = reply.send(Ok(sale.hold_now(id)));
            }
            (Read::Hold(_, reply), State::Frozen(_)) => {
                let _ = reply.send(Err(ReadFailure::Frozen));
            }
            (Read::Order(id, reply), State::Live { sale, .. }) => {
                let _ = reply.send(Ok(sale.order(id).cloned()));
            }
            (Read::Order(_, reply), State::Frozen(_)) => {
                let _ = reply.send(Err(ReadFailure::Frozen));
            }
            (Read::Changes { after, reply }, _) => {
                let _ = reply.send(self.change_log.after(after));
            }
            (Read::Image(reply), State::Live { sale, .. }) => {
                let _ = reply.send(Some((self.applied_index, sale.image())));
            }
            (Read::Image(reply), State::Frozen(_)) => {
                let _ = reply.send(None);
            }
        }
    }

    /// Only while this replica leads, so that the cluster's nodes together count each sale once.
    fn figures(&self) -> Option<Figures> {
        self.term?;
        let State::Live { sale, .. } = &self.state else {
            return None;
        };
        Some(Figures {
            phase: sale.phase(),
            counts: sale.counts(),
            oversold_seats: sale.oversold_seats(),
            orphan_seats: sale.orphan_seats(),
            channel_seats: sale.channel_seats().to_vec(),
            room: self.room_view(),
        })
    }

    fn summary(&self) -> Summary {
        let (frozen, state) = match &self.state {
            State::Live { sale, .. } => (None, Ok(sale)),
            State::Frozen(frozen) => (Some(frozen.frost.clone()), Err(&frozen.checkpoint)),
        };
        let waiting_commands = self.shared.queued.load(Ordering::Acquire);
        let in_flight = self.in_flight.len();
        let (applied_index, leads) = (self.applied_index, self.term);
        match state {
            Ok(sale) => Summary {
                phase: sale.phase(),
                counts: sale.counts(),
                revision: sale.revision(),
                applied_index,
                digest: sale.digest(),
                now_ms: sale.now_ms(),
                next_deadline_ms: sale.next_deadline_ms(),
                rules: sale.rules().clone(),
                frozen,
                leads,
                waiting_commands,
                in_flight,
            },
            // Of a frozen sale only the last good state is told, and no counts.
            Err(checkpoint) => Summary {
                phase: checkpoint.phase(),
                counts: Default::default(),
                revision: checkpoint.revision(),
                applied_index,
                digest: checkpoint.digest(),
                now_ms: checkpoint.now_ms(),
                next_deadline_ms: None,
                rules: checkpoint.rules().clone(),
                frozen,
                leads,
                waiting_commands,
                in_flight,
            },
        }
    }
}

impl State {
    pub fn is_frozen(&self) -> bool {
        matches!(self, State::Frozen(_))
    }

    /// `None` while it is frozen.
    pub fn size(&self) -> Option<Size> {
        match self {
            State::Live { sale, .. } => Some(Size::of(&sale.counts())),
            State::Frozen(_) => None,
        }
    }

    /// Where the sale's own time stands.
    pub fn now_ms(&self) -> u64 {
        match self {
            State::Live { sale, .. } => sale.now_ms(),
            State::Frozen(frozen) => frozen.checkpoint.now_ms(),
        }
    }

    pub fn live(sale: Sale, journal_bytes: usize) -> State {
        let journal = Journal::new(&sale, journal_bytes);
        State::Live {
            sale: Box::new(sale),
            journal,
        }
    }

    pub fn from_body(body: Body, journal_bytes: usize) -> State {
        match body {
            Body::Frozen(frozen) => State::Frozen(Box::new(frozen)),
            Body::Live(image) => {
                // The part was made from a sale that was restored and checked a moment ago.
                match Sale::restore(image.state()) {
                    Ok(sale) => State::live(sale, journal_bytes),
                    Err(fault) => unreachable!("a checked state was refused: {fault:?}"),
                }
            }
        }
    }
}
