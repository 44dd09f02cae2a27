//! Looks at the seats some times a second, through the public gRPC, on whichever node answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cluster::components::Net;
use prost::Message as _;
use proto::channel::v1::GetSeatsRequest;
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::{GetSeatMapRequest, SeatMap};
use tokio::sync::watch;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::house::View;
use crate::load::connect::{self, Bearer};

const MESSAGE_BYTES_MAX: usize = 256 << 20;
const EVERY: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(1);

pub type Door = InterceptedService<Channel, Bearer>;

pub fn doors(
    net: &Arc<dyn Net>,
    nodes: &[String],
    key: &Bearer,
) -> Result<Vec<Door>, tonic::transport::Error> {
    nodes
        .iter()
        .map(|node| {
            let channel = connect::connect_lazily(net, node)?;
            Ok(InterceptedService::new(channel, key.clone()))
        })
        .collect()
}

/// The layout, from the first node that has it.
pub async fn seat_map(doors: &[Door], event: u64) -> anyhow::Result<SeatMap> {
    let mut last = anyhow::anyhow!("there is no node");
    for _ in 0..20 {
        for door in doors {
            let request = GetSeatMapRequest {
                event_id: event,
                if_none_match: String::new(),
            };
            let answer = CatalogueServiceClient::new(door.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .get_seat_map(request)
                .await;
            match answer {
                Ok(answer) => {
                    let map = answer.into_inner().seat_map.unwrap_or_default();
                    return SeatMap::decode(map).context("the seat map does not decode");
                }
                Err(status) => last = anyhow::anyhow!("no seat map: {status}"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
    Err(last)
}

/// Sends every view until nobody looks any more.
pub async fn watch(doors: Vec<Door>, event: u64, views: watch::Sender<Arc<View>>) {
    let mut node = 0;
    while !views.is_closed() {
        match look(&doors[node % doors.len()], event).await {
            Some(view) => {
                views.send_replace(Arc::new(view));
                tokio::time::sleep(EVERY).await;
            }
            None => {
                node += 1;
                tokio::time::sleep(EVERY / 4).await;
            }
        }
    }
}

pub async fn look(door: &Door, event: u64) -> Option<View> {
    let request = GetSeatsRequest {
        event_id: event,
        linearizable: false,
    };
    let mut seats =
        SeatsServiceClient::new(door.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = tokio::time::timeout(PATIENCE, seats.get_seats(request)).await;
    Some(View::new(&answer.ok()?.ok()?.into_inner()))
}
