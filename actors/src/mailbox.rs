//! The one bounded queue of an actor: a ring that holds the messages and a doorbell that wakes
//! the actor once for all that waits.
//!
//! ractor's own mailbox is unbounded and costs an allocation a message; here it only ever carries
//! a `Wake`. Commands, deliveries, reads and barriers share the ring, so a read can never overtake
//! a delivery. What may not wait and is bounded by its cause (what became of a proposal, a tick)
//! comes through `notes`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::ActorRef;
use tokio::sync::mpsc;

/// Rings the doorbell; carries nothing.
#[derive(Debug)]
pub struct Wake;

/// The queue is full, or the actor has ended; the message comes back.
#[derive(Debug)]
pub struct Refused<M>(pub M);

pub struct Mailbox<M, N> {
    ring: mpsc::Sender<M>,
    notes: mpsc::UnboundedSender<N>,
    armed: AtomicBool,
    actor: OnceLock<ActorRef<Wake>>,
}

/// The actor's side of a mailbox.
pub struct Inbox<M, N> {
    pub ring: mpsc::Receiver<M>,
    pub notes: mpsc::UnboundedReceiver<N>,
}

impl<M, N> Mailbox<M, N> {
    pub fn new(messages_max: usize) -> (Mailbox<M, N>, Inbox<M, N>) {
        let (ring, ring_inbox) = mpsc::channel(messages_max);
        let (notes, notes_inbox) = mpsc::unbounded_channel();
        let mailbox = Mailbox {
            ring,
            notes,
            armed: AtomicBool::new(false),
            actor: OnceLock::new(),
        };
        (
            mailbox,
            Inbox {
                ring: ring_inbox,
                notes: notes_inbox,
            },
        )
    }

    /// Connects the doorbell; what was queued before rings now.
    pub fn connect(&self, actor: ActorRef<Wake>) {
        if self.actor.set(actor).is_ok() {
            self.armed.store(false, Ordering::SeqCst);
            self.ring();
        }
    }

    /// Queues a message unless the queue is full.
    pub fn try_send(&self, message: M) -> Result<(), Refused<M>> {
        match self.ring.try_send(message) {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(
                mpsc::error::TrySendError::Full(message)
                | mpsc::error::TrySendError::Closed(message),
            ) => Err(Refused(message)),
        }
    }

    /// Queues a message, waiting for room. Fails only when the actor has ended.
    pub async fn send(&self, message: M) -> Result<(), Refused<M>> {
        match self.ring.send(message).await {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(mpsc::error::SendError(message)) => Err(Refused(message)),
        }
    }

    /// Hands in a note. After the actor's end it is dropped: nobody waits for it any more.
    pub fn note(&self, note: N) {
        if self.notes.send(note).is_ok() {
            self.ring();
        }
    }

    /// Called by the actor before it empties the queue.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    pub fn ring(&self) {
        if !self.armed.swap(true, Ordering::SeqCst)
            && let Some(actor) = self.actor.get()
        {
            // An actor that has ended needs no waking.
            let _ = actor.cast(Wake);
        }
    }

    /// Ends the actor after what it is doing.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.stop(None);
        }
    }
}
