//! What is added up of sales without any, and what becomes of it in the metrics.

use actors::sale::RoomView;
use domain::sale::Counts;

use super::*;
use crate::observe::example::open_room;

fn room(waiting: u64, released: u64, at_the_desk: u64, free: u32) -> Figures {
    let census = Census {
        joined: waiting + released,
        waiting,
        released,
        at_the_desk,
        ..Census::default()
    };
    Figures {
        phase: Phase::Open,
        counts: Counts {
            free,
            held: 2,
            sold: 3,
            holds: 1,
            orders: 5,
            orders_cancelled: 2,
            ..Counts::default()
        },
        oversold_seats: 0,
        orphan_seats: 1,
        channel_seats: vec![(ChannelId(1), 3), (ChannelId(2), 2)],
        room: Some(RoomView {
            census,
            free,
            ..open_room()
        }),
    }
}

fn aims_at(target: u64) -> Pace {
    Pace {
        target,
        ..Pace::default()
    }
}

#[test]
fn sales_and_rooms_are_added_up() {
    let mut totals = Totals::default();
    let (before, now) = (room(90, 10, 5, 50), room(80, 30, 5, 50));
    let slow = Pace {
        target: 4_000,
        capacity: 9_000,
        wait_ms: Some(20_000),
    };
    totals.add(&now, Some(&Before::of(&before)), slow);
    totals.add(&room(7, 0, 0, 1), None, aims_at(1_000));
    let [small, middle, large] = totals.by_size;
    let OfSizeTotals { sales, rooms } = small;
    assert_eq!(sales.sales, 2);
    assert_eq!(sales.seats, [51, 4, 6, 0]);
    assert_eq!(sales.orders, [6, 4]);
    assert_eq!(sales.orphans, 2);
    assert_eq!(rooms.rooms, [0, 0, 2, 0]);
    assert_eq!(rooms.visitors, [87, 5]);
    assert_eq!(rooms.visitor_events, [10, 20, 0, 0, 0, 0]);
    assert_eq!((rooms.target, rooms.capacity), (5_000, 9_000));
    assert_eq!(rooms.wait_ms, Some(20_000), "the longest");
    assert_eq!((middle, large), Default::default());
    let channels = [(ChannelId(1), 6), (ChannelId(2), 4)];
    assert_eq!(totals.channel_seats, BTreeMap::from(channels));
    assert_eq!(totals.phase_changes, [0; 3]);
}

#[test]
fn a_change_of_phase_is_counted_by_who_saw_both() {
    let mut totals = Totals::default();
    let mut closed = room(0, 9, 0, 5);
    closed.phase = Phase::Closed;
    totals.add(&closed, None, aims_at(0));
    assert_eq!(
        totals.phase_changes, [0; 3],
        "it may be the new leader's first look"
    );
    let open = Before::of(&room(0, 9, 0, 5));
    totals.add(&closed, Some(&open), aims_at(0));
    totals.add(&closed, Some(&Before::of(&closed)), aims_at(0));
    assert_eq!(totals.phase_changes, [0, 0, 1]);
}

#[test]
fn nobody_is_meant_to_come_in_where_nothing_is_left() {
    let mut totals = Totals::default();
    totals.add(&room(9, 1, 0, 0), None, aims_at(60_000));
    assert_eq!(totals.by_size[0].rooms.target, 0);
    totals.add(&room(9, 1, 0, 1), None, aims_at(60_000));
    assert_eq!(totals.by_size[0].rooms.target, 60_000);
}

#[test]
fn events_are_told_apart_by_their_size() {
    let mut totals = Totals::default();
    for free in [1_000, 10_000, 100_000] {
        totals.add(&room(0, 0, 0, free), None, aims_at(0));
    }
    assert_eq!(totals.by_size.map(|of_size| of_size.sales.sales), [1, 1, 1]);
}

#[test]
fn a_group_that_has_left_is_told_of_no_more() {
    let registry = Registry::new();
    let mut metrics = LedMetrics::new(&registry).expect("registers");
    let told = || {
        let families = registry.gather();
        let is_it = |family: &&prometheus::proto::MetricFamily| {
            family.name() == "onsale_sale_unapplied_entries"
        };
        let family = families.iter().find(is_it);
        let metrics = family.map(|family| family.get_metric().to_vec());
        let told = metrics.unwrap_or_default().into_iter().map(|metric| {
            let group = metric.get_label()[0].value().to_owned();
            (group, metric.get_gauge().get_value())
        });
        told.collect::<Vec<_>>()
    };
    let of = |unapplied: &[(GroupId, u64)]| Totals {
        unapplied: unapplied.iter().copied().collect(),
        ..Totals::default()
    };
    metrics.tell(&of(&[(1, 0), (2, 700)]));
    assert_eq!(told(), [("1".to_owned(), 0.0), ("2".to_owned(), 700.0)]);
    metrics.tell(&of(&[(1, 3)]));
    assert_eq!(told(), [("1".to_owned(), 3.0)]);
}
