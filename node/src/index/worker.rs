//! The index's one thread: drains the feed at every tick, rebuilds what is in doubt, answers
//! searches. It keeps time by ticks alone, so that a test or a simulation can drive it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use actors::feed::Fed;
use domain::ids::SaleId;
use tokio::sync::mpsc;

use super::answer::{self, AnswerFault};
use super::coalesce::{Drain, Step};
use super::ledger::Ledger;
use super::metrics::Cause;
use super::query::{Page, Query, QueryFault};
use super::rebuild::{Progress, Rebuild};
use super::source::Source;
use super::store::{Opener, StoreFault};
use super::{Ask, Config, IndexMetrics, TICKS_PER_S};

/// Changes folded into one batch, about.
const DRAIN_CHANGES: usize = 40_000;
/// A drain writes a watermark for each sale it touched: after one of so many there is a tick's pause.
const COVERS_PER_TICK: usize = 100;
const PAUSE_TICKS_MAX: u64 = TICKS_PER_S / 2;
/// How often revisions are compared, and for how many sales at a time.
const COMPARE_TICKS: u64 = 2 * TICKS_PER_S;
const COMPARED_MAX: usize = 500;
/// A sale is taken anew at most this often, and more rarely the longer it took.
const REBUILD_TICKS_MIN: u64 = TICKS_PER_S;
const REBUILD_SHARE: u64 = 4;
/// One that is in doubt again soon after is given twice as long each time, up to this.
const REBUILD_TICKS_MAX: u64 = 60 * TICKS_PER_S;
/// Sales, most of them small or new, taken anew in one tick.
const REBUILDS_PER_TICK: usize = 64;
/// Chunks looked at for dead rows in one tick, when there may be any.
const SWEEPS_PER_TICK: usize = 8;
/// How long a store that cannot be renewed is left alone.
const RENEW_TICKS: u64 = 30 * TICKS_PER_S;

pub struct Worker {
    opener: Box<dyn Opener>,
    /// `None` while it cannot even be renewed.
    ledger: Option<Ledger>,
    source: Arc<dyn Source>,
    feed: mpsc::Receiver<Fed>,
    metrics: IndexMetrics,
    ticks: mpsc::Receiver<u64>,
    asked: mpsc::Receiver<Ask>,
    /// Sales to be taken anew, and from which tick on.
    doubtful: BTreeMap<u64, u64>,
    rebuilding: Option<Rebuild>,
    /// When sales may be taken anew again.
    rests: HashMap<u64, Rest>,
    /// Revisions at the last comparison.
    compared: HashMap<u64, u64>,
    compared_last: u64,
    /// Rows that may still be written; negative after a large drain.
    budget: i64,
    rows_per_s_max: i64,
    tick: u64,
    renew_tick: u64,
    compare_tick: u64,
    drain_tick: u64,
    /// The feed was read to its end since revisions were last compared.
    emptied: bool,
}

/// A sale that was taken anew is left alone for a while.
pub(super) struct Rest {
    pub until: u64,
    ticks: u64,
    /// It was in doubt again soon after.
    is_again: bool,
}

impl Rest {
    /// After a rebuild that took `took` ticks and ended at `tick`.
    pub fn after(last: Option<&Rest>, took: u64, tick: u64) -> Rest {
        let by_work = took * REBUILD_SHARE;
        let ticks = match last {
            Some(last) if last.is_again => by_work.max(last.ticks * 2),
            _ => by_work,
        };
        let ticks = ticks.clamp(REBUILD_TICKS_MIN, REBUILD_TICKS_MAX);
        Rest {
            until: tick + ticks,
            ticks,
            is_again: false,
        }
    }

    /// The sale is in doubt at `tick`.
    pub fn doubt(&mut self, tick: u64) {
        self.is_again = tick < self.until + self.ticks;
    }
}

