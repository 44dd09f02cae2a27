//! Answers of one session on their way out: queued by sale actors, taken by the stream.
//!
//! The queue holds at most as many answers as calls may be outstanding; a call is outstanding
//! until its answer is taken, so a partner that does not read makes its own calls BUSY and nothing
//! grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use actors::calls::Answers;
use actors::codec::answer::{self, Answer, At};
use bytes::{Bytes, BytesMut};
use proto::channel::v1::session_result::Result as Outcome;
use proto::channel::v1::{
    SessionDone, SessionFailed, SessionRejected, SessionResponse, SessionResult, SessionUnknown,
};
use tokio::sync::mpsc;

use crate::gateway::{BUSY, Ending, heads};
use crate::grpc::{output, status};
use crate::trace::CallSpan;

/// A message is closed when it has this many bytes of packed answers.
const MESSAGE_BYTES: usize = 64 << 10;
/// Queued answers looked at together.
const CHUNKS_AT_ONCE: usize = 128;

struct Chunk {
    packed: Bytes,
    count: u32,
    /// Answers to calls that came as messages.
    nested: bool,
    /// An answer that has no packed form.
    result: Option<SessionResult>,
    /// The span of the message that these answer; it ends when they leave.
    traced: Option<Arc<CallSpan>>,
}

/// Where a sale actor leaves answers.
struct Sink {
    queue: mpsc::Sender<Chunk>,
    /// Calls that found no room anywhere; of a batch either all or none did.
    refused: Arc<AtomicUsize>,
    nested: bool,
    traced: Option<Arc<CallSpan>>,
}

impl Answers for Sink {
    fn answer(&self, packed: Bytes, count: u32) {
        if heads(&packed)
            .next()
            .is_some_and(|head| head.ending == Ending::Failed(BUSY))
        {
            self.refused.fetch_add(count as usize, Ordering::Relaxed);
        }
        // Fails only when the stream is gone, and with it whoever waits.
        let _ = self.queue.try_send(Chunk {
            packed,
            count,
            nested: self.nested,
            result: None,
            traced: self.traced.clone(),
        });
    }
}

/// Where an answer goes that is made beside the sales' actors.
pub struct Errand {
    queue: mpsc::Sender<Chunk>,
    call_id: u32,
    calls: u32,
}

impl Errand {
    pub fn answer(self, result: Outcome) {
        // Fails only when the stream is gone, and with it whoever waits.
        let _ = self.queue.try_send(Chunk {
            packed: Bytes::new(),
            count: self.calls,
            nested: true,
            result: Some(SessionResult {
                call_id: self.call_id,
                result: Some(result),
            }),
            traced: None,
        });
    }
}

pub struct Outbox {
    queue: mpsc::Sender<Chunk>,
    queued: mpsc::Receiver<Chunk>,
    taken: Vec<Chunk>,
    /// How many of `taken` have left.
    merged: usize,
    /// Calls whose answers have not been taken.
    outstanding: Arc<AtomicUsize>,
    /// See `Sink`.
    refused: Arc<AtomicUsize>,
    calls_max: usize,
    to_packed: Arc<dyn Answers>,
    to_nested: Arc<dyn Answers>,
}

impl Outbox {
    pub fn new(calls_max: usize) -> Outbox {
        let (queue, queued) = mpsc::channel(calls_max.max(1));
        let refused = Arc::new(AtomicUsize::new(0));
        let sink = |nested| {
            Arc::new(Sink {
                queue: queue.clone(),
                refused: refused.clone(),
                nested,
                traced: None,
            })
        };
        Outbox {
            queued,
            taken: Vec::new(),
            merged: 0,
            outstanding: Arc::default(),
            calls_max,
            to_packed: sink(false),
            to_nested: sink(true),
            queue,
            refused,
        }
    }

