//! The outside of a sale actor: what the rest of the node can do with a sale.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use cluster::group::{BarrierFailure, Group};
use cluster::types::{GroupId, Term};
use domain::SaleImage;
use domain::change::Change;
use domain::ids::{HoldId, OrderId, Revision, SaleId, VisitorId};
use domain::order::Order;
use domain::sale::HoldNow;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::answering::fail_calls;
use super::change_log::{ChangeFeed, WatchFailure};
use super::message::{Delivery, Message, Note, Read, ReadRoom, RoomReply, SalePart};
use super::room::{Places, Proof, Published, RoomLook, RoomReport};
use super::view::{Bookings, Exported, Figures, SeatsView, Summary};
use crate::admission::Flow;
use crate::calls::Calls;
use crate::codec::answer::FailureReason;
use crate::mailbox::{Mailbox, NoRoom};

/// A sale that has a replica on this node. Cheap to clone.
#[derive(Clone)]
pub struct SaleHandle {
    pub(crate) shared: Arc<Shared>,
}

/// What handle and actor share; no part of the sale's state.
pub(crate) struct Shared {
    pub id: SaleId,
    pub group: Arc<dyn Group>,
    pub mailbox: Mailbox<Message, Note>,
    /// Commands in the queue or waiting to be proposed.
    pub queued: AtomicUsize,
    pub queued_max: usize,
    /// Entries of the log that were handed over, and those of them that were applied.
    pub handed_over: AtomicU64,
    pub applied: AtomicU64,
    /// When the actor wants a tick, node clock.
    pub alarm_ms: AtomicU64,
    pub moved: watch::Receiver<Revision>,
    /// Feeds that wait for changes here.
    pub watchers: AtomicUsize,
    /// This replica leads a sale that has a waiting room.
    pub leads_a_room: AtomicBool,
    pub has_admission: AtomicBool,
    pub flow: Flow,
    /// Proposals with traced calls under way: deliveries are stamped for them.
    pub traced: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    #[error("the sale has left this node")]
    Stopped,
    #[error("the sale is frozen")]
    Frozen,
    #[error("the read could not be proved current")]
    Unproved(#[from] BarrierFailure),
}

impl SaleHandle {
    pub fn id(&self) -> SaleId {
        self.shared.id
    }

    pub fn group(&self) -> GroupId {
        self.shared.group.id()
    }

    /// Queues calls. They come back when the queue is full: busy. On a replica that does not lead, or
    /// whose actor has ended, every call is answered as failed with NO_LEADER, certainly without effect.
    pub fn submit(&self, calls: Calls) -> Result<(), Calls> {
        let commands = calls.call_ids.len();
        let before = self.shared.queued.fetch_add(commands, Ordering::AcqRel);
        if before + commands > self.shared.queued_max {
            self.shared.queued.fetch_sub(commands, Ordering::AcqRel);
            return Err(calls);
        }
        let Err(refused) = self.shared.mailbox.try_send(Message::Calls(calls)) else {
            return Ok(());
        };
        self.shared.queued.fetch_sub(commands, Ordering::AcqRel);
        match refused {
            NoRoom::Full(Message::Calls(calls)) => Err(calls),
            NoRoom::Closed(Message::Calls(calls)) => {
                fail_calls(calls, FailureReason::NoLeader, 0);
                Ok(())
            }
            _ => unreachable!("the message that was sent comes back"),
        }
    }

    /// The state of all seats. `linearizable`: leadership is proved first, so nothing that was
    /// acknowledged before the call is missing; otherwise this replica's copy, a moment old.
    pub async fn seats(&self, linearizable: bool) -> Result<SeatsView, ReadFailure> {
        if linearizable {
            self.shared.group.read_barrier().await?;
        }
        self.ask(Read::Seats).await?.ok_or(ReadFailure::Frozen)
    }

