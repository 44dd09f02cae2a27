//! How long nobody is told that a write was carried out, when the leader is lost: from the last
//! acknowledgement before to the first one after, again and again.
//!
//! Writers are an open loop: every ten milliseconds a new hold is asked for, at one node after the
//! other, whatever became of those before. Every tenth is paid for, so that there is something to lose,
//! and most of these orders are cancelled, so that the house does not sell out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::components::WallClock;
use onsale::load::connect::MachineClock;
use onsale::load::keys::Keys;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::cluster::Plan;
use super::facility::Facilities;
use super::fault::Kind;
use super::scenario::Wishes;
use super::shop::Street;
use super::shop::buyer::best;
use super::shop::call::{Manner, Told, Wish};
use super::stage::{Ending, Stage};
use super::sum::Report;
use super::{Trouble, trouble};
use crate::history::record::{Call, Id};

const EVERY: Duration = Duration::from_millis(10);
const HOLD_S: u32 = 3;
/// One hold of so many is paid for.
const PAID_OF: u32 = 10;
/// One order of so many is kept.
const KEPT_OF: u32 = 10;
const MANNER: Manner = Manner {
    limit: Duration::from_millis(300),
    pause_max: Duration::from_millis(20),
};
/// Silences in this time after the loss are its own.
const WINDOW: Duration = Duration::from_millis(1_500);
/// A fault that is not a death lasts so long; longer than any silence may.
const LASTS: Duration = Duration::from_millis(3_000);
const GIVE_UP: Duration = Duration::from_secs(20);
const CALM: u64 = 50;
/// After all nodes are ready again, so that leaders can spread.
const REST: Duration = Duration::from_millis(300);

pub fn play(
    kind: Kind,
    plan: Plan,
    wishes: &Wishes,
    facilities: &Facilities,
    report: &mut Report,
) -> Result<Ending, Trouble> {
    let plan = Plan {
        fast: true,
        sale_groups: 8,
        ..plan
    };
    let limit = Duration::from_secs(60) + Duration::from_secs(20) * wishes.kills;
    let mut stage = Stage::open(plan, facilities, 0, wishes.seed, limit)?;
    let street = Arc::clone(stage.shop.street());
    let closing = Arc::new(AtomicBool::new(false));
    let writers = write(street, stage.events[0], wishes.seed, Arc::clone(&closing));
    stage.shop.spawn(writers);
    for _ in 0..wishes.kills {
        match round(&mut stage, kind) {
            Ok(silence) => report.silences_ms.push(silence.as_secs_f64() * 1e3),
            Err(error) => {
                stage.give_up(&error);
                break;
            }
        }
    }
    let ending = stage.finish(Vec::new());
    closing.store(true, Ordering::Relaxed);
    Ok(ending)
}

fn round(stage: &mut Stage, kind: Kind) -> Result<Duration, Trouble> {
    stage.shop.sells(CALM, GIVE_UP)?;
    let silence = lose_leader(stage, kind)?;
    stage.pass(REST)?;
    Ok(silence)
}

fn lose_leader(stage: &mut Stage, kind: Kind) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let fault = stage.begin(kind)?;
    let fault = fault.ok_or_else(|| trouble("there is no leader to lose"))?;
    // The choice of the leader comes before the fault itself.
    let from = stage.shop.chronicle().ns_of(fault.began);
    let to = from + WINDOW.as_nanos() as u64;
    let silence = loop {
        if let Some(silence) = stage.shop.chronicle().longest_silence_ns(from, to) {
            break Duration::from_nanos(silence);
        }
        if began.elapsed() > GIVE_UP {
            stage.end(fault)?;
            return Err(trouble("no write is acknowledged any more"));
        }
        stage.pass(Duration::from_millis(20))?;
    };
    if kind != Kind::KillLeader {
        let left = LASTS.saturating_sub(fault.began.elapsed());
        stage.pass(left)?;
    }
    stage.end(fault)?;
    stage.shop.chronicle().forget_before(to);
    Ok(silence)
}

/// Asks for a hold at every beat until the shop closes, then waits for the last answers.
async fn write(street: Arc<Street>, sale: u64, seed: u64, closing: Arc<AtomicBool>) {
    let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
    let mut keys = Keys::new(rand::make_rng::<StdRng>().random(), &wall);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut beat = tokio::time::interval(EVERY);
    let mut writes = tokio::task::JoinSet::new();
    let mut number = 0;
    while !street.is_closing() && !closing.load(Ordering::Relaxed) {
        beat.tick().await;
        keys.tick(tokio::time::Instant::now());
        number += 1;
        let ids = [(); 4].map(|()| u128::from_be_bytes(keys.make()));
        let purchase = Purchase { sale, number, ids };
        let (street, rng) = (Arc::clone(&street), StdRng::seed_from_u64(rng.random()));
        writes.spawn(async move { purchase.make(&street, rng).await });
        while writes.try_join_next().is_some() {}
    }
    while writes.join_next().await.is_some() {}
}

struct Purchase {
    sale: u64,
    number: u32,
    /// Of the hold, the order, its payment and its cancelling.
    ids: [u128; 4],
}

impl Purchase {
    async fn make(&self, street: &Street, mut rng: StdRng) {
        let [hold, order, pay, cancel] = self.ids;
        let (hold_id, order_id) = (Id(hold), Id(order));
        let place = Wish {
            lines: best(1),
            ttl_s: HOLD_S,
            ..self.wish(hold, Call::Place { hold: hold_id })
        };
        let placed = street.wish(&mut rng, &place, MANNER).await;
        if !self.number.is_multiple_of(PAID_OF) || !matches!(placed, Told::Done(_)) {
            return;
        }
        let confirm = Call::Confirm {
            hold: hold_id,
            order: order_id,
        };
        let confirm = self.wish(pay, confirm);
        let paid = street.wish(&mut rng, &confirm, MANNER).await;
        if self.number.is_multiple_of(PAID_OF * KEPT_OF) || !matches!(paid, Told::Done(_)) {
            return;
        }
        let cancel = self.wish(cancel, Call::Cancel { order: order_id });
        street.wish(&mut rng, &cancel, MANNER).await;
    }

    fn wish(&self, key: u128, call: Call) -> Wish {
        Wish {
            sale: self.sale,
            client: self.number,
            key,
            call,
            lines: Vec::new(),
            seats: None,
            ttl_s: 0,
        }
    }
}
