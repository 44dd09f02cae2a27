//! Visitors of a waiting room, through `AdmissionService`: many at once, to the next node when one
//! fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::components::Net;
use proto::channel::v1 as pb;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::call::{Id, Rejected};
use super::client::{GaveUp, Trouble};
use super::connect::{self, Bearer};
use super::unary::{Verdict, judge};

type Admission = AdmissionServiceClient<InterceptedService<Channel, Bearer>>;

/// A call that is silent for so long is made again elsewhere.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);
const RETRY_DELAY: Duration = Duration::from_millis(20);
/// Visitors of one call.
pub const BATCH: usize = 1000;

/// What a visitor who was let in has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub text: String,
    pub ends_ms: u64,
    pub tickets_left: u32,
}

pub struct Visitors {
    nodes: Vec<Admission>,
    /// The node that answered last.
    node: AtomicUsize,
    trouble: Arc<Trouble>,
}

impl Visitors {
    pub fn new(
        net: &Arc<dyn Net>,
        nodes: &[String],
        key: Bearer,
    ) -> Result<Visitors, tonic::transport::Error> {
        let nodes = nodes
            .iter()
            .map(|address| {
                let channel = connect::connect_lazily(net, address)?;
                Ok(AdmissionServiceClient::with_interceptor(
                    channel,
                    key.clone(),
                ))
            })
            .collect::<Result<_, tonic::transport::Error>>()?;
        Ok(Visitors {
            nodes,
            node: AtomicUsize::new(0),
            trouble: Arc::default(),
        })
    }

    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Brings visitors in until all are there, each with the tickets that the party wants; one who is
    /// refused for good ends it.
    pub async fn join(
        &self,
        event_id: u64,
        visitors: &[(Id, u8)],
        class: u32,
    ) -> Result<(), GaveUp> {
        let mut missing: Vec<(Id, u8)> = visitors.to_vec();
        while !missing.is_empty() {
            let batch: Vec<(Id, u8)> = missing[..missing.len().min(BATCH)].to_vec();
            let request = pb::JoinManyRequest {
                event_id,
                visitors: batch.iter().map(|(id, _)| bytes(id)).collect(),
                priority_class: class,
                party_sizes: batch.iter().map(|(_, party)| (*party).into()).collect(),
                enqueue_tokens: Vec::new(),
            };
            let told = self
                .persist(|mut client| {
                    let request = Request::new(request.clone());
                    async move { client.join_many(request).await }
                })
                .await?;
            let told = told.map_err(|why| GaveUp::Status(format!("{why:?}")))?;
            if let Some(refused) = told.refused.iter().find(|refused| !refused.again) {
                return Err(GaveUp::Status(refused.reason.clone()));
            }
            let rest = missing.split_off(batch.len());
            let again = told.refused.iter().map(|refused| refused.at as usize);
            missing = again.filter_map(|at| batch.get(at).copied()).collect();
            if !missing.is_empty() {
                self.trouble.retry();
                tokio::time::sleep(RETRY_DELAY).await;
            }
            missing.extend(rest);
        }
        Ok(())
    }

    /// Where visitors stand, in the sequence of the question.
    pub async fn places(&self, event_id: u64, visitors: &[Id]) -> Result<Vec<pb::Place>, GaveUp> {
        let mut places = Vec::with_capacity(visitors.len());
        for batch in visitors.chunks(BATCH) {
            let request = pb::StatusManyRequest {
                linearizable: false,
                event_id,
                visitors: batch.iter().map(bytes).collect(),
            };
            let told = self
                .persist(|mut client| {
                    let request = Request::new(request.clone());
                    async move { client.status_many(request).await }
                })
                .await?;
            places.extend(
                told.map_err(|why| GaveUp::Status(format!("{why:?}")))?
                    .places,
            );
        }
        Ok(places)
    }

    /// The pass of a visitor who was let in, or why there is none.
    pub async fn claim(
        &self,
        event_id: u64,
        visitor: &Id,
    ) -> Result<Result<Pass, Rejected>, GaveUp> {
        let request = pb::ClaimRequest {
            event_id,
            visitor: bytes(visitor),
        };
        let told = self
            .persist(|mut client| {
                let request = Request::new(request.clone());
                async move { client.claim(request).await }
            })
            .await?;
        Ok(told.map(|told| Pass {
            text: told.pass_token,
            ends_ms: told.ends_ms,
            tickets_left: told.tickets_left,
        }))
    }

    /// One node after the other until one has answered; the caller limits the time.
    async fn persist<T, F>(
        &self,
        ask: impl Fn(Admission) -> F,
    ) -> Result<Result<T, Rejected>, GaveUp>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        loop {
            let node = self.node.load(Ordering::Relaxed);
            let client = self.nodes[node % self.nodes.len()].clone();
            let status = match tokio::time::timeout(ATTEMPT_MAX, ask(client)).await {
                Ok(Ok(answer)) => return Ok(Ok(answer.into_inner())),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("silence"),
            };
            let delay = match judge(&status) {
                Verdict::Rejected { why, .. } => return Ok(Err(why)),
                Verdict::Final => return Err(GaveUp::Status(status.to_string())),
                Verdict::Unknown => RETRY_DELAY,
                Verdict::Later(delay) => delay,
                Verdict::Elsewhere => {
                    // Only the first of many callers moves everybody on.
                    let (next, relaxed) = (node.wrapping_add(1), Ordering::Relaxed);
                    if self
                        .node
                        .compare_exchange(node, next, relaxed, relaxed)
                        .is_ok()
                    {
                        self.trouble.reconnect();
                    }
                    RETRY_DELAY
                }
            };
            self.trouble.retry();
            tokio::time::sleep(delay).await;
        }
    }
}

fn bytes(id: &Id) -> Bytes {
    Bytes::copy_from_slice(id)
}
