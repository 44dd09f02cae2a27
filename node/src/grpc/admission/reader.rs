//! Reads of rooms: from this node's copy, or another node's.

use std::sync::Arc;

use domain::ids::{SaleId, VisitorId};
use domain::rejection::Rejection;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::{self as pb, StatusManyRequest};
use tokio::time::Instant;
use tonic::Status;

use super::told;
use super::waits::Waits;
use crate::bugs::{Bug, planted};
use crate::grpc::place::{self, Copy, Place};
use crate::grpc::{Entrance, Reader, status};

/// Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    pub entrance: Entrance,
    waits: Arc<Waits>,
}

impl Rooms {
    pub fn new(entrance: Entrance, waits: Arc<Waits>) -> Rooms {
        Rooms { entrance, waits }
    }

    /// Where visitors stand, as any copy has it.
    pub async fn places(
        &self,
        reader: Reader,
        sale: SaleId,
        visitors: Vec<VisitorId>,
        until: Instant,
    ) -> Result<Vec<pb::Place>, Status> {
        self.read(reader, sale, visitors, Copy::Any, until).await
    }

    /// Where somebody stands who may have been told that they are let in: as the leader has it, and
    /// when that does not know, as it is proved to be. A leader may be behind its followers, or none
    /// any more.
    pub async fn place_to_enter(
        &self,
        reader: Reader,
        sale: SaleId,
        visitor: VisitorId,
        until: Instant,
    ) -> Result<pb::Place, Status> {
        let of_leader = self
            .of_one(reader, sale, visitor, Copy::Leaders, until)
            .await?;
        match of_leader.phase() {
            pb::VisitorPhase::Admitted => Ok(of_leader),
            _ if planted(Bug::ClaimUnproved) => Ok(of_leader),
            _ => {
                self.of_one(reader, sale, visitor, Copy::Proved, until)
                    .await
            }
        }
    }

    async fn of_one(
        &self,
        reader: Reader,
        sale: SaleId,
        visitor: VisitorId,
        copy: Copy,
        until: Instant,
    ) -> Result<pb::Place, Status> {
        let places = self.read(reader, sale, vec![visitor], copy, until).await?;
        Ok(places.into_iter().next().unwrap_or_default())
    }

    /// Where visitors stand, as such a copy has it.
    pub async fn read(
        &self,
        reader: Reader,
        sale: SaleId,
        visitors: Vec<VisitorId>,
        copy: Copy,
        until: Instant,
    ) -> Result<Vec<pb::Place>, Status> {
        match place::find(&self.entrance, sale, copy, until).await? {
            Place::Here(replica) => {
                if copy == Copy::Proved && !planted(Bug::PlaceUnproved) {
                    place::in_time(until, replica.prove()).await?;
                }
                let drawn = self.waits.draw(sale, Instant::now(), &visitors);
                let places = place::in_time(until, replica.places(visitors)).await?;
                let places = places.ok_or_else(|| status::rejected(Rejection::NoRoom, 0))?;
                let (now, released) = (Instant::now(), places.room.census.released);
                let flow = self.waits.flow(sale, now, released);
                let told = |status| told::place(&places.room, flow, reader.partner, status);
                let told: Vec<_> = places.statuses.iter().copied().map(told).collect();
                if let Some((at, visitor)) = drawn
                    && let Some(place) = told.get(at)
                {
                    self.waits.follow(sale, visitor, now, place);
                }
                Ok(told)
            }
            Place::There(channel) => {
                let message = StatusManyRequest {
                    event_id: sale.0,
                    visitors: visitors.into_iter().map(bytes).collect(),
                    linearizable: copy == Copy::Proved,
                };
                let request = place::passed_on(message, reader, Some(until));
                let mut client = AdmissionServiceClient::new(channel);
                let answer = place::told_in_time(until, client.status_many(request)).await?;
                Ok(answer.into_inner().places)
            }
        }
    }
}

/// A visitor's key as it travels.
pub fn bytes(visitor: VisitorId) -> bytes::Bytes {
    visitor.0.to_be_bytes().to_vec().into()
}
