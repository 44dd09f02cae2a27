//! The owner's end of a link: what a peer forwards goes to the sales here, and nowhere else.
//!
//! Served on the peer listener, which lets only nodes of the cluster in. Requests are read only
//! while answers are being taken, so a peer that does not read its answers is not read from.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actors::calls::{Answers, CallIds, Calls};
use actors::codec::record::Records;
use bytes::Bytes;
use domain::ids::SaleId;
use futures::Stream;
use proto::channel::v1::FailureReason;
use proto::cluster::v1::forward_service_server::{ForwardService, ForwardServiceServer};
use proto::cluster::v1::{ForwardAnswers, ForwardBatch, ForwardRequest, ForwardResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::directory::{Directory, Route};
use super::link::FRAME_BYTES_MAX;
use super::packed::failed;
use crate::trace::{Tracer, Visit};

/// Batches whose answers leave in one frame.
const ANSWERS_AT_ONCE: usize = 256;

/// `ForwardService` for the peer listener.
pub struct Forwarding {
    directory: Arc<dyn Directory>,
    tracer: Tracer,
    calls_max: usize,
    busy_retry_ms: u32,
}

impl Forwarding {
    pub fn service(
        directory: Arc<dyn Directory>,
        config: &super::Config,
        tracer: Tracer,
    ) -> ForwardServiceServer<Forwarding> {
        ForwardServiceServer::new(Forwarding {
            directory,
            tracer,
            calls_max: config.link_calls_max,
            busy_retry_ms: config.busy_retry_ms,
        })
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
    }
}

#[tonic::async_trait]
impl ForwardService for Forwarding {
    type ForwardStream = Forwarded;

    async fn forward(
        &self,
        request: Request<Streaming<ForwardRequest>>,
    ) -> Result<Response<Forwarded>, Status> {
        // Every queued answer is for at least one outstanding call, so this is never full.
        let (answered, answers) = mpsc::channel(self.calls_max + 1);
        Ok(Response::new(Forwarded {
            requests: request.into_inner(),
            requests_ended: false,
            ready: Vec::new(),
            directory: self.directory.clone(),
            tracer: self.tracer.clone(),
            answered,
            answers,
            outstanding: Arc::default(),
            calls_max: self.calls_max,
            busy_retry_ms: self.busy_retry_ms,
        }))
    }
}

/// One peer's stream: reading its answers drives its requests.
pub struct Forwarded {
    requests: Streaming<ForwardRequest>,
    requests_ended: bool,
    directory: Arc<dyn Directory>,
    tracer: Tracer,
    answered: mpsc::Sender<ForwardAnswers>,
    answers: mpsc::Receiver<ForwardAnswers>,
    /// Answers that leave with the next frame.
    ready: Vec<ForwardAnswers>,
    /// Calls whose answers have not been taken.
    outstanding: Arc<AtomicUsize>,
    calls_max: usize,
    busy_retry_ms: u32,
}

impl Forwarded {
    /// Hands a batch to its sale; gives back what it can answer at once.
    fn take(&self, batch: ForwardBatch) -> Result<Option<ForwardAnswers>, Status> {
        let ForwardBatch {
            batch_id,
            sale_id,
            records,
            call_ids,
            timeout_ms,
            trace,
        } = batch;
        let mismatch = || Status::invalid_argument("not as many records as call ids");
        let call_ids = CallIds::packed(call_ids).ok_or_else(mismatch)?;
        let count = call_ids.len();
        if Records::new(&records).count() != count {
            return Err(mismatch());
        }
        let visit = Visit::begin(&self.tracer, &trace, sale_id, count).map(Box::new);
        let refuse = |call_ids: &CallIds, reason, retry_after_ms| {
            let (packed, count) = failed(call_ids, reason, retry_after_ms);
            Ok(Some(ForwardAnswers {
                batch_id,
                packed,
                count,
            }))
        };
        if self.outstanding.load(Ordering::Relaxed) + count > self.calls_max {
            return refuse(&call_ids, FailureReason::Busy, self.busy_retry_ms);
        }
        self.outstanding.fetch_add(count, Ordering::Relaxed);
        let calls = Calls {
            records,
            call_ids,
            deadline: Instant::now() + Duration::from_millis(timeout_ms.into()),
            trace: visit.as_ref().map(|visit| visit.traced()),
            answers: Arc::new(Batch {
                batch_id,
                answered: self.answered.clone(),
                visit,
            }),
        };
        let (calls, reason, retry_after_ms) = match self
            .directory
            .route_here(SaleId(sale_id), calls)
        {
            Route::Taken => return Ok(None),
            Route::Full(calls) => (calls, FailureReason::Busy, self.busy_retry_ms),
            Route::NoLeader(calls) | Route::Node(_, calls) => (calls, FailureReason::NoLeader, 0),
            // The peer knows of the sale; this node does not yet.
            Route::UnknownSale(calls) => (calls, FailureReason::NoLeader, 0),
        };
        self.outstanding.fetch_sub(count, Ordering::Relaxed);
        refuse(&calls.call_ids, reason, retry_after_ms)
    }
}

impl Stream for Forwarded {
    type Item = Result<ForwardResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let room = ANSWERS_AT_ONCE - this.ready.len().min(ANSWERS_AT_ONCE - 1);
            // Never ends: this side holds a sender of the queue itself.
            if let Poll::Ready(taken) = this.answers.poll_recv_many(cx, &mut this.ready, room) {
                let taken = &this.ready[this.ready.len() - taken..];
                let calls: usize = taken.iter().map(|answers| answers.count as usize).sum();
                this.outstanding.fetch_sub(calls, Ordering::Relaxed);
            }
            if !this.ready.is_empty() {
                let answers = std::mem::take(&mut this.ready);
                return Poll::Ready(Some(Ok(ForwardResponse { answers })));
            }
            if this.requests_ended {
                return if this.outstanding.load(Ordering::Relaxed) == 0 {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                };
            }
            match ready!(Pin::new(&mut this.requests).poll_next(cx)) {
                Some(Ok(ForwardRequest { batches })) => {
                    for batch in batches {
                        match this.take(batch) {
                            Ok(refused) => this.ready.extend(refused),
                            Err(status) => return Poll::Ready(Some(Err(status))),
                        }
                    }
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => this.requests_ended = true,
            }
        }
    }
}

/// Where the answers of one batch go.
struct Batch {
    batch_id: u64,
    answered: mpsc::Sender<ForwardAnswers>,
    /// The spans of this node's part, where the peer traces these calls.
    visit: Option<Box<Visit>>,
}

impl Answers for Batch {
    fn answer(&self, packed: Bytes, count: u32) {
        if let Some(visit) = &self.visit {
            visit.answered();
        }
        // Fails only when the peer's stream is gone, and with it whoever waits.
        let _ = self.answered.try_send(ForwardAnswers {
            batch_id: self.batch_id,
            packed,
            count,
        });
    }
}
