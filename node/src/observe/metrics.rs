//! Gauges and counters over all sales a node leads. A sale has one leader, so the nodes of a cluster
//! may be added up.

use std::collections::BTreeMap;

use actors::sale::Figures;
use actors::size::Size;
use cluster::types::GroupId;
use domain::ids::ChannelId;
use domain::rejection::Phase;
use domain::room::{Census, RoomPhase};
use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    register_int_gauge_with_registry,
};

use super::channels::ChannelMetrics;
use super::standing::HeldUp;

const SEAT_STATES: [&str; 4] = ["free", "held", "sold", "blocked"];
const ORDER_STATES: [&str; 2] = ["paid", "cancelled"];
const ROOM_STATES: [&str; 4] = ["gathering", "awaits_beacon", "open", "paused"];
const VISITOR_STATES: [&str; 2] = ["waiting", "at_the_desk"];
const VISITOR_EVENTS: [&str; 6] = ["joined", "released", "served", "no_show", "left", "removed"];
const PHASES: [&str; 3] = ["open", "paused", "closed"];

/// Handles, made once from the node's registry.
pub struct LedMetrics {
    silent: IntGauge,
    oversold: IntGauge,
    queued: IntGauge,
    queued_most: IntGauge,
    /// Of the groups that have a replica here.
    unapplied: IntGaugeVec,
    told_groups: Vec<GroupId>,
    messages_most: IntGauge,
    looks_due: IntGauge,
    stalled: IntGauge,
    /// In the sequence of `HeldUp::ALL`.
    held_up: [IntGauge; 3],
    phase_changes: [IntCounter; 3],
    by_size: [OfSize; 3],
    channels: ChannelMetrics,
    rounds: IntCounter,
}

/// Of events of one size.
struct OfSize {
    sales: IntGauge,
    seats: [IntGauge; 4],
    orphans: IntGauge,
    holds: IntGauge,
    orders: [IntGauge; 2],
    rooms: [IntGauge; 4],
    visitors: [IntGauge; 2],
    visitor_events: [IntCounter; 6],
    target: Gauge,
    capacity: Gauge,
    wait: Gauge,
}

/// What one round over the sales adds up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Led here, but gave no answer in time.
    pub silent: u64,
    pub oversold: u64,
    pub queued: u64,
    pub queued_most: u64,
    /// By group, of the sale that has most of them.
    pub unapplied: BTreeMap<GroupId, u64>,
    /// Of the sale on this node for which most messages wait.
    pub messages_most: u64,
    /// Looks at rooms that wait for the one under way.
    pub looks_due: u64,
    pub stalled: u64,
    /// In the sequence of `HeldUp::ALL`.
    pub held_up: [u64; 3],
    /// Opened, paused, closed: since the round before.
    pub phase_changes: [u64; 3],
    /// In the sequence of `Size::ALL`.
    pub by_size: [OfSizeTotals; 3],
    pub channel_seats: BTreeMap<ChannelId, u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfSizeTotals {
    pub sales: u64,
    /// Free, held, sold, blocked.
    pub seats: [u64; 4],
    pub orphans: u64,
    pub holds: u64,
    /// Paid, cancelled.
    pub orders: [u64; 2],
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

/// Where a sale stood when this node, leading, looked last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Before {
    pub phase: Phase,
    /// At nothing, where there was no room.
    pub census: Census,
}

impl Before {
    pub fn of(figures: &Figures) -> Before {
        let room = figures.room.as_ref();
        Before {
            phase: figures.phase,
            census: room.map_or_else(Census::default, |room| room.census),
        }
    }
}

