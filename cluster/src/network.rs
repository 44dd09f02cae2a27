//! Raft's network over long-lived gRPC lanes: what openraft calls to reach one replica of one
//! group. Two lanes a peer: *log* (appends, pipelined) and *control* (votes, heartbeats,
//! transfers), so that a full log lane never costs a leadership. Snapshots dial for themselves.

pub(crate) mod connection;
pub(crate) mod date;
pub(crate) mod dialer;
pub(crate) mod incoming;
pub(crate) mod lane;
pub(crate) mod peers;
pub(crate) mod pipeline;
pub(crate) mod secret;
pub(crate) mod send_snapshot;
pub(crate) mod server;

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt};
use openraft::AsyncRuntime;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use proto::cluster::v1 as pb;

use crate::metrics::GroupMetrics;
use crate::snapshot::SnapshotFile;
use crate::types::{GroupId, LogId, NodeId, Peer, SnapshotMeta, Types, Vote};
use crate::wire::{self, Append, AppendRefused, Appended, Ballot};

use connection::LaneFailure;
use peers::{PeerLink, Peers};

type SnapshotOf = openraft::Snapshot<crate::types::CommittedLeaderId, NodeId, Peer, SnapshotFile>;

/// Makes the clients of one group's replicas.
pub(crate) struct Network<R> {
    group: GroupId,
    peers: Arc<Peers>,
    metrics: GroupMetrics,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Network<R> {
    pub(crate) fn new(group: GroupId, peers: Arc<Peers>, metrics: GroupMetrics) -> Self {
        Network {
            group,
            peers,
            metrics,
            runtime: PhantomData,
        }
    }

    fn client(&self, target: NodeId, peer: &Peer, kind: Kind) -> Client<R> {
        Client {
            group: self.group,
            target,
            kind,
            link: self.peers.link(target, &peer.address),
            peers: self.peers.clone(),
            metrics: self.metrics.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R: AsyncRuntime> RaftNetworkFactory<Types<R>> for Network<R> {
    type Network = Client<R>;

    async fn new_client(&mut self, target: NodeId, peer: &Peer) -> Client<R> {
        self.client(target, peer, Kind::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, peer: &Peer) -> Client<R> {
        self.client(target, peer, Kind::Heartbeat)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Replication,
    /// Single appends on the control lane, never behind a full log lane.
    Heartbeat,
}

/// Reaches one replica of one group.
pub(crate) struct Client<R> {
    group: GroupId,
    target: NodeId,
    kind: Kind,
    link: Arc<PeerLink>,
    peers: Arc<Peers>,
    metrics: GroupMetrics,
    runtime: PhantomData<fn() -> R>,
}

impl<R: AsyncRuntime> Client<R> {
    async fn call(
        &self,
        request: pb::lane_request::Request,
    ) -> Result<pb::lane_response::Response, RPCError<Types<R>>> {
        let connection = self.link.control.connection().await.map_err(rpc_error)?;
        connection
            .call(self.group, request)
            .await
            .map_err(rpc_error)
    }

    async fn append(&self, request: Append) -> Result<Appended, RPCError<Types<R>>> {
        let request = pb::lane_request::Request::Append(wire::append(request));
        match self.call(request).await? {
            pb::lane_response::Response::Append(response) => {
                wire::read_appended(response).map_err(network_error)
            }
            _ => Err(network_error(wire::Malformed("append answered otherwise"))),
        }
    }

    async fn ballot(
        &self,
        request: VoteRequest<Types<R>>,
        wrap: fn(pb::VoteRequest) -> pb::lane_request::Request,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        use pb::lane_response::Response;
        let request = wire::ballot(&Ballot {
            vote: request.vote,
            last_log_id: request.last_log_id,
            leadership_transfer: request.leadership_transfer,
        });
        match self.call(wrap(request)).await? {
            Response::Vote(answer) | Response::PreVote(answer) => {
                let answer = wire::read_ballot_answer(answer).map_err(network_error)?;
                Ok(VoteResponse {
                    vote: answer.vote,
                    vote_granted: answer.granted,
                    last_log_id: answer.last_log_id,
                })
            }
            _ => Err(network_error(wire::Malformed("vote answered otherwise"))),
        }
    }
}

impl<R: AsyncRuntime> RaftNetworkV2<Types<R>> for Client<R> {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<R>>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        Ok(match self.append(untyped(request)).await? {
            Ok(matching) => AppendEntriesResponse::PartialSuccess(matching),
            Err(AppendRefused::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(AppendRefused::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            BoxStream<'s, Result<StreamAppendResult<Types<R>>, RPCError<Types<R>>>>,
            RPCError<Types<R>>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types<R>>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            if self.kind == Kind::Heartbeat {
                let client = &*self;
                let answers = input.then(move |request| async move {
                    client.append(untyped(request)).await.map(stream_result)
                });
                return Ok(answers.boxed());
            }
            let connection = self
                .link
                .log
                .connection_or_delay()
                .await
                .map_err(rpc_error)?;
            let input = input.map(untyped);
            let answers = pipeline::run(connection, self.group, input)
                .map(|answer| answer.map(stream_result).map_err(rpc_error));
            Ok(answers.boxed())
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.ballot(request, pb::lane_request::Request::Vote).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.metrics.count_pre_vote();
        self.ballot(request, pb::lane_request::Request::PreVote)
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types<R>>, StreamingError<Types<R>>> {
        let SnapshotOf { meta, snapshot } = snapshot;
        let sending = self.send_snapshot(vote, meta, snapshot);
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sending => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(failure) => {
                    // Unreachable: openraft then waits before it sends the whole file again.
                    let text = format!("snapshot to node {}: {failure}", self.target);
                    Err(StreamingError::Unreachable(Unreachable::from_string(text)))
                }
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<R>>,
        _option: RPCOption,
    ) -> Result<openraft::raft::TransferLeaderResponse<Types<R>>, RPCError<Types<R>>> {
        let asked = pb::TransferLeaderRequest {
            from: Some(wire::vote(request.from_leader())),
            to: *request.to_node_id(),
            last_log_id: request.last_log_id().map(wire::log_id),
        };
        match self
            .call(pb::lane_request::Request::TransferLeader(asked))
            .await?
        {
            pb::lane_response::Response::TransferLeader(answer) if answer.accepted => Ok(Ok(())),
            pb::lane_response::Response::TransferLeader(answer) => Err(network_error(answer.why)),
            _ => Err(network_error(wire::Malformed(
                "transfer answered otherwise",
            ))),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let peers = self.peers.clone();
        let mut attempt = 0;
        Some(Backoff::new(std::iter::from_fn(move || {
            attempt += 1;
            Some(peers.backoff(attempt))
        })))
    }
}

impl<R: AsyncRuntime> Client<R> {
    async fn send_snapshot(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<Vote, send_snapshot::SendFailure> {
        send_snapshot::send(&self.peers, &self.link, self.group, vote, meta, file).await
    }
}

fn untyped<R: AsyncRuntime>(request: AppendEntriesRequest<Types<R>>) -> Append {
    Append {
        vote: request.vote,
        prev_log_id: request.prev_log_id,
        entries: request.entries,
        leader_commit: request.leader_commit,
    }
}

fn stream_result<R: AsyncRuntime>(appended: Appended) -> StreamAppendResult<Types<R>> {
    appended.map_err(|refused| match refused {
        AppendRefused::Conflict(at) => StreamAppendError::Conflict::<Types<R>>(at),
        AppendRefused::HigherVote(vote) => StreamAppendError::HigherVote(vote),
    })
}

fn network_error<R: AsyncRuntime>(why: impl ToString) -> RPCError<Types<R>> {
    RPCError::Network(NetworkError::from_string(why))
}

fn rpc_error<R: AsyncRuntime>(failure: LaneFailure) -> RPCError<Types<R>> {
    match failure {
        // Openraft waits after this kind only; a lane that just broke is retried at once.
        LaneFailure::Unreachable(_) | LaneFailure::Refused(_) => {
            RPCError::Unreachable(Unreachable::from_string(failure))
        }
        LaneFailure::Broken | LaneFailure::TimedOut | LaneFailure::Malformed(_) => {
            network_error(failure)
        }
    }
}

/// The last log id an append asks for, as the answer tells it when all went well.
pub(crate) fn last_of(append: &Append) -> Option<LogId> {
    append
        .entries
        .last()
        .map(|entry| entry.log_id)
        .or(append.prev_log_id)
}
