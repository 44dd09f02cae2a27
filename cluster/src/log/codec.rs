//! Raft's values as the bodies of frames, and back. An application payload is its own body.
//! Used by the writer, recovery and the reader.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::Membership;
use prost::Message;
use proto::cluster::v1 as wire;

use super::format::{COUNT_MAX, Kind, u64_at};
use crate::types::{CommittedLeaderId, Entry, EntryPayload, LogId, NodeId, Payload, Peer, Vote};

/// What is known about a group besides its entries; the body of a group state frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    /// The last entry, or the last purged one when there is none.
    pub last: Option<LogId>,
}

impl Marks {
    /// Entries behind `after` go, purged ones excepted; says whether there were any.
    pub fn truncate_after(&mut self, after: Option<LogId>) -> bool {
        let keep = match (after, self.purged) {
            (Some(after), Some(purged)) if purged.index > after.index => Some(purged),
            (Some(after), _) => Some(after),
            (None, purged) => purged,
        };
        let index = |id: Option<LogId>| id.map(|id| id.index);
        if index(keep) >= index(self.last) {
            return false;
        }
        self.last = keep;
        true
    }

    /// Entries up to and with `upto` go.
    pub fn purge(&mut self, upto: LogId) {
        if self.purged.is_none_or(|purged| purged.index < upto.index) {
            self.purged = Some(upto);
        }
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
    }
}

const VOTE: u8 = 1;
const VOTE_COMMITTED: u8 = 2;
const COMMITTED: u8 = 4;
const PURGED: u8 = 8;
const LAST: u8 = 16;
const MARKS_LEN: usize = 72;

pub fn log_id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: CommittedLeaderId::new(term),
        index,
    }
}

pub fn entry_body(entry: &Entry) -> (Kind, Cow<'_, [u8]>) {
    match &entry.payload {
        EntryPayload::Blank => (Kind::Blank, Cow::Borrowed(&[])),
        EntryPayload::Normal(payload) => (Kind::Application, Cow::Borrowed(&payload.0)),
        EntryPayload::Membership(membership) => {
            let body = encode_membership(membership);
            (Kind::Membership, Cow::Owned(body))
        }
    }
}

/// Bytes of an entry's body, near enough to count memory and messages by.
pub fn entry_len(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(payload) => payload.0.len(),
        EntryPayload::Membership(_) => 256,
    }
}

pub fn decode_entry(kind: Kind, term: u64, index: u64, body: Bytes) -> Option<Entry> {
    let payload = match kind {
        Kind::Application => EntryPayload::Normal(Payload(body)),
        Kind::Blank => EntryPayload::Blank,
        Kind::Membership => EntryPayload::Membership(decode_membership(&body)?),
        _ => return None,
    };
    let log_id = log_id(term, index);
    Some(Entry { log_id, payload })
}

fn encode_membership(membership: &Membership<NodeId, Peer>) -> Vec<u8> {
    let configs = membership.get_joint_config().iter();
    let members = membership.nodes().map(|(node_id, peer)| wire::Member {
        node_id: *node_id,
        peer_address: peer.address.clone(),
    });
    wire::Membership {
        log_id: None,
        configs: configs
            .map(|config| wire::VoterSet {
                node_ids: config.iter().copied().collect(),
            })
            .collect(),
        members: members.collect(),
    }
    .encode_to_vec()
}

fn decode_membership(body: &[u8]) -> Option<Membership<NodeId, Peer>> {
    let wire::Membership {
        log_id: _,
        configs,
        members,
    } = wire::Membership::decode(body).ok()?;
    let configs = configs
        .into_iter()
        .map(|config| config.node_ids.into_iter().collect::<BTreeSet<_>>())
        .collect();
    let peers: BTreeMap<NodeId, Peer> = members
        .into_iter()
        .map(|member| {
            let address = member.peer_address;
            (member.node_id, Peer { address })
        })
        .collect();
    Membership::new(configs, peers).ok()
}

/// A vote's body; its term stands in the frame's header.
pub fn encode_vote(vote: &Vote) -> [u8; 9] {
    let mut body = [0; 9];
    body[..8].copy_from_slice(&vote.leader_id.voted_for.to_le_bytes());
    body[8] = u8::from(vote.committed);
    body
}

pub fn decode_vote(term: u64, body: &[u8]) -> Option<Vote> {
    if body.len() != 9 || body[8] > 1 {
        return None;
    }
    let mut vote = Vote::new(term, u64_at(body, 0));
    vote.committed = body[8] == 1;
    Some(vote)
}

pub fn encode_marks(marks: &Marks) -> [u8; MARKS_LEN] {
    let Marks {
        vote,
        committed,
        purged,
        last,
    } = marks;
    let mut body = [0; MARKS_LEN];
    let mut put = |at: usize, value: u64| body[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let mut flags = 0;
    if let Some(vote) = vote {
        flags |= VOTE | if vote.committed { VOTE_COMMITTED } else { 0 };
        put(8, vote.leader_id.term);
        put(16, vote.leader_id.voted_for);
    }
    for (flag, at, id) in [
        (COMMITTED, 24, committed),
        (PURGED, 40, purged),
        (LAST, 56, last),
    ] {
        if let Some(id) = id {
            flags |= flag;
            put(at, *id.leader_id);
            put(at + 8, id.index);
        }
    }
    body[0] = flags;
    body
}

pub fn decode_marks(body: &[u8]) -> Option<Marks> {
    if body.len() != MARKS_LEN {
        return None;
    }
    let flags = body[0];
    let id = |flag: u8, at: usize| {
        (flags & flag != 0).then(|| log_id(u64_at(body, at), u64_at(body, at + 8)))
    };
    let vote = (flags & VOTE != 0).then(|| {
        let mut vote = Vote::new(u64_at(body, 8), u64_at(body, 16));
        vote.committed = flags & VOTE_COMMITTED != 0;
        vote
    });
    let (committed, purged, last) = (id(COMMITTED, 24), id(PURGED, 40), id(LAST, 56));
    let ids = [committed, purged, last];
    let is_sound = ids.iter().flatten().all(|id| id.index <= COUNT_MAX);
    is_sound.then_some(Marks {
        vote,
        committed,
        purged,
        last,
    })
}