impl Worker {
    pub(super) fn new(
        config: Config,
        opener: Box<dyn Opener>,
        source: Arc<dyn Source>,
        feed: mpsc::Receiver<Fed>,
        metrics: IndexMetrics,
        ticks: mpsc::Receiver<u64>,
        asked: mpsc::Receiver<Ask>,
    ) -> Worker {
        let rows_per_s_max = i64::from(config.rows_per_s_max.max(1));
        Worker {
            opener,
            ledger: None,
            source,
            feed,
            metrics,
            ticks,
            asked,
            doubtful: BTreeMap::new(),
            rebuilding: None,
            rests: HashMap::new(),
            compared: HashMap::new(),
            compared_last: 0,
            budget: rows_per_s_max,
            rows_per_s_max,
            tick: 0,
            renew_tick: 0,
            compare_tick: 0,
            drain_tick: 0,
            emptied: false,
        }
    }

    /// Until nobody ticks or nobody can ask any more.
    pub async fn run(mut self) {
        self.open();
        loop {
            tokio::select! {
                biased;
                ask = self.asked.recv() => match ask {
                    Some(ask) => {
                        let answer = self.answer(&ask.query);
                        // Who asked may have given up.
                        let _ = ask.reply.send(answer);
                    }
                    None => return,
                },
                tick = self.ticks.recv() => match tick {
                    Some(passed) => self.tick(passed).await,
                    None => return,
                },
            }
        }
    }

    async fn tick(&mut self, passed: u64) {
        self.tick += passed;
        let share = (self.rows_per_s_max / TICKS_PER_S as i64).max(1);
        self.budget = (self.budget + share).min(self.rows_per_s_max);
        if self.ledger.is_none() && self.tick >= self.renew_tick {
            self.renew(Cause::Store, "it was not usable");
        }
        if self.ledger.is_none() {
            // The senders must not find the feed full for nothing.
            while self.feed.try_recv().is_ok() {}
            return;
        }
        if let Err(fault) = self.work().await {
            self.renew(Cause::Store, &fault.0);
        }
        let rebuilding = usize::from(self.rebuilding.is_some());
        self.metrics
            .observe_missing(self.doubtful.len() + rebuilding);
    }

