//! Gauges and counters over all sales a node leads. A sale has one leader, so the nodes of a cluster
//! may be added up. What there is of each size of event: `sales`, `rooms`.

mod rooms;
mod sales;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use actors::sale::Figures;
use actors::size::Size;
use cluster::types::GroupId;
use domain::ids::ChannelId;
use domain::rejection::Phase;
use domain::room::Census;
use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    register_int_gauge_with_registry,
};

use super::channels::ChannelMetrics;
use super::standing::HeldUp;
pub use rooms::Pace;
use rooms::{RoomGauges, RoomMetrics, RoomTotals};
use sales::{SaleGauges, SaleMetrics, SaleTotals};

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
    sales: SaleMetrics,
    rooms: RoomMetrics,
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
    pub sales: SaleTotals,
    pub rooms: RoomTotals,
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
        self.oversold += figures.oversold_seats;
        for (channel, seats) in &figures.channel_seats {
            *self.channel_seats.entry(*channel).or_default() += u64::from(*seats);
        }
        if before.is_some_and(|before| before.phase != figures.phase) {
            self.count_phase(figures.phase);
        }
        let size = Size::of(&figures.counts) as usize;
        let Some(of_size) = self.by_size.get_mut(size) else {
            return;
        };
        of_size.sales.add(figures);
        if let Some(room) = &figures.room {
            let before = before.map(|before| &before.census);
            of_size.rooms.add(room, before, pace);
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
        let unapplied = gauges(
            registry,
            "onsale_sale_unapplied_entries",
            "Entries handed to a sale on this node and not yet applied by it, of the sale of each group that has most.",
            &["group"],
        )?;
        let held_up = gauges(
            registry,
            "onsale_queue_held_up_rooms",
            "Rooms past their opening, with visitors waiting and seats free, that are kept shut, by what keeps them.",
            &["why"],
        )?;
        let (sales, rooms) = (SaleGauges::new(registry)?, RoomGauges::new(registry)?);
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
            by_size: Size::ALL.map(|size| OfSize {
                sales: sales.of(size),
                rooms: rooms.of(size),
            }),
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
            handles.sales.tell(&totals.sales);
            handles.rooms.tell(&totals.rooms);
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

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn set_all(gauges: &[IntGauge], values: &[u64]) {
    for (handle, value) in gauges.iter().zip(values) {
        handle.set(gauge(*value));
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
