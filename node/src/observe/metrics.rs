//! Gauges and counters over all sales a node leads. A sale has one leader, so the nodes of a cluster
//! may be added up.

use actors::sale::Figures;
use domain::room::{Census, RoomPhase};
use prometheus::{
    Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    register_gauge_with_registry, register_int_gauge_with_registry,
};

const SEAT_STATES: [&str; 4] = ["free", "held", "sold", "blocked"];
const ROOM_STATES: [&str; 4] = ["gathering", "awaits_beacon", "open", "paused"];
const VISITOR_STATES: [&str; 2] = ["waiting", "at_the_desk"];
const VISITOR_EVENTS: [&str; 6] = ["joined", "released", "served", "no_show", "left", "removed"];

/// Handles, made once from the node's registry.
pub struct LedMetrics {
    sales: IntGauge,
    silent: IntGauge,
    seats: [IntGauge; 4],
    holds: IntGauge,
    oversold: IntGauge,
    queued: IntGauge,
    queued_most: IntGauge,
    rooms: [IntGauge; 4],
    stalled: IntGauge,
    visitors: [IntGauge; 2],
    visitor_events: [IntCounter; 6],
    target: Gauge,
    capacity: Gauge,
    rounds: IntCounter,
}

/// What one round over the sales adds up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub sales: u64,
    /// Led here, but gave no answer in time.
    pub silent: u64,
    /// Free, held, sold, blocked.
    pub seats: [u64; 4],
    pub holds: u64,
    pub oversold: u64,
    pub queued: u64,
    pub queued_most: u64,
    /// Gathering, awaiting a beacon, open, paused.
    pub rooms: [u64; 4],
    pub stalled: u64,
    /// Waiting, at the desk.
    pub visitors: [u64; 2],
    /// Joined, released, served, no-shows, left, removed: since the round before.
    pub visitor_events: [u64; 6],
    /// Visitors a second, in thousandths.
    pub target: u64,
    pub capacity: u64,
}

impl Totals {
    /// `before`: where the room stood when this node, leading, looked last.
    pub fn add(&mut self, figures: &Figures, before: Option<&Census>, target: u64, capacity: u64) {
        let counts = &figures.counts;
        self.sales += 1;
        let seats = [counts.free, counts.held, counts.sold, counts.blocked];
        for (sum, seats) in self.seats.iter_mut().zip(seats) {
            *sum += u64::from(seats);
        }
        self.holds += counts.holds as u64;
        self.oversold += figures.oversold_seats;
        let Some(room) = &figures.room else { return };
        let census = &room.census;
        let state = match room.phase {
            _ if room.is_paused => 3,
            RoomPhase::Gathering => 0,
            RoomPhase::AwaitsBeacon => 1,
            RoomPhase::Open => 2,
        };
        self.rooms[state] += 1;
        self.visitors[0] += census.waiting;
        self.visitors[1] += census.at_the_desk;
        self.capacity += capacity;
        let lets_in = room.lets_in() && !room.is_paused && census.waiting > 0;
        if lets_in {
            self.target += target;
        }
        let Some(before) = before else { return };
        for (sum, (now, before)) in self
            .visitor_events
            .iter_mut()
            .zip(steps(census).into_iter().zip(steps(before)))
        {
            *sum += now.saturating_sub(before);
        }
        // Nobody is let in on purpose while those at the desk may take what is left.
        let wants = target > 0 || census.at_the_desk == 0;
        if lets_in && room.free > 0 && wants && census.released == before.released {
            self.stalled += 1;
        }
    }
}

/// In the sequence of `VISITOR_EVENTS`.
fn steps(census: &Census) -> [u64; 6] {
    [
        census.joined,
        census.released,
        census.served,
        census.expired,
        census.left,
        census.removed,
    ]
}

