//! Between Raft's types and what travels: pure conversions, payload bytes shared, never copied.
//! Used by the lanes on both sides, the snapshot files and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use proto::cluster::v1 as pb;

use crate::types::{
    CommittedLeaderId, Entry, EntryPayload, LeaderId, LogId, Membership, Payload, Peer,
    StoredMembership, Vote,
};

/// A frame that cannot be what a peer of our version sent.
#[derive(Debug, thiserror::Error)]
#[error("malformed frame: {0}")]
pub struct Malformed(pub &'static str);

/// Openraft's append request without its type parameter.
pub struct Append {
    pub vote: Vote,
    pub prev_log_id: Option<LogId>,
    pub entries: Vec<Entry>,
    pub leader_commit: Option<LogId>,
}

/// What an append came to.
pub type Appended = Result<Option<LogId>, AppendRefused>;

pub enum AppendRefused {
    Conflict(LogId),
    HigherVote(Vote),
}

/// A vote request of either kind, without its type parameter.
pub struct Ballot {
    pub vote: Vote,
    pub last_log_id: Option<LogId>,
    pub leadership_transfer: bool,
}

pub struct BallotAnswer {
    pub vote: Vote,
    pub last_log_id: Option<LogId>,
    pub granted: bool,
}

pub fn vote(vote: &Vote) -> pb::Vote {
    pb::Vote {
        term: vote.leader_id.term,
        node_id: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub fn read_vote(vote: Option<pb::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed("no vote"))?;
    Ok(Vote {
        leader_id: LeaderId {
            term: vote.term,
            voted_for: vote.node_id,
        },
        committed: vote.committed,
    })
}

pub fn log_id(id: &LogId) -> pb::LogId {
    pb::LogId {
        term: id.leader_id.term,
        index: id.index,
    }
}

pub fn read_log_id(id: pb::LogId) -> LogId {
    LogId {
        leader_id: CommittedLeaderId::new(id.term),
        index: id.index,
    }
}

pub fn membership(log_id_of: Option<&LogId>, membership: &Membership) -> pb::Membership {
    pb::Membership {
        log_id: log_id_of.map(log_id),
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| pb::VoterSet {
                node_ids: voters.iter().copied().collect(),
            })
            .collect(),
        members: membership
            .nodes()
            .map(|(id, peer)| pb::Member {
                node_id: *id,
                peer_address: peer.address.clone(),
            })
            .collect(),
    }
}

pub fn read_membership(from: pb::Membership) -> Result<StoredMembership, Malformed> {
    let configs: Vec<BTreeSet<u64>> = from
        .configs
        .into_iter()
        .map(|set| set.node_ids.into_iter().collect())
        .collect();
    let members: BTreeMap<u64, Peer> = from
        .members
        .into_iter()
        .map(|member| {
            let peer = Peer {
                address: member.peer_address,
            };
            (member.node_id, peer)
        })
        .collect();
    let log_id = from.log_id.map(read_log_id);
    if configs.is_empty() && members.is_empty() {
        // Nothing was ever agreed: openraft's own empty membership.
        return Ok(StoredMembership::new(log_id, Membership::default()));
    }
    let membership =
        Membership::new(configs, members).map_err(|_| Malformed("impossible membership"))?;
    Ok(StoredMembership::new(log_id, membership))
}

pub fn append(request: Append) -> pb::AppendRequest {
    pb::AppendRequest {
        vote: Some(vote(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(log_id),
        leader_commit: request.leader_commit.as_ref().map(log_id),
        entries: request.entries.into_iter().map(entry).collect(),
    }
}

pub fn read_append(request: pb::AppendRequest) -> Result<Append, Malformed> {
    Ok(Append {
        vote: read_vote(request.vote)?,
        prev_log_id: request.prev_log_id.map(read_log_id),
        leader_commit: request.leader_commit.map(read_log_id),
        entries: request
            .entries
            .into_iter()
            .map(read_entry)
            .collect::<Result<_, _>>()?,
    })
}

fn entry(entry: Entry) -> pb::LogEntry {
    use pb::log_entry::Payload as To;
    pb::LogEntry {
        term: entry.log_id.leader_id.term,
        index: entry.log_id.index,
        payload: Some(match entry.payload {
            EntryPayload::Blank => To::Blank(pb::Blank {}),
            EntryPayload::Normal(Payload(bytes)) => To::Application(bytes),
            EntryPayload::Membership(members) => To::Membership(membership(None, &members)),
        }),
    }
}

fn read_entry(from: pb::LogEntry) -> Result<Entry, Malformed> {
    use pb::log_entry::Payload as From;
    let payload = match from.payload.ok_or(Malformed("entry without payload"))? {
        From::Blank(pb::Blank {}) => EntryPayload::Blank,
        From::Application(bytes) => EntryPayload::Normal(Payload(bytes)),
        From::Membership(members) => {
            EntryPayload::Membership(read_membership(members)?.membership().clone())
        }
    };
    let log_id = LogId {
        leader_id: CommittedLeaderId::new(from.term),
        index: from.index,
    };
    Ok(Entry { log_id, payload })
}

pub fn appended(outcome: Appended) -> pb::AppendResponse {
    use pb::append_response::Outcome;
    pb::AppendResponse {
        outcome: Some(match outcome {
            Ok(matching) => Outcome::Accepted(pb::AppendAccepted {
                matching: matching.as_ref().map(log_id),
            }),
            Err(AppendRefused::Conflict(at)) => Outcome::Conflict(pb::AppendConflict {
                conflict: Some(log_id(&at)),
            }),
            Err(AppendRefused::HigherVote(higher)) => Outcome::HigherVote(vote(&higher)),
        }),
    }
}

pub fn read_appended(response: pb::AppendResponse) -> Result<Appended, Malformed> {
    use pb::append_response::Outcome;
    Ok(match response.outcome.ok_or(Malformed("no outcome"))? {
        Outcome::Accepted(accepted) => Ok(accepted.matching.map(read_log_id)),
        Outcome::Conflict(conflict) => {
            let at = conflict.conflict.ok_or(Malformed("conflict nowhere"))?;
            Err(AppendRefused::Conflict(read_log_id(at)))
        }
        Outcome::HigherVote(higher) => Err(AppendRefused::HigherVote(read_vote(Some(higher))?)),
    })
}

pub fn ballot(request: &Ballot) -> pb::VoteRequest {
    pb::VoteRequest {
        vote: Some(vote(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

pub fn read_ballot(request: pb::VoteRequest) -> Result<Ballot, Malformed> {
    Ok(Ballot {
        vote: read_vote(request.vote)?,
        last_log_id: request.last_log_id.map(read_log_id),
        leadership_transfer: request.leadership_transfer,
    })
}

pub fn ballot_answer(answer: &BallotAnswer) -> pb::VoteResponse {
    pb::VoteResponse {
        vote: Some(vote(&answer.vote)),
        last_log_id: answer.last_log_id.as_ref().map(log_id),
        granted: answer.granted,
    }
}

pub fn read_ballot_answer(answer: pb::VoteResponse) -> Result<BallotAnswer, Malformed> {
    Ok(BallotAnswer {
        vote: read_vote(answer.vote)?,
        last_log_id: answer.last_log_id.map(read_log_id),
        granted: answer.granted,
    })
}
