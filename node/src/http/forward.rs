//! The one hop: a request that another node must answer is sent to its HTTP address with the same
//! authorization, and its answer is passed on as it comes. A header stops a second hop. Also asks
//! other nodes for their part of a list. Runs on the main runtime, over the injected network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster::components::Net;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::trace::{STATE_HEADER, TRACE_HEADER};

/// Marks a request that came over a hop.
pub const HOP_HEADER: &str = "x-onsale-hop";

/// Headers that travel with a request.
const REQUEST_HEADERS: [&str; 6] = [
    "authorization",
    "content-type",
    "if-none-match",
    "idempotency-key",
    TRACE_HEADER,
    STATE_HEADER,
];

/// Headers that travel with an answer.
const ANSWER_HEADERS: [&str; 6] = [
    "content-type",
    "etag",
    "location",
    "retry-after",
    "x-applied-index",
    "cache-control",
];

/// Time to connect, and to the head of the answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Parts of an answer waiting for a slow reader.
const BODY_QUEUE: usize = 16;

#[derive(Clone)]
pub struct Forward {
    net: Arc<dyn Net>,
}

/// A request as it is sent on.
#[derive(Clone, Debug)]
pub struct Hop {
    pub method: String,
    pub path_and_query: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Hop {
    /// Keeps of the headers what travels.
    pub fn keep<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
        headers
            .filter(|(name, _)| REQUEST_HEADERS.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// The other node's answer: the body comes in parts.
pub struct Passed {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: mpsc::Receiver<Bytes>,
}

#[derive(Debug, thiserror::Error)]
pub enum HopFailure {
    /// Nothing was tried.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It may have been carried out.
    #[error("broke off: {0}")]
    BrokeOff(String),
}

impl Forward {
    pub fn new(net: Arc<dyn Net>) -> Forward {
        Forward { net }
    }

    /// Sends the request and returns with the head of the answer.
    pub async fn send(&self, address: &str, hop: Hop) -> Result<Passed, HopFailure> {
        let io = timeout(CONNECT_LIMIT, self.net.dial(address))
            .await
            .map_err(|_| HopFailure::Unreachable("no answer in time".into()))?
            .map_err(|error| HopFailure::Unreachable(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| HopFailure::Unreachable(error.to_string()))?;
        // Ends with the answer's body, or when it is dropped.
        tokio::spawn(connection);

        let mut request = Request::builder()
            .method(hop.method.as_str())
            .uri(&hop.path_and_query)
            .header("host", address)
            .header(HOP_HEADER, "1");
        for (name, value) in &hop.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(hop.body))
            .map_err(|error| HopFailure::Unreachable(error.to_string()))?;
        let answer = timeout(HEAD_LIMIT, sender.send_request(request))
            .await
            .map_err(|_| HopFailure::BrokeOff("no answer in time".into()))?
            .map_err(|error| HopFailure::BrokeOff(error.to_string()))?;

        let status = answer.status().as_u16();
        let headers = ANSWER_HEADERS
            .iter()
            .filter_map(|name| {
                let value = answer.headers().get(*name)?.to_str().ok()?;
                Some(((*name).to_owned(), value.to_owned()))
            })
            .collect();
        let (parts, body) = mpsc::channel(BODY_QUEUE);
        tokio::spawn(pass_on(answer.into_body(), parts));
        Ok(Passed {
            status,
            headers,
            body,
        })
    }

    /// Asks another node for JSON, within `limit`; `None` when it does not answer well.
    pub async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        address: &str,
        path_and_query: &str,
        authorization: &str,
        limit: Duration,
    ) -> Option<T> {
        let hop = Hop {
            method: "GET".into(),
            path_and_query: path_and_query.into(),
            headers: vec![("authorization".into(), authorization.into())],
            body: Bytes::new(),
        };
        let whole = async {
            let mut passed = self.send(address, hop).await.ok()?;
            let mut text = Vec::new();
            while let Some(part) = passed.body.recv().await {
                text.extend_from_slice(&part);
            }
            let good = passed.status == 200;
            good.then(|| serde_json::from_slice(&text).ok()).flatten()
        };
        timeout(limit, whole).await.ok().flatten()
    }
}

/// Stops when nobody reads any more.
async fn pass_on(mut body: Incoming, parts: mpsc::Sender<Bytes>) {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = parts.closed() => return,
        };
        let Some(Ok(frame)) = frame else { return };
        if let Ok(part) = frame.into_data()
            && parts.send(part).await.is_err()
        {
            return;
        }
    }
}
