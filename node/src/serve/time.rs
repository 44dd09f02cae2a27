//! Keeps the node's disciplined clock near the median of the nodes' wall clocks.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::{DisciplinedClock, median_ms};
use cluster::Cluster;
use cluster::components::WallClock;
use tokio::time::{MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_millis(500);
/// An offset measured longer ago says nothing.
const OFFSET_AGE_MAX: Duration = Duration::from_secs(30);

/// Follows until the node ends.
pub async fn follow(clock: Arc<DisciplinedClock>, wall: Arc<dyn WallClock>, cluster: Cluster) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let here_ms = wall.now_ms();
        let others = cluster.peer_clocks();
        let others = others
            .values()
            .filter(|(_, measured)| measured.elapsed() < OFFSET_AGE_MAX)
            .map(|(offset_ms, _)| here_ms.saturating_add_signed(*offset_ms));
        let clocks = std::iter::once(here_ms).chain(others).collect();
        let nodes = cluster.map().nodes.len().max(1);
        if let Some(median_ms) = median_ms(clocks, nodes) {
            clock.follow(median_ms);
        }
    }
}
