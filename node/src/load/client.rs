//! A partner that calls until it knows: the outcome of a call, or that its time is over. Whatever
//! is in between (a node that died, no leader, busy, unknown) is retried with the same key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cluster::components::Net;

use super::call::{Answer, Call, Id};
use super::connect::Bearer;
use super::session::Sessions;
use super::unary::Unary;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GaveUp {
    /// It may still have happened.
    #[error("no answer within the time allowed")]
    TimedOut,
    #[error("the node says {0:?}")]
    Failed(proto::channel::v1::FailureReason),
    #[error("{0}")]
    Status(String),
}

/// What happened on the way to the answers.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Attempts beyond the first.
    pub retries: AtomicU64,
    /// Outcomes that were unknown at first.
    pub unknown: AtomicU64,
    /// Connections lost.
    pub reconnects: AtomicU64,
}

impl Trouble {
    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a partner is connected.
#[derive(Clone)]
pub enum Seller {
    /// One stream for everything.
    Session(Sessions),
    /// A call at a time.
    Unary(Arc<Unary>),
}

/// A partner's client: cheap to clone, for many buyers at once.
#[derive(Clone)]
pub struct Client {
    seller: Seller,
    trouble: Arc<Trouble>,
}

impl Client {
    /// A client that keeps one session stream, to the first of `nodes` that answers.
    pub fn session(net: Arc<dyn Net>, nodes: Vec<String>, key: Bearer) -> Client {
        let trouble = Arc::new(Trouble::default());
        let sessions = Sessions::start(net, nodes, key, Arc::clone(&trouble));
        Client {
            seller: Seller::Session(sessions),
            trouble,
        }
    }

    /// A client that makes plain calls.
    pub fn unary(
        net: &Arc<dyn Net>,
        nodes: &[String],
        key: Bearer,
    ) -> Result<Client, tonic::transport::Error> {
        let trouble = Arc::new(Trouble::default());
        let unary = Unary::new(net, nodes, key, Arc::clone(&trouble))?;
        Ok(Client {
            seller: Seller::Unary(Arc::new(unary)),
            trouble,
        })
    }

    /// Calls until the outcome is certain or `limit` has passed.
    pub async fn call(
        &self,
        event: u64,
        key: Id,
        call: Call,
        limit: Duration,
    ) -> Result<Answer, GaveUp> {
        let answer = async {
            match &self.seller {
                Seller::Session(sessions) => sessions.call(event, key, call).await,
                Seller::Unary(unary) => unary.call(event, key, &call).await,
            }
        };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(GaveUp::TimedOut))
    }

    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }
}
