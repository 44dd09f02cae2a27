//! A visitor of a waiting room: comes with company, waits, is let in and buys, or loses patience; and
//! on the way tries what is not theirs.

use std::time::Duration;

use proto::channel::v1::{Place, VisitorPhase};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::Shop;
use super::admission::Word;
use super::ledger::{Admitted, Line, Told, Wish};
use super::wires::Partner;

/// Visitors draw apart from buyers and watchers.
const VISITORS_SEED: u64 = 0x7669_7369_746f_7200;
/// How often somebody asks again who was not told that they are in, or who was let in and has no pass.
const ATTEMPTS_MAX: usize = 12;
/// Who come together at most.
const COMPANY_MAX: usize = 8;

/// One whom a worker plays.
struct Visitor {
    sale: u64,
    id: u128,
    home: Partner,
}

/// Comes to one room after the other until the shop closes, each time as somebody new.
pub async fn visit(shop: &Shop, number: u64) {
    let plan = shop.inner.plan.clone();
    let mut rng = StdRng::seed_from_u64(plan.seed ^ VISITORS_SEED ^ (number + 1) << 32);
    let sales: Vec<u64> = plan.room_ids().collect();
    while !shop.is_closing() {
        sleep(Duration::from_millis(rng.random_range(0..=plan.rest_ms))).await;
        let sale = sales[rng.random_range(0..sales.len())];
        let home = match rng.random_bool(0.2) {
            true => Partner::Club,
            false => Partner::Shop,
        };
        let Some(visitor) = come(shop, &mut rng, sale, home).await else {
            continue;
        };
        let Some(place) = wait(shop, &mut rng, &visitor).await else {
            continue;
        };
        enter(shop, &mut rng, &visitor, &place).await;
    }
}

/// One of those who came together; the others only stand there.
async fn come(shop: &Shop, rng: &mut StdRng, sale: u64, home: Partner) -> Option<Visitor> {
    let company: Vec<u128> = match rng.random_bool(0.5) {
        true => vec![shop.key()],
        false => (0..rng.random_range(1..=COMPANY_MAX))
            .map(|_| shop.key())
            .collect(),
    };
    for visitor in &company {
        shop.ledger().guests.expect(sale, *visitor, home);
    }
    if shop.asks_for_tokens(home, sale) && rng.random_bool(0.2) {
        shop.join_without_token(rng, home, sale, company[0]).await;
    }
    let is_alone = company.len() == 1 && rng.random_bool(0.7);
    let mut missing = company.clone();
    for _ in 0..ATTEMPTS_MAX {
        let asked_ms = shop.now_ms();
        let words = match is_alone {
            true => vec![shop.join(rng, home, sale, company[0]).await],
            false => shop.join_many(rng, home, sale, &missing).await,
        };
        for (visitor, word) in missing.iter().zip(&words) {
            if *word == Word::Rejected("ROOM_CLOSED".into())
                && shop.ledger().guests.may_be_closed(sale, asked_ms)
            {
                continue;
            }
            refuse_only(shop, sale, *visitor, word, &["LOBBY_NOT_OPEN"]);
        }
        let mut words = words.into_iter();
        missing.retain(|_| words.next() != Some(Word::Done));
        if missing.is_empty() || shop.is_closing() {
            break;
        }
        sleep(Duration::from_millis(rng.random_range(50..600))).await;
    }
    let mut present = company.into_iter();
    let id = present.find(|visitor| !missing.contains(visitor))?;
    let visitor = Visitor { sale, id, home };
    come_again(shop, rng, &visitor).await;
    Some(visitor)
}

/// Some say so twice, some through another partner, some leave, and of these some come back.
async fn come_again(shop: &Shop, rng: &mut StdRng, visitor: &Visitor) {
    let Visitor { sale, id, home } = *visitor;
    match rng.random_range(0..10) {
        0 | 1 => {
            let word = shop.join(rng, home, sale, id).await;
            refuse_only(shop, sale, id, &word, &[]);
        }
        2 => {
            let other = match home {
                Partner::Shop => Partner::Club,
                Partner::Club => Partner::Shop,
            };
            let word = shop.join(rng, other, sale, id).await;
            refuse_only(shop, sale, id, &word, &["VISITOR_OF_ANOTHER_PARTNER"]);
            if word == Word::Done {
                shop.violation(format!(
                    "sale {sale}: visitor {id:x} came through two partners"
                ));
            }
            let place = shop.place(rng, other, sale, id).await;
            if let Some(place) = place.filter(|place| place.phase() != VisitorPhase::Unknown) {
                shop.violation(format!(
                    "sale {sale}: another partner was told of visitor {id:x}: {place:?}"
                ));
            }
        }
        3 => {
            sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
            shop.leave(rng, home, sale, id).await;
            if rng.random_bool(0.6) {
                sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
                shop.join(rng, home, sale, id).await;
            }
        }
        _ => {}
    }
}

/// Whoever refuses a visitor says one of these.
fn refuse_only(shop: &Shop, sale: u64, visitor: u128, word: &Word, expected: &[&str]) {
    let Word::Rejected(reason) = word else { return };
    let is_removed = || {
        shop.ledger().guests.guests[&(sale, visitor)]
            .removal
            .is_some()
    };
    let is_expected = match reason.as_str() {
        "VISITOR_REMOVED" => is_removed(),
        reason => expected.contains(&reason),
    };
    if !is_expected {
        shop.violation(format!(
            "sale {sale}: visitor {visitor:x} was refused: {reason}"
        ));
    }
}

