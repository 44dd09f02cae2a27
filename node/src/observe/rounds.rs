//! Asks every sale this node leads for its figures, every other second, a few at a time: a sale
//! answers from what it has at hand, behind the commands that came before. With many sales rounds
//! take longer and are no denser. A change of leadership begins the next round at once. The same figures
//! feed the curves that forecasts are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actors::Sales;
use actors::sale::{Figures, SaleHandle};
use cluster::Cluster;
use cluster::types::GroupId;
use domain::ids::SaleId;
use futures::StreamExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::metrics::{Before, LedMetrics, Totals};
use crate::forecast::Book;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// And at least so much for each sale that was asked: no more than 500 are in a second.
const PAUSE_PER_SALE: Duration = Duration::from_millis(2);
/// How often to look who leads, between two rounds.
const LEADERS_EVERY: Duration = Duration::from_millis(100);
/// Asked at once.
const ASKED_AT_ONCE: usize = 8;
/// A sale that does not answer by then is silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Where the sales are and who leads them.
pub struct Source {
    pub sales: Arc<Sales>,
    pub cluster: Cluster,
    /// Where figures are kept for forecasts.
    pub book: Arc<Book>,
}

/// What the round before knew.
#[derive(Default)]
struct Last {
    /// Of sales that this node led then.
    led: BTreeMap<SaleId, Before>,
    /// All that had a replica here; `None` before this node had caught up.
    here: Option<BTreeSet<SaleId>>,
}

/// Looks until the node ends.
pub async fn look(source: Source, mut metrics: LedMetrics) {
    let mut last = Last::default();
    loop {
        // Before the round: what changes during it begins another.
        let led = led_groups(&source);
        let (totals, asked) = round(&source, &mut last).await;
        metrics.tell(&totals);
        let asked = u32::try_from(asked).unwrap_or(u32::MAX);
        let pause = PAUSE.max(PAUSE_PER_SALE.saturating_mul(asked));
        rest(&source, &led, pause).await;
    }
}

/// Until the pause is over, or this node leads other groups than before: figures of a sale that is led
/// elsewhere by now would be counted twice in the cluster.
async fn rest(source: &Source, led: &BTreeSet<GroupId>, pause: Duration) {
    let until = Instant::now() + pause;
    loop {
        sleep(LEADERS_EVERY.min(pause)).await;
        if Instant::now() >= until || led_groups(source) != *led {
            return;
        }
    }
}

fn led_groups(source: &Source) -> BTreeSet<GroupId> {
    let (map, node) = (source.cluster.map(), source.cluster.node_id());
    let groups = map.groups.keys().copied();
    groups
        .filter(|group| source.cluster.leader(*group) == Some(node))
        .collect()
}

async fn round(source: &Source, last: &mut Last) -> (Totals, usize) {
    let mut totals = Totals::default();
    // Sales that a restarted node comes to know again are not new.
    let is_caught_up = source.cluster.ready();
    let (mut led, mut here) = (Vec::new(), BTreeSet::new());
    for sale in source.sales.all() {
        let queued = sale.queued_commands() as u64;
        totals.queued += queued;
        totals.queued_most = totals.queued_most.max(queued);
        here.insert(sale.id());
        if source.cluster.leader(sale.group()) == Some(source.cluster.node_id()) {
            led.push(sale);
        }
    }
    let asked = led.len();
    source.book.keep(&led.iter().map(SaleHandle::id).collect());
    let mut answers = futures::stream::iter(led)
        .map(|sale| async { (figures(&sale).await, sale) })
        .buffer_unordered(ASKED_AT_ONCE);
    let mut now = BTreeMap::new();
    while let Some((figures, sale)) = answers.next().await {
        let Some(figures) = figures else {
            totals.silent += 1;
            continue;
        };
        let (id, flow) = (sale.id(), sale.flow());
        let before = last.led.get(&id);
        let capacity = flow.capacity_per_1000_s().unwrap_or(0);
        totals.add(&figures, before, flow.target_per_1000_s(), capacity);
        if before.is_none() && last.here.as_ref().is_some_and(|here| !here.contains(&id)) {
            // Made since the last look, and not taken over from another leader.
            totals.count_phase(figures.phase);
        }
        source.book.note(id, &figures);
        now.insert(id, Before::of(&figures));
    }
    *last = Last {
        led: now,
        here: is_caught_up.then_some(here),
    };
    (totals, asked)
}

async fn figures(sale: &SaleHandle) -> Option<Figures> {
    let answered = timeout(ANSWER_LIMIT, sale.figures()).await;
    answered.ok()?.ok()?
}
