//! Keeps the node's disciplined clock near the median of the nodes' wall clocks.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::{Clock as _, DisciplinedClock, median_ms};
use cluster::Cluster;
use cluster::components::WallClock;
use tokio::time::sleep;

const PERIOD: Duration = Duration::from_millis(500);
/// Until the clock is set, a leader's batches wait for it.
const PERIOD_UNTIL_SET: Duration = Duration::from_millis(20);
/// What a clock showed longer ago says nothing.
const SHOWN_AGE_MAX: Duration = Duration::from_secs(30);

/// Follows until the node ends.
pub async fn follow(clock: Arc<DisciplinedClock>, wall: Arc<dyn WallClock>, cluster: Cluster) {
    loop {
        let is_set = clock.is_set();
        sleep(if is_set { PERIOD } else { PERIOD_UNTIL_SET }).await;
        let nodes = cluster.map().nodes.len();
        if nodes == 0 {
            // Before the map is known, this clock alone would pass for a majority.
            continue;
        }
        let others = cluster.peer_clocks();
        let others = others
            .values()
            .map(|(shown_ms, at)| (*shown_ms, at.elapsed()))
            .filter(|(_, age)| *age < SHOWN_AGE_MAX)
            .map(|(shown_ms, age)| shown_ms.saturating_add(age.as_millis() as u64));
        let clocks = std::iter::once(wall.now_ms()).chain(others).collect();
        if let Some(median_ms) = median_ms(clocks, nodes) {
            clock.follow(median_ms);
        }
    }
}
