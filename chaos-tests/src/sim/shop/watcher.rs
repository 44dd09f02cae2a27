//! One who buys nothing and looks at what others were told, all the time and at any node: whoever
//! answers from a state that is over meets him.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::Shop;
use super::buyer::look_at_seats;
use super::ledger::{Told, Wish};

/// Watchers draw apart from buyers.
const WATCHERS_SEED: u64 = 0x7761_7463_6865_7200;

/// Watches until the shop closes.
pub async fn watch(shop: &Shop, number: u64) {
    let plan = shop.inner.plan.clone();
    let mut rng = StdRng::seed_from_u64(plan.seed ^ WATCHERS_SEED ^ (number + 1) << 32);
    let sales: Vec<u64> = plan.sale_ids().collect();
    while !shop.is_closing() {
        sleep(Duration::from_millis(rng.random_range(5..60))).await;
        let sale = sales[rng.random_range(0..sales.len())];
        match rng.random_bool(0.5) {
            true => look_at_seats(shop, &mut rng, sale).await,
            false => look_at_newest(shop, &mut rng, sale).await,
        }
    }
}

/// An order that anybody was told of is there, paid or cancelled.
async fn look_at_newest(shop: &Shop, rng: &mut StdRng, sale: u64) {
    let newest = shop
        .ledger()
        .acts
        .iter()
        .rev()
        .find_map(|act| match (&act.wish, &act.told) {
            (Wish::Confirm { order }, Told::Done(_)) if act.sale == sale => Some(*order),
            _ => None,
        });
    let Some(order) = newest else {
        return;
    };
    let asked_ms = shop.now_ms();
    let node = shop.any_node(rng);
    if let Ok(None) = shop.read_order(node, sale, order).await {
        shop.ledger().violations.push(format!(
            "sale {sale}: n{node} was asked at {asked_ms} ms for order {order:x}, of which somebody \
             was told before, and says that it is unknown"
        ));
    }
}
