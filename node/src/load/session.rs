//! Calls over `SessionService.Session`, packed. [`Stream`] is the bare stream, which the benchmark
//! drives itself; [`Sessions`] is a task that keeps one alive for many buyers, moves to the next
//! node when it breaks and sends again, under the same keys, what was not answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster::components::Net;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::{FailureReason, SessionRequest, SessionResponse};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::call::{Answer, Call, Id};
use super::client::{GaveUp, Trouble};
use super::connect::{self, Bearer};
use super::packed::{Answers, Head, Outcome, Packed, Writer};
use super::slab::Slab;

/// One open session stream.
pub struct Stream {
    requests: mpsc::Sender<SessionRequest>,
    answers: tonic::Streaming<SessionResponse>,
}

impl Stream {
    /// `room`: messages that may wait to be sent.
    pub async fn open(channel: Channel, key: Bearer, room: usize) -> Result<Stream, Status> {
        let (requests, queued) = mpsc::channel(room);
        let answers = SessionServiceClient::with_interceptor(channel, key)
            .max_decoding_message_size(16 << 20)
            .session(ReceiverStream::new(queued))
            .await?
            .into_inner();
        Ok(Stream { requests, answers })
    }

    /// Sends one message; an error means that the stream is over.
    pub async fn send(&self, packed: Bytes) -> Result<(), Status> {
        let request = SessionRequest {
            calls: Vec::new(),
            packed,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| Status::unavailable("the stream is over"))
    }

    /// The next packed answers; an error means that the stream is over.
    pub async fn answers(&mut self) -> Result<Bytes, Status> {
        match self.answers.message().await? {
            Some(response) => Ok(response.packed),
            None => Err(Status::unavailable("the node ended the stream")),
        }
    }
}

/// Calls outstanding on the stream of a [`Sessions`]; the rest waits in the mailbox.
const OUTSTANDING_MAX: usize = 8192;
/// Calls put into one message.
const CALLS_PER_MESSAGE: usize = 100;
/// A stream that owes answers and is silent for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(6);
const RECONNECT_DELAY: Duration = Duration::from_millis(20);
const RETRY_DELAY_MIN: Duration = Duration::from_millis(20);

struct Ask {
    event: u64,
    key: Id,
    call: Call,
    reply: oneshot::Sender<Result<Answer, GaveUp>>,
}

/// The handle: cheap to clone. The stream ends when the last one is dropped.
#[derive(Clone)]
pub struct Sessions {
    mailbox: mpsc::Sender<Ask>,
}

impl Sessions {
    pub fn start(
        net: Arc<dyn Net>,
        nodes: Vec<String>,
        key: Bearer,
        trouble: Arc<Trouble>,
    ) -> Sessions {
        let (mailbox, asks) = mpsc::channel(1024);
        let keeper = Keeper {
            net,
            nodes,
            key,
            trouble,
            asks,
            outstanding: Slab::new(OUTSTANDING_MAX),
            later: BTreeMap::new(),
            later_count: 0,
        };
        tokio::spawn(keeper.run());
        Sessions { mailbox }
    }

    pub async fn call(&self, event: u64, key: Id, call: Call) -> Result<Answer, GaveUp> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            event,
            key,
            call,
            reply,
        };
        let ended = || GaveUp::Status("the session has ended".to_owned());
        self.mailbox.send(ask).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

struct Keeper {
    net: Arc<dyn Net>,
    nodes: Vec<String>,
    key: Bearer,
    trouble: Arc<Trouble>,
    asks: mpsc::Receiver<Ask>,
    outstanding: Slab<Ask>,
    /// To be sent (again) at a time; the count keeps calls of one time apart.
    later: BTreeMap<(Instant, u64), Ask>,
    later_count: u64,
}

/// Nobody holds the handle any more.
struct Ended;

