//! What the sale actors of a node count. Methods are verbs of the domain; labels come from closed
//! sets, never from ids.

use std::array;
use std::time::Duration;

use domain::change::{Change, Fact, SeatState};
use domain::outcome::Outcome;
use domain::rejection::Rejection;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use proto::channel::v1::RejectionReason;

use crate::codec::rejection::pack;
use crate::size::Size;

/// A round of a sale, in seconds: a command alone takes some tens of microseconds, and a sale whose rounds
/// take a twentieth of a second lets everybody wait.
const ROUND_SECONDS: [f64; 6] = [0.000_02, 0.000_1, 0.000_5, 0.002_5, 0.01, 0.05];
/// A look at a waiting room, in seconds; there is one every quarter of a second.
const LOOK_SECONDS: [f64; 6] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0];

/// Reasons of rejections, by their durable numbers; 0 is none.
const REASONS: usize = 50;

/// Static handles, made once from the node's registry.
pub struct SaleMetrics {
    commands: IntCounter,
    done: IntCounter,
    rejected: IntCounter,
    refused_without_entry: IntCounter,
    batches: IntCounter,
    batch_commands: Histogram,
    round_seconds: Histogram,
    look_seconds: Histogram,
    frozen: IntGauge,
    actors_failed: IntCounter,
    /// In the sequence of `Size::ALL`.
    by_size: [OfSize; 3],
}

/// Of events of one size.
struct OfSize {
    /// By number of the reason.
    refusals: [IntCounter; REASONS],
    holds_placed: IntCounter,
    holds_split: IntCounter,
    holds_expired: IntCounter,
    holds_released: IntCounter,
    orders_placed: IntCounter,
    orders_cancelled: IntCounter,
    seats_held: IntCounter,
    seats_sold: IntCounter,
}

