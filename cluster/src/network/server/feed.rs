//! The pipelined append streams of one lane: each group's newest epoch feeds one
//! `Raft::stream_append`. A frame of an older epoch is dropped; a stream that ended (a conflict)
//! drops what follows until its client begins a new epoch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use proto::cluster::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{FrameId, refused};
use crate::bugs::{Bug, planted};
use crate::components::Components;
use crate::network::connection::WINDOW;
use crate::network::last_of;
use crate::replica::Replica;
use crate::types::GroupId;
use crate::wire::{self, Append, Malformed};

#[derive(Default)]
pub(super) struct Feeds {
    open: BTreeMap<GroupId, Feed>,
}

struct Feed {
    epoch: u64,
    requests: mpsc::Sender<(u64, Append)>,
}

impl Feeds {
    /// Whether the frame needs no new stream: it belongs to the open one or to an older.
    pub(super) fn is_current(&self, id: FrameId) -> bool {
        self.open
            .get(&id.group)
            .is_some_and(|feed| feed.epoch >= id.epoch)
    }

    pub(super) fn open(
        &mut self,
        id: FrameId,
        replica: Arc<dyn Replica>,
        components: &Components,
        answers: mpsc::Sender<Result<pb::LaneResponse, Status>>,
    ) {
        // The client keeps at most a window of requests under way: this never fills.
        let (requests, requested) = mpsc::channel(WINDOW + 1);
        let feed = Feed {
            epoch: id.epoch,
            requests,
        };
        self.open.insert(id.group, feed);
        components.spawn(pump(id, replica, requested, answers));
    }

    pub(super) fn push(&mut self, id: FrameId, append: Append) -> Result<(), Malformed> {
        let Some(feed) = self.open.get(&id.group) else {
            return Ok(());
        };
        if feed.epoch != id.epoch {
            return Ok(());
        }
        match feed.requests.try_send((id.request, append)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Malformed("more than a window")),
        }
    }
}

async fn pump(
    id: FrameId,
    replica: Arc<dyn Replica>,
    requested: mpsc::Receiver<(u64, Append)>,
    answers: mpsc::Sender<Result<pb::LaneResponse, Status>>,
) {
    // Raft answers in request sequence, so the ids wait in that sequence beside it.
    let ids = Arc::new(Mutex::new(VecDeque::with_capacity(WINDOW)));
    let noted = ids.clone();
    let early = answers.clone();
    let input = ReceiverStream::new(requested).map(move |(request, append)| {
        if planted(Bug::AckBeforeQuorum) {
            let accepted = wire::appended(Ok(last_of(&append)));
            let accepted = pb::lane_response::Response::Append(accepted);
            // A lane that is full has no room for a lie.
            early
                .try_send(Ok(FrameId { request, ..id }.response(accepted)))
                .ok();
        }
        let mut ids = noted.lock().unwrap_or_else(PoisonError::into_inner);
        ids.push_back(request);
        append
    });
    let mut outcomes = replica.append_stream(input.boxed());
    while let Some(outcome) = outcomes.next().await {
        let request = {
            let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.pop_front().unwrap_or(0)
        };
        let response = match outcome {
            Ok(_) if planted(Bug::AckBeforeQuorum) => continue,
            Ok(appended) => pb::lane_response::Response::Append(wire::appended(appended)),
            Err(stopped) => refused(stopped),
        };
        let frame = FrameId { request, ..id }.response(response);
        if answers.send(Ok(frame)).await.is_err() {
            return;
        }
    }
}
