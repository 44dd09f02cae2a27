//! Who is followed and what is learned of them, without a sale.

use domain::ids::PartnerId;
use domain::room::{Census, RoomPhase};
use prometheus::proto::Metric;

use super::*;
use crate::observe::example::open_room;

const SALE: SaleId = SaleId(1);

fn room(waiting: u64, released: u64) -> RoomView {
    RoomView {
        census: Census {
            joined: waiting + released,
            waiting,
            released,
            ..Census::default()
        },
        ..open_room()
    }
}

fn waits_for(seconds: u64) -> Place {
    Place {
        phase: VisitorPhase::Waiting.into(),
        wait_ms: Some(seconds * 1000),
        wait_p90_ms: Some(seconds * 2000),
        ..Place::default()
    }
}

fn stands(turn: Turn) -> Option<Status> {
    Some(Status {
        number: 5,
        partner: PartnerId(1),
        lane: 0,
        party: 1,
        turn,
    })
}

struct House {
    waits: Waits,
    registry: Registry,
    begun: Instant,
}

impl House {
    fn new() -> House {
        let registry = Registry::new();
        House {
            waits: Waits::new(&registry).expect("registers"),
            registry,
            begun: Instant::now(),
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.begun + Duration::from_secs(second)
    }

    /// Somebody asks and is told this; whether they are followed.
    fn tell(&self, second: u64, visitor: u128, place: &Place) -> bool {
        let (visitors, now) = ([VisitorId(visitor)], self.at(second));
        let before = self.count();
        if let Some((at, drawn)) = self.waits.draw(SALE, now, &visitors) {
            assert_eq!((at, drawn), (0, visitors[0]));
            self.waits.follow(SALE, drawn, now, place);
        }
        self.count() > before
    }

    /// The sale says of one who is followed where they stand.
    fn learn(&self, second: u64, visitor: u128, room: RoomView, turn: Turn) {
        let places = Places {
            room,
            statuses: vec![stands(turn)],
        };
        let visitors = [VisitorId(visitor)];
        self.waits.learn(SALE, self.at(second), &visitors, &places);
    }

    fn count(&self) -> usize {
        let followed = self.waits.lock();
        let told: usize = followed.sales.values().map(|of| of.told.len()).sum();
        assert_eq!(told, followed.all);
        told
    }

    /// The values of a counter, in the sequence of its labels.
    fn counted(&self, name: &str) -> Vec<f64> {
        let metrics = self.metrics(name);
        let values = metrics
            .iter()
            .map(|metric| metric.get_counter().get_value());
        values.collect()
    }

    /// How much a histogram observed, and the sum of it.
    fn observed(&self, name: &str) -> (u64, f64) {
        let metrics = self.metrics(name);
        let of = metrics[0].get_histogram();
        (of.get_sample_count(), of.get_sample_sum())
    }

    fn metrics(&self, name: &str) -> Vec<Metric> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.expect("is told").get_metric().to_vec()
    }
}

const ADMITTED: Turn = Turn::Admitted {
    // Ten seconds before the room's now.
    ends_ms: 1_000_000 - 10_000 + 600_000,
    tickets_left: 4,
};
const WAITING: Turn = Turn::Waiting {
    place: 9,
    ahead: 9,
    before: 9,
    passed_with: None,
};

#[test]
fn a_wait_is_measured_from_what_was_told_to_when_the_log_let_them_in() {
    let house = House::new();
    assert!(house.tell(0, 7, &waits_for(100)));
    house.learn(60, 7, room(9, 9), WAITING);
    assert_eq!(house.count(), 1, "still waits");
    // Ten seconds after it was let in, and 150 after it was told 100.
    house.learn(160, 7, room(9, 9), ADMITTED);
    assert_eq!(house.count(), 0);
    assert_eq!(house.observed("onsale_queue_wait_error_seconds"), (1, 50.0));
    assert_eq!(house.observed("onsale_queue_wait_ratio"), (1, 1.5));
    assert_eq!(house.counted("onsale_queue_waits_beyond_p90_total"), [0.0]);

    assert!(house.tell(200, 8, &waits_for(20)));
    house.learn(250, 8, room(9, 9), Turn::Served);
    assert_eq!(house.observed("onsale_queue_wait_error_seconds"), (2, 80.0));
    assert_eq!(house.observed("onsale_queue_wait_ratio"), (2, 4.0));
    assert_eq!(house.counted("onsale_queue_waits_beyond_p90_total"), [1.0]);
}

