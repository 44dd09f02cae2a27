//! How long visitors are told to wait, and whether it was true: of those who are told a time on this node a
//! few are followed until they are let in. Decides nothing; `Rooms` tells, `follow` looks, the observing rounds
//! ask what a newcomer would be told.
//!
//! A wait is measured from the moment of an answer, any answer of a visitor's wait, to the moment at which the
//! log let them in. Who is followed is drawn: so often that some thirty of a sale are followed at a time,
//! however long they wait, for else long waits would be left out once there is no more room. Not followed is
//! who was told that their turn comes too late, or that it is a matter of seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::Sales;
use actors::sale::{Places, RoomView};
use domain::ids::{SaleId, VisitorId};
use domain::rejection::Phase;
use domain::room::{Status, Turn};
use prometheus::Registry;
use proto::channel::v1::{Place, VisitorPhase};
use tokio::time::{Instant, sleep, timeout};

use super::forecast::{Flow, Forecasts};
use super::metrics::WaitMetrics;

/// Followed at a time: of one sale, and on a node.
const EACH_MAX: usize = 64;
const ALL_MAX: usize = 4_096;
/// Of a sale nobody is taken sooner after the last one, and nobody sooner than this part of their wait.
const DRAW_EVERY: Duration = Duration::from_secs(1);
const AT_A_TIME: u32 = 32;
/// A shorter wait is not followed: it is over between two looks.
const WAIT_LEAST: Duration = Duration::from_secs(5);
/// Who still waits after this has waited in vain.
const WAIT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Between two looks at those who are followed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What a node tells of waits, and whom of those it follows.
pub struct Waits {
    forecasts: Forecasts,
    followed: Mutex<Followed>,
    metrics: WaitMetrics,
}

#[derive(Default)]
struct Followed {
    sales: BTreeMap<SaleId, Follow>,
    all: usize,
    /// Of a sequence that says whose turn it is to be followed.
    draw: u64,
}

/// Of one sale.
struct Follow {
    told: Vec<Told>,
    /// Nobody is taken sooner.
    next: Instant,
}

/// What a visitor was told.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    visitor: VisitorId,
    at: Instant,
    wait: Duration,
    /// Nine in ten who are told so wait no longer.
    wait_p90: Duration,
}

/// What has become of somebody who waited.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// After so long.
    LetIn(Duration),
    Left,
    InVain,
    /// Let in, and nobody knows when.
    Unseen,
}

/// Looks at those who are followed until the node ends.
pub async fn follow(waits: Arc<Waits>, sales: Arc<Sales>) {
    loop {
        sleep(LOOK_EVERY).await;
        waits.look(&sales).await;
    }
}

impl Waits {
    pub fn new(registry: &Registry) -> prometheus::Result<Waits> {
        Ok(Waits {
            forecasts: Forecasts::default(),
            followed: Mutex::default(),
            metrics: WaitMetrics::new(registry)?,
        })
    }

    /// Notes how many were let in so far, and tells the flow.
    pub(super) fn flow(&self, sale: SaleId, now: Instant, released: u64) -> Option<Flow> {
        self.forecasts.look(sale, now, released)
    }

    /// How long who comes now is to wait behind all who wait, which is so in the lane that is the last to empty,
    /// milliseconds; `None` where nobody is let in any more or yet, or at no pace that is known.
    pub fn of_newcomer_ms(&self, sale: SaleId, now: Instant, room: &RoomView) -> Option<u64> {
        let flow = self.flow(sale, now, room.census.released);
        let is_sold_out = room.free == 0 && room.held == 0;
        if !room.lets_in() || room.is_paused || is_sold_out {
            return None;
        }
        match u32::try_from(room.census.waiting).unwrap_or(u32::MAX) {
            0 => Some(0),
            ahead => flow?.wait_ms(ahead).map(|(mean, _)| mean),
        }
    }

    /// Whom of those who ask to follow from now on, and where in the sequence they stand.
    pub(super) fn draw(
        &self,
        sale: SaleId,
        now: Instant,
        visitors: &[VisitorId],
    ) -> Option<(usize, VisitorId)> {
        let mut followed = self.lock();
        let known = followed.sales.get(&sale);
        let is_due = known.is_none_or(|of| now >= of.next && of.told.len() < EACH_MAX);
        if !is_due || followed.all >= ALL_MAX {
            return None;
        }
        // Knuth's linear congruential sequence, by its better half: alike in every run of a simulation.
        let next = followed.draw.wrapping_mul(6_364_136_223_846_793_005);
        followed.draw = next.wrapping_add(1_442_695_040_888_963_407);
        let at = ((followed.draw >> 32) as usize).checked_rem(visitors.len())?;
        let visitor = *visitors.get(at)?;
        let known = followed.sales.get(&sale);
        let is_new = known.is_none_or(|of| of.told.iter().all(|told| told.visitor != visitor));
        is_new.then_some((at, visitor))
    }

