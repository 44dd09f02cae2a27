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

use super::metrics::{Before, LedMetrics, Pace, Totals};
use super::standing::{Standing, Steering};
use super::trouble::{Trouble, Troubles};
use crate::forecast::Book;
use crate::grpc::Waits;

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
    /// What visitors are told of their wait.
    pub waits: Arc<Waits>,
}

/// What the round before knew.
#[derive(Default)]
struct Last {
    /// Of sales that this node led then.
    led: BTreeMap<SaleId, Before>,
    rooms: BTreeMap<SaleId, Standing>,
    /// All that had a replica here; `None` before this node had caught up.
    here: Option<BTreeSet<SaleId>>,
}

/// Looks until the node ends.
pub async fn look(source: Source, mut metrics: LedMetrics) {
    let mut last = Last::default();
    let mut troubles = Troubles::default();
    loop {
        // Before the round: what changes during it begins another.
        let led = led_groups(&source);
        let (totals, asked, seen) = round(&source, &mut last).await;
        metrics.tell(&totals);
        troubles.tell(&seen, Instant::now());
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

/// How many sales were asked, and what is wrong with some.
async fn round(source: &Source, last: &mut Last) -> (Totals, usize, BTreeSet<(SaleId, Trouble)>) {
    let mut totals = Totals::default();
    let mut troubles = BTreeSet::new();
    // Sales that a restarted node comes to know again are not new.
    let is_caught_up = source.cluster.ready();
    let (mut led, mut here) = (Vec::new(), BTreeSet::new());
    for sale in source.sales.all() {
        let queued = sale.queued_commands() as u64;
        totals.queued += queued;
        totals.queued_most = totals.queued_most.max(queued);
        let unapplied = totals.unapplied.entry(sale.group()).or_default();
        *unapplied = sale.unapplied_entries().max(*unapplied);
        let messages = sale.queued_messages() as u64;
        totals.messages_most = totals.messages_most.max(messages);
        totals.looks_due += sale.flow().looks_due();
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
    let (mut seen, mut rooms) = (BTreeMap::new(), BTreeMap::new());
    while let Some((figures, sale)) = answers.next().await {
        let figures = match figures {
            Ok(figures) => figures,
            Err(trouble) => {
                totals.silent += 1;
                troubles.insert((sale.id(), trouble));
                continue;
            }
        };
        let (id, flow, now) = (sale.id(), sale.flow(), Instant::now());
        let before = last.led.get(&id);
        let wait_ms = |room| source.waits.of_newcomer_ms(id, now, room);
        let pace = Pace {
            target: flow.target_per_1000_s(),
            capacity: flow.capacity_per_1000_s().unwrap_or(0),
            wait_ms: figures.room.as_ref().and_then(wait_ms),
        };
        totals.add(&figures, before, pace);
        if figures.oversold_seats > 0 {
            troubles.insert((id, Trouble::Oversold));
        }
        if let Some(room) = &figures.room {
            let steering = Steering {
                is_on: flow.is_steered(),
                target: flow.target_per_1000_s(),
            };
            let standing = Standing::of(room, steering, last.rooms.get(&id), now);
            if standing.is_stalled(now) {
                totals.stalled += 1;
                troubles.insert((id, Trouble::Stalled));
            }
            if let Some(why) = standing.held_up {
                totals.held_up[why as usize] += 1;
                troubles.insert((id, Trouble::HeldUp(why)));
            }
            rooms.insert(id, standing);
        }
        if before.is_none() && last.here.as_ref().is_some_and(|here| !here.contains(&id)) {
            // Made since the last look, and not taken over from another leader.
            totals.count_phase(figures.phase);
        }
        source.book.note(id, &figures);
        seen.insert(id, Before::of(&figures));
    }
    *last = Last {
        led: seen,
        rooms,
        here: is_caught_up.then_some(here),
    };
    (totals, asked, troubles)
}

async fn figures(sale: &SaleHandle) -> Result<Figures, Trouble> {
    let answered = timeout(ANSWER_LIMIT, sale.figures()).await;
    match answered {
        Ok(Ok(Some(figures))) => Ok(figures),
        Ok(Ok(None)) => Err(why_none(sale).await),
        Ok(Err(_)) | Err(_) => Err(Trouble::Silent),
    }
}

/// It answers, and has no figures: it is frozen, or does not know yet that it leads.
async fn why_none(sale: &SaleHandle) -> Trouble {
    match timeout(ANSWER_LIMIT, sale.summary()).await {
        Ok(Ok(summary)) if summary.frozen.is_some() => Trouble::Frozen,
        _ => Trouble::Silent,
    }
}
