//! The workload `queue`: a lobby that fills, its shuffle, places asked for, places watched. Its figures
//! are not operations: they have a report of their own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use cluster::components::Net;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Told;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::{
    SessionCall, SessionRequest, StatusManyRequest, StatusRequest, WatchPlaceRequest,
};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::Args;
use crate::http::bodies::{ArmQueue, MoveQueue};
use crate::load::call::Id;
use crate::load::connect::{self, Bearer, Tcp};
use crate::load::packed::{Answers, Head, Outcome, Writer};
use crate::load::session::Stream;
use crate::load::venue;
use crate::local::api::{self, NewEvent, moment_in};
use crate::local::{Local, Settings};

/// Joins under way on a connection.
const OUTSTANDING: usize = 8192;
/// Visitors that one question names, and questions under way on a connection.
const ASKED_AT_ONCE: u32 = 1000;
const QUESTIONS: usize = 8;
/// Streams of one connection, below what a node allows.
const WATCHERS_PER_CONNECTION: u32 = 1000;
const WATCHES_AT_ONCE: usize = 256;
/// The lobby is far from its opening until all are there.
const GATHERING: Duration = Duration::from_secs(3600);
const OPENS_IN: Duration = Duration::from_millis(1500);
/// Memory has come to rest after this.
const REST: Duration = Duration::from_secs(2);

/// The JSON object's keys are its fields.
#[derive(Clone, Debug, Serialize)]
pub struct QueueReport {
    pub workload: &'static str,
    pub nodes: u32,
    pub visitors: u64,
    pub joins_per_s: f64,
    pub status_per_s: f64,
    /// Resident memory of the node that grew most, above before the joins.
    pub bytes_per_visitor: f64,
    /// From the opening until a place is told: the shuffle, the entry that opened the room, and the
    /// question.
    pub shuffle_ms: f64,
    pub watchers: u32,
    /// Resident memory of the watched node, above before the first.
    pub bytes_per_watcher: f64,
    /// Beyond what is compared over time.
    pub joins_s: f64,
    pub server_mib_by_node: Vec<f64>,
    pub cores: usize,
}

impl QueueReport {
    pub fn json(&self) -> String {
        // Numbers of our own: nothing that JSON cannot say.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        format!(
            "queue, {} visitors, {} nodes: {:.0} joins/s in {:.1} s, {:.0} bytes a visitor and node\n  \
             shuffled {:.0} ms after the opening\n  \
             {:.0} places told a second\n  \
             {} watched places, {:.0} bytes each\n",
            self.visitors,
            self.nodes,
            self.joins_per_s,
            self.joins_s,
            self.bytes_per_visitor,
            self.shuffle_ms,
            self.status_per_s,
            self.watchers,
            self.bytes_per_watcher,
        )
    }
}

struct Room {
    net: Arc<dyn Net>,
    key: Bearer,
    event: u64,
    visitors: u64,
    /// The leader's address first.
    addresses: Vec<String>,
}