    pub async fn summary(&self) -> Result<Summary, ReadFailure> {
        self.ask(Read::Summary).await
    }

    /// What the node's gauges add up; `None` where the sale does not lead or is frozen.
    pub async fn figures(&self) -> Result<Option<Figures>, ReadFailure> {
        self.ask(Read::Figures).await
    }

    /// Commands in the queue or waiting to be proposed.
    pub fn queued_commands(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    /// Entries that were handed over and wait to be applied. To the group they count as applied.
    pub fn unapplied_entries(&self) -> u64 {
        let applied = self.shared.applied.load(Ordering::Relaxed);
        let handed_over = self.shared.handed_over.load(Ordering::Relaxed);
        handed_over.saturating_sub(applied)
    }

    /// Messages that wait for the sale's actor, deliveries of the log among them; what it has taken in
    /// one go and not come to yet is not seen.
    pub fn queued_messages(&self) -> usize {
        self.shared.mailbox.waiting()
    }

    /// The layout, as it was given when the sale was created.
    pub async fn layout(&self) -> Result<Bytes, ReadFailure> {
        self.ask(Read::Layout).await
    }

    /// What a hold is on this replica's copy, or how it ended.
    pub async fn hold(&self, id: HoldId) -> Result<HoldNow, ReadFailure> {
        self.ask(|reply| Read::Hold(id, reply)).await?
    }

    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, ReadFailure> {
        self.ask(|reply| Read::Order(id, reply)).await?
    }

    /// Holds and orders, for rebuilding what is derived from them.
    pub async fn bookings(&self) -> Result<Bookings, ReadFailure> {
        let (_, image) = self.image().await?;
        Ok(Bookings {
            revision: image.revision(),
            holds: image.holds(),
            orders: image.orders(),
        })
    }

    /// The whole state.
    pub async fn export(&self) -> Result<Exported, ReadFailure> {
        let (applied_index, image) = self.image().await?;
        Ok(Exported {
            applied_index,
            state: image.state(),
        })
    }

    /// What takes long of these two is done by who asks.
    async fn image(&self) -> Result<(u64, SaleImage), ReadFailure> {
        self.ask(Read::Image).await?.ok_or(ReadFailure::Frozen)
    }

    /// Where visitors stand on this replica's copy; `None`: the sale has no room.
    pub async fn places(&self, visitors: Vec<VisitorId>) -> Result<Option<Places>, ReadFailure> {
        self.ask_room(|reply| ReadRoom::Places(visitors, reply))
            .await
    }

    /// The waiting room, if the sale has one.
    pub async fn room(&self) -> Result<Option<RoomReport>, ReadFailure> {
        self.ask_room(ReadRoom::Report).await
    }

    /// What anybody may check the room by.
    pub async fn published(&self) -> Result<Option<Published>, ReadFailure> {
        self.ask_room(ReadRoom::Published).await
    }

    pub async fn proof(&self, visitor: VisitorId) -> Result<Option<Proof>, ReadFailure> {
        self.ask_room(|reply| ReadRoom::Proof(visitor, reply)).await
    }

    pub(crate) async fn room_look(&self) -> Result<Option<RoomLook>, ReadFailure> {
        self.ask_room(ReadRoom::Look).await
    }

    /// How fast visitors are let in, told by the admission actor where there is one.
    pub fn flow(&self) -> &Flow {
        &self.shared.flow
    }

    /// Whether an admission actor is to be started: from then on there is one.
    pub(crate) fn wants_admission(&self) -> bool {
        self.shared.leads_a_room.load(Ordering::Acquire)
            && !self.shared.has_admission.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn admission_ended(&self) {
        self.shared.has_admission.store(false, Ordering::Release);
    }

    /// Waits until leadership is proved and everything committed before is handed over.
    pub async fn prove(&self) -> Result<u64, ReadFailure> {
        Ok(self.shared.group.read_barrier().await?)
    }

    /// Every change after `from`, without a gap.
    pub async fn watch(&self, from: Revision) -> Result<ChangeFeed, WatchFailure> {
        self.changes_after(from).await?;
        Ok(ChangeFeed::new(
            self.clone(),
            from,
            self.shared.moved.clone(),
        ))
    }

    pub(super) async fn changes_after(
        &self,
        after: Revision,
    ) -> Result<Arc<[Change]>, WatchFailure> {
        let read = |reply| Read::Changes { after, reply };
        self.ask(read).await.map_err(|_| WatchFailure::Stopped)?
    }

    pub(crate) async fn deliver(&self, mut delivery: Delivery) -> Result<(), ReadFailure> {
        self.shared.handed_over.fetch_add(1, Ordering::Relaxed);
        if self.shared.traced.load(Ordering::Relaxed) > 0 {
            delivery.committed_at = Some(Instant::now());
        }
        self.send(Message::Deliver(delivery)).await
    }

    /// A delivery of so many commands on a replica that does not lead: nobody waits for it but
    /// watchers, if there are some.
    pub(crate) async fn leave(
        &self,
        delivery: Delivery,
        commands: usize,
    ) -> Result<(), ReadFailure> {
        if self.shared.watchers.load(Ordering::Relaxed) > 0 {
            return self.deliver(delivery).await;
        }
        self.shared.handed_over.fetch_add(1, Ordering::Relaxed);
        self.shared
            .mailbox
            .leave(Message::Deliver(delivery), commands)
            .await
            .map_err(|_| ReadFailure::Stopped)
    }

    pub(crate) async fn lead(&self, term: Option<Term>) -> Result<(), ReadFailure> {
        self.send(Message::Lead(term)).await
    }

    /// Queues a barrier; the part comes once everything before it was handled.
    pub(crate) async fn barrier(&self) -> Result<oneshot::Receiver<SalePart>, ReadFailure> {
        let (reply, part) = oneshot::channel();
        self.send(Message::Barrier(reply)).await?;
        Ok(part)
    }

    /// Queues a digest; it comes once everything before it was handled.
    pub(crate) async fn digest(&self) -> Result<oneshot::Receiver<u64>, ReadFailure> {
        let (reply, digest) = oneshot::channel();
        self.send(Message::Digest(reply)).await?;
        Ok(digest)
    }

    pub(crate) async fn restore(&self, part: SalePart) -> Result<(), ReadFailure> {
        let (done, restored) = oneshot::channel();
        self.send(Message::Restore { part, done }).await?;
        restored.await.map_err(|_| ReadFailure::Stopped)
    }

    /// Wakes the actor when its alarm is due.
    pub(crate) fn tick(&self, now_ms: u64) {
        if self.shared.alarm_ms.load(Ordering::Acquire) <= now_ms {
            self.shared.alarm_ms.store(u64::MAX, Ordering::Release);
            self.shared.mailbox.note(Note::Tick);
        }
    }

    /// Wakes the actor for what was left to it.
    pub(crate) fn remind(&self) {
        self.shared.mailbox.remind();
    }

    pub(crate) fn stop(&self) {
        self.shared.mailbox.stop();
    }

    async fn ask<T>(
        &self,
        read: impl FnOnce(oneshot::Sender<T>) -> Read,
    ) -> Result<T, ReadFailure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Read(read(reply))).await?;
        answer.await.map_err(|_| ReadFailure::Stopped)
    }

    async fn ask_room<T>(
        &self,
        read: impl FnOnce(RoomReply<T>) -> ReadRoom,
    ) -> Result<Option<T>, ReadFailure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::ReadRoom(read(reply))).await?;
        answer.await.map_err(|_| ReadFailure::Stopped)?
    }

    async fn send(&self, message: Message) -> Result<(), ReadFailure> {
        self.shared
            .mailbox
            .send(message)
            .await
            .map_err(|_| ReadFailure::Stopped)
    }
}
