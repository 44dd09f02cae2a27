//! Every request message of other nodes: decoded, turned into Raft's own types where it is Raft's,
//! and written again.

use std::fmt::Debug;

use actors::codec::record::Records;
use cluster::intake;
use prost::Message;
use proto::cluster::v1 as pb;
use proto::cluster::v1::{lane_request, lane_response, log_entry};
use proto::log::v1 as log;

use super::partner_requests::tagged;
use super::samples;

/// By name, as in the service definitions; the place is the first byte of an input.
pub const MESSAGES: &[&str] = &[
    "LaneRequest",
    "LaneResponse",
    "InstallSnapshotRequest",
    "ListDigestsRequest",
    "ChangeMapRequest",
    "HandOverRequest",
    "GetClockRequest",
    "ForwardRequest",
    "ListLedGroupsRequest",
];

/// The first byte says which message the rest is.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match usize::from(*kind) % MESSAGES.len() {
        0 => stable(bytes, intake::lane_request),
        1 => stable(bytes, intake::lane_response),
        2 => stable(bytes, intake::snapshot_chunk),
        3 => message::<pb::ListDigestsRequest>(bytes),
        4 => message::<pb::ChangeMapRequest>(bytes),
        5 => message::<pb::HandOverRequest>(bytes),
        6 => message::<pb::GetClockRequest>(bytes),
        7 => {
            message::<pb::ForwardRequest>(bytes);
            if let Ok(request) = pb::ForwardRequest::decode(bytes) {
                for batch in &request.batches {
                    Records::new(&batch.records).for_each(drop);
                }
            }
        }
        _ => message::<pb::ListLedGroupsRequest>(bytes),
    }
}

/// What was understood reads back as the same.
fn stable(bytes: &[u8], read: fn(&[u8]) -> Result<Vec<u8>, intake::Unreadable>) {
    if let Ok(once) = read(bytes) {
        let twice = read(&once).expect("our own bytes");
        assert_eq!(twice, once);
    }
}

fn message<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let again = M::decode(&message.encode_to_vec()[..]);
        assert_eq!(again, Ok(message));
    }
}

pub fn corpus() -> Vec<Vec<u8>> {
    let vote = Some(pb::Vote {
        term: 3,
        node_id: 1,
        committed: true,
    });
    let id = |index| Some(pb::LogId { term: 3, index });
    let membership = pb::Membership {
        log_id: id(4),
        configs: vec![
            pb::VoterSet {
                node_ids: vec![1, 2, 3],
            },
            pb::VoterSet {
                node_ids: vec![2, 3, 4],
            },
        ],
        members: (1..=5)
            .map(|node_id| pb::Member {
                node_id,
                peer_address: format!("node-{node_id}:7300"),
            })
            .collect(),
    };
    let entry = |index, payload| pb::LogEntry {
        term: 3,
        index,
        payload: Some(payload),
    };
    let append = pb::AppendRequest {
        vote,
        prev_log_id: id(7),
        leader_commit: id(6),
        entries: vec![
            entry(8, log_entry::Payload::Application(vec![1, 2, 3].into())),
            entry(9, log_entry::Payload::Membership(membership.clone())),
            entry(10, log_entry::Payload::Blank(pb::Blank {})),
        ],
    };
    let request = |request| pb::LaneRequest {
        group_id: 2,
        stream_epoch: 1,
        request_id: 5,
        request: Some(request),
    };
    let response = |response| pb::LaneResponse {
        group_id: 2,
        stream_epoch: 1,
        request_id: 5,
        response: Some(response),
    };
    let ballot = pb::VoteRequest {
        vote,
        last_log_id: id(7),
        leadership_transfer: true,
    };
    let answer = pb::VoteResponse {
        vote,
        last_log_id: id(7),
        granted: true,
    };
    let outcome = |outcome| {
        response(lane_response::Response::Append(pb::AppendResponse {
            outcome: Some(outcome),
        }))
    };
    let accepted = pb::append_response::Outcome::Accepted(pb::AppendAccepted { matching: id(9) });
    let conflict = pb::append_response::Outcome::Conflict(pb::AppendConflict { conflict: id(9) });
    let transfer = pb::TransferLeaderRequest {
        from: vote,
        to: 2,
        last_log_id: id(7),
    };
    let chunk = pb::InstallSnapshotRequest {
        header: Some(pb::SnapshotHeader {
            group_id: 2,
            vote,
            last_log_id: id(7),
            membership: Some(membership),
            snapshot_id: "s".to_owned(),
            length: 9,
            checksum: 8,
        }),
        chunk: vec![9; 9].into(),
    };
    let digests = pb::ListDigestsRequest {
        known: vec![pb::KnownDigests {
            group_id: 2,
            incarnation: 1,
            index: 256,
        }],
    };
    let change = pb::ChangeMapRequest {
        change: Some(log::MapChange {
            proposer: 1,
            proposal: 2,
            at_ms: 3,
            change: Some(log::map_change::Change::RemoveNode(log::RemoveNode {
                node_id: 4,
            })),
        }),
    };
    let batch = pb::ForwardBatch {
        batch_id: 1,
        sale_id: 2,
        records: samples::records().into(),
        call_ids: vec![0; 72].into(),
        timeout_ms: 100,
        trace: vec![7; 24].into(),
    };
    let forward = pb::ForwardRequest {
        batches: vec![batch],
    };
    vec![
        tagged(0, &request(lane_request::Request::Append(append))),
        tagged(0, &request(lane_request::Request::Vote(ballot))),
        tagged(0, &request(lane_request::Request::PreVote(ballot))),
        tagged(0, &request(lane_request::Request::TransferLeader(transfer))),
        tagged(1, &outcome(accepted)),
        tagged(1, &outcome(conflict)),
        tagged(1, &response(lane_response::Response::Vote(answer))),
        tagged(
            1,
            &response(lane_response::Response::Refused("no".to_owned())),
        ),
        tagged(2, &chunk),
        tagged(3, &digests),
        tagged(4, &change),
        tagged(5, &pb::HandOverRequest { group_id: 2, to: 3 }),
        tagged(7, &forward),
    ]
}
