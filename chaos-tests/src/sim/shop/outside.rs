//! Buyers whom the shop lets in through a waiting room of its own: they come with its token, buy with
//! it no more than it says, and try it for somebody else.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::Shop;
use super::ledger::Admitted;
use super::visitor::buy;
use super::wires::Partner;

/// They draw apart from all others.
const OUTSIDE_SEED: u64 = 0x6f75_7473_6964_6500;

/// One after the other until the shop closes; nobody where the shop has no room of its own.
pub async fn come(shop: &Shop, number: u64, sale: u64) {
    let plan = shop.inner.plan.clone();
    let mut rng = StdRng::seed_from_u64(plan.seed ^ OUTSIDE_SEED ^ (number + 1) << 32);
    while !shop.is_closing() {
        let visitor = shop.key();
        let tickets = rng.random_range(1..=4);
        let ends_ms = shop.now_ms() + rng.random_range(2_000..20_000);
        let Some(pass) = shop.own_token(sale, visitor, tickets, ends_ms) else {
            return;
        };
        shop.note_token(sale, visitor, tickets.into());
        let guest = Admitted { visitor, pass };
        for _ in 0..rng.random_range(1..=4) {
            sleep(Duration::from_millis(rng.random_range(0..=plan.rest_ms))).await;
            if shop.is_closing() {
                return;
            }
            buy(shop, &mut rng, sale, &guest).await;
        }
        if rng.random_bool(0.2) {
            let (other, pass) = (shop.key(), guest.pass);
            shop.intrude(&mut rng, Partner::Shop, sale, other, pass)
                .await;
        }
        sleep(Duration::from_millis(rng.random_range(200..2_000))).await;
    }
}
