//! Proposals become entries: what waits when an entry may start travels together. No linger: while
//! entries commit, the next one fills by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use openraft::AsyncRuntime;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant};

use super::adapter::Adapter;
use super::handle::Proposal;
use super::outstanding::{Outstanding, Ticket};
use super::slots::{Slot, Slots};
use crate::bugs::{Bug, planted};
use crate::group::{Leadership, ProposeReply, Proposed};
use crate::log::Log;
use crate::metrics::GroupMetrics;
use crate::responder::Callback;
use crate::types::{CommittedLeaderId, GroupId, NodeId, Payload, ROOT_GROUP, Term, Types};

/// Proposals taken from the queue at once.
const TAKEN_AT_ONCE: usize = 1024;

pub(super) struct Batcher<R: AsyncRuntime> {
    pub(super) group: GroupId,
    pub(super) node: NodeId,
    pub(super) log: Log,
    pub(super) raft: openraft::Raft<Types<R>, Adapter>,
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) slots: Slots,
    pub(super) entry_bytes_max: usize,
    pub(super) proposal_limit: Duration,
    pub(super) metrics: GroupMetrics,
}

impl<R: AsyncRuntime> Batcher<R> {
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Proposal>) {
        let mut waiting: VecDeque<Proposal> = VecDeque::new();
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        while let Some(mut slot) = self.slots.free().await {
            if waiting.is_empty() {
                let mut stopped = self.leadership.clone();
                tokio::select! {
                    biased;
                    () = ended(&mut stopped) => break,
                    count = queue.recv_many(&mut taken, TAKEN_AT_ONCE) => if count == 0 { break },
                }
                waiting.extend(taken.drain(..));
            }
            self.gather(&mut waiting, &mut queue, &mut slot).await;
            self.refuse_stale(&mut waiting);
            self.refuse_without_room(&mut waiting);
            self.refuse_too_large(&mut waiting);
            if !waiting.is_empty() {
                self.propose(&mut waiting, slot).await;
            }
        }
        for proposal in waiting {
            (proposal.reply)(self.not_leader());
        }
        queue.close();
        while let Some(proposal) = queue.recv().await {
            (proposal.reply)(self.not_leader());
        }
    }

    /// What comes until the entry may start travels along, up to one entry's worth.
    async fn gather(
        &self,
        waiting: &mut VecDeque<Proposal>,
        queue: &mut mpsc::Receiver<Proposal>,
        slot: &mut Slot,
    ) {
        let mut bytes: usize = waiting.iter().map(|proposal| proposal.entry.len()).sum();
        loop {
            while waiting.len() < TAKEN_AT_ONCE
                && let Ok(proposal) = queue.try_recv()
            {
                bytes += proposal.entry.len();
                waiting.push_back(proposal);
            }
            if waiting.len() >= TAKEN_AT_ONCE || self.slots.is_full(bytes) {
                return;
            }
            tokio::select! {
                biased;
                () = self.slots.small(slot) => return,
                proposal = queue.recv() => match proposal {
                    Some(proposal) => {
                        bytes += proposal.entry.len();
                        waiting.push_back(proposal);
                    }
                    None => return,
                },
            }
        }
    }

    /// Proposals decided under a leadership that is over: never appended, certainly.
    fn refuse_stale(&self, waiting: &mut VecDeque<Proposal>) {
        let led = self.led_term();
        if waiting.iter().all(|proposal| Some(proposal.term) == led) {
            return;
        }
        let outcome = self.not_leader();
        let (stale, current): (VecDeque<_>, VecDeque<_>) = std::mem::take(waiting)
            .into_iter()
            .partition(|proposal| Some(proposal.term) != led);
        *waiting = current;
        for proposal in stale {
            (proposal.reply)(outcome);
        }
    }

    /// A disk without room for the next segment takes no sales any more: what is left of the
    /// present one is for votes, memberships, and the root group, whose few changes are how an
    /// operator makes room. Ends by itself when the next segment could be made.
    fn refuse_without_room(&self, waiting: &mut VecDeque<Proposal>) {
        if self.group == ROOT_GROUP || waiting.is_empty() || !self.log.is_full() {
            return;
        }
        for proposal in waiting.drain(..) {
            (proposal.reply)(Proposed::DiskFull);
        }
    }

    fn refuse_too_large(&self, waiting: &mut VecDeque<Proposal>) {
        let bytes_max = self.log.entry_bytes_max();
        for proposal in too_large(waiting, bytes_max) {
            (proposal.reply)(Proposed::TooLarge { bytes_max });
        }
    }

    async fn propose(&self, waiting: &mut VecDeque<Proposal>, slot: Slot) {
        let bytes_max = self.entry_bytes_max.min(self.log.entry_bytes_max());
        let (term, entry, replies) = merge(waiting, bytes_max);
        self.metrics.observe_entry(replies.len());
        let deadline = Instant::now() + self.proposal_limit;
        let id = self.outstanding.insert(term, deadline, replies, slot);
        let ticket = Ticket {
            outstanding: self.outstanding.clone(),
            id,
        };
        let responder = Callback::new(move |result| ticket.settle(outcome::<R>(result)));
        let writing = self
            .raft
            .write(Payload(entry))
            .with_leader(CommittedLeaderId::new(term))
            .responder(responder);
        // A replica that stopped drops the responder, which tells the callers.
        writing.await.ok();
    }

    fn led_term(&self) -> Option<Term> {
        let leadership = *self.leadership.borrow();
        (leadership.leader == Some(self.node)).then_some(leadership.term)
    }

    fn not_leader(&self) -> Proposed {
        let leader = self.leadership.borrow().leader;
        Proposed::NotLeader {
            leader: leader.filter(|id| *id != self.node),
        }
    }
}

