//! The one bounded queue of an actor: a ring that holds the messages and a doorbell that wakes
//! the actor once for all that waits.
//!
//! ractor's own mailbox is unbounded and costs an allocation and a round of its ports for each
//! message, which a sale that gets one command at a time would pay for each command. Here it
//! carries one message, `Begin`: in its handler the actor answers the doorbell until it is stopped.
//! Commands, deliveries, reads and barriers share the ring, so a read can never overtake a
//! delivery. What may not wait and is bounded by its cause (what became of a proposal, a tick)
//! comes through `notes`.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;
use ractor::ActorRef;
use tokio::sync::mpsc;

/// The one message of an actor with a mailbox: it begins to answer its doorbell.
#[derive(Debug)]
pub struct Begin;

/// The queue is full, or the actor has ended; the message comes back.
#[derive(Debug)]
pub struct Refused<M>(pub M);

pub struct Mailbox<M, N> {
    ring: mpsc::Sender<M>,
    notes: mpsc::UnboundedSender<N>,
    bell: Bell,
    actor: OnceLock<ActorRef<Begin>>,
}

/// Rung by whoever leaves something, answered by the actor.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    stopped: AtomicBool,
    actor: AtomicWaker,
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
            bell: Bell::default(),
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

    /// Lets the actor begin.
    pub fn connect(&self, actor: ActorRef<Begin>) {
        // An actor that has ended at once needs no beginning.
        let _ = actor.cast(Begin);
        let _ = self.actor.set(actor);
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

    fn ring(&self) {
        if !self.bell.rung.swap(true, Ordering::SeqCst) {
            self.bell.actor.wake();
        }
    }

    /// Ends the actor after what it is doing.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.stop(None);
        }
        self.bell.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }
}

impl Bell {
    fn answered(&self) -> bool {
        self.rung.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
