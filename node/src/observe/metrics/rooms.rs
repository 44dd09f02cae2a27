//! Of all waiting rooms of events of one size that a node leads: who waits, who came in, and how fast they
//! are let in.

use actors::sale::RoomView;
use actors::size::Size;
use domain::room::{Census, RoomPhase};
use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{gauges, set_all};

const ROOM_STATES: [&str; 4] = ["gathering", "awaits_beacon", "open", "paused"];
const VISITOR_STATES: [&str; 2] = ["waiting", "at_the_desk"];
const VISITOR_EVENTS: [&str; 6] = ["joined", "released", "served", "no_show", "left", "removed"];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomTotals {
    /// Gathering, awaiting a beacon, open, paused.
    pub rooms: [u64; 4],
    /// Waiting, at the desk.
    pub visitors: [u64; 2],
    /// Joined, released, served, no-shows, left, removed: since the round before.
    pub visitor_events: [u64; 6],
    /// Visitors a second, in thousandths.
    pub target: u64,
    pub capacity: u64,
    /// Of the room with the longest wait; `None`: of none it is known.
    pub wait_ms: Option<u64>,
}

/// How fast a sale's room lets in, which is in no figures of the sale.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Visitors a second, in thousandths.
    pub target: u64,
    pub capacity: u64,
    /// Of who comes now.
    pub wait_ms: Option<u64>,
}

impl RoomTotals {
    /// `before`: what was counted when this node, leading, looked last.
    pub fn add(&mut self, room: &RoomView, before: Option<&Census>, pace: Pace) {
        let Pace {
            target,
            capacity,
            wait_ms,
        } = pace;
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
        // `None` is less than any.
        self.wait_ms = self.wait_ms.max(wait_ms);
        let lets_in = room.lets_in() && !room.is_paused && census.waiting > 0;
        // With nothing left the law's last word stands, and nobody is let in.
        if lets_in && room.free > 0 {
            self.target += target;
        }
        let Some(before) = before else { return };
        let changes = steps(census).into_iter().zip(steps(before));
        for (sum, (now, before)) in self.visitor_events.iter_mut().zip(changes) {
            *sum += now.saturating_sub(before);
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

/// The metrics, of all sizes.
pub struct RoomGauges {
    rooms: IntGaugeVec,
    visitors: IntGaugeVec,
    visitor_events: IntCounterVec,
    target: GaugeVec,
    capacity: GaugeVec,
    wait: GaugeVec,
}

/// Of one size.
pub struct RoomMetrics {
    rooms: [IntGauge; 4],
    visitors: [IntGauge; 2],
    visitor_events: [IntCounter; 6],
    target: Gauge,
    capacity: Gauge,
    wait: Gauge,
}

impl RoomGauges {
    pub fn new(registry: &Registry) -> prometheus::Result<RoomGauges> {
        let rates = |name: &str, help: &str| {
            let rates = GaugeVec::new(Opts::new(name, help), &["size"])?;
            registry.register(Box::new(rates.clone()))?;
            prometheus::Result::Ok(rates)
        };
        let visitor_events = IntCounterVec::new(
            Opts::new(
                "onsale_queue_visitor_events_total",
                "What became of visitors in sales this node leads; counted from the second look on.",
            ),
            &["size", "event"],
        )?;
        registry.register(Box::new(visitor_events.clone()))?;
        Ok(RoomGauges {
            rooms: gauges(
                registry,
                "onsale_queue_rooms",
                "Waiting rooms of the sales this node leads, by state.",
                &["size", "state"],
            )?,
            visitors: gauges(
                registry,
                "onsale_queue_visitors",
                "Visitors who wait, or have a pass and have not used it, in sales this node leads.",
                &["size", "state"],
            )?,
            visitor_events,
            target: rates(
                "onsale_queue_outflow_target_per_second",
                "Visitors a second that open rooms with visitors waiting and seats free aim to let in, in sales this node leads.",
            )?,
            capacity: rates(
                "onsale_queue_capacity_per_second",
                "Passes a second that sales this node leads can serve, as far as that was measured.",
            )?,
            wait: rates(
                "onsale_queue_expected_wait_seconds",
                "What who comes now is told to wait, in the room of those this node leads with the longest wait; NaN: nobody is let in.",
            )?,
        })
    }

    pub fn of(&self, size: Size) -> RoomMetrics {
        let size = size.name();
        RoomMetrics {
            rooms: ROOM_STATES.map(|state| self.rooms.with_label_values(&[size, state])),
            visitors: VISITOR_STATES.map(|state| self.visitors.with_label_values(&[size, state])),
            visitor_events: VISITOR_EVENTS
                .map(|event| self.visitor_events.with_label_values(&[size, event])),
            target: self.target.with_label_values(&[size]),
            capacity: self.capacity.with_label_values(&[size]),
            wait: self.wait.with_label_values(&[size]),
        }
    }
}

impl RoomMetrics {
    pub fn tell(&self, totals: &RoomTotals) {
        let RoomTotals {
            rooms,
            visitors,
            visitor_events,
            target,
            capacity,
            wait_ms,
        } = totals;
        set_all(&self.rooms, rooms);
        set_all(&self.visitors, visitors);
        for (counter, by) in self.visitor_events.iter().zip(visitor_events) {
            counter.inc_by(*by);
        }
        self.target.set(*target as f64 / 1000.0);
        self.capacity.set(*capacity as f64 / 1000.0);
        let wait = wait_ms.map(|wait_ms| wait_ms as f64 / 1000.0);
        self.wait.set(wait.unwrap_or(f64::NAN));
    }
}