impl Totals {
    pub fn add(&mut self, figures: &Figures, before: Option<&Before>, pace: Pace) {
        let Pace {
            target,
            capacity,
            wait_ms,
        } = pace;
        let counts = &figures.counts;
        self.oversold += figures.oversold_seats;
        for (channel, seats) in &figures.channel_seats {
            *self.channel_seats.entry(*channel).or_default() += u64::from(*seats);
        }
        if before.is_some_and(|before| before.phase != figures.phase) {
            self.count_phase(figures.phase);
        }
        let size = Size::of(counts) as usize;
        let Some(of_size) = self.by_size.get_mut(size) else {
            return;
        };
        of_size.sales += 1;
        let seats = [counts.free, counts.held, counts.sold, counts.blocked];
        for (sum, seats) in of_size.seats.iter_mut().zip(seats) {
            *sum += u64::from(seats);
        }
        of_size.orphans += u64::from(figures.orphan_seats);
        of_size.holds += counts.holds as u64;
        let paid = counts.orders.saturating_sub(counts.orders_cancelled);
        of_size.orders[0] += paid as u64;
        of_size.orders[1] += counts.orders_cancelled as u64;
        let Some(room) = &figures.room else { return };
        let census = &room.census;
        let state = match room.phase {
            _ if room.is_paused => 3,
            RoomPhase::Gathering => 0,
            RoomPhase::AwaitsBeacon => 1,
            RoomPhase::Open => 2,
        };
        of_size.rooms[state] += 1;
        of_size.visitors[0] += census.waiting;
        of_size.visitors[1] += census.at_the_desk;
        of_size.capacity += capacity;
        // `None` is less than any.
        of_size.wait_ms = of_size.wait_ms.max(wait_ms);
        let lets_in = room.lets_in() && !room.is_paused && census.waiting > 0;
        // With nothing left the law's last word stands, and nobody is let in.
        if lets_in && room.free > 0 {
            of_size.target += target;
        }
        let Some(Before { census: before, .. }) = before else {
            return;
        };
        for (sum, (now, before)) in of_size
            .visitor_events
            .iter_mut()
            .zip(steps(census).into_iter().zip(steps(before)))
        {
            *sum += now.saturating_sub(before);
        }
    }

