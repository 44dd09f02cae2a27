//! Takes a snapshot from a leader: to a temporary file, checked against what the leader announced,
//! then to the replica, which makes it its own.

use proto::cluster::v1 as pb;
use tonic::{Status, Streaming};

use crate::replica::registry::Replicas;
use crate::snapshot::SnapshotStore;
use crate::types::{SnapshotMeta, Vote};
use crate::wire;

pub(super) async fn receive(
    replicas: &Replicas,
    snapshots: &SnapshotStore,
    mut stream: Streaming<pb::InstallSnapshotRequest>,
) -> Result<Vote, Status> {
    let mut request = stream
        .message()
        .await?
        .ok_or_else(|| Status::invalid_argument("no snapshot"))?;
    let header = request
        .header
        .take()
        .ok_or_else(|| Status::invalid_argument("no header"))?;
    let malformed = |malformed: wire::Malformed| Status::invalid_argument(malformed.to_string());
    let vote = wire::read_vote(header.vote).map_err(malformed)?;
    let meta = SnapshotMeta {
        last_log_id: header.last_log_id.map(wire::read_log_id),
        last_membership: match header.membership {
            Some(membership) => wire::read_membership(membership).map_err(malformed)?,
            None => return Err(Status::invalid_argument("no membership")),
        },
    };
    let replica = replicas
        .get(header.group_id)
        .ok_or_else(|| Status::not_found("no replica of this group"))?;
    let disk = |error: std::io::Error| Status::internal(error.to_string());

    let mut receiving = snapshots.receive(header.group_id).await.map_err(disk)?;
    receiving.write(request.chunk).await.map_err(disk)?;
    while let Some(request) = stream.message().await? {
        receiving.write(request.chunk).await.map_err(disk)?;
    }
    let file = receiving
        .finish(header.length, header.checksum)
        .await
        .map_err(disk)?;
    replica
        .install(vote, meta, file)
        .await
        .map_err(Status::unavailable)
}
