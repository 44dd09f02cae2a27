//! Proposals on their way: each reply fires exactly once, whoever comes first - Raft's responder,
//! the loss of leadership, the deadline.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::slots::Slot;
use crate::bugs::{Bug, planted};
use crate::group::{ProposeReply, Proposed};
use crate::types::Term;

#[derive(Default)]
pub(crate) struct Outstanding {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    by_id: BTreeMap<u64, Waiting>,
}

struct Waiting {
    term: Term,
    deadline: Instant,
    replies: Vec<ProposeReply>,
    /// One of the group's entries in flight; given back with the outcome.
    _slot: Slot,
}

impl Outstanding {
    /// Notes the callers of one entry; the id settles them.
    pub(crate) fn insert(
        &self,
        term: Term,
        deadline: Instant,
        replies: Vec<ProposeReply>,
        slot: Slot,
    ) -> u64 {
        let mut entries = self.lock();
        entries.next += 1;
        let id = entries.next;
        let waiting = Waiting {
            term,
            deadline,
            replies,
            _slot: slot,
        };
        entries.by_id.insert(id, waiting);
        id
    }

    /// Answers the callers of an entry, unless they were answered before.
    pub(crate) fn settle(&self, id: u64, outcome: Proposed) {
        let waiting = self.lock().by_id.remove(&id);
        if let Some(waiting) = waiting {
            waiting.answer(outcome);
        }
    }

    /// Leadership of all terms but `current` is over: what was proposed may still happen.
    pub(crate) fn abandon(&self, current: Option<Term>) {
        self.abandon_if(|waiting| Some(waiting.term) != current);
    }

    pub(crate) fn abandon_overdue(&self, now: Instant) {
        self.abandon_if(|waiting| waiting.deadline <= now);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    fn abandon_if(&self, gone: impl Fn(&Waiting) -> bool) {
        let abandoned: Vec<Waiting> = {
            let mut entries = self.lock();
            let ids: Vec<u64> = entries
                .by_id
                .iter()
                .filter(|(_, waiting)| gone(waiting))
                .map(|(id, _)| *id)
                .collect();
            ids.iter()
                .filter_map(|id| entries.by_id.remove(id))
                .collect()
        };
        // Replies run outside the lock: they are the callers' code.
        let outcome = match planted(Bug::DiscardedIsFailed) {
            true => Proposed::NotLeader { leader: None },
            false => Proposed::Unknown,
        };
        for waiting in abandoned {
            waiting.answer(outcome);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn answer(self, outcome: Proposed) {
        for reply in self.replies {
            reply(outcome);
        }
    }
}

/// What the responder of an entry holds.
pub(crate) struct Ticket {
    pub(crate) outstanding: Arc<Outstanding>,
    pub(crate) id: u64,
}

impl Ticket {
    pub(crate) fn settle(self, outcome: Proposed) {
        self.outstanding.settle(self.id, outcome);
    }
}