impl SaleMetrics {
    pub fn new(registry: &Registry) -> Result<SaleMetrics, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let options = HistogramOpts::new(name, help).buckets(buckets);
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone()))?;
            Result::<_, prometheus::Error>::Ok(histogram)
        };
        let batch_commands = histogram(
            "onsale_sale_batch_commands",
            "Commands closed into one proposal",
            prometheus::exponential_buckets(1.0, 2.0, 12)?,
        )?;
        let round_seconds = histogram(
            "onsale_sale_round_seconds",
            "Time that a sale on this node took for all that waited for it, led or not; one round of eight is timed",
            ROUND_SECONDS.to_vec(),
        )?;
        let look_seconds = histogram(
            "onsale_queue_look_seconds",
            "Time that letting visitors in took, from a look at the sale until the log had decided",
            LOOK_SECONDS.to_vec(),
        )?;
        let frozen = IntGauge::new(
            "onsale_sale_frozen",
            "Sales frozen on this node after a panic of their logic",
        )?;
        registry.register(Box::new(frozen.clone()))?;
        Ok(SaleMetrics {
            commands: counter(
                "onsale_sale_commands_total",
                "Commands applied on this replica",
            )?,
            done: counter("onsale_sale_done_total", "Commands applied and carried out")?,
            rejected: counter(
                "onsale_sale_rejected_total",
                "Commands applied and rejected",
            )?,
            refused_without_entry: counter(
                "onsale_sale_refused_without_entry_total",
                "Hopeless holds refused by the leader after proving leadership, without a log entry",
            )?,
            batches: counter(
                "onsale_sale_batches_total",
                "Batches proposed by this node's sales",
            )?,
            batch_commands,
            round_seconds,
            look_seconds,
            frozen,
            actors_failed: counter(
                "onsale_sale_actors_failed_total",
                "Actors of sales and waiting rooms that ended by a fault of their own",
            )?,
            by_size: BySize::new(registry)?.of_all(),
        })
    }

    pub(crate) fn observe_delivered(&self, commands: u32) {
        self.commands.inc_by(u64::from(commands));
    }

    pub(crate) fn observe_outcomes(&self, done: u64, rejected: u64) {
        self.done.inc_by(done);
        self.rejected.inc_by(rejected);
    }

    pub(crate) fn observe_batch(&self, commands: usize) {
        self.batches.inc();
        self.batch_commands.observe(commands as f64);
    }

    pub(crate) fn observe_round(&self, took: Duration) {
        self.round_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_look(&self, took: Duration) {
        self.look_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_refused_without_entry(&self, calls: usize) {
        self.refused_without_entry.inc_by(calls as u64);
    }

    /// A caller of this node's sale is told no.
    pub(crate) fn observe_refusal(&self, size: Size, rejection: Rejection) {
        let refusals = &self.of(size).refusals;
        if let Some(counter) = refusals.get(usize::from(pack(rejection).reason)) {
            counter.inc();
        }
    }

    /// What a batch changed, on the leader.
    pub(crate) fn observe_changes(&self, size: Size, changes: &[Change]) {
        let mut count = ChangeCount::default();
        for change in changes {
            count.add(&change.fact);
        }
        let of_size = self.of(size);
        for (counter, by) in [
            (&of_size.holds_placed, count.holds_placed),
            (&of_size.holds_split, count.holds_split),
            (&of_size.holds_expired, count.holds_expired),
            (&of_size.holds_released, count.holds_released),
            (&of_size.orders_placed, count.orders_placed),
            (&of_size.orders_cancelled, count.orders_cancelled),
            (&of_size.seats_held, count.seats_held),
            (&of_size.seats_sold, count.seats_sold),
        ] {
            if by > 0 {
                counter.inc_by(by);
            }
        }
    }

    fn of(&self, size: Size) -> &OfSize {
        let [small, middle, large] = &self.by_size;
        match size {
            Size::Small => small,
            Size::Middle => middle,
            Size::Large => large,
        }
    }

    pub(crate) fn observe_frozen(&self) {
        self.frozen.inc();
    }

    pub(crate) fn observe_released(&self) {
        self.frozen.dec();
    }

    pub(crate) fn observe_actor_failed(&self) {
        self.actors_failed.inc();
    }
}

/// The metrics of which there is one for each size.
struct BySize {
    refusals: IntCounterVec,
    holds_placed: IntCounterVec,
    holds_split: IntCounterVec,
    holds_expired: IntCounterVec,
    holds_released: IntCounterVec,
    orders_placed: IntCounterVec,
    orders_cancelled: IntCounterVec,
    seats_held: IntCounterVec,
    seats_sold: IntCounterVec,
}

impl BySize {
    fn new(registry: &Registry) -> Result<BySize, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Result::<_, prometheus::Error>::Ok(counters)
        };
        let of_size = |name: &str, help: &str| counters(name, help, &["size"]);
        Ok(BySize {
            refusals: counters(
                "onsale_sale_refusals_total",
                "Calls refused by sales this node leads, by the reason that callers are told",
                &["size", "reason"],
            )?,
            holds_placed: of_size(
                "onsale_sale_holds_placed_total",
                "Holds placed in sales this node leads",
            )?,
            holds_split: of_size(
                "onsale_sale_holds_split_total",
                "Holds placed whose seats are not all side by side, in sales this node leads",
            )?,
            holds_expired: of_size(
                "onsale_sale_holds_expired_total",
                "Holds that nobody paid for in time, in sales this node leads",
            )?,
            holds_released: of_size(
                "onsale_sale_holds_released_total",
                "Holds given back, in sales this node leads",
            )?,
            orders_placed: of_size(
                "onsale_sale_orders_placed_total",
                "Holds that became orders, in sales this node leads",
            )?,
            orders_cancelled: of_size(
                "onsale_sale_orders_cancelled_total",
                "Orders cancelled, in sales this node leads",
            )?,
            seats_held: of_size(
                "onsale_sale_seats_held_total",
                "Seats of the holds placed in sales this node leads",
            )?,
            seats_sold: of_size(
                "onsale_sale_seats_sold_total",
                "Seats of the orders placed in sales this node leads",
            )?,
        })
    }

    fn of_all(&self) -> [OfSize; 3] {
        Size::ALL.map(|size| {
            let of = |counters: &IntCounterVec| counters.with_label_values(&[size.name()]);
            OfSize {
                refusals: array::from_fn(|number| {
                    let reason = reason_label(number);
                    self.refusals
                        .with_label_values(&[size.name(), reason.as_str()])
                }),
                holds_placed: of(&self.holds_placed),
                holds_split: of(&self.holds_split),
                holds_expired: of(&self.holds_expired),
                holds_released: of(&self.holds_released),
                orders_placed: of(&self.orders_placed),
                orders_cancelled: of(&self.orders_cancelled),
                seats_held: of(&self.seats_held),
                seats_sold: of(&self.seats_sold),
            }
        })
    }
}

