//! The curves of the sales a node leads, and the latest outlook of each. Figures come in every other
//! second (`observe`), outlooks from `work`; read by the cluster API. A curve begins when this node begins
//! to lead the sale, and is forgotten when it does not any more or the sale has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::sale::Figures;
use domain::ids::SaleId;
use domain::rejection::Phase;
use tokio::time::Instant;

use super::curve::Sample;
use super::{Band, Curve, Outlook};
use crate::observe::Size;

/// An outlook is made anew when it is so old, milliseconds.
const FRESH_MS: u64 = 5_000;

/// Times for which the metrics want the seats sold, in seconds, with their labels.
pub const AHEAD: [(f64, &str); 2] = [(60.0, "1m"), (600.0, "10m")];

pub struct Book {
    began: Instant,
    pages: Mutex<BTreeMap<SaleId, Page>>,
}

/// What is known of one sale.
#[derive(Clone, Debug)]
struct Page {
    size: Size,
    phase: Phase,
    now: Sample,
    curve: Curve,
    /// When it was made, and what was said.
    made: Option<(u64, Option<Told>)>,
}

/// What was said of one sale.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    outlook: Outlook,
    closes_in_s: Option<f64>,
}

/// What is wanted of a sale's future.
pub struct Due {
    pub sale: SaleId,
    pub curve: Curve,
}

/// What the book says of one sale, at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub size: Size,
    pub phase: Phase,
    pub now: Sample,
    /// `None`: it is not selling, or its curve says too little.
    pub outlook: Option<Outlook>,
    /// Since the outlook was made.
    pub age_s: f64,
    pub closes_in_s: Option<f64>,
    /// Seats sold by the closing time, if one is known and in sight.
    pub sold_by_close: Option<Band<f64>>,
}

impl State {
    pub fn is_selling(&self) -> bool {
        self.phase == Phase::Open && self.now.taken > 0 && self.now.sold < self.now.capacity
    }
}

