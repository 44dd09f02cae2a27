//! The way to one other node: one `ForwardService` stream carries all its calls.
//!
//! When the stream fails, what was never sent is answered NO_LEADER (certain), what was sent is
//! answered unknown; the flight decides what to do about it. Answers are passed on unread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::calls::{Answers, CallIds, Calls};
use actors::trace::Stage;
use arc_swap::ArcSwap;
use bytes::Bytes;
use cluster::types::NodeId;
use domain::ids::SaleId;
use proto::channel::v1::FailureReason;
use proto::cluster::v1::forward_service_client::ForwardServiceClient;
use proto::cluster::v1::{ForwardAnswers, ForwardBatch, ForwardRequest, ForwardResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::directory::PeerChannel;
use super::packed::{failed, heads, unknown};
use crate::bugs::{Bug, planted};
use crate::trace::context;

const CONNECT_MAX: Duration = Duration::from_secs(1);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// The owner answers by the deadline; when it has not by then and so long, it is silent.
const SILENCE_MAX: Duration = Duration::from_millis(250);
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// Frames handed to the stream and not yet taken by its connection.
const STREAM_QUEUE: usize = 64;
/// Batches that travel in one frame, and the bytes after which no more are added.
const FRAME_BATCHES: usize = 256;
const FRAME_BYTES: usize = 64 << 10;
/// Peers trust each other with more than partners; batches are at most a partner's message.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The links to all other nodes, opened when first used. They stay: ids are never reused, so there
/// are few, and a silent one costs a parked task.
pub struct Links {
    links: ArcSwap<BTreeMap<NodeId, Arc<Link>>>,
    opening: Mutex<()>,
    calls_max: usize,
    batches_max: usize,
}

impl Links {
    pub fn new(config: &super::Config) -> Links {
        Links {
            links: ArcSwap::default(),
            opening: Mutex::new(()),
            calls_max: config.link_calls_max,
            batches_max: config.link_batches_max,
        }
    }

    /// Queues calls for a node; gives them back when there is no room.
    pub fn send(
        &self,
        node: NodeId,
        channel: PeerChannel,
        sale: SaleId,
        calls: Calls,
    ) -> Result<(), Calls> {
        if let Some(link) = self.links.load().get(&node) {
            return link.send(sale, calls);
        }
        self.open(node, channel).send(sale, calls)
    }

    fn open(&self, node: NodeId, channel: PeerChannel) -> Arc<Link> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let links = self.links.load_full();
        if let Some(link) = links.get(&node) {
            return link.clone();
        }
        let (queue, queued) = mpsc::channel(self.batches_max);
        let outstanding = Arc::new(AtomicUsize::new(0));
        let link = Arc::new(Link {
            queue,
            outstanding: outstanding.clone(),
            calls_max: self.calls_max,
        });
        tokio::spawn(run(channel, queued, outstanding));
        let mut links = BTreeMap::clone(&links);
        links.insert(node, link.clone());
        self.links.store(Arc::new(links));
        link
    }
}

struct Link {
    queue: mpsc::Sender<(SaleId, Calls)>,
    outstanding: Arc<AtomicUsize>,
    calls_max: usize,
}

impl Link {
    fn send(&self, sale: SaleId, calls: Calls) -> Result<(), Calls> {
        let count = calls.call_ids.len();
        if self.outstanding.fetch_add(count, Ordering::Relaxed) + count > self.calls_max {
            self.outstanding.fetch_sub(count, Ordering::Relaxed);
            return Err(calls);
        }
        self.queue.try_send((sale, calls)).map_err(|refused| {
            self.outstanding.fetch_sub(count, Ordering::Relaxed);
            refused.into_inner().1
        })
    }
}

