//! The way in: who calls, how much may be sent, under which key; then the hand-over from actix's
//! workers to the main runtime, and to another node when only that one can answer. Decides nothing
//! about events.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use domain::ids::IdempotencyKey;
use futures::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::api::{AdminApi, Answer, Operator, Refusal};
use super::forward::{Forward, HOP_HEADER, Hop, HopFailure};
use super::metrics::HttpMetrics;
use super::problem::{Problem, Reason};
use crate::trace::{CallSpan, TRACE_HEADER, Tracer, within};

/// Largest body of a call that carries no plan.
const SMALL_BODY_BYTES: usize = 1 << 20;

/// Time for a body to arrive, and for a call to be answered.
const BODY_LIMIT: Duration = Duration::from_secs(60);
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Change feeds open on one node.
const FEEDS: usize = 256;

/// What all workers share.
pub struct Door {
    pub(super) api: Arc<dyn AdminApi>,
    pub(super) runtime: Handle,
    pub(super) forward: Forward,
    pub(super) plan_bytes_max: usize,
    pub(super) registry: prometheus::Registry,
    pub(super) metrics: HttpMetrics,
    pub(super) tracer: Tracer,
    /// One permit per open feed.
    pub(super) feeds: Arc<Semaphore>,
    /// True when the node stops: feeds end.
    pub(super) stopping: watch::Receiver<bool>,
    keys: Mutex<StdRng>,
}

impl Door {
    #[allow(clippy::too_many_arguments)] // one each of what all workers share
    pub fn new(
        api: Arc<dyn AdminApi>,
        runtime: Handle,
        forward: Forward,
        plan_bytes_max: usize,
        registry: prometheus::Registry,
        stopping: watch::Receiver<bool>,
        tracer: Tracer,
        seed: u64,
    ) -> Result<Door, prometheus::Error> {
        Ok(Door {
            api,
            runtime,
            forward,
            plan_bytes_max,
            metrics: HttpMetrics::new(&registry)?,
            registry,
            feeds: Arc::new(Semaphore::new(FEEDS)),
            stopping,
            tracer,
            keys: Mutex::new(StdRng::seed_from_u64(seed)),
        })
    }

    /// A key for a caller who brought none: UUIDv7.
    fn make_key(&self) -> IdempotencyKey {
        let random: [u8; 10] = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random();
        let key = uuid::Builder::from_unix_timestamp_millis(self.api.now_ms(), &random);
        IdempotencyKey(key.into_uuid().as_u128())
    }
}

/// Put on a resource whose body may be a plan.
#[derive(Clone, Copy)]
pub struct TakesPlan;

/// A call of an operator: authorized, its body read.
pub struct Call {
    pub(super) door: Arc<Door>,
    pub(super) request: HttpRequest,
    pub(super) body: Bytes,
    /// Given by the caller or made here; travels over the hop.
    pub(super) key: IdempotencyKey,
}

/// Where a call was answered.
pub enum Reached<T> {
    Here(T),
    There(HttpResponse),
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Call, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let call = Call::unread(&request)?;
            let operator = call.authorize()?;
            request.extensions_mut().insert(operator);
            let body = call.read(payload).await?;
            Ok(Call { body, ..call })
        })
    }
}

impl Call {
    fn unread(request: &HttpRequest) -> Result<Call, Problem> {
        let door = request
            .app_data::<web::Data<Door>>()
            .map(|door| Arc::clone(door))
            .ok_or_else(|| Problem::new(Reason::Internal, "the server has no door"))?;
        let key = match header(request, "idempotency-key") {
            None => door.make_key(),
            Some(text) => read_key(text)?,
        };
        Ok(Call {
            door,
            request: request.clone(),
            body: Bytes::new(),
            key,
        })
    }

    fn authorize(&self) -> Result<Operator, Problem> {
        let token = bearer(&self.request)?;
        if super::nodes::is_join(&self.request) && self.door.api.knows_secret(token) {
            return Ok(Operator {
                key_id: "a node that joins".into(),
            });
        }
        self.door.api.authorize(token)
    }

    /// At most as much as the resource takes, within a time limit.
    async fn read(&self, mut payload: Payload) -> Result<Bytes, Problem> {
        let max = match self.request.app_data::<TakesPlan>() {
            Some(TakesPlan) => self.door.plan_bytes_max,
            None => SMALL_BODY_BYTES,
        };
        let too_large = || {
            Problem::new(
                Reason::TooLarge,
                format!("the body may have {max} bytes at most"),
            )
            .with("max_bytes", max)
        };
        let announced = header(&self.request, "content-length").and_then(|n| n.parse().ok());
        if announced.is_some_and(|length: usize| length > max) {
            return Err(too_large());
        }
        let whole = async {
            let mut body = BytesMut::with_capacity(announced.unwrap_or(0));
            while let Some(part) = payload.next().await {
                let part = part.map_err(|error| {
                    Problem::bad_request(format!("the body cannot be read: {error}"))
                })?;
                if body.len() + part.len() > max {
                    return Err(too_large());
                }
                body.extend_from_slice(&part);
            }
            Ok(body.freeze())
        };
        actix_web::rt::time::timeout(BODY_LIMIT, whole)
            .await
            .map_err(|_| Problem::bad_request("the body did not arrive in time"))?
    }