#[test]
fn who_is_not_let_in_is_counted_and_no_error() {
    let house = House::new();
    for visitor in 0..4 {
        assert!(house.tell(10 * visitor, visitor.into(), &waits_for(20)));
    }
    house.learn(50, 0, room(9, 9), Turn::Left);
    house.learn(50, 1, room(9, 9), Turn::Removed { reason: 3 });
    house.learn(50, 2, room(9, 9), Turn::Expired);
    let closed = RoomView {
        sale_phase: Phase::Closed,
        ..room(9, 9)
    };
    house.learn(50, 3, closed, WAITING);
    assert_eq!(house.count(), 0);
    // In vain, left, let in.
    let fates = house.counted("onsale_queue_waits_followed_total");
    assert_eq!(fates, [1.0, 2.0, 0.0]);
    assert_eq!(house.observed("onsale_queue_wait_error_seconds"), (0, 0.0));
}

#[test]
fn long_waits_are_followed_as_long_ones_and_memory_is_bounded() {
    let house = House::new();
    assert!(!house.tell(0, 1, &waits_for(4)), "over in a moment");
    let no_use = Place {
        out_of_reach: true,
        ..waits_for(100)
    };
    assert!(!house.tell(0, 1, &no_use));
    let admitted = Place {
        phase: VisitorPhase::Admitted.into(),
        ..Place::default()
    };
    assert!(!house.tell(0, 1, &admitted));

    // Asked every second for an hour by ever others who are told an hour: about one in 112 seconds.
    let hour = 3_600;
    let followed = (0..hour).filter(|at| house.tell(*at, (*at).into(), &waits_for(hour)));
    assert_eq!(followed.count(), 32);
    // They wait longer than they were told.
    for at in hour..10 * hour {
        house.tell(at, at.into(), &waits_for(hour));
    }
    assert_eq!(house.count(), EACH_MAX);
    assert!(!house.tell(10 * hour, 0, &waits_for(hour)), "enough");

    for sale in 2..200 {
        for at in 0..70 {
            let (now, visitors) = (house.at(at), [VisitorId(at.into())]);
            if let Some((_, drawn)) = house.waits.draw(SaleId(sale), now, &visitors) {
                let place = waits_for(30);
                house.waits.follow(SaleId(sale), drawn, now, &place);
            }
        }
    }
    assert_eq!(house.count(), ALL_MAX);
    house.waits.forget(SALE);
    assert_eq!(house.count(), ALL_MAX - EACH_MAX);
}

#[test]
fn who_is_followed_is_drawn_from_all_who_ask() {
    let house = House::new();
    let visitors: Vec<VisitorId> = (0..10).map(VisitorId).collect();
    let mut drawn = [0; 10];
    for at in 0..1_000 {
        let (at, _) = house
            .waits
            .draw(SALE, house.at(at), &visitors)
            .expect("is due");
        drawn[at] += 1;
    }
    assert!(
        drawn.iter().all(|times| (60..140).contains(times)),
        "{drawn:?}"
    );
    assert_eq!(house.waits.draw(SALE, house.at(0), &[]), None);
}

#[test]
fn a_newcomer_waits_behind_all_who_wait() {
    let house = House::new();
    let of = |second, room: &RoomView| house.waits.of_newcomer_ms(SALE, house.at(second), room);
    assert_eq!(of(0, &room(600, 0)), None, "no pace is known");
    assert_eq!(of(10, &room(500, 100)), Some(50_000));
    let paused = RoomView {
        is_paused: true,
        ..room(400, 200)
    };
    assert_eq!(of(20, &paused), None);
    assert_eq!(of(30, &room(0, 600)), Some(0));
    let sold_out = RoomView {
        free: 0,
        held: 0,
        ..room(9, 600)
    };
    assert_eq!(of(35, &sold_out), None);
    let gathers = RoomView {
        phase: RoomPhase::Gathering,
        ..room(9, 0)
    };
    assert_eq!(of(40, &gathers), None);
}
