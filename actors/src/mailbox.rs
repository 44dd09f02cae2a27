//! The one bounded queue of an actor: a ring that holds the messages and a doorbell that wakes
//! the actor once for all that waits.
//!
//! ractor's own mailbox is unbounded and costs an allocation and a round of its ports for each
//! message, which a sale that gets one command at a time would pay for each command. Here it
//! carries one message, `Begin`: in its handler the actor answers the doorbell until it is stopped.
//! Commands, deliveries, reads and barriers share the ring, so a read can never overtake a
//! delivery. What may not wait and is bounded by its cause (what became of a proposal, a tick)
//! comes as notes.
//!
//! What nobody waits for, as deliveries on a replica that does not lead, can be left without a
//! ring: the first after a quiet time rings, and those that follow wait until they weigh something,
//! something else rings, or the actor is reminded of them. So thousands of sales that follow are
//! woken a few times a second, and not for every entry.
//!
//! The actor takes all that waits at once, under one lock, and leaves its own emptied buffer in
//! place: thousands of sales that get a message now and then always touch the same few lines of
//! memory.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use futures::task::AtomicWaker;
use ractor::ActorRef;
use tokio::sync::Notify;

/// The one message of an actor with a mailbox: it begins to answer its doorbell.
#[derive(Debug)]
pub struct Begin;

/// The actor has ended; the message comes back.
#[derive(Debug)]
pub struct Refused<M>(pub M);

/// Why a message was not queued; it comes back.
#[derive(Debug)]
pub enum NoRoom<M> {
    Full(M),
    /// The actor has ended.
    Closed(M),
}

pub struct Mailbox<M, N> {
    queues: Mutex<Queues<M, N>>,
    messages_max: usize,
    bell: Bell,
    /// The bell was rung for something that was left, not long ago: what is left now waits.
    is_lulled: AtomicBool,
    /// Told when the ring was emptied while somebody waited for room.
    room: Notify,
    actor: OnceLock<ActorRef<Begin>>,
}

struct Queues<M, N> {
    ring: VecDeque<M>,
    notes: VecDeque<N>,
    /// Weight of what was left since the bell was last rung for it.
    left: usize,
    /// Somebody waits for room.
    is_awaited: bool,
    is_closed: bool,
}

/// Rung by whoever leaves something, answered by the actor.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    stopped: AtomicBool,
    actor: AtomicWaker,
}

/// What the actor has taken from its mailbox and not handled yet; at most as much as the mailbox
/// holds.
pub struct Inbox<M, N> {
    pub ring: VecDeque<M>,
    pub notes: VecDeque<N>,
}

impl<M, N> Default for Inbox<M, N> {
    fn default() -> Self {
        Inbox {
            ring: VecDeque::new(),
            notes: VecDeque::new(),
        }
    }
}

/// What is left rings when it weighs so much.
const LEFT_MAX: usize = 128;

/// Whether a message rings.
#[derive(Clone, Copy)]
enum Ring {
    Now,
    /// When what was left has become heavy; this weighs so much.
    Later(usize),
}

impl<M, N> Mailbox<M, N> {
    pub fn new(messages_max: usize) -> Mailbox<M, N> {
        Mailbox {
            queues: Mutex::new(Queues {
                ring: VecDeque::new(),
                notes: VecDeque::new(),
                left: 0,
                is_awaited: false,
                is_closed: false,
            }),
            messages_max,
            bell: Bell::default(),
            is_lulled: AtomicBool::new(false),
            room: Notify::new(),
            actor: OnceLock::new(),
        }
    }

    /// Lets the actor begin.
    pub fn connect(&self, actor: ActorRef<Begin>) {
        // An actor that has ended at once needs no beginning.
        let _ = actor.cast(Begin);
        let _ = self.actor.set(actor);
    }

    /// Queues a message unless the queue is full.
    pub fn try_send(&self, message: M) -> Result<(), NoRoom<M>> {
        self.push(message, false, Ring::Now)
    }

    /// Queues a message, waiting for room. Fails only when the actor has ended.
    pub async fn send(&self, message: M) -> Result<(), Refused<M>> {
        self.send_ringing(message, Ring::Now).await
    }