async fn run(
    channel: PeerChannel,
    mut queued: mpsc::Receiver<(SaleId, Calls)>,
    outstanding: Arc<AtomicUsize>,
) {
    let mut next = VecDeque::new();
    loop {
        if next.is_empty() {
            match queued.recv().await {
                Some(batch) => next.push_back(batch),
                None => return,
            }
        }
        let mut client = ForwardServiceClient::new(channel.clone())
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        let (requests, outgoing) = mpsc::channel(STREAM_QUEUE);
        let opening = client.forward(ReceiverStream::new(outgoing));
        let opening = tokio::time::timeout(CONNECT_MAX, opening);
        match opened(opening, &mut next, &mut queued, &outstanding).await {
            Ok(Ok(response)) => {
                let mut stream = Stream {
                    requests,
                    waiting: BTreeMap::new(),
                    last_batch_id: 0,
                    outstanding: &outstanding,
                };
                stream
                    .carry(
                        std::mem::take(&mut next),
                        &mut queued,
                        response.into_inner(),
                    )
                    .await;
            }
            _ => {
                take_all(&mut next, &mut queued);
                for (_, calls) in next.drain(..) {
                    never_sent(&calls, FailureReason::NoLeader, &outstanding);
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

/// Waits for a stream that is being opened. Whose deadline passes meanwhile is told in time, however
/// long a silent way takes to be given up.
async fn opened<T>(
    opening: impl Future<Output = T>,
    next: &mut VecDeque<(SaleId, Calls)>,
    queued: &mut mpsc::Receiver<(SaleId, Calls)>,
    outstanding: &AtomicUsize,
) -> T {
    let mut sweep = sweep();
    let mut opening = std::pin::pin!(opening);
    loop {
        tokio::select! {
            biased;
            opened = &mut opening => return opened,
            _ = sweep.tick() => fail_overdue(next, queued, outstanding),
        }
    }
}

fn sweep() -> tokio::time::Interval {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep
}

fn take_all(next: &mut VecDeque<(SaleId, Calls)>, queued: &mut mpsc::Receiver<(SaleId, Calls)>) {
    while let Ok(batch) = queued.try_recv() {
        next.push_back(batch);
    }
}

/// Answers the calls that were not sent by their deadline.
fn fail_overdue(
    next: &mut VecDeque<(SaleId, Calls)>,
    queued: &mut mpsc::Receiver<(SaleId, Calls)>,
    outstanding: &AtomicUsize,
) {
    take_all(next, queued);
    let now = Instant::now();
    next.retain(|(_, calls)| {
        let is_in_time = calls.deadline > now;
        if !is_in_time {
            never_sent(calls, FailureReason::DeadlinePassed, outstanding);
        }
        is_in_time
    });
}

fn never_sent(calls: &Calls, reason: FailureReason, outstanding: &AtomicUsize) {
    outstanding.fetch_sub(calls.call_ids.len(), Ordering::Relaxed);
    let (packed, count) = failed(&calls.call_ids, reason, 0);
    calls.answers.answer(packed, count);
}

/// A batch that was sent and is not fully answered.
struct Waiting {
    answers: Arc<dyn Answers>,
    /// Ids not yet answered.
    call_ids: CallIds,
    silent_at: Instant,
}

/// One stream from its opening to its failure.
struct Stream<'a> {
    requests: mpsc::Sender<ForwardRequest>,
    /// In the sequence they were sent: what a stream's end leaves open is sent again in it.
    waiting: BTreeMap<u64, Waiting>,
    last_batch_id: u64,
    outstanding: &'a AtomicUsize,
}

impl Stream<'_> {
    async fn carry(
        &mut self,
        mut next: VecDeque<(SaleId, Calls)>,
        queued: &mut mpsc::Receiver<(SaleId, Calls)>,
        mut responses: Streaming<ForwardResponse>,
    ) {
        let mut sweep = sweep();
        let requests = self.requests.clone();
        loop {
            tokio::select! {
                response = responses.message() => match response {
                    Ok(Some(ForwardResponse { answers })) => {
                        answers.into_iter().for_each(|answers| self.settle(answers));
                    }
                    Ok(None) | Err(_) => break,
                },
                permit = requests.reserve(), if !next.is_empty() => {
                    let Ok(permit) = permit else { break };
                    let frame = self.frame(&mut next, queued);
                    if !frame.batches.is_empty() {
                        permit.send(frame);
                    }
                }
                batch = queued.recv(), if next.is_empty() => match batch {
                    Some(batch) => next.push_back(batch),
                    None => break,
                },
                _ = sweep.tick(), if !(self.waiting.is_empty() && next.is_empty()) => {
                    self.give_up_on_silence();
                    fail_overdue(&mut next, queued, self.outstanding);
                }
            }
        }
        for (_, calls) in next {
            never_sent(&calls, FailureReason::NoLeader, self.outstanding);
        }
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            self.doubt(waiting);
        }
    }

    /// What waits, up to one frame's worth and at least one batch of it.
    fn frame(
        &mut self,
        next: &mut VecDeque<(SaleId, Calls)>,
        queued: &mut mpsc::Receiver<(SaleId, Calls)>,
    ) -> ForwardRequest {
        let mut batches = Vec::with_capacity((next.len() + queued.len()).min(FRAME_BATCHES));
        let mut bytes = 0;
        while batches.len() < FRAME_BATCHES
            && bytes < FRAME_BYTES
            && let Some((sale, calls)) = next.pop_front().or_else(|| queued.try_recv().ok())
        {
            bytes += calls.records.len();
            batches.extend(self.sent(sale, calls));
        }
        ForwardRequest { batches }
    }

    /// Notes a batch as sent; `None` when nobody waits for it any more.
    fn sent(&mut self, sale: SaleId, calls: Calls) -> Option<ForwardBatch> {
        let Calls {
            records,
            call_ids,
            deadline,
            answers,
            trace,
        } = calls;
        let timeout_ms = deadline.duration_since(Instant::now()).as_millis();
        if timeout_ms == 0 {
            self.outstanding
                .fetch_sub(call_ids.len(), Ordering::Relaxed);
            let (packed, count) = failed(&call_ids, FailureReason::DeadlinePassed, 0);
            answers.answer(packed, count);
            return None;
        }
        let packed_ids = call_ids.bytes().clone();
        let trace = trace.map_or_else(Bytes::new, |traced| {
            traced.reach(Stage::Sent);
            context::pack(traced.context())
        });
        self.last_batch_id += 1;
        self.waiting.insert(
            self.last_batch_id,
            Waiting {
                answers,
                call_ids,
                silent_at: deadline + SILENCE_MAX,
            },
        );
        Some(ForwardBatch {
            batch_id: self.last_batch_id,
            sale_id: sale.0,
            records,
            call_ids: packed_ids,
            timeout_ms: u32::try_from(timeout_ms).unwrap_or(u32::MAX),
            trace,
        })
    }

    fn settle(&mut self, answers: ForwardAnswers) {
        let ForwardAnswers {
            batch_id,
            packed,
            count,
        } = answers;
        // An unknown batch was given up on: its callers have been told.
        let Some(waiting) = self.waiting.get_mut(&batch_id) else {
            return;
        };
        let whole = count as usize == waiting.call_ids.len();
        if !whole {
            waiting.strike(&packed);
        }
        let answers = waiting.answers.clone();
        if whole || waiting.call_ids.is_empty() {
            self.waiting.remove(&batch_id);
        }
        self.outstanding
            .fetch_sub(count as usize, Ordering::Relaxed);
        answers.answer(packed, count);
    }

    fn give_up_on_silence(&mut self) {
        let now = Instant::now();
        let silent: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.silent_at <= now)
            .map(|(batch_id, _)| *batch_id)
            .collect();
        for batch_id in silent {
            if let Some(waiting) = self.waiting.remove(&batch_id) {
                self.doubt(waiting);
            }
        }
    }

    fn doubt(&self, waiting: Waiting) {
        let Waiting {
            answers,
            call_ids,
            silent_at: _,
        } = waiting;
        self.outstanding
            .fetch_sub(call_ids.len(), Ordering::Relaxed);
        let (packed, count) = match planted(Bug::SentIsNeverSent) {
            true => failed(&call_ids, FailureReason::NoLeader, 0),
            false => unknown(&call_ids),
        };
        answers.answer(packed, count);
    }
}

impl Waiting {
    /// Removes the ids that these answers carry. Answers mostly come in the sequence of the
    /// calls, so each id is looked for where the one before was found.
    fn strike(&mut self, packed: &[u8]) {
        let mut open: Vec<Option<u32>> = self.call_ids.iter().map(Some).collect();
        let mut at = 0;
        for head in heads(packed) {
            let found = (at..open.len())
                .chain(0..at)
                .find(|index| open[*index] == Some(head.call_id));
            if let Some(index) = found {
                open[index] = None;
                at = index + 1;
            }
        }
        self.call_ids = open.into_iter().flatten().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Answers for Nobody {
        fn answer(&self, _: bytes::Bytes, _: u32) {}
    }

    fn ids(ids: &[u32]) -> CallIds {
        ids.iter().copied().collect()
    }

    #[test]
    fn answered_ids_are_struck_in_any_sequence() {
        let mut waiting = Waiting {
            answers: Arc::new(Nobody),
            call_ids: ids(&[5, 6, 7, 6, 8]),
            silent_at: Instant::now(),
        };
        waiting.strike(&unknown(&ids(&[7, 6])).0);
        assert_eq!(waiting.call_ids, ids(&[5, 6, 8]));
        waiting.strike(&unknown(&ids(&[99, 8, 5])).0);
        assert_eq!(waiting.call_ids, ids(&[6]));
        waiting.strike(&unknown(&ids(&[6])).0);
        assert!(waiting.call_ids.is_empty());
    }
}
