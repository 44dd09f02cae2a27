//! The last look: every order that may exist is asked for, and all seats, from node after node.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;
use tonic::Status;

use super::Shop;
use super::ledger::{OrderSeen, Wish};
use crate::sim::world::SHOP;

const ATTEMPTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(250);

impl Shop {
    /// Reads everything into the ledger. An error says what could not be read.
    pub async fn audit(&self) -> Result<(), String> {
        let orders: BTreeSet<(u64, u128)> = {
            let ledger = self.ledger();
            let acts = ledger.acts.iter();
            acts.filter_map(|act| match act.wish {
                Wish::Confirm { order } => Some((act.sale, order)),
                _ => None,
            })
            .collect()
        };
        for (number, (sale, order)) in orders.into_iter().enumerate() {
            let seen = self.find_order(number, sale, order).await?;
            self.ledger().orders.insert((sale, order), seen);
        }
        for sale in self.inner.plan.sale_ids() {
            let mut read = Err(Status::unavailable("not tried"));
            for attempt in 0..ATTEMPTS {
                read = self.read_seats(self.turn(attempt), sale).await;
                if read.is_ok() {
                    break;
                }
                sleep(PAUSE).await;
            }
            let seen = read.map_err(|status| format!("seats of sale {sale}: {status}"))?;
            self.ledger().seats.insert(sale, seen);
        }
        Ok(())
    }

    async fn find_order(
        &self,
        number: usize,
        sale: u64,
        order: u128,
    ) -> Result<Option<OrderSeen>, String> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let node = self.turn(number + attempt);
            match self.read_order(node, sale, order).await {
                Ok(seen) => return Ok(seen),
                Err(status) => last = format!("n{node}: {status}"),
            }
            self.inner
                .trace
                .event(SHOP, "audit", format_args!("{order:x} {last}"));
            sleep(PAUSE).await;
        }
        Err(format!("order {order:x} of sale {sale}: {last}"))
    }

    fn turn(&self, number: usize) -> cluster::types::NodeId {
        let nodes = self.nodes();
        nodes[number % nodes.len()]
    }
}
