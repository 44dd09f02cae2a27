//! One open lane to a peer: frames go out through a bounded queue, one task reads the answers and
//! hands each to who waits for it. A connection that timed out is closed for good; the lane opens
//! the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::cluster::v1 as pb;
use proto::cluster::v1::peer_service_client::PeerServiceClient;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::dialer::{Dialer, MESSAGE_BYTES_MAX};
use super::secret::PeerSecret;
use crate::types::GroupId;

/// Frames waiting for the socket.
const OUT_FRAMES: usize = 128;

/// Appends of one stream under way. The server's feed is as long, so it never fills.
pub(crate) const WINDOW: usize = 32;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneFailure {
    #[error("peer unreachable: {0}")]
    Unreachable(String),
    #[error("the connection broke")]
    Broken,
    #[error("no answer in time")]
    TimedOut,
    #[error("refused by the peer: {0}")]
    Refused(String),
    #[error("{0}")]
    Malformed(crate::wire::Malformed),
}

pub(crate) struct Connection {
    out: mpsc::Sender<pb::LaneRequest>,
    waiting: Mutex<Waiting>,
    /// Request ids and stream epochs, both from one count.
    next: AtomicU64,
    closed: AtomicBool,
    close: Notify,
    pub(crate) limit: Duration,
}

#[derive(Default)]
struct Waiting {
    calls: BTreeMap<u64, oneshot::Sender<pb::lane_response::Response>>,
    streams: BTreeMap<(GroupId, u64), mpsc::Sender<pb::LaneResponse>>,
    closed: bool,
}

impl Connection {
    pub(crate) async fn open(
        dialer: &Dialer,
        secret: PeerSecret,
        address: &str,
        limit: Duration,
    ) -> Result<Arc<Self>, LaneFailure> {
        let channel = dialer
            .connect(address)
            .await
            .map_err(LaneFailure::Unreachable)?;
        let mut client = PeerServiceClient::with_interceptor(channel, secret)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (out, frames) = mpsc::channel(OUT_FRAMES);
        let opening = client.lane(ReceiverStream::new(frames));
        let answers = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(LaneFailure::Unreachable(status.message().into())),
            Err(_) => return Err(LaneFailure::TimedOut),
        };
        let connection = Arc::new(Connection {
            out,
            waiting: Mutex::new(Waiting::default()),
            next: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            close: Notify::new(),
            limit,
        });
        // Reads only: nothing here calls into Raft.
        tokio::spawn(connection.clone().read(answers));
        Ok(connection)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Gives the connection up: everybody who waits on it is told.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.close.notify_one();
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// One request with one answer, within the limit.
    pub(crate) async fn call(
        &self,
        group: GroupId,
        request: pb::lane_request::Request,
    ) -> Result<pb::lane_response::Response, LaneFailure> {
        let request_id = self.next_id();
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.lock();
            if waiting.closed {
                return Err(LaneFailure::Broken);
            }
            waiting.calls.insert(request_id, answer);
        }
        let _forget = ForgetCall(self, request_id);
        self.send(pb::LaneRequest {
            group_id: group,
            stream_epoch: 0,
            request_id,
            request: Some(request),
        })
        .await?;
        match tokio::time::timeout(self.limit, answered).await {
            Ok(Ok(pb::lane_response::Response::Refused(why))) => Err(LaneFailure::Refused(why)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(LaneFailure::Broken),
            Err(_) => {
                self.close();
                Err(LaneFailure::TimedOut)
            }
        }
    }

    pub(crate) async fn send(&self, frame: pb::LaneRequest) -> Result<(), LaneFailure> {
        match tokio::time::timeout(self.limit, self.out.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(LaneFailure::Broken),
            Err(_) => {
                self.close();
                Err(LaneFailure::TimedOut)
            }
        }
    }

    /// Answers of one append stream, in sequence. Ends when the connection does.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        group: GroupId,
    ) -> Result<(Subscription, mpsc::Receiver<pb::LaneResponse>), LaneFailure> {
        let epoch = self.next_id();
        let (answers, answered) = mpsc::channel(WINDOW + 1);
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(LaneFailure::Broken);
        }
        waiting.streams.insert((group, epoch), answers);
        drop(waiting);
        let subscription = Subscription {
            connection: self.clone(),
            group,
            epoch,
        };
        Ok((subscription, answered))
    }

    async fn read(self: Arc<Self>, mut answers: Streaming<pb::LaneResponse>) {
        loop {
            tokio::select! {
                biased;
                () = self.close.notified() => break,
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => self.deliver(answer),
                    Ok(None) | Err(_) => break,
                },
            }
        }
        self.closed.store(true, Ordering::Release);
        let mut waiting = self.lock();
        // Dropping the senders tells everybody.
        *waiting = Waiting {
            closed: true,
            ..Waiting::default()
        };
    }

    fn deliver(&self, answer: pb::LaneResponse) {
        let mut waiting = self.lock();
        if answer.stream_epoch == 0 {
            let caller = waiting.calls.remove(&answer.request_id);
            if let (Some(caller), Some(response)) = (caller, answer.response) {
                // A caller that went away needs no answer.
                caller.send(response).ok();
            }
            return;
        }
        // An answer to an older epoch finds nobody and is dropped.
        let key = (answer.group_id, answer.stream_epoch);
        if let Some(stream) = waiting.streams.get(&key)
            && stream.try_send(answer).is_err()
        {
            waiting.streams.remove(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // No code under this lock panics half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct ForgetCall<'a>(&'a Connection, u64);

impl Drop for ForgetCall<'_> {
    fn drop(&mut self) {
        self.0.lock().calls.remove(&self.1);
    }
}

/// Ends with the stream it stands for.
pub(crate) struct Subscription {
    pub(crate) connection: Arc<Connection>,
    pub(crate) group: GroupId,
    pub(crate) epoch: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let key = (self.group, self.epoch);
        self.connection.lock().streams.remove(&key);
    }
}