    /// Calls that were answered BUSY since this was last asked.
    pub fn take_refused(&self) -> usize {
        match self.refused.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.refused.swap(0, Ordering::Relaxed),
        }
    }

    /// How many more calls may be outstanding.
    pub fn room(&self) -> usize {
        self.calls_max
            .saturating_sub(self.outstanding.load(Ordering::Relaxed))
    }

    pub fn is_idle(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) == 0
    }

    /// Notes calls as outstanding and says where their answers go.
    pub fn expect(
        &self,
        calls: usize,
        nested: bool,
        traced: &Option<Arc<CallSpan>>,
    ) -> Arc<dyn Answers> {
        self.outstanding.fetch_add(calls, Ordering::Relaxed);
        if traced.is_some() {
            Arc::new(Sink {
                queue: self.queue.clone(),
                refused: self.refused.clone(),
                nested,
                traced: traced.clone(),
            })
        } else if nested {
            self.to_nested.clone()
        } else {
            self.to_packed.clone()
        }
    }

    /// Notes one call, as heavy as several, whose answer is made elsewhere.
    pub fn send_for(&self, call_id: u32, calls: u32) -> Errand {
        self.outstanding
            .fetch_add(calls as usize, Ordering::Relaxed);
        Errand {
            queue: self.queue.clone(),
            call_id,
            calls,
        }
    }

    /// What is queued, as one message of some 64 KiB at most.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<SessionResponse> {
        if self.merged == self.taken.len() {
            self.taken.clear();
            self.merged = 0;
            // Never ends: this side holds senders of the queue itself.
            ready!(
                self.queued
                    .poll_recv_many(cx, &mut self.taken, CHUNKS_AT_ONCE)
            );
        }
        Poll::Ready(self.merge())
    }

    /// Merges what was taken, up to a message's size and at least one chunk.
    fn merge(&mut self) -> SessionResponse {
        let (mut bytes, mut packed_bytes, mut answers) = (0, 0, 0);
        let mut chunks = 0;
        for chunk in &self.taken[self.merged..] {
            bytes += chunk.packed.len();
            if chunks > 0 && bytes > MESSAGE_BYTES {
                break;
            }
            chunks += 1;
            answers += chunk.count as usize;
            packed_bytes += if chunk.nested { 0 } else { chunk.packed.len() };
        }
        let mut response = SessionResponse::default();
        let mut packed = BytesMut::new();
        for chunk in &mut self.taken[self.merged..self.merged + chunks] {
            let bytes = std::mem::take(&mut chunk.packed);
            if let Some(traced) = chunk.traced.take() {
                traced.end(false);
            }
            response.results.extend(chunk.result.take());
            if chunk.nested {
                response.results.extend(results(&bytes));
            } else if bytes.len() == packed_bytes {
                response.packed = bytes;
            } else {
                packed.reserve(packed_bytes - packed.len());
                packed.extend_from_slice(&bytes);
            }
        }
        if !packed.is_empty() {
            response.packed = packed.freeze();
        }
        self.merged += chunks;
        self.outstanding.fetch_sub(answers, Ordering::Relaxed);
        response
    }
}

/// Packed answers as messages.
pub fn results(packed: &[u8]) -> impl Iterator<Item = SessionResult> {
    answer::decode(packed).map(|(call_id, answer)| SessionResult {
        call_id,
        result: Some(result(answer)),
    })
}

fn result(answer: Answer) -> Outcome {
    match answer {
        Answer::Done { log_index, done } => {
            let domain::outcome::Done {
                revision,
                deadline_ms,
                seats,
            } = done;
            Outcome::Done(SessionDone {
                revision: revision.0,
                log_index,
                deadline_ms,
                seats: output::runs(&seats),
            })
        }
        Answer::Rejected {
            at: At {
                revision,
                log_index,
            },
            rejection,
        } => {
            let (_, _, metadata) = status::describe(rejection);
            Outcome::Rejected(SessionRejected {
                reason: status::reason(rejection).into(),
                retry: status::retry_name(rejection.retry()).into(),
                metadata: metadata
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                revision: revision.0,
                log_index,
            })
        }
        Answer::Failed {
            reason,
            retry_after_ms,
        } => Outcome::Failed(SessionFailed {
            reason: reason.into(),
            retry_after_ms,
            detail: String::new(),
        }),
        Answer::Unknown => Outcome::Unknown(SessionUnknown {}),
    }
}