impl Keeper {
    async fn run(mut self) {
        let mut node = 0;
        while !self.asks.is_closed() || !self.asks.is_empty() {
            let address = &self.nodes[node % self.nodes.len()];
            let stream = match connect::connect(&self.net, address).await {
                Ok(channel) => Stream::open(channel, self.key.clone(), 64).await.ok(),
                Err(_) => None,
            };
            if let Some(stream) = stream {
                if let Err(Ended) = self.serve(stream).await {
                    return;
                }
                self.trouble.reconnect();
                for ask in self.outstanding.drain() {
                    self.again(ask, Duration::ZERO);
                }
            }
            node += 1;
            tokio::time::sleep(RECONNECT_DELAY).await;
        }
    }

    /// Until the stream breaks (`Ok`) or nobody needs it.
    async fn serve(&mut self, mut stream: Stream) -> Result<(), Ended> {
        let mut writer = Writer::default();
        let mut fresh = Vec::with_capacity(CALLS_PER_MESSAGE);
        let mut heard = Instant::now();
        loop {
            let room = CALLS_PER_MESSAGE.min(OUTSTANDING_MAX - self.outstanding.len());
            let due = self.later.first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                answers = stream.answers() => {
                    let Ok(answers) = answers else { return Ok(()) };
                    heard = Instant::now();
                    for answer in Answers::new(&answers) {
                        // A node that speaks nonsense is left for another.
                        let Ok(answer) = answer else { return Ok(()) };
                        self.answered(answer);
                    }
                }
                count = self.asks.recv_many(&mut fresh, room), if room > 0 => {
                    if count == 0 {
                        return Err(Ended);
                    }
                    if self.outstanding.is_empty() {
                        heard = Instant::now();
                    }
                    for ask in fresh.drain(..) {
                        self.write(&mut writer, ask);
                    }
                }
                () = until(due), if due.is_some() && room > 0 => {
                    let now = Instant::now();
                    while writer.count() < room
                        && let Some(first) = self.later.first_entry()
                        && first.key().0 <= now
                    {
                        let ask = first.remove();
                        self.write(&mut writer, ask);
                    }
                }
                () = tokio::time::sleep_until(heard + SILENCE_MAX),
                    if !self.outstanding.is_empty() => return Ok(()),
            }
            if writer.count() > 0 && stream.send(writer.take()).await.is_err() {
                return Ok(());
            }
        }
    }

    fn write(&mut self, writer: &mut Writer, ask: Ask) {
        if ask.reply.is_closed() {
            return;
        }
        let (event, key) = (ask.event, ask.key);
        let call = ask.call.clone();
        match self.outstanding.insert(ask) {
            Ok(call_id) => writer.call(
                Head {
                    call_id,
                    event,
                    key,
                },
                &call,
            ),
            Err(ask) => self.again(ask, RETRY_DELAY_MIN),
        }
    }

    fn answered(&mut self, answer: Packed<'_>) {
        let Some(ask) = self.outstanding.remove(answer.call_id) else {
            return;
        };
        let told = match answer.outcome {
            Outcome::Done { deadline_ms, runs } => Ok(Answer::Done {
                revision: answer.revision,
                log_index: answer.log_index,
                deadline_ms,
                seats: runs.iter().collect(),
            }),
            Outcome::Rejected(why) => Ok(Answer::Rejected {
                revision: answer.revision,
                why,
            }),
            Outcome::Failed {
                reason,
                retry_after_ms,
            } => match FailureReason::try_from(i32::from(reason)).unwrap_or_default() {
                FailureReason::Busy
                | FailureReason::NoLeader
                | FailureReason::DiskFull
                | FailureReason::DeadlinePassed => {
                    return self.again(ask, Duration::from_millis(u64::from(retry_after_ms)));
                }
                reason => Err(GaveUp::Failed(reason)),
            },
            Outcome::Unknown => {
                self.trouble.unknown();
                return self.again(ask, RETRY_DELAY_MIN);
            }
        };
        // A buyer that no longer waits is no concern of the session's.
        let _ = ask.reply.send(told);
    }

    fn again(&mut self, ask: Ask, delay: Duration) {
        self.trouble.retry();
        self.later_count += 1;
        let at = Instant::now() + delay.max(RETRY_DELAY_MIN);
        self.later.insert((at, self.later_count), ask);
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}