/// The leadership watch ends with the replica.
async fn ended(leadership: &mut watch::Receiver<Leadership>) {
    while leadership.changed().await.is_ok() {}
}

/// Takes out what no entry can hold.
fn too_large(waiting: &mut VecDeque<Proposal>, bytes_max: usize) -> VecDeque<Proposal> {
    let fits = |proposal: &Proposal| proposal.entry.len() <= bytes_max;
    if waiting.iter().all(fits) {
        return VecDeque::new();
    }
    let (fitting, large) = std::mem::take(waiting).into_iter().partition(fits);
    *waiting = fitting;
    large
}

/// Takes proposals from the front up to `bytes_max`; one alone is not copied.
fn merge(waiting: &mut VecDeque<Proposal>, bytes_max: usize) -> (Term, Bytes, Vec<ProposeReply>) {
    let term = waiting.front().map_or(0, |first| first.term);
    let mut bytes = 0;
    let mut count = 0;
    for proposal in waiting.iter() {
        let fits = count == 0 || bytes + proposal.entry.len() <= bytes_max;
        if !fits || proposal.term != term {
            break;
        }
        bytes += proposal.entry.len();
        count += 1;
    }
    if count == 1
        && let Some(only) = waiting.pop_front()
    {
        return (term, only.entry, vec![only.reply]);
    }
    let mut merged = BytesMut::with_capacity(bytes);
    let mut replies = Vec::with_capacity(count);
    for proposal in waiting.drain(..count) {
        merged.extend_from_slice(&proposal.entry);
        replies.push(proposal.reply);
    }
    (term, merged.freeze(), replies)
}

fn outcome<R: AsyncRuntime>(result: Option<ClientWriteResult<Types<R>>>) -> Proposed {
    match result {
        Some(Ok(written)) => Proposed::Committed {
            index: written.log_id.index,
        },
        // Never appended.
        Some(Err(ClientWriteError::ForwardToLeader(to))) => Proposed::NotLeader {
            leader: to.leader_id,
        },
        Some(Err(_)) | None if planted(Bug::DiscardedIsFailed) => {
            Proposed::NotLeader { leader: None }
        }
        // Discarded here, but perhaps committed elsewhere; or the replica stopped.
        Some(Err(_)) | None => Proposed::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(term: Term, bytes: &'static [u8]) -> Proposal {
        Proposal {
            term,
            entry: Bytes::from_static(bytes),
            reply: Box::new(|_| {}),
        }
    }

    #[test]
    fn proposals_are_merged_up_to_the_size_of_an_entry() {
        let mut waiting: VecDeque<_> = [&b"aaa"[..], b"bbb", b"ccc"]
            .into_iter()
            .map(|bytes| proposal(7, bytes))
            .collect();
        let (term, entry, replies) = merge(&mut waiting, 6);
        assert_eq!((term, &entry[..], replies.len()), (7, &b"aaabbb"[..], 2));
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn one_larger_than_an_entry_travels_alone() {
        let mut waiting: VecDeque<_> = [proposal(7, b"larger"), proposal(7, b"b")].into();
        let (_, entry, replies) = merge(&mut waiting, 2);
        assert_eq!((&entry[..], replies.len()), (&b"larger"[..], 1));
    }

    #[test]
    fn terms_are_not_mixed() {
        let mut waiting: VecDeque<_> = [proposal(7, b"a"), proposal(8, b"b")].into();
        let (term, _, replies) = merge(&mut waiting, 100);
        assert_eq!((term, replies.len()), (7, 1));
    }
}
