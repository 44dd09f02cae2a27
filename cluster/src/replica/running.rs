//! Starts a replica and speaks to openraft for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, InitializeError, RaftError};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, ChangeMembers};
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::adapter::{Adapter, Progress};
use super::batcher::Batcher;
use super::digests::Digests;
use super::handle::Handle;
use super::leadership::Watch;
use super::outstanding::Outstanding;
use super::slots::Slots;
use super::{
    GroupStatus, HandOverRefused, MembersFailure, Replica, ReplicaStartFailure, ReplicaState,
    barriers, profile, status,
};
use crate::components::Components;
use crate::config::Config;
use crate::group::Group;
use crate::log::Log;
use crate::machine::Machine;
use crate::metrics::ClusterMetrics;
use crate::network::peers::Peers;
use crate::network::{Network, last_of};
use crate::snapshot::{SnapshotFile, SnapshotStore};
use crate::types::{GroupId, LogId, NodeId, Peer, SnapshotMeta, Types, Vote};
use crate::wire::{Append, AppendRefused, Appended, Ballot, BallotAnswer};

type Raft<R> = openraft::Raft<Types<R>, Adapter>;

/// Entries a voter may be behind and still be handed the leadership.
const HAND_OVER_LAG_MAX: u64 = 1_000;

/// What all replicas of a node are started with.
pub(crate) struct Starting {
    pub(crate) config: Config,
    pub(crate) components: Components,
    pub(crate) log: Log,
    pub(crate) snapshots: SnapshotStore,
    pub(crate) peers: Arc<Peers>,
    pub(crate) metrics: ClusterMetrics,
    /// Numbers the replicas started, so that each life of one has a number of its own.
    pub(crate) started: AtomicU64,
}

/// Restores the replica from its snapshot and log, and lets it take part.
pub(crate) async fn start<R: AsyncRuntime>(
    starting: &Starting,
    group: GroupId,
    machine: impl FnOnce(Arc<dyn Group>) -> Arc<dyn Machine>,
) -> Result<Arc<dyn Replica>, ReplicaStartFailure> {
    let config = &starting.config;
    let node = config.node_id;
    let failure = |why: String| ReplicaStartFailure::Raft { group, why };
    let profile = profile::of(config).map_err(|error| failure(error.to_string()))?;
    let newest = starting.snapshots.newest(group).await;
    let newest = newest.map_err(|source| ReplicaStartFailure::Snapshot { group, source })?;

    let metrics = starting.metrics.group(group);
    let (handle, queues) = Handle::new(group, node);
    let machine = machine(handle.clone());
    let applying = Arc::downgrade(&machine);
    let wall = starting.components.wall.clone();
    let progress = Progress::new(newest, metrics.clone(), wall);
    let lives = starting.started.fetch_add(1, Ordering::Relaxed);
    let incarnation = xxh3_64_with_seed(&lives.to_le_bytes(), starting.components.seed);
    let (digests, mut asked) = Digests::new(incarnation, config.digest_entries);
    let digests = Arc::new(digests);
    let adapter = Adapter::new(
        group,
        machine.clone(),
        starting.snapshots.clone(),
        progress.clone(),
        digests.clone(),
    );
    let collecting = digests.clone();
    let digesting = starting
        .components
        .spawn(async move { while collecting.collect(&mut asked).await.is_some() {} });
    let raft = Raft::<R>::new(
        node,
        Arc::new(profile),
        Network::<R>::new(group, starting.peers.clone(), metrics.clone()),
        starting.log.group::<R>(group),
        adapter,
    )
    .await
    .map_err(|fatal| failure(fatal.to_string()))?;

    let outstanding = Arc::new(Outstanding::default());
    let ready = Arc::new(AtomicBool::new(false));
    let components = &starting.components;
    let batcher = Batcher {
        group,
        node,
        log: starting.log.clone(),
        raft: raft.clone(),
        outstanding: outstanding.clone(),
        leadership: queues.leadership.subscribe(),
        slots: Slots::new(config.in_flight_entries),
        entry_bytes_max: config.entry_bytes_max,
        proposal_limit: config.proposal_limit(),
        metrics: metrics.clone(),
    };
    let watch = Watch {
        group,
        node,
        raft: raft.clone(),
        machine,
        outstanding,
        leadership: queues.leadership,
        applied_term: progress.applied_term.subscribe(),
        progress: progress.clone(),
        halt: components.halt.clone(),
        heartbeat: config.heartbeat(),
        quorum_limit: config.election_max(),
        ready: ready.clone(),
        metrics,
    };
    let told = starting.metrics.clone();
    let barriers = barriers::run(raft.clone(), config.election_max(), queues.barriers);
    let watching = components.spawn(watch.run());
    // Ends with the watch, and answers who still waits.
    components.spawn(batcher.run(queues.proposals));
    let proving = components.spawn(barriers);
    Ok(Arc::new(Running {
        group,
        node,
        raft,
        handle,
        machine: applying,
        progress,
        digests,
        ready,
        proving,
        digesting,
        watching: Mutex::new(Some(watching)),
        told,
    }))
}