    /// As `send`, for a message that nobody waits for: the actor comes to it in its own time,
    /// between two calls of `remind` at the latest.
    pub async fn leave(&self, message: M, weight: usize) -> Result<(), Refused<M>> {
        self.send_ringing(message, Ring::Later(weight)).await
    }

    /// To be called every so often: rings for what was left.
    pub fn remind(&self) {
        if !self.is_lulled.load(Ordering::Acquire) {
            return;
        }
        let mut queues = self.lock();
        if queues.ring.is_empty() {
            self.is_lulled.store(false, Ordering::Release);
            return;
        }
        queues.left = 0;
        drop(queues);
        self.ring();
    }

    async fn send_ringing(&self, mut message: M, ring: Ring) -> Result<(), Refused<M>> {
        loop {
            // Made before the queue is looked at: room made in between is not missed.
            let room = self.room.notified();
            match self.push(message, true, ring) {
                Ok(()) => return Ok(()),
                Err(NoRoom::Closed(message)) => return Err(Refused(message)),
                Err(NoRoom::Full(back)) => message = back,
            }
            room.await;
        }
    }

    /// Hands in a note. After the actor's end it is dropped: nobody waits for it any more.
    pub fn note(&self, note: N) {
        let mut queues = self.lock();
        if !queues.is_closed {
            queues.notes.push_back(note);
            drop(queues);
            self.ring();
        }
    }

    /// Messages that wait and that the actor has not taken yet.
    pub fn waiting(&self) -> usize {
        self.lock().ring.len()
    }

    /// Called by the actor: takes all that waits into an inbox that has been emptied.
    pub fn take(&self, inbox: &mut Inbox<M, N>) {
        // An emptied ring begins at its first place again.
        inbox.ring.clear();
        inbox.notes.clear();
        let mut queues = self.lock();
        std::mem::swap(&mut queues.ring, &mut inbox.ring);
        std::mem::swap(&mut queues.notes, &mut inbox.notes);
        let is_awaited = std::mem::take(&mut queues.is_awaited);
        drop(queues);
        if is_awaited {
            self.room.notify_waiters();
        }
    }

    /// Called by the actor: waits until there is something in the queue; `false` when it is to end.
    pub async fn rung(&self) -> bool {
        poll_fn(|waiting| {
            if self.bell.answered() {
                return Poll::Ready(());
            }
            self.bell.actor.register(waiting.waker());
            // Rung while the waker was left: nobody would call.
            if self.bell.answered() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        !self.bell.stopped.load(Ordering::SeqCst)
    }

    /// Ends the actor after what it is doing.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.stop(None);
        }
        self.bell.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Called at the actor's end: what comes is refused from now on, and what waits is given back.
    pub fn close(&self) -> Inbox<M, N> {
        let mut queues = self.lock();
        queues.is_closed = true;
        let left = Inbox {
            ring: std::mem::take(&mut queues.ring),
            notes: std::mem::take(&mut queues.notes),
        };
        drop(queues);
        self.room.notify_waiters();
        left
    }

    fn push(&self, message: M, waits: bool, ring: Ring) -> Result<(), NoRoom<M>> {
        let mut queues = self.lock();
        if queues.is_closed {
            return Err(NoRoom::Closed(message));
        }
        if queues.ring.len() >= self.messages_max {
            queues.is_awaited |= waits;
            return Err(NoRoom::Full(message));
        }
        queues.ring.push_back(message);
        let rings = match ring {
            Ring::Now => true,
            Ring::Later(weight) => {
                queues.left += weight;
                // Under the lock, as `remind` wakes it from its lull.
                !self.is_lulled.swap(true, Ordering::AcqRel) || queues.left >= LEFT_MAX
            }
        };
        if rings {
            queues.left = 0;
        }
        drop(queues);
        if rings {
            self.ring();
        }
        Ok(())
    }

    fn ring(&self) {
        if !self.bell.rung.swap(true, Ordering::SeqCst) {
            self.bell.actor.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues<M, N>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    fn answered(&self) -> bool {
        self.rung.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
