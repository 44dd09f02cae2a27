//! Of all sales of events of one size that a node leads: seats, holds, orders.

use actors::sale::Figures;
use actors::size::Size;
use prometheus::{IntGauge, IntGaugeVec, Registry};

use super::{gauge, gauges, set_all};

const SEAT_STATES: [&str; 4] = ["free", "held", "sold", "blocked"];
const ORDER_STATES: [&str; 2] = ["paid", "cancelled"];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaleTotals {
    pub sales: u64,
    /// Free, held, sold, blocked.
    pub seats: [u64; 4],
    pub orphans: u64,
    pub holds: u64,
    /// Paid, cancelled.
    pub orders: [u64; 2],
}

impl SaleTotals {
    pub fn add(&mut self, figures: &Figures) {
        let counts = &figures.counts;
        self.sales += 1;
        let seats = [counts.free, counts.held, counts.sold, counts.blocked];
        for (sum, seats) in self.seats.iter_mut().zip(seats) {
            *sum += u64::from(seats);
        }
        self.orphans += u64::from(figures.orphan_seats);
        self.holds += counts.holds as u64;
        let paid = counts.orders.saturating_sub(counts.orders_cancelled);
        self.orders[0] += paid as u64;
        self.orders[1] += counts.orders_cancelled as u64;
    }
}

/// The metrics, of all sizes.
pub struct SaleGauges {
    sales: IntGaugeVec,
    seats: IntGaugeVec,
    orphans: IntGaugeVec,
    holds: IntGaugeVec,
    orders: IntGaugeVec,
}

/// Of one size.
pub struct SaleMetrics {
    sales: IntGauge,
    seats: [IntGauge; 4],
    orphans: IntGauge,
    holds: IntGauge,
    orders: [IntGauge; 2],
}

impl SaleGauges {
    pub fn new(registry: &Registry) -> prometheus::Result<SaleGauges> {
        Ok(SaleGauges {
            sales: gauges(
                registry,
                "onsale_sale_led",
                "Sales this node leads and that answered, by the event's size.",
                &["size"],
            )?,
            seats: gauges(
                registry,
                "onsale_sale_seats",
                "Seats of the sales this node leads, by state, standing places included.",
                &["size", "state"],
            )?,
            orphans: gauges(
                registry,
                "onsale_sale_orphan_seats",
                "Free seats with no free seat beside them, in sales this node leads.",
                &["size"],
            )?,
            holds: gauges(
                registry,
                "onsale_sale_holds_active",
                "Holds that are alive in sales this node leads.",
                &["size"],
            )?,
            orders: gauges(
                registry,
                "onsale_sale_orders",
                "Orders of the sales this node leads, by state.",
                &["size", "state"],
            )?,
        })
    }

    pub fn of(&self, size: Size) -> SaleMetrics {
        let size = size.name();
        SaleMetrics {
            sales: self.sales.with_label_values(&[size]),
            seats: SEAT_STATES.map(|state| self.seats.with_label_values(&[size, state])),
            orphans: self.orphans.with_label_values(&[size]),
            holds: self.holds.with_label_values(&[size]),
            orders: ORDER_STATES.map(|state| self.orders.with_label_values(&[size, state])),
        }
    }
}

impl SaleMetrics {
    pub fn tell(&self, totals: &SaleTotals) {
        let SaleTotals {
            sales,
            seats,
            orphans,
            holds,
            orders,
        } = totals;
        self.sales.set(gauge(*sales));
        set_all(&self.seats, seats);
        self.orphans.set(gauge(*orphans));
        self.holds.set(gauge(*holds));
        set_all(&self.orders, orders);
    }
}