/// `sold_out` of `REJECTION_REASON_SOLD_OUT`.
fn reason_label(number: usize) -> String {
    let reason = i32::try_from(number)
        .ok()
        .and_then(|number| RejectionReason::try_from(number).ok())
        .unwrap_or_default();
    let name = reason.as_str_name();
    let name = name.strip_prefix("REJECTION_REASON_").unwrap_or(name);
    name.to_ascii_lowercase()
}

/// Outcomes of one batch, counted before they are told to the shared counters.
#[derive(Default)]
pub(crate) struct OutcomeCount {
    pub done: u64,
    pub rejected: u64,
}

impl OutcomeCount {
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::Rejected(_) => self.rejected += 1,
        }
    }
}

/// Changes of one batch, likewise.
#[derive(Debug, Default, PartialEq, Eq)]
struct ChangeCount {
    /// Of the hold that is being told: its seats are told run by run, before it is.
    runs: u64,
    holds_placed: u64,
    holds_split: u64,
    holds_expired: u64,
    holds_released: u64,
    orders_placed: u64,
    orders_cancelled: u64,
    seats_held: u64,
    seats_sold: u64,
}

impl ChangeCount {
    fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::HoldPlaced { seats, .. } => {
                self.holds_placed += 1;
                self.holds_split += u64::from(self.runs > 1);
                self.runs = 0;
                self.seats_held += u64::from(*seats);
            }
            Fact::HoldExpired { .. } => self.holds_expired += 1,
            Fact::HoldReleased { .. } => self.holds_released += 1,
            Fact::OrderPlaced { seats, .. } => {
                self.orders_placed += 1;
                self.seats_sold += u64::from(*seats);
            }
            Fact::OrderCancelled { .. } => self.orders_cancelled += 1,
            Fact::SeatsChanged { to, .. } => self.runs += u64::from(*to == SeatState::Held),
            Fact::PhaseChanged { .. }
            | Fact::RulesSet
            | Fact::HoldExtended { .. }
            | Fact::SaleReopened { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId, Revision};
    use domain::outcome::SeatRun;

    use super::*;

    #[test]
    fn every_reason_that_callers_are_told_has_its_own_label() {
        let labels: BTreeSet<String> = (0..REASONS).map(reason_label).collect();
        assert_eq!(labels.len(), REASONS);
        assert!(labels.contains("sold_out") && labels.contains("room_closed"));
        let next = i32::try_from(REASONS).expect("few");
        assert!(RejectionReason::try_from(next).is_err(), "a new reason");
    }

    #[test]
    fn what_changed_is_counted_once() {
        let registry = Registry::new();
        let metrics = SaleMetrics::new(&registry).expect("registers");
        let fact = |fact| Change {
            revision: Revision(1),
            at_ms: 1,
            fact,
        };
        let held = |first| Fact::SeatsChanged {
            run: SeatRun {
                section: 0,
                first,
                count: 1,
            },
            from: SeatState::Free,
            to: SeatState::Held,
        };
        let placed = |hold| Fact::HoldPlaced {
            hold: HoldId(hold),
            buyer: BuyerId(1),
            partner: PartnerId(1),
            channel: ChannelId(1),
            seats: 1,
            deadline_ms: 9,
        };
        let changes = [
            fact(held(1)),
            fact(placed(3)),
            fact(held(2)),
            fact(held(4)),
            fact(placed(4)),
            fact(Fact::HoldExpired { hold: HoldId(1) }),
            fact(Fact::OrderPlaced {
                order: OrderId(1),
                hold: HoldId(2),
                seats: 4,
            }),
        ];
        metrics.observe_changes(Size::Middle, &changes);
        metrics.observe_refusal(Size::Large, Rejection::RoomClosed);
        let [small, middle, large] = &metrics.by_size;
        assert_eq!(middle.holds_expired.get(), 1);
        assert_eq!(middle.orders_placed.get(), 1);
        assert_eq!(middle.seats_sold.get(), 4);
        assert_eq!(middle.holds_placed.get(), 2);
        assert_eq!(middle.holds_split.get(), 1);
        assert_eq!(large.refusals[REASONS - 1].get(), 1);
        assert_eq!(small.orders_placed.get(), 0);
    }
}
