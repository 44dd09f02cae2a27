//! The responder given to Raft with each proposal: one call, certain. Dropped unanswered (the
//! replica stops, the message was never taken) it calls too, with `None`.
//!
//! A callback and not a channel, so that no task has to wait for each entry.

use openraft::RaftTypeConfig;
use openraft::raft::responder::Responder;

type Call<T> = Box<dyn FnOnce(Option<T>) + Send>;

/// Calls exactly once: with the result, or with `None` when dropped.
pub struct Callback<T> {
    call: Option<Call<T>>,
}

impl<T> Callback<T> {
    /// `call` runs in Raft's tasks: it must not block.
    pub fn new(call: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Callback {
            call: Some(Box::new(call)),
        }
    }
}

impl<T> Drop for Callback<T> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call(None);
        }
    }
}

impl<C, T> Responder<C, T> for Callback<T>
where
    C: RaftTypeConfig,
    T: Send + 'static,
{
    fn on_complete(mut self, result: T) {
        if let Some(call) = self.call.take() {
            call(Some(result));
        }
    }
}
