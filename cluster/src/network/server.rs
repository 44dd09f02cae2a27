//! What peers reach on the peer listener: lanes into the local replicas, snapshots, clocks, and the
//! few calls of nodes on each other. Every call into Raft runs in a task of the node's scope.

mod feed;
mod receive_snapshot;

use std::sync::Arc;

use proto::cluster::v1 as pb;
use proto::cluster::v1::peer_service_server::PeerService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::components::Components;
use crate::log::Log;
use crate::map::change::{Changed, MapChanger};
use crate::node::cross_check::CrossCheck;
use crate::replica::registry::Replicas;
use crate::replica::{HandOverRefused, Replica};
use crate::snapshot::SnapshotStore;
use crate::types::GroupId;
use crate::wire::{self, Malformed};

/// Answers waiting for the socket, of all groups of a lane.
const ANSWERS: usize = 256;

/// The service side of a node.
pub(crate) struct PeerServer {
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) components: Components,
    pub(crate) snapshots: SnapshotStore,
    pub(crate) log: Log,
    pub(crate) map: Arc<MapChanger>,
    pub(crate) check: Arc<CrossCheck>,
}

#[tonic::async_trait]
impl PeerService for PeerServer {
    type LaneStream = ReceiverStream<Result<pb::LaneResponse, Status>>;

    async fn lane(
        &self,
        request: Request<Streaming<pb::LaneRequest>>,
    ) -> Result<Response<Self::LaneStream>, Status> {
        let (answers, answered) = mpsc::channel(ANSWERS);
        let serving = LaneServer {
            replicas: self.replicas.clone(),
            components: self.components.clone(),
            feeds: feed::Feeds::default(),
            answers,
        };
        self.components.spawn(serving.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(answered)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::InstallSnapshotRequest>>,
    ) -> Result<Response<pb::InstallSnapshotResponse>, Status> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let replicas = self.replicas.clone();
        let snapshots = self.snapshots.clone();
        let stream = request.into_inner();
        // In a task: a caller that goes away must not drop an installation half-way.
        self.components.spawn(async move {
            let installed = receive_snapshot::receive(&replicas, &snapshots, stream).await;
            done.send(installed).ok();
        });
        let vote = outcome
            .await
            .map_err(|_| Status::unavailable("the node stops"))??;
        Ok(Response::new(pb::InstallSnapshotResponse {
            vote: Some(wire::vote(&vote)),
        }))
    }

    async fn get_clock(
        &self,
        _: Request<pb::GetClockRequest>,
    ) -> Result<Response<pb::GetClockResponse>, Status> {
        Ok(Response::new(pb::GetClockResponse {
            wall_ms: self.components.wall.now_ms(),
        }))
    }

    async fn list_led_groups(
        &self,
        _: Request<pb::ListLedGroupsRequest>,
    ) -> Result<Response<pb::ListLedGroupsResponse>, Status> {
        let groups = self.replicas.led().into_iter().map(|led| pb::LedGroup {
            group_id: led.group,
            term: led.term,
            voters: led.voters.into_iter().collect(),
            learners: led.learners.into_iter().collect(),
            settled: led.settled,
        });
        Ok(Response::new(pb::ListLedGroupsResponse {
            groups: groups.collect(),
            disk_full: self.log.is_full(),
            catching_up: self.replicas.catching_up(),
        }))
    }

    async fn list_digests(
        &self,
        request: Request<pb::ListDigestsRequest>,
    ) -> Result<Response<pb::ListDigestsResponse>, Status> {
        let known = request.into_inner().known;
        let groups = self.check.tell(&self.replicas, &known);
        Ok(Response::new(pb::ListDigestsResponse { groups }))
    }

    async fn change_map(
        &self,
        request: Request<pb::ChangeMapRequest>,
    ) -> Result<Response<pb::ChangeMapResponse>, Status> {
        use pb::change_map_response::Outcome;
        let change = request
            .into_inner()
            .change
            .and_then(|change| change.change)
            .ok_or_else(|| Status::invalid_argument("no change"))?;
        let outcome = match self.map.propose(change).await {
            Changed::Applied(map) => Outcome::Version(map.version),
            Changed::Rejected(rejection) => {
                Outcome::Rejection(pb::MapRejection::from(rejection) as i32)
            }
            Changed::NotLeader { leader } => Outcome::NotLeader(pb::NotLeader {
                leader: leader.unwrap_or(0),
            }),
            Changed::Unknown => Outcome::Unknown(pb::MapUnknown {}),
        };
        Ok(Response::new(pb::ChangeMapResponse {
            outcome: Some(outcome),
        }))
    }

