//! Where a read is answered: by a replica of the sale on this node, or by the node that has one.

use std::time::Duration;

use actors::SaleHandle;
use actors::sale::ReadFailure;
use domain::ids::SaleId;
use proto::channel::v1::FailureReason;
use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Status};

use crate::gateway::PeerChannel;

use super::{Entrance, Lane, READER, Reader, deadline, status};

/// An event as the cluster map has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    pub sale: SaleId,
    pub name: String,
    pub venue: String,
    pub organiser: String,
    pub starts_at_ms: i64,
    pub test_mode: bool,
}

/// Where a sale's leader is.
pub enum Keeper {
    Here,
    /// On the node this connection leads to.
    There(PeerChannel),
    /// Nobody leads at the moment.
    Nobody,
}

/// What is on sale and who has it, from this node's memory.
pub trait Whereabouts: Send + Sync + 'static {
    fn event(&self, sale: SaleId) -> Option<EventEntry>;
    /// Events with a larger id, in sequence, at most `count`.
    fn events_after(&self, after: SaleId, count: usize) -> Vec<EventEntry>;
    /// The replica on this node.
    fn replica(&self, sale: SaleId) -> Option<SaleHandle>;
    fn keeper(&self, sale: SaleId) -> Keeper;
    /// Recovered and caught up.
    fn is_ready(&self) -> bool;
}

/// What a read needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Any replica's, a moment old.
    Any,
    /// The leader's.
    Leaders,
    /// The leader's, which proves first that it leads: nothing that was told anywhere is missing.
    Proved,
}

pub enum Place {
    Here(SaleHandle),
    There(PeerChannel),
}

/// While nobody leads, a read looks again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Finds a replica to read; waits for a leader until the deadline.
pub async fn find(
    entrance: &Entrance,
    sale: SaleId,
    copy: Copy,
    until: Instant,
) -> Result<Place, Status> {
    let whereabouts = entrance.whereabouts();
    let is_peer = matches!(entrance, Entrance::Peers(_));
    if whereabouts.event(sale).is_none() && whereabouts.replica(sale).is_none() {
        return Err(status::failed(FailureReason::UnknownEvent, 0));
    }
    loop {
        let replica = whereabouts.replica(sale);
        if let (Some(replica), true) = (&replica, copy == Copy::Any || is_peer) {
            return Ok(Place::Here(replica.clone()));
        }
        match (whereabouts.keeper(sale), replica) {
            (Keeper::Here, Some(replica)) => return Ok(Place::Here(replica)),
            (Keeper::There(channel), _) if !is_peer => return Ok(Place::There(channel)),
            _ => {}
        }
        if is_peer || Instant::now() + LOOK_AGAIN >= until {
            return Err(status::failed(FailureReason::NoLeader, 0));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The request as it goes to another node: for whom it reads, and how long he still waits.
pub fn passed_on<T>(message: T, reader: Reader, until: Option<Instant>) -> Request<T> {
    let mut request = Request::new(message);
    let Reader { partner, channel } = reader;
    if let Ok(value) = MetadataValue::try_from(format!("{}/{}", partner.0, channel.0)) {
        request.metadata_mut().insert(READER, value);
    }
    if let Some(until) = until {
        request.set_timeout(until.duration_since(Instant::now()));
    }
    request
}

/// Who reads and until when.
pub fn read(
    entrance: &Entrance,
    lane: Lane,
    metadata: &MetadataMap,
) -> Result<(Reader, Instant), Status> {
    let reader = entrance.reader(lane, metadata)?;
    let until = deadline::of_call(metadata, entrance.timeout())?;
    Ok((reader, until))
}

pub fn read_failed(failure: ReadFailure) -> Status {
    match failure {
        ReadFailure::Frozen => status::failed(FailureReason::SaleFrozen, 0),
        ReadFailure::Stopped | ReadFailure::Unproved(_) => {
            status::failed(FailureReason::NoLeader, 0)
        }
    }
}

/// Another node's answer, no later than the deadline. The call's own timeout begins only once there
/// is a connection, and a way that was silenced takes long to be given up.
pub async fn told_in_time<T>(
    until: Instant,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout_at(until, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        // The call's own timeout has no reason either.
        Ok(Err(refused)) if Instant::now() < until => Err(of_peer(refused)),
        Ok(Err(refused)) if !refused.details().is_empty() => Err(refused),
        Ok(Err(_)) | Err(_) => Err(status::failed(FailureReason::DeadlinePassed, 0)),
    }
}

/// What the node that was asked has refused. Where no reason is given nobody there has looked at the call:
/// the way to it broke.
pub fn of_peer(refused: Status) -> Status {
    match refused.details().is_empty() {
        true => status::failed(FailureReason::NoLeader, 0),
        false => refused,
    }
}

/// A replica's answer, no later than the deadline.
pub async fn in_time<T>(
    until: Instant,
    read: impl Future<Output = Result<T, ReadFailure>>,
) -> Result<T, Status> {
    match tokio::time::timeout_at(until, read).await {
        Ok(read) => read.map_err(read_failed),
        Err(_) => Err(status::failed(FailureReason::DeadlinePassed, 0)),
    }
}
