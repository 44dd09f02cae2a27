//! What is asked of the writer's and the reader's lanes.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::state::Place;
use crate::disk::File;
use crate::types::{Entry, GroupId, LogId, Vote};

/// Called once: the request is durable, or the log has failed. Never blocks.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

pub enum Request {
    Append {
        group: GroupId,
        /// Of the first entry; the others follow it.
        ticket: u64,
        entries: Vec<Entry>,
        done: Done,
    },
    Vote {
        group: GroupId,
        vote: Vote,
        done: Done,
    },
    TruncateAfter {
        group: GroupId,
        after: Option<LogId>,
    },
    Purge {
        group: GroupId,
        upto: LogId,
    },
    Forget {
        group: GroupId,
        done: Done,
    },
    Close,
}

impl Request {
    /// Whoever waits for this request, if somebody does.
    pub fn into_done(self) -> Option<Done> {
        match self {
            Request::Append { done, .. }
            | Request::Vote { done, .. }
            | Request::Forget { done, .. } => Some(done),
            Request::TruncateAfter { .. } | Request::Purge { .. } | Request::Close => None,
        }
    }
}

pub enum Read {
    Entries {
        group: GroupId,
        wanted: Vec<Wanted>,
        reply: oneshot::Sender<io::Result<Vec<Entry>>>,
    },
    Close,
}

/// One entry to read.
pub struct Wanted {
    pub file: Arc<dyn File>,
    pub place: Place,
    pub index: u64,
    pub term: u64,
}
