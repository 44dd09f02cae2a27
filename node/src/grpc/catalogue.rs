//! `CatalogueService`: what is on sale, and what the venue looks like.

use std::sync::Arc;

use domain::ids::SaleId;
use domain::rejection::Phase;
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::catalogue_service_server::CatalogueService;
use proto::channel::v1::{
    Event, EventPhase, GetEventRequest, GetEventResponse, GetSeatMapRequest, GetSeatMapResponse,
    ListEventsRequest, ListEventsResponse, SeatCounts,
};
use tonic::{Request, Response, Status};
use xxhash_rust::xxh3::xxh3_128;

use super::place::{self, Copy, EventEntry, Place};
use super::seat_maps::SeatMaps;
use super::{Entrance, Lane, status};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// Largest layout, uncompressed: some ten million seats are refused at import.
const LAYOUT_BYTES_MAX: usize = 1 << 30;

#[derive(Clone)]
pub struct Catalogue {
    entrance: Entrance,
    seat_maps: Arc<SeatMaps>,
}

impl Catalogue {
    pub(super) fn new(entrance: Entrance) -> Catalogue {
        Catalogue {
            entrance,
            seat_maps: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl CatalogueService for Catalogue {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        place::read(&self.entrance, Lane::Reporting, request.metadata())?;
        let ListEventsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let mut violations = super::input::Violations::default();
        let page_size = match page_size as usize {
            0 => PAGE_DEFAULT,
            size if size <= PAGE_MAX => size,
            _ => {
                violations.add("page_size", format!("must be at most {PAGE_MAX}"));
                0
            }
        };
        let after = match page_token.as_str() {
            "" => 0,
            token => u64::from_str_radix(token, 16).unwrap_or_else(|_| {
                violations.add("page_token", "is not from an answer before");
                0
            }),
        };
        violations.none(()).map_err(status::bad_request)?;
        // One more than asked tells whether there is a next page.
        let mut entries = self
            .entrance
            .whereabouts()
            .events_after(SaleId(after), page_size + 1);
        let has_more = entries.len() > page_size;
        entries.truncate(page_size);
        let next_page_token = match entries.last() {
            Some(last) if has_more => format!("{:x}", last.sale.0),
            _ => String::new(),
        };
        Ok(Response::new(ListEventsResponse {
            events: entries.into_iter().map(event).collect(),
            next_page_token,
        }))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let (reader, until) = place::read(&self.entrance, Lane::Reporting, request.metadata())?;
        let message = request.into_inner();
        let sale = SaleId(message.event_id);
        let replica = match place::find(&self.entrance, sale, Copy::Any, until).await? {
            Place::Here(replica) => replica,
            Place::There(channel) => {
                let request = place::passed_on(message, reader, Some(until));
                let mut client = CatalogueServiceClient::new(channel);
                return place::told_in_time(until, client.get_event(request)).await;
            }
        };
        let summary = place::in_time(until, replica.summary()).await?;
        let mut event = self.entrance.whereabouts().event(sale).map_or_else(
            || Event {
                event_id: sale.0,
                ..Event::default()
            },
            event,
        );
        event.phase = match summary.phase {
            Phase::Announced => EventPhase::Announced,
            Phase::Open => EventPhase::Open,
            Phase::Paused => EventPhase::Paused,
            Phase::Closed => EventPhase::Closed,
        }
        .into();
        event.test_mode = summary.rules.test_mode;
        let counts = summary.counts;
        event.seats = Some(SeatCounts {
            total: counts.free + counts.held + counts.sold + counts.blocked,
            free: counts.free,
            held: counts.held,
            sold: counts.sold,
            blocked: counts.blocked,
        });
        Ok(Response::new(GetEventResponse { event: Some(event) }))
    }

    async fn get_seat_map(
        &self,
        request: Request<GetSeatMapRequest>,
    ) -> Result<Response<GetSeatMapResponse>, Status> {
        let (reader, until) = place::read(&self.entrance, Lane::Reporting, request.metadata())?;
        let message = request.into_inner();
        let sale = SaleId(message.event_id);
        let replica = match place::find(&self.entrance, sale, Copy::Any, until).await? {
            Place::Here(replica) => replica,
            Place::There(channel) => {
                let request = place::passed_on(message, reader, Some(until));
                let mut client = CatalogueServiceClient::new(channel)
                    .max_decoding_message_size(LAYOUT_BYTES_MAX);
                return place::told_in_time(until, client.get_seat_map(request)).await;
            }
        };
        let layout = place::in_time(until, replica.layout()).await?;
        let print = xxh3_128(&layout);
        let etag = format!("{print:032x}");
        let seat_map = if message.if_none_match == etag {
            None
        } else {
            let unpacked = self.seat_maps.unpacked(print, &layout);
            let unreadable =
                |fault| status::internal(&format!("the layout is unreadable: {fault}"));
            Some(unpacked.map_err(unreadable)?)
        };
        Ok(Response::new(GetSeatMapResponse { etag, seat_map }))
    }
}

fn event(entry: EventEntry) -> Event {
    let EventEntry {
        sale,
        name,
        venue,
        organiser,
        starts_at_ms,
        test_mode,
    } = entry;
    Event {
        event_id: sale.0,
        name,
        venue,
        organiser,
        starts_at_ms,
        phase: EventPhase::Unspecified.into(),
        test_mode,
        seats: None,
    }
}
