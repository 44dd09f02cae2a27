//! A buyer: holds, thinks, pays or leaves, sometimes changes his mind, and looks things up.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::Shop;
use super::ledger::{Line, Told, Wish};

/// How often a look at an order is repeated that no node could answer.
const LOOKS_AGAIN: usize = 12;

/// An order that was told to be paid and that nobody has tried to cancel.
struct Bought {
    sale: u64,
    order: u128,
}

/// Buys until the shop closes.
pub async fn buy(shop: &Shop, number: u64) {
    let plan = shop.inner.plan.clone();
    let mut rng = StdRng::seed_from_u64(plan.seed ^ (number + 1) << 32);
    let sales: Vec<u64> = plan.sale_ids().collect();
    let mut bought: Vec<Bought> = Vec::new();
    while !shop.is_closing() {
        sleep(Duration::from_millis(rng.random_range(0..=plan.rest_ms))).await;
        let sale = sales[rng.random_range(0..sales.len())];
        match rng.random_range(0..10) {
            0 => look_at_seats(shop, &mut rng, sale).await,
            1 => look_at_order(shop, &mut rng, &bought).await,
            2 if bought.len() > 2 => cancel(shop, &mut rng, &mut bought).await,
            _ => bought.extend(purchase(shop, &mut rng, sale).await),
        }
    }
}

async fn purchase(shop: &Shop, rng: &mut StdRng, sale: u64) -> Option<Bought> {
    let plan = shop.inner.plan.clone();
    let lines = match rng.random_range(0..10) {
        0..=5 => vec![Line::Best(rng.random_range(1..=4))],
        6..=7 => vec![Line::Standing(rng.random_range(1..=3))],
        8 => vec![Line::Seat(rng.random_range(0..plan.rows as u32 * 10))],
        _ => vec![Line::Best(1), Line::Standing(1)],
    };
    let hold = shop.key();
    let place = Wish::Place {
        lines,
        ttl_s: plan.hold_ttl_s,
        guest: None,
    };
    let placed = shop.wish(rng, sale, hold, place).await;
    if !matches!(placed, Told::Done(_) | Told::Unknown) {
        return None;
    }
    // Some decide at once, some take so long that the hold ends under their hands.
    let thinks_ms = match rng.random_range(0..8) {
        0 => u64::from(plan.hold_ttl_s) * rng.random_range(800..1_200),
        _ => rng.random_range(0..300),
    };
    sleep(Duration::from_millis(thinks_ms)).await;
    match rng.random_range(0..10) {
        0 => {
            shop.wish(rng, sale, hold, Wish::Release).await;
            return None;
        }
        1 => return None,
        2 => {
            shop.wish(rng, sale, hold, Wish::Extend).await;
        }
        _ => {}
    }
    let order = shop.key();
    let confirmed = shop.wish(rng, sale, hold, Wish::Confirm { order }).await;
    if !matches!(confirmed, Told::Done(_)) {
        return None;
    }
    let bought = Bought { sale, order };
    if rng.random_bool(0.3) {
        look_at_order(shop, rng, std::slice::from_ref(&bought)).await;
    }
    Some(bought)
}

async fn cancel(shop: &Shop, rng: &mut StdRng, bought: &mut Vec<Bought>) {
    let Bought { sale, order } = bought.swap_remove(rng.random_range(0..bought.len()));
    let cancel = Wish::Cancel { order };
    shop.wish(rng, sale, order, cancel).await;
}

/// What was acknowledged can be read from any node, from then on.
async fn look_at_order(shop: &Shop, rng: &mut StdRng, bought: &[Bought]) {
    if bought.is_empty() {
        return;
    }
    let Bought { sale, order } = bought[rng.random_range(0..bought.len())];
    let asked_ms = shop.now_ms();
    let mut node = shop.any_node(rng);
    let mut read = shop.read_order(node, sale, order).await;
    // Who looks again and again through a change of leaders is who meets a new one first.
    for _ in 0..LOOKS_AGAIN {
        if read.is_ok() || shop.is_closing() {
            break;
        }
        sleep(Duration::from_millis(rng.random_range(5..60))).await;
        node = shop.any_node(rng);
        read = shop.read_order(node, sale, order).await;
    }
    let found = match read {
        Ok(Some(seen)) if seen.is_paid => return,
        Ok(Some(_)) => "cancelled, which nobody asked for",
        Ok(None) => "unknown",
        Err(_) => return,
    };
    let found = format!(
        "sale {sale}: n{node} was asked at {asked_ms} ms for order {order:x}, which was told to \
         be paid before, and says that it is {found}"
    );
    shop.ledger().violations.push(found);
}

/// A proved read is no older than what anybody was told before it began.
pub(super) async fn look_at_seats(shop: &Shop, rng: &mut StdRng, sale: u64) {
    let known = shop.ledger().revisions.get(&sale).copied().unwrap_or(0);
    let node = shop.any_node(rng);
    let Ok(seen) = shop.read_seats(node, sale).await else {
        return;
    };
    let mut ledger = shop.ledger();
    if seen.revision < known {
        let revision = seen.revision;
        ledger.violations.push(format!(
            "sale {sale}: n{node} read revision {revision} as current, {known} was told before"
        ));
    }
    ledger.see_revision(sale, seen.revision);
}
