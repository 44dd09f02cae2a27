//! Snapshots of seats, and changes without a gap.

use futures::StreamExt as _;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::house::{EVENT, House};
use super::selling::{best, place};

fn watch(from_revision: u64) -> WatchSeatsRequest {
    WatchSeatsRequest {
        event_id: EVENT,
        from_revision,
    }
}

async fn snapshot(house: &House) -> GetSeatsResponse {
    SeatsServiceClient::new(house.channel.clone())
        .get_seats(house.ask(GetSeatsRequest {
            event_id: EVENT,
            linearizable: true,
        }))
        .await
        .expect("answers")
        .into_inner()
}

fn held(snapshot: &GetSeatsResponse) -> Vec<u32> {
    let plane = &snapshot.sections[0].held;
    (0..snapshot.sections[0].seat_count)
        .filter(|seat| plane[(seat / 8) as usize] >> (seat % 8) & 1 == 1)
        .collect()
}

#[tokio::test]
async fn a_snapshot_and_its_changes_are_the_next_snapshot() {
    let house = House::open(4, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    sales
        .place_hold(house.ask(place(&house, best(3))))
        .await
        .expect("holds");
    let before = snapshot(&house).await;
    assert_eq!((before.sections.len(), held(&before).len()), (2, 3));
    for quantity in 1..=4 {
        sales
            .place_hold(house.ask(place(&house, best(quantity))))
            .await
            .expect("holds");
    }
    let after = snapshot(&house).await;
    let mut changes = SeatsServiceClient::new(house.channel.clone())
        .watch_seats(house.ask(watch(before.revision)))
        .await
        .expect("watches")
        .into_inner();
    let mut seats = held(&before);
    let mut revision = before.revision;
    while revision < after.revision {
        let next = changes.next().await.expect("goes on").expect("well");
        assert!(next.revision > revision);
        for change in &next.changes {
            assert!(change.revision > revision && change.revision <= next.revision);
            assert_eq!(
                (change.from(), change.to()),
                (SeatState::Free, SeatState::Held)
            );
            seats.extend(change.first..change.first + change.count);
        }
        revision = next.revision;
    }
    seats.sort_unstable();
    assert_eq!((revision, seats), (after.revision, held(&after)));

    // What comes next comes by itself.
    sales
        .place_hold(house.ask(place(&house, best(1))))
        .await
        .expect("holds");
    let next = changes.next().await.expect("goes on").expect("well");
    assert_eq!(next.changes.len(), 1);
}

#[tokio::test]
async fn a_reader_too_far_behind_is_told_to_start_anew() {
    let actors_config = actors::Config {
        changes_kept: 4,
        ..actors::Config::default()
    };
    let house = House::open_with(onsale::grpc::Config::default(), actors_config, 4, 5).await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    for _ in 0..8 {
        sales
            .place_hold(house.ask(place(&house, best(1))))
            .await
            .expect("holds");
    }
    let mut seats = SeatsServiceClient::new(house.channel.clone());
    let status = seats.watch_seats(house.ask(watch(0))).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(
        status.get_details_error_info().expect("has").reason,
        "COMPACTED"
    );

    // One that was fast enough at first: what is not taken waits in the sale's ring alone.
    let revision = snapshot(&house).await.revision;
    let ahead = seats.watch_seats(house.ask(watch(revision + 1_000_000)));
    let status = ahead.await.unwrap_err();
    assert_eq!(
        status.get_details_error_info().expect("has").reason,
        "REVISION_AHEAD"
    );
}

#[tokio::test]
async fn a_node_that_goes_down_ends_its_watchers() {
    let house = House::open(1, 5).await;
    let mut changes = SeatsServiceClient::new(house.channel.clone())
        .watch_seats(house.ask(watch(0)))
        .await
        .expect("watches")
        .into_inner();
    house.start_going_down();
    let status = loop {
        match changes.next().await.expect("says why") {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.get_details_error_info().expect("has").reason,
        "SHUTTING_DOWN"
    );
}
