//! Read barriers share rounds to a quorum: who arrives while a round runs waits for the next one,
//! because only a round begun after a read arrived proves anything to it.

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{AsyncRuntime, LinearizerOption, ReadPolicy, ServerState};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use super::adapter::Adapter;
use super::handle::Barrier;
use crate::bugs::{Bug, planted};
use crate::group::BarrierFailure;
use crate::types::Types;

/// Readers of one round.
const READERS: usize = 4_096;

pub(super) async fn run<R: AsyncRuntime>(
    raft: openraft::Raft<Types<R>, Adapter>,
    limit: Duration,
    mut queue: mpsc::Receiver<Barrier>,
) {
    let mut readers = Vec::with_capacity(64);
    while queue.recv_many(&mut readers, READERS).await > 0 {
        let outcome = match timeout(limit, round(&raft, limit)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(BarrierFailure::Unproved),
        };
        for reader in readers.drain(..) {
            // A reader that went away needs no answer.
            reader.send(outcome).ok();
        }
    }
}

async fn round<R: AsyncRuntime>(
    raft: &openraft::Raft<Types<R>, Adapter>,
    limit: Duration,
) -> Result<u64, BarrierFailure> {
    if planted(Bug::ReadUnproved) {
        return unproved(raft);
    }
    let option = LinearizerOption::from(ReadPolicy::ReadIndex).with_wait_timeout(limit);
    let linearizer = match raft.get_read_linearizer(option).await {
        Ok(linearizer) => linearizer,
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
            return Err(BarrierFailure::NotLeader {
                leader: to.leader_id,
            });
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            return Err(BarrierFailure::Unproved);
        }
        Err(RaftError::Fatal(_)) => return Err(BarrierFailure::NotLeader { leader: None }),
    };
    if planted(Bug::ReadOvertakes) {
        return unproved(raft);
    }
    match linearizer.await_ready(raft).await {
        Ok(state) => Ok(state.read_log_id().index()),
        Err(_) => Err(BarrierFailure::NotLeader { leader: None }),
    }
}

/// What the replica believes of itself: the deliberate bugs' answer.
fn unproved<R: AsyncRuntime>(
    raft: &openraft::Raft<Types<R>, Adapter>,
) -> Result<u64, BarrierFailure> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    match metrics.state {
        ServerState::Leader => Ok(metrics.last_applied.map_or(0, |id| id.index)),
        _ => Err(BarrierFailure::NotLeader { leader: None }),
    }
}
