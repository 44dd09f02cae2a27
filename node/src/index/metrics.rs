//! What the index tells about itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why rows were thrown away and taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The store did not open, failed, panicked, or held what cannot be.
    Store,
    /// Another version of the index wrote the store.
    Format,
    /// The sale was not in the index yet.
    New,
    /// The feed left changes of the sale out.
    Gap,
    /// The changes did not fit the rows.
    Misfit,
    /// The rows covered a revision the sale does not have.
    Ahead,
    /// The sale moved on without its changes: a snapshot was installed.
    Behind,
}

impl Cause {
    const ALL: [Cause; 7] = [
        Cause::Store,
        Cause::Format,
        Cause::New,
        Cause::Gap,
        Cause::Misfit,
        Cause::Ahead,
        Cause::Behind,
    ];

    fn label(self) -> &'static str {
        match self {
            Cause::Store => "store",
            Cause::Format => "format",
            Cause::New => "new",
            Cause::Gap => "gap",
            Cause::Misfit => "misfit",
            Cause::Ahead => "ahead",
            Cause::Behind => "behind",
        }
    }
}

#[derive(Clone)]
pub struct IndexMetrics {
    rebuilds: IntCounterVec,
    rows: IntCounter,
    changes: IntCounter,
    lag: IntGauge,
    missing: IntGauge,
    up: IntGauge,
}

impl IndexMetrics {
    pub fn new(registry: &Registry) -> Result<IndexMetrics, prometheus::Error> {
        let rebuilds = IntCounterVec::new(
            Opts::new(
                "onsale_index_rebuilds_total",
                "Times rows were thrown away and taken again, by cause",
            ),
            &["cause"],
        )?;
        for cause in Cause::ALL {
            rebuilds.with_label_values(&[cause.label()]).reset();
        }
        let metrics = IndexMetrics {
            rebuilds,
            rows: IntCounter::new("onsale_index_rows_total", "Orders and holds written")?,
            changes: IntCounter::new("onsale_index_changes_total", "Changes taken in")?,
            lag: IntGauge::new(
                "onsale_index_lag_changes",
                "Changes the sales of this node are ahead of the index",
            )?,
            missing: IntGauge::new(
                "onsale_index_sales_missing",
                "Sales of this node that the index does not cover",
            )?,
            up: IntGauge::new("onsale_index_up", "1 while the store is usable")?,
        };
        registry.register(Box::new(metrics.rebuilds.clone()))?;
        registry.register(Box::new(metrics.rows.clone()))?;
        registry.register(Box::new(metrics.changes.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.missing.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        Ok(metrics)
    }

    pub(super) fn throw_away(&self, cause: Cause) {
        self.rebuilds.with_label_values(&[cause.label()]).inc();
    }

    pub(super) fn write(&self, changes: usize, rows: usize) {
        self.changes.inc_by(changes as u64);
        self.rows.inc_by(rows as u64);
    }

    pub(super) fn observe_lag(&self, changes: u64) {
        self.lag.set(i64::try_from(changes).unwrap_or(i64::MAX));
    }

    pub(super) fn observe_missing(&self, sales: usize) {
        self.missing.set(sales as i64);
    }

    pub(super) fn observe_store(&self, usable: bool) {
        self.up.set(i64::from(usable));
    }

    /// For tests and the demo's report.
    pub fn rebuilds(&self, cause: Cause) -> u64 {
        self.rebuilds.with_label_values(&[cause.label()]).get()
    }
}
