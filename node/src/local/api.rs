//! The cluster API over HTTP as the demo, the benchmark and tests use it. Calls block; `off` takes
//! them off an async thread. The structs name only the fields that are read.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use crate::evidence::hex;
use crate::http::bodies::{ArmQueue, MoveQueue, Trust, TrustPurpose};
use crate::http::timestamp;
use crate::http::views::Queue;

/// One call, its answer included.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Elections and restarts pass within this.
const PERSIST_FOR: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
const BODY_BYTES_MAX: u64 = 1 << 30;

#[derive(Clone)]
pub struct Api {
    agent: Agent,
    addresses: Vec<String>,
    authorization: String,
}

/// What an event is made of.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    pub name: &'a str,
    pub venue: &'a str,
    pub test_mode: bool,
    pub hold_ttl_s: u32,
    /// A seating plan in JSON.
    pub plan: &'a [u8],
    pub dedupe: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    pub event_id: u64,
    pub group: u32,
    pub leader: Option<u64>,
    pub phase: String,
    pub seats: Counts,
    pub revision: u64,
    pub applied_index: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Counts {
    pub total: u64,
    pub free: u64,
    pub held: u64,
    pub sold: u64,
    pub blocked: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    pub group_id: u32,
    pub leader: Option<u64>,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NodeView {
    pub node_id: u64,
    pub state: String,
    pub groups: u32,
}

/// A partner and a key of it.
#[derive(Clone, Debug)]
pub struct Partner {
    pub partner_id: u32,
    pub name: String,
    pub key: String,
}

/// A replica's raw snapshot of one sale.
#[derive(Clone, Debug)]
pub struct Dump {
    pub node: u64,
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    detail: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<NodeView>,
}

#[derive(Deserialize)]
struct PartnerId {
    partner_id: u32,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// A call that certainly will not do, or that another node or time may help.
enum Refusal {
    Final(anyhow::Error),
    Passing(anyhow::Error),
}

impl Api {
    pub fn new(addresses: Vec<String>, operator_key: &str) -> Api {
        Api {
            agent: agent(CALL_MAX),
            addresses,
            authorization: format!("Bearer {operator_key}"),
        }
    }

    /// Creates an event and opens its sale.
    pub fn open_event(&self, event: &NewEvent<'_>) -> anyhow::Result<Event> {
        let created = self.create_event(event)?;
        self.command(created.event_id, "open")
            .context("cannot open the sale")?;
        Ok(created)
    }

    /// Creates an event and leaves it announced.
    pub fn create_event(&self, event: &NewEvent<'_>) -> anyhow::Result<Event> {
        let name = serde_json::to_string(event.name)?;
        let venue = serde_json::to_string(event.venue)?;
        let (test_mode, dedupe) = (event.test_mode, event.dedupe);
        let hold_ttl_s = event.hold_ttl_s;
        // The plan is put in as the text it is, not parsed and written again.
        let mut body = format!(
            "{{\"name\":{name},\"venue\":{venue},\"organiser\":\"onsale\",\
             \"test_mode\":{test_mode},\"dedupe\":{dedupe},\
             \"rules\":{{\"hold_ttl_s\":{hold_ttl_s}}},\"plan\":"
        )
        .into_bytes();
        body.extend_from_slice(event.plan);
        body.push(b'}');
        self.persist(Method::Post, "/v1/events", &body)
            .context("cannot create the event")
    }

    /// Gives an announced event a waiting room.
    pub fn arm_queue(&self, event: u64, queue: &ArmQueue) -> anyhow::Result<()> {
        let path = format!("/v1/events/{event}/queue");
        self.persist_raw(Method::Post, &path, &serde_json::to_vec(queue)?)
            .context("cannot arm the waiting room")?;
        Ok(())
    }

    /// Moves the opening of a lobby that has not closed.
    pub fn move_queue(&self, event: u64, times: &MoveQueue) -> anyhow::Result<()> {
        let path = format!("/v1/events/{event}/queue/times");
        self.persist_raw(Method::Put, &path, &serde_json::to_vec(times)?)?;
        Ok(())
    }

    /// Trusts tokens that a partner signs with this key.
    pub fn trust(
        &self,
        event: u64,
        partner_id: u32,
        public_key: &[u8; 32],
        purpose: TrustPurpose,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/events/{event}/queue/trust");
        let body = Trust {
            partner_id,
            public_key: Some(hex(public_key)),
            purpose,
        };
        self.persist_raw(Method::Put, &path, &serde_json::to_vec(&body)?)?;
        Ok(())
    }

    /// Makes a new key to sign passes with.
    pub fn rotate_pass_key(&self) -> anyhow::Result<()> {
        self.persist_raw(Method::Post, "/v1/pass-keys", b"")?;
        Ok(())
    }

    pub fn queue(&self, event: u64) -> anyhow::Result<Queue> {
        self.persist(Method::Get, &format!("/v1/events/{event}/queue"), b"")
    }

    /// What `onsale verify-queue` reads.
    pub fn evidence(&self, event: u64) -> anyhow::Result<Vec<u8>> {
        self.persist_raw(
            Method::Get,
            &format!("/v1/events/{event}/queue/evidence"),
            b"",
        )
    }

    /// `open`, `pause`, `resume`, `close`, `reopen`.
    pub fn command(&self, event: u64, verb: &str) -> anyhow::Result<()> {
        self.persist_raw(Method::Post, &format!("/v1/events/{event}/{verb}"), b"")?;
        Ok(())
    }

    pub fn event(&self, event: u64) -> anyhow::Result<Event> {
        self.persist(Method::Get, &format!("/v1/events/{event}"), b"")
    }

    /// Without patience: the first node that answers, or an error.
    pub fn event_now(&self, event: u64) -> anyhow::Result<Event> {
        let path = format!("/v1/events/{event}");
        let mut last = anyhow!("there is no node");
        for address in &self.addresses {
            match self.once(address, &Method::Get, &path, b"", None) {
                Ok(body) => return Ok(serde_json::from_slice(&body)?),
                Err(Refusal::Final(error) | Refusal::Passing(error)) => last = error,
            }
        }
        Err(last)
    }

    pub fn partner(&self, name: &str) -> anyhow::Result<Partner> {
        let body = serde_json::to_vec(&serde_json::json!({ "name": name }))?;
        let PartnerId { partner_id } = self
            .persist(Method::Post, "/v1/partners", &body)
            .context("cannot make a partner")?;
        let body = serde_json::to_vec(&serde_json::json!({ "partner_id": partner_id }))?;
        let Key { key } = self
            .persist(Method::Post, "/v1/keys", &body)
            .context("cannot make a key")?;
        Ok(Partner {
            partner_id,
            name: name.to_owned(),
            key,
        })
    }

    pub fn groups(&self) -> anyhow::Result<Vec<Group>> {
        let Groups { groups } = self.persist(Method::Get, "/v1/groups", b"")?;
        Ok(groups)
    }

    pub fn nodes(&self) -> anyhow::Result<Vec<NodeView>> {
        let Nodes { nodes } = self.persist(Method::Get, "/v1/nodes", b"")?;
        Ok(nodes)
    }

    pub fn promote(&self, node: u64) -> anyhow::Result<()> {
        self.persist_raw(Method::Post, &format!("/v1/nodes/{node}/promote"), b"")?;
        Ok(())
    }

    /// Hands a group's leadership to another of its voters.
    pub fn transfer(&self, group: u32, to: u64) -> anyhow::Result<()> {
        let body = serde_json::to_vec(&serde_json::json!({ "to": to }))?;
        self.persist_raw(Method::Post, &format!("/v1/groups/{group}/transfer"), &body)?;
        Ok(())
    }

    pub fn drain(&self, node: u64) -> anyhow::Result<()> {
        self.persist_raw(Method::Post, &format!("/v1/nodes/{node}/drain"), b"")?;
        Ok(())
    }

    /// Also when it was removed by an attempt whose answer was lost.
    pub fn remove(&self, node: u64) -> anyhow::Result<()> {
        match self.persist_raw(Method::Delete, &format!("/v1/nodes/{node}"), b"") {
            Err(refused) if self.nodes()?.iter().any(|known| known.node_id == node) => Err(refused),
            Err(_) | Ok(_) => Ok(()),
        }
    }

    /// The raw snapshot of the replica on one node, of no other.
    pub fn dump(&self, address: &str, node: u64, event: u64) -> anyhow::Result<Dump> {
        let path = format!("/v1/events/{event}/dump");
        let until = Instant::now() + PERSIST_FOR;
        loop {
            match self.once(address, &Method::Post, &path, b"", None) {
                Ok(bytes) => return Ok(Dump { node, bytes }),
                Err(Refusal::Passing(_)) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(Refusal::Final(error) | Refusal::Passing(error)) => {
                    return Err(error.context(format!("no dump of node {node}")));
                }
            }
        }
    }

    fn persist<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<T> {
        let answer = self.persist_raw(method, path, body)?;
        serde_json::from_slice(&answer)
            .with_context(|| format!("{path} was answered with something unexpected"))
    }

    /// Asks one node after the other, under one idempotency key, until one has decided.
    fn persist_raw(&self, method: Method, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let until = Instant::now() + PERSIST_FOR;
        let key = idempotency_key();
        for address in self.addresses.iter().cycle() {
            match self.once(address, &method, path, body, Some(&key)) {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Passing(error)) if Instant::now() > until => return Err(error),
                Err(Refusal::Passing(_)) => std::thread::sleep(PAUSE),
            }
        }
        bail!("there is no node")
    }

    fn once(
        &self,
        address: &str,
        method: &Method,
        path: &str,
        body: &[u8],
        key: Option<&str>,
    ) -> Result<Vec<u8>, Refusal> {
        let url = format!("http://{address}{path}");
        let sent = match method {
            Method::Get => self.with_headers(self.agent.get(&url), None).call(),
            Method::Delete => self.with_headers(self.agent.delete(&url), key).call(),
            Method::Put => self
                .with_headers(self.agent.put(&url), key)
                .header("content-type", "application/json")
                .send(body),
            Method::Post => self
                .with_headers(self.agent.post(&url), key)
                .header("content-type", "application/json")
                .send(body),
        };
        let mut response =
            sent.map_err(|error| Refusal::Passing(anyhow!("{address} does not answer: {error}")))?;
        let status = response.status();
        let answer = response
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| Refusal::Passing(anyhow!("{address} broke off: {error}")))?;
        if status.is_success() {
            return Ok(answer);
        }
        let error = match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => anyhow!("{}: {}", problem.reason, problem.detail),
            Err(_) => anyhow!("{path} was answered with status {status}"),
        };
        // The map of a node that starts may lag: a new event, partner or replica is unknown to it.
        let may_pass = status.is_server_error() || matches!(status.as_u16(), 404 | 409 | 429);
        Err(if may_pass && !is_decided(&answer) {
            Refusal::Passing(error)
        } else {
            Refusal::Final(error)
        })
    }

    fn with_headers<B>(
        &self,
        request: ureq::RequestBuilder<B>,
        key: Option<&str>,
    ) -> ureq::RequestBuilder<B> {
        let request = request.header("authorization", &self.authorization);
        match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        }
    }
}