/// Until they are let in; `None`: they have no patience any more, or it is all over.
async fn wait(shop: &Shop, rng: &mut StdRng, visitor: &Visitor) -> Option<Place> {
    let Visitor { sale, id, home } = *visitor;
    let patient_until_ms = shop.now_ms() + rng.random_range(3_000..40_000);
    while !shop.is_closing() && shop.now_ms() < patient_until_ms {
        sleep(Duration::from_millis(rng.random_range(50..500))).await;
        let place = match shop.inner.plan.operators {
            true => look(shop, rng, visitor).await,
            false => shop.place(rng, home, sale, id).await,
        };
        let Some(place) = place else {
            continue;
        };
        match place.phase() {
            VisitorPhase::Admitted => return Some(place),
            VisitorPhase::Served
            | VisitorPhase::Expired
            | VisitorPhase::Left
            | VisitorPhase::Removed
            | VisitorPhase::Closed => return None,
            _ => {}
        }
        match rng.random_range(0..40) {
            0 => shop.intrude(rng, home, sale, id, String::new()).await,
            1 => intrude_with_another(shop, rng, visitor, place.number).await,
            _ => {}
        }
    }
    None
}

/// Asks where they stand, one way or another.
async fn look(shop: &Shop, rng: &mut StdRng, visitor: &Visitor) -> Option<Place> {
    let Visitor { sale, id, home } = *visitor;
    match rng.random_range(0..8) {
        0 => shop.places(rng, home, sale, id, false).await,
        1 | 2 => shop.places(rng, home, sale, id, true).await,
        3 => shop.watch_place(rng, home, sale, id).await,
        4 => {
            shop.proof(rng, home, sale, id).await;
            None
        }
        _ => shop.place(rng, home, sale, id).await,
    }
}

async fn intrude_with_another(shop: &Shop, rng: &mut StdRng, visitor: &Visitor, number: u32) {
    let Visitor { sale, id, home } = *visitor;
    if let Some(pass) = shop.pass_of_another(rng, sale, number) {
        shop.intrude(rng, home, sale, id, pass).await;
    }
}

/// Who was let in takes the pass and buys with it, unless they do not show up.
async fn enter(shop: &Shop, rng: &mut StdRng, visitor: &Visitor, place: &Place) {
    let Visitor { sale, id, home } = *visitor;
    if rng.random_bool(0.15) {
        return;
    }
    let mut guest = None;
    for _ in 0..ATTEMPTS_MAX {
        guest = shop.claim(rng, home, sale, id, place.number).await;
        if guest.is_some() || shop.is_closing() {
            break;
        }
        sleep(Duration::from_millis(rng.random_range(50..400))).await;
    }
    let Some(guest) = guest else { return };
    match rng.random_range(0..8) {
        0 => shop.intrude(rng, home, sale, id, String::new()).await,
        1 => intrude_with_another(shop, rng, visitor, place.number).await,
        2 if home == Partner::Shop => {
            let pass = guest.pass.clone();
            shop.intrude(rng, Partner::Club, sale, id, pass).await;
        }
        3 => {
            shop.claim(rng, home, sale, id, place.number).await;
        }
        _ => {}
    }
    // The club only brings visitors.
    if home == Partner::Club {
        return;
    }
    for _ in 0..rng.random_range(1..=4) {
        buy(shop, rng, sale, &guest).await;
    }
}

/// Holds with the pass, and pays, gives back or forgets.
pub(super) async fn buy(shop: &Shop, rng: &mut StdRng, sale: u64, guest: &Admitted) {
    let lines = match rng.random_bool(0.6) {
        true => vec![Line::Best(rng.random_range(1..=3))],
        false => vec![Line::Standing(rng.random_range(1..=3))],
    };
    let hold = shop.key();
    let place = Wish::Place {
        lines,
        ttl_s: shop.inner.plan.hold_ttl_s,
        guest: Some(guest.clone()),
    };
    match shop.wish(rng, sale, hold, place).await {
        Told::Done(_) | Told::Unknown => {}
        Told::Rejected(reason) => return denied(shop, sale, guest, &reason),
        Told::Failed(_) => return,
    }
    sleep(Duration::from_millis(rng.random_range(0..300))).await;
    match rng.random_range(0..6) {
        0 => {
            shop.wish(rng, sale, hold, Wish::Release).await;
        }
        1 => {}
        _ => {
            let order = shop.key();
            let confirm = Wish::Confirm { order };
            let told = shop.wish(rng, sale, hold, confirm).await;
            // So that there is something left for those who come later.
            if matches!(told, Told::Done(_)) && rng.random_bool(0.4) {
                shop.wish(rng, sale, order, Wish::Cancel { order }).await;
            }
        }
    }
}

/// Who was let in and has not left is not sent back to the queue.
fn denied(shop: &Shop, sale: u64, guest: &Admitted, reason: &str) {
    let may_be_away = shop.may_be_away(sale, guest.visitor);
    // A node that is cut off, or one that was told the wrong time, is ahead of others with a new key.
    let may_be_unknown = !shop.is_calm() && shop.is_of_second_key(&guest.pass);
    if reason == "PASS_INVALID" && may_be_unknown {
        return;
    }
    if matches!(reason, "QUEUE_REQUIRED" | "PASS_INVALID") && !may_be_away {
        let visitor = guest.visitor;
        shop.violation(format!(
            "sale {sale}: visitor {visitor:x} was let in and is refused: {reason}"
        ));
    }
}