    /// A visitor that was drawn has been told this.
    pub(super) fn follow(&self, sale: SaleId, visitor: VisitorId, now: Instant, place: &Place) {
        let (Some(wait_ms), Some(p90_ms)) = (place.wait_ms, place.wait_p90_ms) else {
            return;
        };
        let told = Told {
            visitor,
            at: now,
            wait: Duration::from_millis(wait_ms),
            wait_p90: Duration::from_millis(p90_ms),
        };
        let waits = place.phase() == VisitorPhase::Waiting && !place.out_of_reach;
        if !waits || told.wait < WAIT_LEAST {
            return;
        }
        let mut followed = self.lock();
        let Followed { sales, all, .. } = &mut *followed;
        let of = sales.entry(sale).or_insert_with(|| Follow {
            told: Vec::new(),
            next: now,
        });
        // Another may have been drawn while this one was read.
        if now >= of.next {
            of.next = now + DRAW_EVERY.max(told.wait / AT_A_TIME);
            of.told.push(told);
            *all += 1;
        }
    }

    async fn look(&self, sales: &Sales) {
        for (sale, visitors) in self.all(Instant::now()) {
            let Some(replica) = sales.get(sale) else {
                self.forget(sale);
                continue;
            };
            let asked = timeout(ANSWER_LIMIT, replica.places(visitors.clone()));
            match asked.await {
                Ok(Ok(Some(places))) => self.learn(sale, Instant::now(), &visitors, &places),
                Ok(Ok(None)) => self.forget(sale),
                // Busy or frozen: the next look asks again.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    fn all(&self, now: Instant) -> Vec<(SaleId, Vec<VisitorId>)> {
        let mut followed = self.lock();
        followed
            .sales
            .retain(|_, of| !of.told.is_empty() || now < of.next);
        let sales = followed.sales.iter();
        sales
            .filter(|(_, of)| !of.told.is_empty())
            .map(|(sale, of)| (*sale, of.told.iter().map(|told| told.visitor).collect()))
            .collect()
    }

    /// The sale has left this node.
    fn forget(&self, sale: SaleId) {
        let mut followed = self.lock();
        if let Some(of) = followed.sales.remove(&sale) {
            followed.all -= of.told.len();
        }
    }

    /// What is known at this moment of visitors, in the sequence they were asked for.
    fn learn(&self, sale: SaleId, now: Instant, visitors: &[VisitorId], places: &Places) {
        let mut followed = self.lock();
        let Followed { sales, all, .. } = &mut *followed;
        let Some(of) = sales.get_mut(&sale) else {
            return;
        };
        for (visitor, status) in visitors.iter().zip(&places.statuses) {
            let Some(at) = of.told.iter().position(|told| told.visitor == *visitor) else {
                continue;
            };
            let Some(ending) = ending(&of.told[at], now, &places.room, status.as_ref()) else {
                continue;
            };
            let told = of.told.swap_remove(at);
            *all -= 1;
            match ending {
                Ending::LetIn(waited) => {
                    self.metrics
                        .observe_let_in(told.wait, told.wait_p90, waited);
                }
                Ending::Left => self.metrics.count_left(),
                Ending::InVain => self.metrics.count_in_vain(),
                Ending::Unseen => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` while they wait.
fn ending(told: &Told, now: Instant, room: &RoomView, status: Option<&Status>) -> Option<Ending> {
    let passed = now.duration_since(told.at);
    // A replica that began anew may not know them yet; the log knows for good.
    match status.map(|status| status.turn) {
        None | Some(Turn::Lobby | Turn::Waiting { .. }) => {
            let is_over = room.sale_phase == Phase::Closed || passed > WAIT_MOST;
            is_over.then_some(Ending::InVain)
        }
        Some(Turn::Admitted { ends_ms, .. }) => {
            // By log time, and so not by when this node happened to look.
            let from_ms = ends_ms.saturating_sub(room.pass_life_ms.into());
            let since = Duration::from_millis(room.now_ms.saturating_sub(from_ms));
            Some(Ending::LetIn(passed.saturating_sub(since)))
        }
        // Within the two seconds since the last look.
        Some(Turn::Served) => Some(Ending::LetIn(passed)),
        Some(Turn::Expired) => Some(Ending::Unseen),
        Some(Turn::Left | Turn::Removed { .. }) => Some(Ending::Left),
    }
}

#[cfg(test)]
mod tests;