impl LedMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<LedMetrics> {
        let gauge =
            |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let rate = |name: &str, help: &str| register_gauge_with_registry!(name, help, registry);
        let seats = states(
            registry,
            "onsale_sale_seats",
            "Seats of the sales this node leads, by state, standing places included.",
        )?;
        let rooms = states(
            registry,
            "onsale_queue_rooms",
            "Waiting rooms of the sales this node leads, by state.",
        )?;
        let visitors = states(
            registry,
            "onsale_queue_visitors",
            "Visitors who wait, or have a pass and have not used it, in sales this node leads.",
        )?;
        let events = IntCounterVec::new(
            Opts::new(
                "onsale_queue_visitor_events_total",
                "What became of visitors in sales this node leads; counted from the second look on.",
            ),
            &["event"],
        )?;
        registry.register(Box::new(events.clone()))?;
        let rounds = IntCounter::new(
            "onsale_observe_rounds_total",
            "Times all sales this node leads were looked at for these figures.",
        )?;
        registry.register(Box::new(rounds.clone()))?;
        Ok(LedMetrics {
            sales: gauge(
                "onsale_sale_led",
                "Sales this node leads and that answered.",
            )?,
            silent: gauge(
                "onsale_sale_silent",
                "Sales of groups this node leads that gave no figures: frozen, or slow to answer.",
            )?,
            seats: SEAT_STATES.map(|state| seats.with_label_values(&[state])),
            holds: gauge(
                "onsale_sale_holds_active",
                "Holds that are alive in sales this node leads.",
            )?,
            oversold: gauge(
                "onsale_sale_oversold_seats",
                "Seats given to buyers beyond those that are taken, in sales this node leads: always 0.",
            )?,
            queued: gauge(
                "onsale_sale_queued_commands",
                "Commands in the queues of this node's sales or waiting to be proposed.",
            )?,
            queued_most: gauge(
                "onsale_sale_queued_commands_most",
                "The same of the sale that has most of them.",
            )?,
            rooms: ROOM_STATES.map(|state| rooms.with_label_values(&[state])),
            stalled: gauge(
                "onsale_queue_stalled_rooms",
                "Open rooms with visitors waiting and seats free that let nobody in between two looks.",
            )?,
            visitors: VISITOR_STATES.map(|state| visitors.with_label_values(&[state])),
            visitor_events: VISITOR_EVENTS.map(|event| events.with_label_values(&[event])),
            target: rate(
                "onsale_queue_outflow_target_per_second",
                "Visitors a second that open rooms with visitors waiting aim to let in, in sales this node leads.",
            )?,
            capacity: rate(
                "onsale_queue_capacity_per_second",
                "Passes a second that sales this node leads can serve, as far as that was measured.",
            )?,
            rounds,
        })
    }

    pub fn tell(&self, totals: &Totals) {
        self.sales.set(gauge(totals.sales));
        self.silent.set(gauge(totals.silent));
        set_all(&self.seats, &totals.seats);
        self.holds.set(gauge(totals.holds));
        self.oversold.set(gauge(totals.oversold));
        self.queued.set(gauge(totals.queued));
        self.queued_most.set(gauge(totals.queued_most));
        set_all(&self.rooms, &totals.rooms);
        self.stalled.set(gauge(totals.stalled));
        set_all(&self.visitors, &totals.visitors);
        for (counter, by) in self.visitor_events.iter().zip(totals.visitor_events) {
            counter.inc_by(by);
        }
        self.target.set(totals.target as f64 / 1000.0);
        self.capacity.set(totals.capacity as f64 / 1000.0);
        self.rounds.inc();
    }
}

fn states(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
    let states = IntGaugeVec::new(Opts::new(name, help), &["state"])?;
    registry.register(Box::new(states.clone()))?;
    Ok(states)
}

fn set_all(gauges: &[IntGauge], values: &[u64]) {
    for (handle, value) in gauges.iter().zip(values) {
        handle.set(gauge(*value));
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use actors::sale::RoomView;
    use domain::rejection::Phase;
    use domain::sale::Counts;

    use super::*;

    fn room(waiting: u64, released: u64, at_the_desk: u64, free: u32) -> Figures {
        let census = Census {
            joined: waiting + released,
            waiting,
            released,
            at_the_desk,
            ..Census::default()
        };
        Figures {
            counts: Counts {
                free,
                held: 2,
                sold: 3,
                holds: 1,
                ..Counts::default()
            },
            oversold_seats: 0,
            room: Some(RoomView {
                applied_index: 1,
                now_ms: 1,
                sale_phase: Phase::Open,
                phase: RoomPhase::Open,
                is_paused: false,
                is_closed: false,
                lobby_at_ms: 0,
                open_at_ms: 0,
                pass_life_ms: 1,
                pass_tickets: 1,
                census,
                free,
                held: 2,
                sold: 3,
                finds_enough: true,
            }),
        }
    }

    fn census(figures: &Figures) -> Census {
        figures.room.as_ref().expect("has a room").census
    }

    #[test]
    fn sales_and_rooms_are_added_up() {
        let mut totals = Totals::default();
        let (before, now) = (room(90, 10, 5, 50), room(80, 30, 5, 50));
        totals.add(&now, Some(&census(&before)), 4_000, 9_000);
        totals.add(&room(7, 0, 0, 1), None, 1_000, 0);
        assert_eq!(totals.sales, 2);
        assert_eq!(totals.seats, [51, 4, 6, 0]);
        assert_eq!(totals.rooms, [0, 0, 2, 0]);
        assert_eq!(totals.visitors, [87, 5]);
        assert_eq!(totals.visitor_events, [10, 20, 0, 0, 0, 0]);
        assert_eq!((totals.target, totals.capacity), (5_000, 9_000));
        assert_eq!(totals.stalled, 0);
    }

    #[test]
    fn a_room_is_stalled_when_nobody_comes_in_who_could() {
        let stalled = |figures: Figures, target| {
            let mut totals = Totals::default();
            totals.add(&figures, Some(&census(&figures)), target, 0);
            totals.stalled == 1
        };
        assert!(stalled(room(9, 1, 0, 5), 0), "nobody is at the desk");
        assert!(stalled(room(9, 1, 1, 5), 1_000), "more were to come in");
        assert!(
            !stalled(room(9, 1, 1, 5), 0),
            "those at the desk may take what is left"
        );
        assert!(!stalled(room(0, 1, 0, 5), 0), "nobody waits");
        assert!(!stalled(room(9, 1, 0, 0), 0), "sold out");
        let mut paused = room(9, 1, 0, 5);
        paused.room.as_mut().expect("has a room").is_paused = true;
        assert!(!stalled(paused, 1_000));
    }
}