/// Whether the problem says that trying again is of no use.
fn is_decided(problem: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(problem)
        .is_ok_and(|problem| problem["retry"] == "never" && problem["status"].as_u64() != Some(404))
}

/// A moment some time from now, as the API reads it.
pub fn moment_in(ahead: Duration) -> String {
    use cluster::components::WallClock as _;
    let now_ms = crate::load::connect::MachineClock.now_ms();
    timestamp::show((now_ms + ahead.as_millis() as u64) as i64)
}

/// UUIDv7, as text.
fn idempotency_key() -> String {
    use cluster::components::WallClock as _;
    use rand::RngExt as _;
    let random: [u8; 10] = rand::make_rng::<rand::rngs::StdRng>().random();
    let now_ms = crate::load::connect::MachineClock.now_ms();
    uuid::Builder::from_unix_timestamp_millis(now_ms, &random)
        .into_uuid()
        .to_string()
}

fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .build()
        .new_agent()
}

/// Whether the node at an HTTP address says that it is ready.
pub fn is_ready(address: &str) -> bool {
    get_open(address, "/readyz").is_ok()
}

/// The text of a node's metrics.
pub fn metrics(address: &str) -> anyhow::Result<String> {
    get_open(address, "/metrics")
}

/// What needs no key.
fn get_open(address: &str, path: &str) -> anyhow::Result<String> {
    let mut response = agent(Duration::from_secs(2))
        .get(format!("http://{address}{path}"))
        .call()?;
    if !response.status().is_success() {
        bail!(
            "{address}{path} was answered with status {}",
            response.status()
        );
    }
    let body = response
        .body_mut()
        .with_config()
        .limit(BODY_BYTES_MAX)
        .read_to_string()?;
    Ok(body)
}

/// Runs blocking calls on a thread of their own.
pub async fn off<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a call of the cluster API panicked")?
}
