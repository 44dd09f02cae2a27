//! Makes outlooks for those sales whose outlook is oldest, a few at a time: however many sales a node leads,
//! forecasting takes a bounded share of one processor. Runs on a thread of its own, started with the node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Cluster;
use cluster::components::WallClock;
use domain::ids::SaleId;

use super::book::wanted;
use super::{Book, ForecastMetrics, Forecaster};

const TICK: Duration = Duration::from_millis(500);
/// So 20 a second: with 1,000 sales an outlook is 50 seconds old at most.
const AT_A_TICK: usize = 10;

/// When sales close.
pub struct Closing {
    pub cluster: Cluster,
    pub wall: Arc<dyn WallClock>,
}

impl Closing {
    /// An event is sold until it begins; `None`: nobody said when that is, or it has begun.
    fn in_s(&self, sale: SaleId) -> Option<f64> {
        let starts_at_ms = self.cluster.map().sales.get(&sale.0)?.starts_at_ms;
        let now_ms = i64::try_from(self.wall.now_ms()).ok()?;
        let left_ms = starts_at_ms.checked_sub(now_ms)?;
        (starts_at_ms != 0 && left_ms > 0).then_some(left_ms as f64 / 1000.0)
    }
}

/// Until the node ends.
pub async fn work(
    book: Arc<Book>,
    forecaster: Box<dyn Forecaster>,
    closing: Closing,
    metrics: ForecastMetrics,
) {
    loop {
        tokio::time::sleep(TICK).await;
        for due in book.due(AT_A_TICK) {
            let begun = Instant::now();
            let closes_in_s = closing.in_s(due.sale);
            let outlook = forecaster.forecast(&due.curve, &wanted(closes_in_s));
            book.tell(due.sale, outlook, closes_in_s);
            metrics.count(begun.elapsed());
        }
        metrics.tell(&book.states());
    }
}
