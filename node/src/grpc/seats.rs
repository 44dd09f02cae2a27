//! `SeatsService`: a snapshot of all seats, then every change without a gap.
//!
//! A watcher pulls: its stream reads the sale's ring of changes only when the connection takes
//! more, so a slow one costs no memory, falls behind the ring and gets `COMPACTED`.

use std::sync::Arc;
use std::time::Duration;

use actors::sale::{ChangeFeed, SeatsView, SectionSeats as SectionView, WatchFailure};
use domain::change::{Change, Fact, SeatState};
use domain::ids::{Revision, SaleId};
use domain::outcome::SeatRun;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::seats_service_server::SeatsService;
use proto::channel::v1::{
    FailureReason, GetSeatsRequest, GetSeatsResponse, SeatsChange, SectionSeats, WatchSeatsRequest,
    WatchSeatsResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::ending::{ending, timed_out};
use super::meter::Counted;
use super::metrics::Method;
use super::place::{self, Copy, Place};
use super::{Entrance, Lane, deadline, status};

/// Changes put into one message.
const CHANGES_PER_MESSAGE: usize = 2000;
/// How long a revision from ahead of this replica (a snapshot of the leader's) is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);
/// Largest answer taken from another node: bit planes of ten million seats are below 4 MiB.
const PASSED_BYTES_MAX: usize = 64 << 20;

#[derive(Clone)]
pub struct Seats(pub(super) Entrance);

#[tonic::async_trait]
impl SeatsService for Seats {
    type WatchSeatsStream = BoxStream<'static, Result<WatchSeatsResponse, Status>>;

    async fn get_seats(
        &self,
        request: Request<GetSeatsRequest>,
    ) -> Result<Response<GetSeatsResponse>, Status> {
        let (reader, until) = place::read(&self.0, Lane::Reporting, request.metadata())?;
        let message = request.into_inner();
        let copy = if message.linearizable {
            Copy::Leaders
        } else {
            Copy::Any
        };
        let sale = SaleId(message.event_id);
        match place::find(&self.0, sale, copy, until).await? {
            Place::Here(replica) => {
                let seats = replica.seats(message.linearizable);
                let view = place::in_time(until, seats).await?;
                Ok(Response::new(snapshot(sale, view)))
            }
            Place::There(channel) => {
                let mut client =
                    SeatsServiceClient::new(channel).max_decoding_message_size(PASSED_BYTES_MAX);
                let request = place::passed_on(message, reader, Some(until));
                place::told_in_time(until, client.get_seats(request)).await
            }
        }
    }

    async fn watch_seats(
        &self,
        request: Request<WatchSeatsRequest>,
    ) -> Result<Response<Self::WatchSeatsStream>, Status> {
        let reader = self.0.reader(Lane::Reporting, request.metadata())?;
        let ends_after = deadline::timeout(request.metadata())?;
        let ending = match &self.0 {
            Entrance::Partners(partners) => {
                let caller = partners.caller(request.metadata())?;
                ending(partners, caller, ends_after).boxed()
            }
            Entrance::Peers(_) => timed_out(ends_after).boxed(),
        };
        let until = deadline::of_call(request.metadata(), self.0.timeout())?;
        let message = request.into_inner();
        let sale = SaleId(message.event_id);
        let changes = match place::find(&self.0, sale, Copy::Any, until).await? {
            Place::Here(replica) => {
                let from = Revision(message.from_revision);
                let caught_up_by = until.min(Instant::now() + CATCH_UP_MAX);
                let feed = loop {
                    match replica.watch(from).await {
                        Ok(feed) => break feed,
                        Err(WatchFailure::FromTheFuture) if Instant::now() < caught_up_by => {
                            tokio::time::sleep(CATCH_UP_PAUSE).await;
                        }
                        Err(failure) => return Err(watch_failed(failure)),
                    }
                };
                follow(feed)
            }
            Place::There(channel) => {
                let request = place::passed_on(message, reader, None);
                let mut client = SeatsServiceClient::new(channel);
                let followed = place::told_in_time(until, client.watch_seats(request)).await?;
                followed.into_inner().map_err(place::of_peer).boxed()
            }
        };
        let watched = until_ended(changes, ending);
        let Entrance::Partners(partners) = &self.0 else {
            return Ok(Response::new(watched));
        };
        let mut counted = Counted::begin(&partners.metrics, Method::WATCH_SEATS);
        let watched = watched.inspect_err(move |status| counted.ended(status.code()));
        Ok(Response::new(watched.boxed()))
    }
}

fn until_ended(
    changes: BoxStream<'static, Result<WatchSeatsResponse, Status>>,
    ending: impl Future<Output = Status> + Send + 'static,
) -> BoxStream<'static, Result<WatchSeatsResponse, Status>> {
    let end = futures::stream::once(ending).map(Err);
    // Whatever comes first ends the stream: an error, or the end of it all.
    let mut is_over = false;
    futures::stream::select(changes.chain(over()), end)
        .take_while(move |next| {
            let goes_on = !is_over;
            is_over = next.is_err();
            std::future::ready(goes_on)
        })
        .boxed()
}

