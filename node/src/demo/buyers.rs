//! The crowd: parties that were let in, each at a desk of its own, through its partner's client. It
//! looks at the map, asks for seats, thinks, pays or goes; towards the end it buys whatever single
//! places are left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proto::channel::v1::RejectionReason as Reason;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::house::{House, Leftover, View};
use super::ledger::{Ledger, Told};
use super::party::{End, Offer, Party, Wish};
use super::queue::PASS_TICKETS;
use crate::load::call::Id;
use crate::load::keys::Keys;
use crate::load::{Answer, Call, Client, GaveUp, Line, Rejected, Run};

/// A buyer tries that long before giving up on an answer; no cluster is away for so long.
const CALL_LIMIT: Duration = Duration::from_secs(90);
/// Below this share of free places parties stop and what is left is sold one by one.
const LEFTOVERS_BELOW_PERCENT: u64 = 2;
/// Of those who are let in, who never come.
const NO_SHOWS_PER_MILLE: u32 = 100;
const PAYMENT: &str = "demo-payment";

/// What all desks share.
pub struct Sale {
    pub event: u64,
    pub house: House,
    pub offer: Offer,
    pub ledger: Ledger,
    /// Refreshed some times a second.
    pub view: watch::Receiver<Arc<View>>,
    /// Places for sale.
    pub for_sale: u64,
    /// Sales beyond this wait until what is planned for then has happened.
    pub gate: AtomicU64,
    pub over: AtomicBool,
    /// Single places left over when the last parties had been served.
    pub orphans: AtomicU64,
    pub leftovers: AtomicBool,
}

pub struct Desk {
    pub sale: Arc<Sale>,
    pub client: Client,
    pub visitor: Id,
    pub pass: String,
    pub keys: Keys,
    pub rng: StdRng,
    /// How long people think: 1 is about a second.
    pub patience: f64,
}

impl Desk {
    pub fn new(
        sale: Arc<Sale>,
        client: Client,
        (visitor, pass): (Id, String),
        wall: &Arc<dyn cluster::components::WallClock>,
        seed: u64,
        patience: f64,
    ) -> Desk {
        Desk {
            sale,
            client,
            visitor,
            pass,
            keys: Keys::new(seed, wall),
            rng: StdRng::seed_from_u64(seed),
            patience,
        }
    }

    /// Serves one party, if it comes at all.
    pub async fn run(mut self) {
        if self.rng.random_range(0..1000) < NO_SHOWS_PER_MILLE {
            self.sale.ledger.book().no_shows += 1;
            return;
        }
        self.think(0.0, 1.0).await;
        self.wait_at_the_gate().await;
        if self.sale.is_down_to_leftovers() {
            for _ in 0..PASS_TICKETS {
                if self.sale.over.load(Ordering::Relaxed) || !self.sell_a_leftover().await {
                    return;
                }
            }
        } else {
            let party = Party::of(&self.sale.offer, &self.visitor);
            self.serve(&party).await;
        }
    }

