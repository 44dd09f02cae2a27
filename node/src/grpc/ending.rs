//! When a stream is over by itself: its deadline, the node goes down, or the key it was opened with
//! is taken away.

use std::future::Future;
use std::time::Duration;

use proto::channel::v1::FailureReason;
use tonic::Status;

use super::{Partners, status};
use crate::access::Caller;

/// Resolves to why a partner's stream is over by itself.
pub fn ending(
    partners: &Partners,
    caller: Caller,
    after: Option<Duration>,
) -> impl Future<Output = Status> + Send + 'static {
    let mut going_down = partners.going_down.clone();
    let door = partners.door.clone();
    async move {
        tokio::select! {
            over = timed_out(after) => over,
            // An error means that the node's owner is gone: down as well.
            _ = going_down.wait_for(|down| *down) => status::shutting_down(),
            refused = door.shut(&caller) => status::unauthenticated(refused),
        }
    }
}

/// The same of a stream that a peer passes on: the peer knows the rest.
pub async fn timed_out(after: Option<Duration>) -> Status {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
    status::failed(FailureReason::DeadlinePassed, 0)
}