struct Running<R: AsyncRuntime> {
    group: GroupId,
    node: NodeId,
    raft: Raft<R>,
    handle: Arc<Handle>,
    /// Not kept alive from here: it ends with openraft's part of the replica, and with it the actors,
    /// while others may still hold this.
    machine: Weak<dyn Machine>,
    progress: Arc<Progress>,
    digests: Arc<Digests>,
    ready: Arc<AtomicBool>,
    proving: JoinHandle<()>,
    digesting: JoinHandle<()>,
    watching: Mutex<Option<JoinHandle<()>>>,
    told: ClusterMetrics,
}

#[async_trait]
impl<R: AsyncRuntime> Replica for Running<R> {
    fn handle(&self) -> Arc<dyn Group> {
        self.handle.clone()
    }

    fn status(&self) -> GroupStatus {
        status::of(self.group, &self.raft.metrics().borrow_watched())
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn behind(&self) -> u64 {
        let status = self.status();
        let waiting = self.machine.upgrade().map_or(0, |machine| machine.behind());
        status.committed.saturating_sub(status.applied) + waiting
    }

    fn bytes_since_snapshot(&self) -> u64 {
        self.progress.bytes_since_snapshot.load(Ordering::Relaxed)
    }

    fn digests(&self) -> Arc<Digests> {
        self.digests.clone()
    }

    async fn digest(&self) {
        let asking = self.raft.with_state_machine(|adapter: &mut Adapter| {
            Box::pin(async move {
                // A machine that has stopped tells openraft so with the next entry.
                adapter.digest().await.ok();
            })
        });
        asking.await.ok();
    }

    fn append_stream(
        &self,
        input: BoxStream<'static, Append>,
    ) -> BoxStream<'static, Result<Appended, String>> {
        let outcomes = self.raft.stream_append(input.map(request::<R>));
        outcomes
            .map(|outcome| match outcome {
                Ok(result) => Ok(appended(result)),
                Err(fatal) => Err(fatal.to_string()),
            })
            .boxed()
    }

    async fn append(&self, append: Append) -> Result<Appended, String> {
        let last = last_of(&append);
        let previous = append.prev_log_id;
        let response = self.raft.append_entries(request::<R>(append)).await;
        let response = response.map_err(|error| error.to_string())?;
        // Openraft's own conversion takes it that only a named log id can conflict.
        if matches!(response, AppendEntriesResponse::Conflict) && previous.is_none() {
            return Err("a conflict before the first entry".into());
        }
        Ok(appended(response.into_stream_result(previous, last)))
    }

    async fn vote(&self, ballot: Ballot) -> Result<BallotAnswer, String> {
        let answer = self.raft.vote(ballot_of::<R>(ballot)).await;
        answer.map(answer_of).map_err(|error| error.to_string())
    }

    async fn pre_vote(&self, ballot: Ballot) -> Result<BallotAnswer, String> {
        let answer = self.raft.pre_vote(ballot_of::<R>(ballot)).await;
        answer.map(answer_of).map_err(|error| error.to_string())
    }

    async fn accept_transfer(
        &self,
        from: Vote,
        to: NodeId,
        last_log_id: Option<LogId>,
    ) -> Result<Result<(), String>, String> {
        let request = TransferLeaderRequest::new(from, to, last_log_id);
        match self.raft.handle_transfer_leader(request).await {
            Ok(answer) => Ok(answer.map_err(|refused| refused.to_string())),
            Err(fatal) => Err(fatal.to_string()),
        }
    }