pub async fn measured(args: &Args) -> anyhow::Result<QueueReport> {
    let mut settings = Settings::of_this_program(args.nodes as usize, args.profile)?;
    settings.data.clone_from(&args.data);
    // What the log keeps for followers is not the room's memory.
    settings.base.log.cache_mib = 8;
    eprintln!("starting {} nodes, workload queue", args.nodes);
    let local = Local::started(settings).await?;
    let room = open(&local, args.visitors).await?;
    let api = local.api();

    let before = resident(&local).await;
    let began = Instant::now();
    join_all(&room, args.sessions()).await?;
    let joins_s = began.elapsed().as_secs_f64();
    let after = resident(&local).await;
    let grown = before.iter().zip(&after);
    let grown = grown.map(|(before, after)| after.saturating_sub(*before));
    let bytes_per_visitor = grown.max().unwrap_or(0) as f64 / room.visitors as f64;

    let shuffle_ms = shuffle(&room, api).await?;
    let status_per_s = ask_places(&room, args).await?;
    let before = resident(&local).await;
    let watching = watch(&room, args.watchers).await?;
    let after = resident(&local).await;
    let watchers = watching.len() as u32;
    drop(watching);
    let mib = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
    Ok(QueueReport {
        workload: "queue",
        nodes: args.nodes,
        visitors: room.visitors,
        joins_per_s: room.visitors as f64 / joins_s,
        status_per_s,
        bytes_per_visitor,
        shuffle_ms,
        watchers,
        bytes_per_watcher: after[0].saturating_sub(before[0]) as f64 / f64::from(watchers.max(1)),
        joins_s,
        server_mib_by_node: after.iter().map(mib).collect(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
    })
}

async fn open(local: &Local, visitors: u64) -> anyhow::Result<Room> {
    let api = local.api();
    let (key, event) = api::off(move || {
        let key = api.partner("bench")?.key;
        let event = api.create_event(&NewEvent {
            name: "Queue",
            venue: "Benchmark",
            test_mode: true,
            hold_ttl_s: 1800,
            plan: &venue::plan("Benchmark queue", 1, 20_000),
            dedupe: false,
        })?;
        let queue = ArmQueue {
            lobby_at: moment_in(Duration::ZERO),
            opens_at: moment_in(GATHERING),
            beacon: false,
            pass_life_s: 600,
            pass_tickets: 8,
            // Nobody is let in: places are what is measured.
            per_minute: Some(0),
            at_the_desk: None,
            hold_ms: 250,
            lanes: Vec::new(),
        };
        api.arm_queue(event.event_id, &queue)?;
        Ok((key, api.event(event.event_id)?))
    })
    .await?;
    let leader = event.leader.and_then(|id| local.index_of(id));
    let mut addresses = local.partner_addresses();
    addresses.swap(0, leader.context("nobody leads the event")?);
    Ok(Room {
        net: Arc::new(Tcp),
        key: Bearer::new(&key).context("the node made a key that is no text")?,
        event: event.event_id,
        visitors,
        addresses,
    })
}

/// Any sequence of keys, none of them zero.
fn visitor(number: u64) -> Id {
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    spread.to_be_bytes()
}

async fn resident(local: &Local) -> Vec<u64> {
    tokio::time::sleep(REST).await;
    let usage = local.usage();
    usage.iter().map(|node| node.resident_bytes).collect()
}

async fn join_all(room: &Room, sessions: usize) -> anyhow::Result<()> {
    let share = room.visitors.div_ceil(sessions as u64);
    let parts = (0..sessions as u64).map(|session| {
        let first = session * share;
        join(room, first..room.visitors.min(first + share))
    });
    parts
        .collect::<FuturesUnordered<_>>()
        .try_collect::<()>()
        .await
}

/// Brings some visitors in over one packed stream; who is held back comes again.
async fn join(room: &Room, visitors: std::ops::Range<u64>) -> anyhow::Result<()> {
    let channel = connect::connect(&room.net, &room.addresses[0]).await?;
    let mut stream = Stream::open(channel, room.key.clone(), OUTSTANDING).await?;
    let first = visitors.start;
    let mut missing = visitors.end.saturating_sub(first);
    let mut fresh = visitors;
    let mut again: VecDeque<u64> = VecDeque::new();
    let mut outstanding = 0;
    let mut writer = Writer::default();
    while missing > 0 {
        while outstanding < OUTSTANDING {
            let Some(number) = again.pop_front().or_else(|| fresh.next()) else {
                break;
            };
            let head = Head {
                call_id: (number - first) as u32,
                event: room.event,
                key: [0; 16],
            };
            writer.join(head, &visitor(number), 0);
            outstanding += 1;
            if writer.count() == 1000 {
                stream.send(writer.take()).await?;
            }
        }
        if writer.count() > 0 {
            stream.send(writer.take()).await?;
        }
        let answers = stream.answers().await?;
        for answer in Answers::new(&answers) {
            let answer = answer?;
            outstanding -= 1;
            match answer.outcome {
                Outcome::Done { .. } => missing -= 1,
                Outcome::Failed { .. } | Outcome::Unknown => {
                    again.push_back(first + u64::from(answer.call_id));
                }
                Outcome::Rejected(why) => bail!("a join was rejected: {why:?}"),
            }
        }
        if !again.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

async fn shuffle(room: &Room, api: api::Api) -> anyhow::Result<f64> {
    let opens = Instant::now() + OPENS_IN;
    let event = room.event;
    let times = MoveQueue {
        lobby_at: moment_in(Duration::ZERO),
        opens_at: moment_in(OPENS_IN),
    };
    api::off(move || api.move_queue(event, &times)).await?;
    let channel = connect::connect(&room.net, &room.addresses[0]).await?;
    let mut admission = AdmissionServiceClient::with_interceptor(channel, room.key.clone());
    tokio::time::sleep_until(opens).await;
    loop {
        let request = StatusRequest {
            event_id: event,
            visitor: Bytes::copy_from_slice(&visitor(0)),
        };
        let told = admission.status(request).await?.into_inner();
        if told.place.is_some_and(|place| place.place.is_some()) {
            return Ok(opens.elapsed().as_secs_f64() * 1000.0);
        }
        if opens.elapsed() > Duration::from_secs(60) {
            bail!("the lobby is not shuffled a minute after its opening");
        }
    }
}

/// Places told a second, by all nodes together.
async fn ask_places(room: &Room, args: &Args) -> anyhow::Result<f64> {
    let until = Instant::now() + args.seconds();
    let asking = (0..args.sessions())
        .map(|session| ask(room, session as u64, until))
        .collect::<FuturesUnordered<_>>();
    let told: Vec<u64> = asking.try_collect().await?;
    let told: u64 = told.iter().sum();
    Ok(told as f64 / args.seconds().as_secs_f64())
}

async fn ask(room: &Room, session: u64, until: Instant) -> anyhow::Result<u64> {
    let address = &room.addresses[session as usize % room.addresses.len()];
    let channel = connect::connect(&room.net, address).await?;
    let (requests, queued) = mpsc::channel(QUESTIONS);
    let mut answers = SessionServiceClient::with_interceptor(channel, room.key.clone())
        .max_decoding_message_size(16 << 20)
        .session(ReceiverStream::new(queued))
        .await?
        .into_inner();
    let mut next = session * 7919;
    let mut question = |call_id: u32| {
        let asked = next..next + u64::from(ASKED_AT_ONCE);
        next = asked.end;
        let visitors = asked.map(|number| {
            let id = visitor(number % room.visitors);
            Bytes::copy_from_slice(&id)
        });
        let status = StatusManyRequest {
            linearizable: false,
            event_id: room.event,
            visitors: visitors.collect(),
        };
        SessionRequest {
            calls: vec![SessionCall {
                call_id,
                call: Some(Call::Status(status)),
            }],
            packed: Bytes::new(),
        }
    };
    for call_id in 0..QUESTIONS as u32 {
        requests.send(question(call_id)).await?;
    }
    let mut told = 0;
    while Instant::now() < until {
        let response = answers.message().await?.context("the session ended")?;
        for result in response.results {
            match result.result {
                Some(Told::Status(status)) => told += status.places.len() as u64,
                other => bail!("a question was answered with {other:?}"),
            }
            requests.send(question(result.call_id)).await?;
        }
    }
    Ok(told)
}

type Watched = tonic::Streaming<proto::channel::v1::WatchPlaceResponse>;

/// Streams to the first node, each of which has told a place once.
async fn watch(room: &Room, watchers: u32) -> anyhow::Result<Vec<Watched>> {
    let mut streams = Vec::with_capacity(watchers as usize);
    for first in (0..watchers).step_by(WATCHERS_PER_CONNECTION as usize) {
        let channel = connect::connect(&room.net, &room.addresses[0]).await?;
        let admission = AdmissionServiceClient::with_interceptor(channel, room.key.clone());
        let these = first..watchers.min(first + WATCHERS_PER_CONNECTION);
        let opened = stream::iter(these).map(|number| {
            let mut admission = admission.clone();
            let request = WatchPlaceRequest {
                event_id: room.event,
                visitor: Bytes::copy_from_slice(&visitor(u64::from(number) % room.visitors)),
            };
            async move {
                let mut told = admission.watch_place(request).await?.into_inner();
                told.message().await?;
                anyhow::Ok(told)
            }
        });
        let opened: Vec<Watched> = opened
            .buffer_unordered(WATCHES_AT_ONCE)
            .try_collect()
            .await?;
        streams.extend(opened);
    }
    Ok(streams)
}
