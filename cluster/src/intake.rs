//! What peers and disks hand in, read without a node. A running node reads with the same functions
//! in their places; these are for whoever feeds them anything. Each reads its bytes and writes what
//! it understood, so that the two can be compared.

use prost::Message as _;
use proto::cluster::v1 as pb;

use crate::snapshot::format;
use crate::types::GroupId;
use crate::wire::{self, Malformed};

/// Why bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("no such message: {0}")]
    Message(#[from] prost::DecodeError),
    #[error(transparent)]
    Frame(#[from] Malformed),
    #[error("no snapshot: {0}")]
    Snapshot(String),
}

/// A request on a lane.
pub fn lane_request(frame: &[u8]) -> Result<Vec<u8>, Unreadable> {
    use pb::lane_request::Request;
    let mut frame = pb::LaneRequest::decode(frame)?;
    frame.request = Some(match frame.request.take() {
        None => return Err(Malformed("a frame without request").into()),
        Some(Request::Append(append)) => Request::Append(wire::append(wire::read_append(append)?)),
        Some(Request::Vote(ballot)) => Request::Vote(wire::ballot(&wire::read_ballot(ballot)?)),
        Some(Request::PreVote(ballot)) => {
            Request::PreVote(wire::ballot(&wire::read_ballot(ballot)?))
        }
        Some(Request::TransferLeader(transfer)) => {
            let from = wire::read_vote(transfer.from)?;
            let last = transfer.last_log_id.map(wire::read_log_id);
            Request::TransferLeader(pb::TransferLeaderRequest {
                from: Some(wire::vote(&from)),
                to: transfer.to,
                last_log_id: last.as_ref().map(wire::log_id),
            })
        }
    });
    Ok(frame.encode_to_vec())
}

/// An answer on a lane.
pub fn lane_response(frame: &[u8]) -> Result<Vec<u8>, Unreadable> {
    use pb::lane_response::Response;
    let mut frame = pb::LaneResponse::decode(frame)?;
    frame.response = Some(match frame.response.take() {
        None => return Err(Malformed("a frame without response").into()),
        Some(Response::Append(append)) => {
            Response::Append(wire::appended(wire::read_appended(append)?))
        }
        Some(Response::Vote(answer)) => {
            Response::Vote(wire::ballot_answer(&wire::read_ballot_answer(answer)?))
        }
        Some(Response::PreVote(answer)) => {
            Response::PreVote(wire::ballot_answer(&wire::read_ballot_answer(answer)?))
        }
        Some(other @ (Response::TransferLeader(_) | Response::Refused(_))) => other,
    });
    Ok(frame.encode_to_vec())
}

/// The first chunk of a snapshot that a leader sends.
pub fn snapshot_chunk(chunk: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut request = pb::InstallSnapshotRequest::decode(chunk)?;
    let header = request.header.as_mut().ok_or(Malformed("no header"))?;
    header.vote = Some(wire::vote(&wire::read_vote(header.vote)?));
    let membership = header.membership.take().ok_or(Malformed("no membership"))?;
    let stored = wire::read_membership(membership)?;
    header.membership = Some(wire::membership(
        stored.log_id().as_ref(),
        stored.membership(),
    ));
    Ok(request.encode_to_vec())
}

/// A snapshot's file: the state in it, and the file written again.
pub fn snapshot_file(group: GroupId, file: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Unreadable> {
    let unreadable = |why: String| Unreadable::Snapshot(why);
    let (meta, state) =
        format::decode(group, file).map_err(|damage| unreadable(damage.to_string()))?;
    let again =
        format::encode(group, &meta, &state).map_err(|error| unreadable(error.to_string()))?;
    Ok((state, again))
}