    /// A sale has come to a phase since the last look.
    pub fn count_phase(&mut self, phase: Phase) {
        match phase {
            Phase::Announced => {}
            Phase::Open => self.phase_changes[0] += 1,
            Phase::Paused => self.phase_changes[1] += 1,
            Phase::Closed => self.phase_changes[2] += 1,
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

/// The metrics of which there is one for each size.
struct BySize {
    sales: IntGaugeVec,
    seats: IntGaugeVec,
    orphans: IntGaugeVec,
    holds: IntGaugeVec,
    orders: IntGaugeVec,
    rooms: IntGaugeVec,
    visitors: IntGaugeVec,
    visitor_events: IntCounterVec,
    target: GaugeVec,
    capacity: GaugeVec,
    wait: GaugeVec,
}

impl BySize {
    fn new(registry: &Registry) -> prometheus::Result<BySize> {
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            prometheus::Result::Ok(gauges)
        };
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
        Ok(BySize {
            sales: gauges(
                "onsale_sale_led",
                "Sales this node leads and that answered, by the event's size.",
                &["size"],
            )?,
            seats: gauges(
                "onsale_sale_seats",
                "Seats of the sales this node leads, by state, standing places included.",
                &["size", "state"],
            )?,
            orphans: gauges(
                "onsale_sale_orphan_seats",
                "Free seats with no free seat beside them, in sales this node leads.",
                &["size"],
            )?,
            holds: gauges(
                "onsale_sale_holds_active",
                "Holds that are alive in sales this node leads.",
                &["size"],
            )?,
            orders: gauges(
                "onsale_sale_orders",
                "Orders of the sales this node leads, by state.",
                &["size", "state"],
            )?,
            rooms: gauges(
                "onsale_queue_rooms",
                "Waiting rooms of the sales this node leads, by state.",
                &["size", "state"],
            )?,
            visitors: gauges(
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

    fn of(&self, size: Size) -> OfSize {
        let size = size.name();
        OfSize {
            sales: self.sales.with_label_values(&[size]),
            seats: SEAT_STATES.map(|state| self.seats.with_label_values(&[size, state])),
            orphans: self.orphans.with_label_values(&[size]),
            holds: self.holds.with_label_values(&[size]),
            orders: ORDER_STATES.map(|state| self.orders.with_label_values(&[size, state])),
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

impl OfSize {
    fn tell(&self, totals: &OfSizeTotals) {
        self.sales.set(gauge(totals.sales));
        set_all(&self.seats, &totals.seats);
        self.orphans.set(gauge(totals.orphans));
        self.holds.set(gauge(totals.holds));
        set_all(&self.orders, &totals.orders);
        set_all(&self.rooms, &totals.rooms);
        set_all(&self.visitors, &totals.visitors);
        for (counter, by) in self.visitor_events.iter().zip(totals.visitor_events) {
            counter.inc_by(by);
        }
        self.target.set(totals.target as f64 / 1000.0);
        self.capacity.set(totals.capacity as f64 / 1000.0);
        let wait = totals.wait_ms.map(|wait_ms| wait_ms as f64 / 1000.0);
        self.wait.set(wait.unwrap_or(f64::NAN));
    }
}

impl LedMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<LedMetrics> {
        let gauge =
            |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let phase_changes = IntCounterVec::new(
            Opts::new(
                "onsale_sale_phase_changes_total",
                "Sales this node leads that opened, were paused or closed between two looks of it.",
            ),
            &["phase"],
        )?;
        registry.register(Box::new(phase_changes.clone()))?;
        let rounds = IntCounter::new(
            "onsale_observe_rounds_total",
            "Times all sales this node leads were looked at for these figures.",
        )?;
        registry.register(Box::new(rounds.clone()))?;
        let unapplied = IntGaugeVec::new(
            Opts::new(
                "onsale_sale_unapplied_entries",
                "Entries handed to a sale on this node and not yet applied by it, of the sale of each group that has most.",
            ),
            &["group"],
        )?;
        registry.register(Box::new(unapplied.clone()))?;
        let held_up = IntGaugeVec::new(
            Opts::new(
                "onsale_queue_held_up_rooms",
                "Rooms past their opening, with visitors waiting and seats free, that are kept shut, by what keeps them.",
            ),
            &["why"],
        )?;
        registry.register(Box::new(held_up.clone()))?;
        let by_size = BySize::new(registry)?;
        Ok(LedMetrics {
            silent: gauge(
                "onsale_sale_silent",
                "Sales of groups this node leads that gave no figures: frozen, or slow to answer.",
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
            unapplied,
            told_groups: Vec::new(),
            messages_most: gauge(
                "onsale_sale_queued_messages_most",
                "Messages waiting for the actor of the sale on this node that has most of them, what the log delivers among them.",
            )?,
            looks_due: gauge(
                "onsale_queue_looks_due",
                "Looks at waiting rooms that are due and wait until the one before has ended, over the rooms this node leads.",
            )?,
            stalled: gauge(
                "onsale_queue_stalled_rooms",
                "Open rooms with visitors waiting and seats free that have let nobody in for a minute, or as long as three visitors take at the pace aimed at.",
            )?,
            held_up: HeldUp::ALL.map(|why| held_up.with_label_values(&[why.name()])),
            phase_changes: PHASES.map(|phase| phase_changes.with_label_values(&[phase])),
            by_size: Size::ALL.map(|size| by_size.of(size)),
            channels: ChannelMetrics::new(registry)?,
            rounds,
        })
    }

    pub fn tell(&mut self, totals: &Totals) {
        self.silent.set(gauge(totals.silent));
        self.oversold.set(gauge(totals.oversold));
        self.queued.set(gauge(totals.queued));
        self.queued_most.set(gauge(totals.queued_most));
        self.tell_unapplied(&totals.unapplied);
        self.messages_most.set(gauge(totals.messages_most));
        self.looks_due.set(gauge(totals.looks_due));
        self.stalled.set(gauge(totals.stalled));
        set_all(&self.held_up, &totals.held_up);
        for (counter, by) in self.phase_changes.iter().zip(totals.phase_changes) {
            counter.inc_by(by);
        }
        for (handles, totals) in self.by_size.iter().zip(&totals.by_size) {
            handles.tell(totals);
        }
        self.channels.tell(&totals.channel_seats);
        self.rounds.inc();
    }

    fn tell_unapplied(&mut self, now: &BTreeMap<GroupId, u64>) {
        for group in self.told_groups.drain(..) {
            if !now.contains_key(&group) {
                let label = group.to_string();
                // It was told at the last look.
                let _gone = self.unapplied.remove_label_values(&[label.as_str()]);
            }
        }
        for (group, entries) in now {
            let label = group.to_string();
            let told = self.unapplied.with_label_values(&[label.as_str()]);
            told.set(gauge(*entries));
            self.told_groups.push(*group);
        }
    }
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
        assert_eq!(small.sales, 2);
        assert_eq!(small.seats, [51, 4, 6, 0]);
        assert_eq!(small.orders, [6, 4]);
        assert_eq!(small.orphans, 2);
        assert_eq!(small.rooms, [0, 0, 2, 0]);
        assert_eq!(small.visitors, [87, 5]);
        assert_eq!(small.visitor_events, [10, 20, 0, 0, 0, 0]);
        assert_eq!((small.target, small.capacity), (5_000, 9_000));
        assert_eq!(small.wait_ms, Some(20_000), "the longest");
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
        assert_eq!(totals.by_size[0].target, 0);
        totals.add(&room(9, 1, 0, 1), None, aims_at(60_000));
        assert_eq!(totals.by_size[0].target, 60_000);
    }

    #[test]
    fn events_are_told_apart_by_their_size() {
        let mut totals = Totals::default();
        for free in [1_000, 10_000, 100_000] {
            totals.add(&room(0, 0, 0, free), None, aims_at(0));
        }
        assert_eq!(totals.by_size.map(|of_size| of_size.sales), [1, 1, 1]);
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
}