    async fn hand_over(
        &self,
        request: Request<pb::HandOverRequest>,
    ) -> Result<Response<pb::HandOverResponse>, Status> {
        use pb::hand_over_response::Outcome;
        let request = request.into_inner();
        let replica = self
            .replicas
            .get(request.group_id)
            .ok_or_else(|| Status::not_found("no replica of this group"))?;
        let outcome = match self.components.enter(replica.hand_over(request.to)).await {
            Ok(()) => Outcome::Begun(pb::Begun {}),
            Err(HandOverRefused::NotLeader { leader }) => Outcome::NotLeader(pb::NotLeader {
                leader: leader.unwrap_or(0),
            }),
            Err(refused) => Outcome::Refused(refused.to_string()),
        };
        Ok(Response::new(pb::HandOverResponse {
            outcome: Some(outcome),
        }))
    }
}

/// One lane of one peer, until its connection ends.
struct LaneServer {
    replicas: Arc<Replicas>,
    components: Components,
    feeds: feed::Feeds,
    answers: mpsc::Sender<Result<pb::LaneResponse, Status>>,
}

impl LaneServer {
    async fn run(mut self, mut frames: Streaming<pb::LaneRequest>) {
        while let Ok(Some(frame)) = frames.message().await {
            let id = FrameId {
                group: frame.group_id,
                epoch: frame.stream_epoch,
                request: frame.request_id,
            };
            let taken = match frame.request {
                Some(pb::lane_request::Request::Append(append)) if id.epoch != 0 => {
                    self.feed(id, append).await
                }
                Some(request) => {
                    self.answer_alone(id, request);
                    Ok(())
                }
                None => Err(Malformed("a frame without request")),
            };
            if let Err(malformed) = taken {
                tracing::warn!(%malformed, "closing a peer's lane");
                return;
            }
        }
    }

    /// An append of a pipelined stream.
    async fn feed(&mut self, id: FrameId, append: pb::AppendRequest) -> Result<(), Malformed> {
        let append = wire::read_append(append)?;
        if !self.feeds.is_current(id) {
            let Some(replica) = self.replicas.get(id.group) else {
                self.answer(id, refused("no replica of this group here"))
                    .await;
                return Ok(());
            };
            let answers = self.answers.clone();
            self.feeds.open(id, replica, &self.components, answers);
        }
        self.feeds.push(id, append)
    }

    /// A request with its own answer: few of them, a task each.
    fn answer_alone(&self, id: FrameId, request: pb::lane_request::Request) {
        let replica = self.replicas.get(id.group);
        let answers = self.answers.clone();
        self.components.spawn(async move {
            let response = match replica {
                Some(replica) => answer(replica.as_ref(), request)
                    .await
                    .unwrap_or_else(refused),
                None => refused("no replica of this group here"),
            };
            // A lane that closed meanwhile needs no answer.
            answers.send(Ok(id.response(response))).await.ok();
        });
    }

    async fn answer(&self, id: FrameId, response: pb::lane_response::Response) {
        // The next frame notices a lane that closed.
        self.answers.send(Ok(id.response(response))).await.ok();
    }
}

/// What an answer repeats of its request.
#[derive(Clone, Copy)]
struct FrameId {
    group: GroupId,
    epoch: u64,
    request: u64,
}

impl FrameId {
    fn response(self, response: pb::lane_response::Response) -> pb::LaneResponse {
        pb::LaneResponse {
            group_id: self.group,
            stream_epoch: self.epoch,
            request_id: self.request,
            response: Some(response),
        }
    }
}

fn refused(why: impl ToString) -> pb::lane_response::Response {
    pb::lane_response::Response::Refused(why.to_string())
}

async fn answer(
    replica: &dyn Replica,
    request: pb::lane_request::Request,
) -> Result<pb::lane_response::Response, String> {
    use pb::lane_request::Request;
    use pb::lane_response::Response;
    let text = |malformed: Malformed| malformed.to_string();
    match request {
        Request::Append(append) => {
            let append = wire::read_append(append).map_err(text)?;
            let appended = replica.append(append).await?;
            Ok(Response::Append(wire::appended(appended)))
        }
        Request::Vote(ballot) => {
            let ballot = wire::read_ballot(ballot).map_err(text)?;
            let answer = replica.vote(ballot).await?;
            Ok(Response::Vote(wire::ballot_answer(&answer)))
        }
        Request::PreVote(ballot) => {
            let ballot = wire::read_ballot(ballot).map_err(text)?;
            let answer = replica.pre_vote(ballot).await?;
            Ok(Response::PreVote(wire::ballot_answer(&answer)))
        }
        Request::TransferLeader(transfer) => {
            let from = wire::read_vote(transfer.from).map_err(text)?;
            let last = transfer.last_log_id.map(wire::read_log_id);
            let accepted = replica.accept_transfer(from, transfer.to, last).await?;
            let why = accepted.err();
            Ok(Response::TransferLeader(pb::TransferLeaderResponse {
                accepted: why.is_none(),
                why: why.unwrap_or_default(),
            }))
        }
    }
}