impl Default for Book {
    fn default() -> Book {
        Book {
            began: Instant::now(),
            pages: Mutex::default(),
        }
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, BTreeMap<SaleId, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Forgets all other sales.
    pub fn keep(&self, led: &BTreeSet<SaleId>) {
        self.pages().retain(|sale, _| led.contains(sale));
    }

    pub fn note(&self, sale: SaleId, figures: &Figures) {
        let counts = &figures.counts;
        let taken = counts.held.saturating_add(counts.sold);
        let sample = Sample {
            at_ms: self.now_ms(),
            sold: counts.sold,
            taken,
            capacity: counts.free.saturating_add(taken),
        };
        let mut pages = self.pages();
        let page = pages.entry(sale).or_insert_with(|| Page {
            size: Size::of(counts),
            phase: figures.phase,
            now: sample,
            curve: Curve::default(),
            made: None,
        });
        (page.phase, page.now) = (figures.phase, sample);
        page.curve.note(sample);
        if figures.phase == Phase::Closed || sample.sold == sample.capacity {
            (page.curve, page.made) = (Curve::default(), None);
        }
    }

    /// The sales whose outlook is oldest, and that have one to be made.
    pub fn due(&self, most: usize) -> Vec<Due> {
        let now_ms = self.now_ms();
        let pages = self.pages();
        let mut due: Vec<_> = pages
            .iter()
            .filter(|(_, page)| page.phase == Phase::Open && !page.curve.is_empty())
            .map(|(sale, page)| {
                (
                    page.made.as_ref().map_or(0, |(at_ms, _)| *at_ms),
                    *sale,
                    page,
                )
            })
            .filter(|(at_ms, ..)| *at_ms == 0 || at_ms + FRESH_MS <= now_ms)
            .collect();
        due.sort_unstable_by_key(|(at_ms, sale, _)| (*at_ms, *sale));
        let due = due.into_iter().take(most).map(|(_, sale, page)| Due {
            sale,
            curve: page.curve.clone(),
        });
        due.collect()
    }

    /// `outlook`: at the times of `wanted`.
    pub fn tell(&self, sale: SaleId, outlook: Option<Outlook>, closes_in_s: Option<f64>) {
        let now_ms = self.now_ms().max(1);
        if let Some(page) = self.pages().get_mut(&sale)
            // The sale may have ended meanwhile.
            && !page.curve.is_empty()
        {
            let told = outlook.map(|outlook| Told {
                outlook,
                closes_in_s,
            });
            page.made = Some((now_ms, told));
        }
    }

    pub fn state(&self, sale: SaleId) -> Option<State> {
        let now_ms = self.now_ms();
        self.pages().get(&sale).map(|page| page.state(now_ms))
    }

    pub(super) fn states(&self) -> Vec<State> {
        let now_ms = self.now_ms();
        self.pages()
            .values()
            .map(|page| page.state(now_ms))
            .collect()
    }
}

impl Page {
    fn state(&self, now_ms: u64) -> State {
        let selling = self.phase == Phase::Open;
        let (made_ms, told) = match (&self.made, selling) {
            (Some((at_ms, told)), true) => (*at_ms, told.as_ref()),
            _ => (now_ms, None),
        };
        State {
            size: self.size,
            phase: self.phase,
            now: self.now,
            outlook: told.map(|told| told.outlook.clone()),
            age_s: now_ms.saturating_sub(made_ms) as f64 / 1000.0,
            closes_in_s: told.and_then(|told| told.closes_in_s),
            sold_by_close: told.and_then(|told| {
                told.closes_in_s?;
                told.outlook.sold_at.last().copied().flatten()
            }),
        }
    }
}

/// The times an outlook is asked for: those of `AHEAD`, then the closing time, if one is known.
pub fn wanted(closes_in_s: Option<f64>) -> Vec<f64> {
    let ahead = AHEAD.iter().map(|(seconds, _)| *seconds);
    ahead.chain(closes_in_s).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::sale::Counts;

    use super::*;
    use crate::forecast::{Forecaster as _, Model, Smoothing};

    fn figures(sold: u32, phase: Phase) -> Figures {
        Figures {
            phase,
            counts: Counts {
                free: 5_000 - sold,
                sold,
                ..Counts::default()
            },
            oversold_seats: 0,
            orphan_seats: 0,
            channel_seats: Vec::new(),
            room: None,
        }
    }

    async fn sell(book: &Book, sale: SaleId, rounds: u32) {
        for round in 0..rounds {
            book.note(sale, &figures(round * 20, Phase::Open));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_sale_sells_out_when_it_must() {
        let book = Book::default();
        let sale = SaleId(1);
        sell(&book, sale, 101).await;
        let due = book.due(9);
        assert_eq!(due.len(), 1);
        let closes_in_s = Some(100.0);
        let outlook = Smoothing::DEFAULT.forecast(&due[0].curve, &wanted(closes_in_s));
        book.tell(sale, outlook, closes_in_s);
        assert!(book.due(9).is_empty(), "it is fresh");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(book.due(9).len(), 1);

        let state = book.state(sale).expect("is known");
        let outlook = state.outlook.expect("is foreseen");
        assert_eq!(outlook.model, Model::Smoothing);
        // All but 50 of 3,000 seats are left to sell, ten a second.
        let likely = outlook.sell_out_s.likely.expect("is in sight");
        assert!((likely - 295.0).abs() < 10.0, "{likely}");
        let ahead = outlook.sold_at[0].expect("is in sight");
        assert!((ahead.likely - 2_600.0).abs() < 20.0, "{ahead:?}");
        let close = state.sold_by_close.expect("is in sight");
        assert!((close.likely - 3_000.0).abs() < 30.0, "{close:?}");
        assert_eq!(state.age_s, 6.0);
    }

    #[tokio::test(start_paused = true)]
    async fn sales_that_ended_or_are_led_elsewhere_are_forgotten() {
        let book = Book::default();
        for sale in 0..4 {
            sell(&book, SaleId(sale), 20).await;
        }
        assert_eq!(book.due(3).len(), 3, "no more than are asked for");
        book.note(SaleId(1), &figures(5_000, Phase::Open));
        book.note(SaleId(2), &figures(400, Phase::Closed));
        book.note(SaleId(3), &figures(400, Phase::Paused));
        let due: Vec<SaleId> = book.due(9).iter().map(|due| due.sale).collect();
        assert_eq!(due, [SaleId(0)]);
        book.keep(&BTreeSet::from([SaleId(1)]));
        assert!(book.state(SaleId(0)).is_none());
        let sold_out = book.state(SaleId(1)).expect("is led");
        assert!(!sold_out.is_selling() && sold_out.outlook.is_none());
    }
}