/// The sale left this node: its watcher starts anew elsewhere.
fn over() -> impl futures::Stream<Item = Result<WatchSeatsResponse, Status>> {
    futures::stream::once(async { Err(status::failed(FailureReason::NoLeader, 0)) })
}

fn follow(feed: ChangeFeed) -> BoxStream<'static, Result<WatchSeatsResponse, Status>> {
    struct Following {
        feed: ChangeFeed,
        changes: Arc<[Change]>,
        told: usize,
    }
    let following = Following {
        feed,
        changes: Arc::default(),
        told: 0,
    };
    futures::stream::try_unfold(following, |mut following| async move {
        if following.told == following.changes.len() {
            following.changes = following.feed.next().await.map_err(watch_failed)?;
            following.told = 0;
        }
        let left = &following.changes[following.told..];
        let next = &left[..left.len().min(CHANGES_PER_MESSAGE)];
        let message = message(next);
        following.told += next.len();
        Ok(Some((message, following)))
    })
    .boxed()
}

fn message(changes: &[Change]) -> WatchSeatsResponse {
    WatchSeatsResponse {
        revision: changes.last().map_or(0, |change| change.revision.0),
        changes: changes.iter().filter_map(seats_change).collect(),
    }
}

/// `None` for a change that moves no seat; its revision counts all the same.
fn seats_change(change: &Change) -> Option<SeatsChange> {
    let Change {
        revision,
        at_ms,
        fact,
    } = change;
    match fact {
        Fact::SeatsChanged {
            run:
                SeatRun {
                    section,
                    count,
                    first,
                },
            from,
            to,
        } => Some(SeatsChange {
            revision: revision.0,
            at_ms: *at_ms,
            section: (*section).into(),
            first: *first,
            count: (*count).into(),
            from: state(*from).into(),
            to: state(*to).into(),
        }),
        Fact::PhaseChanged { .. }
        | Fact::RulesSet
        | Fact::HoldPlaced { .. }
        | Fact::HoldExtended { .. }
        | Fact::HoldReleased { .. }
        | Fact::HoldExpired { .. }
        | Fact::OrderPlaced { .. }
        | Fact::OrderCancelled { .. }
        | Fact::SaleReopened { .. } => None,
    }
}

fn state(state: SeatState) -> proto::channel::v1::SeatState {
    match state {
        SeatState::Free => proto::channel::v1::SeatState::Free,
        SeatState::Held => proto::channel::v1::SeatState::Held,
        SeatState::Sold => proto::channel::v1::SeatState::Sold,
        SeatState::Blocked => proto::channel::v1::SeatState::Blocked,
    }
}

fn watch_failed(failure: WatchFailure) -> Status {
    match failure {
        WatchFailure::Compacted => status::compacted(),
        WatchFailure::FromTheFuture => status::revision_ahead(),
        WatchFailure::Stopped => status::failed(FailureReason::NoLeader, 0),
    }
}

fn snapshot(sale: SaleId, view: SeatsView) -> GetSeatsResponse {
    let SeatsView {
        revision,
        applied_index,
        sections,
    } = view;
    let sections = (0..).zip(sections).map(|(section, seats)| {
        let SectionView {
            seat_count,
            held,
            sold,
            blocked,
            capacity,
            held_count,
            sold_count,
            blocked_count,
        } = seats;
        SectionSeats {
            section,
            seat_count,
            held,
            sold,
            blocked,
            capacity,
            held_count,
            sold_count,
            blocked_count,
        }
    });
    GetSeatsResponse {
        event_id: sale.0,
        revision: revision.0,
        applied_index,
        sections: sections.collect(),
    }
}