    /// The body as JSON.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        if self.body.is_empty() {
            return Err(Problem::bad_request("a JSON body is needed"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::bad_request(format!("body: {error}")))
    }

    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        web::Query::<T>::from_query(self.request.query_string())
            .map(web::Query::into_inner)
            .map_err(|error| Problem::bad_request(format!("query: {error}")))
    }

    /// A number in the path.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        let text = self.text(name);
        text.parse()
            .map_err(|_| Problem::bad_request(format!("{name}: {text:?} is not a number")))
    }

    /// A text in the path.
    pub fn text(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or("")
    }

    pub fn authorization(&self) -> &str {
        header(&self.request, AUTHORIZATION.as_str()).unwrap_or("")
    }

    pub fn came_over_a_hop(&self) -> bool {
        header(&self.request, HOP_HEADER).is_some()
    }

    fn changes_something(&self) -> bool {
        self.request.method() != actix_web::http::Method::GET
    }

    /// Does the work on the main runtime and answers with its JSON.
    pub async fn answer<T, W, F>(&self, work: W) -> Result<HttpResponse, Problem>
    where
        T: Serialize + Send + 'static,
        W: FnOnce(Arc<dyn AdminApi>) -> F,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        Ok(match self.run(work).await? {
            Reached::Here(value) => HttpResponse::Ok().json(value),
            Reached::There(response) => response,
        })
    }

    /// The same for work that has nothing to say.
    pub async fn done<W, F>(&self, work: W) -> Result<HttpResponse, Problem>
    where
        W: FnOnce(Arc<dyn AdminApi>) -> F,
        F: Future<Output = Answer<()>> + Send + 'static,
    {
        Ok(match self.run(work).await? {
            Reached::Here(()) => HttpResponse::NoContent().finish(),
            Reached::There(response) => response,
        })
    }

    /// Does the work on the main runtime: workers have runtimes of their own, where connections
    /// made for everybody must not live.
    pub async fn run<T, W, F>(&self, work: W) -> Result<Reached<T>, Problem>
    where
        T: Send + 'static,
        W: FnOnce(Arc<dyn AdminApi>) -> F,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let work = within(self.traced(), work(Arc::clone(&self.door.api)));
        let task = self.door.runtime.spawn(work);
        let abort = task.abort_handle();
        match actix_web::rt::time::timeout(CALL_LIMIT, task).await {
            Ok(Ok(Ok(value))) => Ok(Reached::Here(value)),
            Ok(Ok(Err(Refusal::Problem(problem)))) => Err(problem),
            Ok(Ok(Err(Refusal::Elsewhere { node, address }))) => {
                self.pass(node, address).await.map(Reached::There)
            }
            Ok(Err(_panicked)) if self.changes_something() => Err(Problem::unknown_outcome()),
            Ok(Err(_panicked)) => Err(Problem::new(Reason::Internal, "the call broke off")),
            Err(_) => {
                abort.abort();
                Err(if self.changes_something() {
                    self.unknown()
                } else {
                    Problem::new(Reason::DeadlinePassed, "no answer in 30 s")
                })
            }
        }
    }

    /// The span of this call, where it is traced.
    fn traced(&self) -> Option<Arc<CallSpan>> {
        self.request.extensions().get().cloned()
    }

    fn unknown(&self) -> Problem {
        Problem::unknown_outcome().with("idempotency_key", super::views::id_text(self.key.0))
    }

    /// Sends the request on to the node that can answer it, once.
    async fn pass(&self, node: u64, address: String) -> Result<HttpResponse, Problem> {
        if self.came_over_a_hop() || address.is_empty() {
            return Err(Problem::new(
                Reason::NoLeader,
                format!("node {node} should answer this, but leadership is moving"),
            )
            .with("node_id", node));
        }
        let headers = self.request.headers().iter();
        let mut headers = Hop::keep(
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
        );
        headers.retain(|(name, _)| name != "idempotency-key");
        headers.push(("idempotency-key".into(), super::views::id_text(self.key.0)));
        if let Some(traced) = self.traced() {
            headers.retain(|(name, _)| name != TRACE_HEADER);
            headers.push((TRACE_HEADER.into(), traced.traceparent()));
        }
        let hop = Hop {
            method: self.request.method().to_string(),
            path_and_query: self
                .request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers,
            body: self.body.clone(),
        };
        let forward = self.door.forward.clone();
        let sent = self
            .door
            .runtime
            .spawn(async move { forward.send(&address, hop).await })
            .await
            .unwrap_or_else(|error| Err(HopFailure::BrokeOff(error.to_string())));
        match sent {
            Ok(passed) => {
                let status = actix_web::http::StatusCode::from_u16(passed.status)
                    .unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY);
                let mut response = HttpResponse::build(status);
                for (name, value) in &passed.headers {
                    let name = HeaderName::from_bytes(name.as_bytes());
                    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                        response.insert_header((name, value));
                    }
                }
                Ok(response.streaming(ReceiverStream::new(passed.body).map(Ok::<_, Problem>)))
            }
            Err(HopFailure::BrokeOff(_)) if self.changes_something() => Err(self.unknown()),
            Err(failure) => Err(Problem::new(
                Reason::NodeUnreachable,
                format!("node {node} {failure}"),
            )
            .with("node_id", node)),
        }
    }
}

/// The token of `authorization: Bearer …`.
pub fn bearer(request: &HttpRequest) -> Result<&str, Problem> {
    header(request, AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            Problem::new(
                Reason::Unauthenticated,
                "send an operator's key as `authorization: Bearer <key>`",
            )
        })
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// A key must be a UUIDv7: its time says when it may be forgotten.
fn read_key(text: &str) -> Result<IdempotencyKey, Problem> {
    uuid::Uuid::try_parse(text)
        .ok()
        .filter(|key| key.get_version_num() == 7)
        .map(|key| IdempotencyKey(key.as_u128()))
        .ok_or_else(|| Problem::bad_request(format!("Idempotency-Key: {text:?} is not a UUIDv7")))
}