    async fn work(&mut self) -> Result<(), StoreFault> {
        if self.budget > 0 && self.tick >= self.drain_tick {
            self.drain()?;
        }
        if self.budget > 0 {
            self.rebuild().await?;
        }
        if let Some(ledger) = &mut self.ledger {
            // Not out of the budget: it is what makes room after the rebuilds that are.
            for _ in 0..SWEEPS_PER_TICK {
                if !ledger.sweep()? {
                    break;
                }
            }
        }
        if self.tick >= self.compare_tick {
            self.compare_tick = self.tick + COMPARE_TICKS;
            self.compare().await;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), StoreFault> {
        let Some(ledger) = &mut self.ledger else {
            return Ok(());
        };
        let mut drain = Drain::new(ledger);
        let mut taken = 0;
        let mut doubts = Vec::new();
        while taken < DRAIN_CHANGES {
            let (sale, changes) = match self.feed.try_recv() {
                Ok(Fed::Changes {
                    sale,
                    changes,
                    room: _,
                }) => (sale, changes),
                Ok(Fed::Gap { sale }) => {
                    doubts.push((sale, Cause::Gap));
                    continue;
                }
                Err(_) => {
                    self.emptied = true;
                    break;
                }
            };
            taken += changes.len();
            if let Some(rebuild) = self.rebuilding.as_mut().filter(|r| r.sale == sale) {
                if !rebuild.wait(changes) {
                    doubts.push((sale, Cause::Gap));
                }
                continue;
            }
            let doubted = self.doubtful.contains_key(&sale.0)
                || doubts.iter().any(|(doubted, _)| *doubted == sale);
            if doubted {
                continue;
            }
            if ledger.cover(sale).is_none() {
                doubts.push((sale, Cause::New));
            } else if drain.take(sale, &changes) == Step::Doubt {
                doubts.push((sale, Cause::Misfit));
            }
        }
        let folded = drain.finish()?;
        self.metrics.write(taken, folded.rows);
        self.budget -= folded.rows as i64;
        let pause = (folded.covers.len() / COVERS_PER_TICK) as u64;
        if taken < DRAIN_CHANGES {
            self.drain_tick = self.tick + pause.min(PAUSE_TICKS_MAX);
        }
        ledger.write(folded)?;
        for (sale, cause) in doubts {
            self.doubt(sale, cause);
        }
        Ok(())
    }

    /// The sale is taken anew as soon as it may.
    fn doubt(&mut self, sale: SaleId, cause: Cause) {
        if self.rebuilding.as_ref().is_some_and(|r| r.sale == sale) {
            self.end_rebuild();
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.uncover(sale);
        }
        let rest = self.rests.get_mut(&sale.0);
        let allowed = rest.as_ref().map_or(0, |rest| rest.until);
        if self
            .doubtful
            .insert(sale.0, allowed.max(self.tick))
            .is_none()
        {
            if let Some(rest) = rest {
                rest.doubt(self.tick);
            }
            self.metrics.throw_away(cause);
        }
    }

    async fn rebuild(&mut self) -> Result<(), StoreFault> {
        for _ in 0..REBUILDS_PER_TICK {
            if self.rebuilding.is_none() && !self.begin_rebuild().await? {
                return Ok(());
            }
            while let (Some(rebuild), Some(ledger)) = (&mut self.rebuilding, &mut self.ledger) {
                if self.budget <= 0 {
                    return Ok(());
                }
                match rebuild.step(ledger)? {
                    Progress::More(rows) => self.budget -= rows as i64,
                    Progress::Done(rows) => {
                        self.budget -= rows as i64;
                        self.rebuilt()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// False when no sale is due.
    async fn begin_rebuild(&mut self) -> Result<bool, StoreFault> {
        let due = self.doubtful.iter().filter(|(_, due)| **due <= self.tick);
        let Some((sale, _)) = due.min_by_key(|(_, due)| **due) else {
            return Ok(false);
        };
        let sale = SaleId(*sale);
        let bookings = self.source.bookings(sale).await;
        let here = |sales: Vec<SaleId>| sales.contains(&sale);
        if bookings.is_none() && self.source.sales().is_none_or(here) {
            // Frozen, or just arriving: later.
            self.doubtful.insert(sale.0, self.tick + REBUILD_TICKS_MIN);
            return Ok(true);
        }
        self.doubtful.remove(&sale.0);
        if let Some(ledger) = &mut self.ledger {
            self.rebuilding = Some(Rebuild::begin(ledger, sale, bookings, self.tick)?);
        }
        Ok(true)
    }

    fn rebuilt(&mut self) -> Result<(), StoreFault> {
        let (Some(rebuild), Some(ledger)) = (self.end_rebuild(), &mut self.ledger) else {
            return Ok(());
        };
        if !rebuild.is_here() {
            self.rests.remove(&rebuild.sale.0);
            return Ok(());
        }
        let mut drain = Drain::new(ledger);
        let mut doubt = false;
        for changes in &rebuild.waiting {
            doubt = doubt || drain.take(rebuild.sale, changes) == Step::Doubt;
        }
        let folded = drain.finish()?;
        self.budget -= folded.rows as i64;
        ledger.write(folded)?;
        if doubt {
            self.doubt(rebuild.sale, Cause::Misfit);
        }
        Ok(())
    }

    fn end_rebuild(&mut self) -> Option<Rebuild> {
        let rebuild = self.rebuilding.take()?;
        let took = self.tick.saturating_sub(rebuild.started_tick);
        let sale = rebuild.sale.0;
        let rest = Rest::after(self.rests.get(&sale), took, self.tick);
        self.rests.insert(sale, rest);
        Some(rebuild)
    }

    /// Compares what is covered with where some of the sales are; forgets sales that left.
    async fn compare(&mut self) {
        let (Some(mut sales), Some(ledger)) = (self.source.sales(), &mut self.ledger) else {
            return;
        };
        sales.sort();
        let here = |sale: &u64| sales.binary_search(&SaleId(*sale)).is_ok();
        let left: Vec<u64> = ledger.covered_sales().filter(|sale| !here(sale)).collect();
        for sale in left {
            // Not counted: nothing was wrong with it.
            ledger.uncover(SaleId(sale));
            self.compared.remove(&sale);
            self.doubtful.insert(sale, self.tick);
        }
        let from = sales.partition_point(|sale| sale.0 <= self.compared_last);
        let some: Vec<SaleId> = sales[from..].iter().copied().take(COMPARED_MAX).collect();
        self.compared_last = match from + some.len() < sales.len() {
            true => some.last().map_or(0, |sale| sale.0),
            false => 0,
        };
        let emptied = std::mem::take(&mut self.emptied);
        let mut lag = 0;
        for sale in some {
            let known = self.doubtful.contains_key(&sale.0)
                || self.rebuilding.as_ref().is_some_and(|r| r.sale == sale);
            let Some(revision) = self.source.revision(sale).await.filter(|_| !known) else {
                continue;
            };
            let before = self.compared.insert(sale.0, revision.0);
            let covered = self.ledger.as_ref().and_then(|ledger| ledger.cover(sale));
            match covered.map(|cover| cover.revision) {
                None => self.doubt(sale, Cause::New),
                Some(covered) if covered > revision.0 => self.doubt(sale, Cause::Ahead),
                Some(covered) => {
                    lag += revision.0 - covered;
                    // All that came was read, and still it is not where the sale was last time.
                    let stuck = before.is_some_and(|before| covered < before);
                    if stuck && emptied {
                        self.doubt(sale, Cause::Behind);
                    }
                }
            }
        }
        self.metrics.observe_lag(lag);
    }

    fn answer(&mut self, query: &Query) -> Result<Page, QueryFault> {
        let Some(ledger) = &self.ledger else {
            return Err(QueryFault::Unavailable);
        };
        match answer::answer(ledger, query) {
            Ok(mut page) => {
                let rebuilding = usize::from(self.rebuilding.is_some());
                page.sales_missing = self.doubtful.len() + rebuilding;
                Ok(page)
            }
            Err(AnswerFault::Query(fault)) => Err(fault),
            Err(AnswerFault::Store(fault)) => {
                self.renew(Cause::Store, &fault.0);
                Err(QueryFault::Unavailable)
            }
        }
    }

    fn open(&mut self) {
        match self.opener.open().and_then(Ledger::open) {
            Ok(Some(ledger)) => {
                self.ledger = Some(ledger);
                self.metrics.observe_store(true);
            }
            Ok(None) => self.renew(Cause::Format, "another version wrote it"),
            Err(fault) => self.renew(Cause::Store, &fault.0),
        }
    }

    /// Throws the whole store away. The comparison that follows finds every sale missing.
    fn renew(&mut self, cause: Cause, why: &str) {
        tracing::warn!(why, "the index is thrown away and built again");
        self.metrics.throw_away(cause);
        // sled's folder is locked while it is open.
        self.ledger = None;
        self.rebuilding = None;
        self.compared.clear();
        self.rests.clear();
        match self.opener.renew().and_then(Ledger::open) {
            Ok(ledger) => self.ledger = ledger,
            Err(fault) => tracing::error!(%fault, "no index on this node for now"),
        }
        if self.ledger.is_none() {
            self.renew_tick = self.tick + RENEW_TICKS;
        }
        self.metrics.observe_store(self.ledger.is_some());
    }
}