    async fn install(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<Vote, String> {
        let snapshot = openraft::Snapshot {
            meta,
            snapshot: file,
        };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        installed
            .map(|response| response.vote)
            .map_err(|fatal| fatal.to_string())
    }

    async fn initialize(&self, members: BTreeMap<NodeId, Peer>) -> Result<(), MembersFailure> {
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(MembersFailure::Refused(error.to_string())),
        }
    }

    async fn add_learner(&self, node: NodeId, peer: Peer) -> Result<(), MembersFailure> {
        let added = self.raft.add_learner(node, peer, false).await;
        added.map(drop).map_err(members_failure)
    }

    async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembersFailure> {
        let change = ChangeMembers::ReplaceAllVoters(voters);
        // Who is no voter any more stays as a learner until removed on its own.
        let changed = self.raft.change_membership(change, true).await;
        changed.map(drop).map_err(members_failure)
    }

    async fn remove_learners(&self, nodes: BTreeSet<NodeId>) -> Result<(), MembersFailure> {
        let change = ChangeMembers::RemoveNodes(nodes);
        let changed = self.raft.change_membership(change, true).await;
        changed.map(drop).map_err(members_failure)
    }

    async fn hand_over(&self, to: NodeId) -> Result<(), HandOverRefused> {
        let status = self.status();
        if status.state != ReplicaState::Leader {
            return Err(HandOverRefused::NotLeader {
                leader: status.leader,
            });
        }
        if to == self.node {
            return Ok(());
        }
        if !status.voters.contains(&to) {
            return Err(HandOverRefused::NotAVoter(to));
        }
        if status
            .lag
            .get(&to)
            .is_none_or(|lag| *lag > HAND_OVER_LAG_MAX)
        {
            return Err(HandOverRefused::Lags(to));
        }
        let begun = self.raft.trigger().transfer_leader(to).await;
        begun.map_err(|_| HandOverRefused::Stopped)
    }

    async fn take_snapshot(&self) -> Result<(), String> {
        let begun = self.raft.trigger().snapshot().await;
        begun.map_err(|fatal| fatal.to_string())
    }

    async fn purge(&self, upto: u64) -> Result<(), String> {
        let begun = self.raft.trigger().purge_log(upto).await;
        begun.map_err(|fatal| fatal.to_string())
    }

    async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = self.group, %error, "a replica did not stop cleanly");
        }
        let watching = {
            let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
            watching.take()
        };
        // The watch answers who still waits; its end is the replica's.
        if let Some(watching) = watching {
            watching.await.ok();
        }
        self.told.forget(self.group);
        // Readers whose round did not end are told by the drop of their channel.
        self.proving.abort();
        self.digesting.abort();
    }
}

fn request<R: AsyncRuntime>(append: Append) -> AppendEntriesRequest<Types<R>> {
    AppendEntriesRequest {
        vote: append.vote,
        prev_log_id: append.prev_log_id,
        entries: append.entries,
        leader_commit: append.leader_commit,
    }
}

fn appended<R: AsyncRuntime>(result: StreamAppendResult<Types<R>>) -> Appended {
    result.map_err(|error| match error {
        StreamAppendError::Conflict(at) => AppendRefused::Conflict(at),
        StreamAppendError::HigherVote(vote) => AppendRefused::HigherVote(vote),
    })
}

fn ballot_of<R: AsyncRuntime>(ballot: Ballot) -> VoteRequest<Types<R>> {
    VoteRequest {
        vote: ballot.vote,
        last_log_id: ballot.last_log_id,
        leadership_transfer: ballot.leadership_transfer,
    }
}

fn answer_of<R: AsyncRuntime>(answer: VoteResponse<Types<R>>) -> BallotAnswer {
    BallotAnswer {
        vote: answer.vote,
        last_log_id: answer.last_log_id,
        granted: answer.vote_granted,
    }
}

fn members_failure<R: AsyncRuntime>(
    error: RaftError<Types<R>, ClientWriteError<Types<R>>>,
) -> MembersFailure {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => MembersFailure::NotLeader {
            leader: to.leader_id,
        },
        other => MembersFailure::Refused(other.to_string()),
    }
}
