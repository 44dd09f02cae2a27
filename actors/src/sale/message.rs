//! What can wait in a sale's queue.

use std::sync::Arc;

use bytes::Bytes;
use cluster::group::BarrierFailure;
use cluster::types::Term;
use domain::SaleImage;
use domain::change::Change;
use domain::ids::{HoldId, OrderId, Revision, SaleId, VisitorId};
use domain::order::Order;
use domain::sale::HoldNow;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::change_log::WatchFailure;
use super::handle::ReadFailure;
use super::journal::Body;
use super::room::{Places, Proof, Published, RoomLook, RoomReport};
use super::view::{Figures, SeatsView, Summary};
use crate::calls::Calls;
use crate::codec::answer::FailureReason;

pub(crate) enum Message {
    Calls(Calls),
    /// A committed part for this sale.
    Deliver(Delivery),
    /// Leadership was proved (or not) after the refusals that wait had arrived.
    Proved(Result<u64, BarrierFailure>),
    Lead(Option<Term>),
    /// Answers with the state after everything delivered before it.
    Barrier(oneshot::Sender<SalePart>),
    /// Answers with the digest after everything delivered before it.
    Digest(oneshot::Sender<u64>),
    /// Becomes what a snapshot says.
    Restore {
        part: SalePart,
        done: oneshot::Sender<()>,
    },
    Read(Read),
    ReadRoom(ReadRoom),
}

pub(crate) enum Read {
    Seats(oneshot::Sender<Option<SeatsView>>),
    Summary(oneshot::Sender<Summary>),
    /// Answered with `None` where the sale does not lead or is frozen.
    Figures(oneshot::Sender<Option<Figures>>),
    Layout(oneshot::Sender<Bytes>),
    Hold(HoldId, oneshot::Sender<Result<HoldNow, ReadFailure>>),
    Order(OrderId, oneshot::Sender<Result<Option<Order>, ReadFailure>>),
    Changes {
        after: Revision,
        reply: oneshot::Sender<Result<Arc<[Change]>, WatchFailure>>,
    },
    /// Answered with `None` while it is frozen; with the last index that is in it.
    Image(oneshot::Sender<Option<(u64, SaleImage)>>),
}

pub(crate) enum ReadRoom {
    Places(Vec<VisitorId>, RoomReply<Places>),
    Report(RoomReply<RoomReport>),
    Published(RoomReply<Published>),
    Proof(VisitorId, RoomReply<Proof>),
    Look(RoomReply<RoomLook>),
}

/// Answered with `None` where there is no room: what a frozen sale has nobody can tell.
pub(crate) type RoomReply<T> = oneshot::Sender<Result<Option<T>, ReadFailure>>;

/// One part of a committed entry.
pub(crate) struct Delivery {
    pub index: u64,
    pub at_ms: u64,
    pub proposer: u64,
    pub proposal: u64,
    pub body: DeliveryBody,
    /// When it was committed, where that is asked for.
    pub committed_at: Option<Instant>,
}

pub(crate) enum DeliveryBody {
    Commands {
        count: u32,
        records: Bytes,
    },
    /// Take up a frozen sale again.
    Release,
}

/// What may not wait in the ring.
pub(crate) enum Note {
    /// A proposal was not committed as far as is known; with a `failure` it never will be.
    Lost {
        proposal: u64,
        failure: Option<FailureReason>,
    },
    Tick,
}

/// What a sale was created with and keeps for reading.
pub(crate) struct Creation {
    pub layout: Bytes,
}

/// A sale's part of its group's snapshot.
pub(crate) struct SalePart {
    pub sale: SaleId,
    pub applied_index: u64,
    pub creation: Arc<Creation>,
    pub body: Body,
}
