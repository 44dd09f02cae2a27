//! The change feed of one event as server-sent events: `event: changes` with the changes of about
//! a tenth of a second, a comment when nothing happens for long, and `event: compacted` as the last
//! word when a new snapshot is needed.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;

use super::api::Feed;
use super::door::{Call, Reached};
use super::problem::{Problem, Reason};
use super::views;

/// What is collected into one message: a hot event changes more often than anybody draws.
const GATHER: Duration = Duration::from_millis(100);
const GATHER_CHANGES: usize = 20_000;
/// Proxies and readers tell a quiet feed from a dead one by this.
const QUIET: Duration = Duration::from_secs(10);
/// Messages waiting for a slow reader; behind them the feed waits, until it is compacted.
const QUEUE: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    from: u64,
}

pub async fn watch(call: Call) -> Result<HttpResponse, Problem> {
    let event_id = call.number("event_id")?;
    let query: ChangesQuery = call.query()?;
    let permit = call.door.feeds.clone().try_acquire_owned().map_err(|_| {
        Problem::new(
            Reason::Busy,
            "this node has no room for another change feed",
        )
    })?;
    let feed = match call
        .run(move |api| async move { api.watch(event_id, query.from).await })
        .await?
    {
        Reached::Here(feed) => feed,
        Reached::There(response) => return Ok(response),
    };
    let (messages, queue) = mpsc::channel(QUEUE);
    let stopping = call.door.stopping.clone();
    call.door
        .runtime
        .spawn(pump(feed, messages, stopping, permit));
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(ReceiverStream::new(queue).map(Ok::<_, Problem>)))
}

async fn pump(
    mut feed: Box<dyn Feed>,
    messages: mpsc::Sender<Bytes>,
    mut stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // The head of the answer leaves with the first bytes.
    let mut message = Bytes::from_static(b": connected\n\n");
    loop {
        if messages.send(message).await.is_err() {
            return;
        }
        message = tokio::select! {
            next = next_message(feed.as_mut()) => match next {
                Some(message) => message,
                None => {
                    let last = Bytes::from_static(b"event: compacted\ndata: {}\n\n");
                    // The reader may have gone.
                    let _gone = messages.send(last).await;
                    return;
                }
            },
            () = messages.closed() => return,
            () = stopped(&mut stopping) => return,
        };
    }
}

/// The node stops, or nobody is left who could say so.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _seen = stopping.wait_for(|stopping| *stopping).await;
}

/// `None` when the feed has ended.
async fn next_message(feed: &mut dyn Feed) -> Option<Bytes> {
    let Ok(first) = timeout(QUIET, feed.next()).await else {
        return Some(Bytes::from_static(b": quiet\n\n"));
    };
    let mut gathered = first?;
    let until = Instant::now() + GATHER;
    while gathered.changes.len() < GATHER_CHANGES {
        match timeout_at(until, feed.next()).await {
            Ok(Some(more)) => {
                gathered.revision = more.revision;
                gathered.changes.extend(more.changes);
            }
            // The end is met again by the next call, after what was gathered is sent.
            Ok(None) | Err(_) => break,
        }
    }
    Some(encode(&gathered))
}

fn encode(changes: &views::Changes) -> Bytes {
    let data = serde_json::to_string(changes).unwrap_or_default();
    format!("event: changes\nid: {}\ndata: {data}\n\n", changes.revision).into()
}
