//! One blocking HTTP client. What goes wrong becomes one line: who did not answer, or the problem
//! as the cluster put it.

use std::time::Duration;

use anyhow::{anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use crate::http::problem::Problem;

/// Above the server's own limit, so that its answer is heard.
const CALL_LIMIT: Duration = Duration::from_secs(40);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 256 << 20;

pub struct Client {
    agent: Agent,
    url: String,
    key: String,
    idempotency_key: Option<String>,
}

impl Client {
    pub fn new(url: &str, key: &str, idempotency_key: Option<&str>) -> anyhow::Result<Client> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") {
            bail!("--url must be like http://127.0.0.1:7200, is {url:?}");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("--key has characters that no key has");
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(CALL_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Client {
            agent,
            url: url.to_owned(),
            key: key.to_owned(),
            idempotency_key: idempotency_key.map(str::to_owned),
        })
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.read(self.send("GET", path, Vec::new())?)
    }

    /// `None` where the cluster says no for this reason.
    pub fn get_unless<T: DeserializeOwned>(
        &self,
        reason: &str,
        path: &str,
    ) -> anyhow::Result<Option<T>> {
        match self.read(self.send("GET", path, Vec::new())?) {
            Ok(read) => Ok(Some(read)),
            Err(error) => match error.downcast_ref::<Problem>() {
                Some(problem) if problem.reason == reason => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// What is to be kept as it comes.
    pub fn get_bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.good(self.send("GET", path, Vec::new())?)
    }

    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.read(self.send("POST", path, serde_json::to_vec(body)?)?)
    }

    /// With a body that is already text.
    pub fn post_text<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> anyhow::Result<T> {
        self.read(self.send("POST", path, body)?)
    }

    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.read(self.send("PUT", path, serde_json::to_vec(body)?)?)
    }

    /// A call that answers nothing.
    pub fn order(&self, method: &str, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let response = self.send(method, path, serde_json::to_vec(body)?)?;
        self.good(response).map(|_| ())
    }

    fn send(&self, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Response<Body>> {
        if self.key.is_empty() {
            bail!("an operator's key is needed: --key or ONSALE_KEY");
        }
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let sent = if body.is_empty() || method == "GET" {
            self.agent.run(request.body(())?)
        } else {
            self.agent.run(request.body(body)?)
        };
        sent.map_err(|error| anyhow!("{} does not answer: {error}", self.url))
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> anyhow::Result<T> {
        let text = self.good(response)?;
        serde_json::from_slice(&text)
            .map_err(|error| anyhow!("{} answered something else: {error}", self.url))
    }

    /// The body of a success; a problem as one line.
    fn good(&self, mut response: Response<Body>) -> anyhow::Result<Vec<u8>> {
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| anyhow!("{} broke off: {error}", self.url))?;
        if status.is_success() {
            return Ok(text);
        }
        match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) => Err(problem.into()),
            Err(_) => bail!("{} answered with status {status}", self.url),
        }
    }
}