    async fn think(&mut self, least: f64, most: f64) {
        let seconds = self.rng.random_range(least..most) * self.patience;
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    async fn wait_at_the_gate(&self) {
        while self.sale.seats_sold() >= self.sale.gate.load(Ordering::Relaxed)
            && !self.sale.over.load(Ordering::Relaxed)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn serve(&mut self, party: &Party) {
        self.sale.ledger.book().parties += 1;
        let Some((hold, seats)) = self.find_seats(party).await else {
            self.sale.ledger.book().went_home += 1;
            return;
        };
        let best = matches!(party.wish, Wish::Best | Wish::Category(_));
        if best && party.size > 1 && !self.sale.house.together(&seats) {
            self.sale.ledger.book().split_groups += 1;
        }
        self.think(0.4, 1.4).await;
        match party.end {
            End::Pays => {
                self.pay(hold, party.presses_twice).await;
            }
            End::Vanishes => self.sale.ledger.book().expired += 1,
            End::Releases => {
                let answer = self.call(Call::ReleaseHold { hold }).await;
                if let Ok(Answer::Done { .. }) = answer {
                    let mut book = self.sale.ledger.book();
                    book.released += 1;
                    book.acknowledged(Instant::now());
                }
            }
        }
    }

    /// A hold for the party, with what it is ready to give up, in sequence.
    async fn find_seats(&mut self, party: &Party) -> Option<(Id, Vec<Run>)> {
        let mut wish = party.wish;
        let mut split = false;
        for _ in 0..8 {
            let line = self.line(wish, party.size, split)?;
            let why = match self.hold(line).await? {
                Ok(held) => return Some(held),
                Err(why) => why,
            };
            match (reason(why), wish) {
                // Somebody was quicker: look again.
                (Reason::SeatTaken, Wish::Chosen) => {}
                (_, Wish::Chosen | Wish::Category(_) | Wish::Standing(_) | Wish::Accessible) => {
                    wish = Wish::Best;
                }
                (Reason::NotEnoughAdjacent, _) if party.would_split && !split => split = true,
                _ => return None,
            }
        }
        None
    }

    fn line(&mut self, wish: Wish, size: u16, split: bool) -> Option<Line> {
        let best = |category: Option<u16>, accessible: bool| Line::Best {
            quantity: size,
            category,
            or_cheaper: category.is_some(),
            accessible,
            split,
            sections: Vec::new(),
        };
        Some(match wish {
            Wish::Best => best(None, false),
            Wish::Category(category) => best(Some(category), false),
            Wish::Accessible => best(None, true),
            Wish::Standing(section) => Line::General {
                section,
                quantity: size,
            },
            Wish::Chosen => {
                let view = Arc::clone(&self.sale.view.borrow());
                let found = self.sale.house.pick(&view, size.into(), &mut self.rng);
                match found {
                    Some(seats) => Line::Seats(seats),
                    None => best(None, false),
                }
            }
        })
    }

    /// One place that the map shows as free, bought at once; whether there may be another for the
    /// same visitor.
    async fn sell_a_leftover(&mut self) -> bool {
        let view = Arc::clone(&self.sale.view.borrow());
        let leftover = self.sale.house.leftover(&view, &mut self.rng);
        let Some(leftover) = leftover else {
            // Only holds are in the way: they are paid or run out.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return true;
        };
        let line = match leftover {
            Leftover::Standing { section, free } => Line::General {
                section,
                quantity: free.min(2) as u16,
            },
            // A buyer in a wheelchair asks for such a place; should only the companion's seat of
            // a pair be left, it is chosen like any other.
            Leftover::Seat {
                accessible: true, ..
            } if self.rng.random() => Line::Best {
                quantity: 1,
                category: None,
                or_cheaper: false,
                accessible: true,
                split: false,
                sections: Vec::new(),
            },
            Leftover::Seat { section, seat, .. } => Line::Seats(vec![(section, seat)]),
        };
        match self.hold(line).await {
            Some(Ok((hold, _))) => {
                if self.pay(hold, false).await {
                    self.sale.ledger.book().latecomers += 1;
                }
                true
            }
            Some(Err(why)) if matches!(reason(why), Reason::PassSpent | Reason::PassExpired) => {
                false
            }
            // Somebody was quicker: the map is refreshed in a moment.
            _ => {
                self.think(0.2, 1.5).await;
                true
            }
        }
    }

    /// Places a hold; `None` when there was no answer.
    async fn hold(&mut self, line: Line) -> Option<Result<(Id, Vec<Run>), Rejected>> {
        let (hold, buyer) = (self.key(), self.visitor);
        let began = Instant::now();
        let place = Call::PlaceHold {
            pass: self.pass.clone(),
            hold,
            buyer,
            ttl_s: 0,
            lines: vec![line],
        };
        match self.call(place).await {
            Ok(Answer::Done { seats, .. }) => {
                let now = Instant::now();
                let mut book = self.sale.ledger.book();
                book.held(now.duration_since(began), now);
                Some(Ok((hold, seats)))
            }
            Ok(Answer::Rejected { why, .. }) => {
                self.sale.ledger.book().refused(why.reason);
                Some(Err(why))
            }
            Err(_) => None,
        }
    }

    /// Confirms a hold, and says whether the seats were bought; who presses twice must be told the
    /// same twice.
    async fn pay(&mut self, hold: Id, twice: bool) -> bool {
        let order = self.key();
        let key = self.key();
        let confirm = || Call::ConfirmHold {
            hold,
            order,
            payment: PAYMENT.to_owned(),
        };
        let Ok(answer) = self.call_under(key, confirm()).await else {
            return false;
        };
        let mut again = None;
        if twice {
            again = self.call_under(key, confirm()).await.ok();
        }
        let mut book = self.sale.ledger.book();
        if let Some(again) = again {
            book.pressed_twice += 1;
            book.told_differently += u64::from(!same(&answer, &again));
        }
        match answer {
            Answer::Done { seats, .. } => {
                book.sold(Told { order, seats }, Instant::now());
                true
            }
            Answer::Rejected { why, .. } => {
                book.refused(why.reason);
                book.expired += u64::from(reason(why) == Reason::HoldExpired);
                false
            }
        }
    }

    fn key(&mut self) -> Id {
        self.keys.tick(Instant::now());
        self.keys.make()
    }

    async fn call(&mut self, call: Call) -> Result<Answer, GaveUp> {
        let key = self.key();
        self.call_under(key, call).await
    }

    async fn call_under(&mut self, key: Id, call: Call) -> Result<Answer, GaveUp> {
        let answer = self
            .client
            .call(self.sale.event, key, call, CALL_LIMIT)
            .await;
        if let Err(error) = &answer {
            let mut book = self.sale.ledger.book();
            book.given_up += 1;
            book.last_trouble = Some(error.to_string());
        }
        answer
    }
}

impl Sale {
    pub fn seats_sold(&self) -> u64 {
        self.ledger.book().seats_sold
    }

    /// From the first moment on that hardly anything is free; counts the orphans then.
    fn is_down_to_leftovers(&self) -> bool {
        if self.leftovers.load(Ordering::Relaxed) {
            return true;
        }
        let view = Arc::clone(&self.view.borrow());
        let mark = (self.for_sale * LEFTOVERS_BELOW_PERCENT / 100).max(8);
        // Holds may still come back to the parties.
        if view.free > mark || view.sold + view.free + view.held < self.for_sale {
            return false;
        }
        if !self.leftovers.swap(true, Ordering::Relaxed) {
            self.orphans
                .store(self.house.orphans(&view), Ordering::Relaxed);
        }
        true
    }
}

fn reason(why: Rejected) -> Reason {
    Reason::try_from(i32::from(why.reason)).unwrap_or_default()
}

/// Whether two answers say the same to a buyer.
fn same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Done { seats: a, .. }, Answer::Done { seats: b, .. }) => a == b,
        (Answer::Rejected { why: a, .. }, Answer::Rejected { why: b, .. }) => a.reason == b.reason,
        _ => false,
    }
}
