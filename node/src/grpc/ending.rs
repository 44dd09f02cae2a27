//! When a stream is over by itself: its deadline, or the node goes down.

use std::time::Duration;

use proto::channel::v1::FailureReason;
use tokio::sync::watch;
use tonic::Status;

use super::status;

/// Resolves to why a stream is over by itself.
pub async fn ending(after: Option<Duration>, going_down: Option<watch::Receiver<bool>>) -> Status {
    let timeout = async {
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let down = async {
        match going_down {
            // An error means that the node's owner is gone: down as well.
            Some(mut down) => drop(down.wait_for(|down| *down).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timeout => status::failed(FailureReason::DeadlinePassed, 0),
        () = down => status::shutting_down(),
    }
}
