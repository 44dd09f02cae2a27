//! The audit: what buyers were told against what each replica holds, read from the raw snapshot
//! bytes of each node. Shares nothing with the domain: it has its own reading of the packed
//! records and its own idea of what must be true.

use std::collections::{BTreeMap, HashMap};

use super::ledger::Told;
use crate::load::Run;
use crate::load::call::Id;

mod dump;

pub use dump::{Held, Replica, read};

/// One place: a seat. Standing places have no number and are counted per section.
type Seat = (u16, u32);

/// What was found. The numbers that must be 0 come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Places sold or told more often than there are.
    pub oversold: u64,
    /// Orders buyers were told that a replica does not hold so.
    pub lost_orders: u64,
    /// Whether all replicas stand at the same index with the same digest.
    pub replicas_agree: bool,
    pub replicas: usize,
    pub applied_index: u64,
    pub digest: u64,
    /// Orders the replicas hold and nobody was told of: their answers were lost.
    pub untold_orders: u64,
    pub seats_sold: u64,
    /// What was wrong, in words, the first few.
    pub faults: Vec<String>,
}

const FAULTS_MAX: usize = 10;

impl Findings {
    fn fault(&mut self, text: impl FnOnce() -> String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text());
        }
    }
}

/// Compares what was told with every replica. `standing` is the capacity of the sections that have
/// no seats.
pub fn audit(told: &[Told], replicas: &[Replica], standing: &BTreeMap<u16, u32>) -> Findings {
    let mut findings = Findings {
        replicas: replicas.len(),
        ..Findings::default()
    };
    check_places(
        "told to buyers",
        told.iter().map(|told| (&told.order, &told.seats[..])),
        standing,
        &mut findings,
    );
    for replica in replicas {
        check_replica(told, replica, standing, &mut findings);
    }
    agree(replicas, &mut findings);
    findings
}

fn check_replica(
    told: &[Told],
    replica: &Replica,
    standing: &BTreeMap<u16, u32>,
    findings: &mut Findings,
) {
    let node = replica.node;
    let live: HashMap<&Id, &Held> = replica
        .orders
        .iter()
        .filter(|order| !order.cancelled)
        .map(|order| (&order.order, order))
        .collect();
    if live.len()
        != replica
            .orders
            .iter()
            .filter(|order| !order.cancelled)
            .count()
    {
        findings.oversold += 1;
        findings.fault(|| format!("node {node} holds two orders of one id"));
    }
    let seats = check_places(
        &format!("of node {node}"),
        live.values().map(|order| (&order.order, &order.seats[..])),
        standing,
        findings,
    );
    // The planes say the same as the orders.
    if seats != replica.sold_in_planes {
        findings.oversold += seats.abs_diff(replica.sold_in_planes);
        findings.fault(|| {
            format!(
                "node {node} marks {} places as sold, its orders have {seats}",
                replica.sold_in_planes
            )
        });
    }
    for told in told {
        match live.get(&told.order) {
            Some(held) if sorted(&held.seats) == sorted(&told.seats) => {}
            Some(_) => {
                findings.lost_orders += 1;
                findings.fault(|| {
                    format!("order {} has other seats on node {node}", text(&told.order))
                });
            }
            None => {
                findings.lost_orders += 1;
                findings.fault(|| format!("order {} is not on node {node}", text(&told.order)));
            }
        }
    }
    findings.seats_sold = findings.seats_sold.max(seats);
    let untold = (live.len() as u64).saturating_sub(told.len() as u64);
    findings.untold_orders = findings.untold_orders.max(untold);
}

/// Buyers who have more tickets than their pass was good for, on the replica with the most of them.
pub fn passes_spent_twice(replicas: &[Replica], pass_tickets: u16) -> u64 {
    let over = |replica: &Replica| {
        let mut tickets: HashMap<&Id, u64> = HashMap::new();
        for order in replica.orders.iter().filter(|order| !order.cancelled) {
            let places = order.seats.iter().map(|run| u64::from(run.count));
            *tickets.entry(&order.buyer).or_insert(0) += places.sum::<u64>();
        }
        let over = tickets.values();
        over.filter(|tickets| **tickets > u64::from(pass_tickets))
            .count() as u64
    };
    replicas.iter().map(over).max().unwrap_or(0)
}

/// Counts places that stand in two orders, and standing places beyond the capacity. All places.
fn check_places<'a>(
    whose: &str,
    orders: impl Iterator<Item = (&'a Id, &'a [Run])>,
    standing: &BTreeMap<u16, u32>,
    findings: &mut Findings,
) -> u64 {
    let mut owners: HashMap<Seat, &Id> = HashMap::new();
    let mut standing_sold: BTreeMap<u16, u64> = BTreeMap::new();
    let mut places = 0;
    for (order, runs) in orders {
        for run in runs {
            places += u64::from(run.count);
            if standing.contains_key(&run.section) {
                *standing_sold.entry(run.section).or_insert(0) += u64::from(run.count);
                continue;
            }
            for seat in (run.first..).take(run.count.into()) {
                let Some(before) = owners.insert((run.section, seat), order) else {
                    continue;
                };
                findings.oversold += 1;
                findings.fault(|| {
                    format!(
                        "seat {seat} of section {} is in the orders {} and {} {whose}",
                        run.section,
                        text(before),
                        text(order)
                    )
                });
            }
        }
    }
    for (section, sold) in standing_sold {
        let capacity = u64::from(standing[&section]);
        if sold > capacity {
            findings.oversold += sold - capacity;
            findings.fault(|| {
                format!("{sold} places of {capacity} in section {section} are sold {whose}")
            });
        }
    }
    places
}

fn agree(replicas: &[Replica], findings: &mut Findings) {
    let Some(first) = replicas.first() else {
        return;
    };
    findings.applied_index = first.applied_index;
    findings.digest = first.digest;
    findings.replicas_agree = true;
    for replica in &replicas[1..] {
        let same = (replica.applied_index, replica.digest, replica.revision)
            == (first.applied_index, first.digest, first.revision);
        if !same {
            findings.replicas_agree = false;
            findings.fault(|| {
                format!(
                    "node {} stands at index {} with digest {:016x}, node {} at {} with {:016x}",
                    first.node,
                    first.applied_index,
                    first.digest,
                    replica.node,
                    replica.applied_index,
                    replica.digest
                )
            });
        }
    }
}

fn sorted(runs: &[Run]) -> Vec<Seat> {
    let mut seats: Vec<Seat> = runs
        .iter()
        .flat_map(|run| {
            (run.first..)
                .take(run.count.into())
                .map(|seat| (run.section, seat))
        })
        .collect();
    seats.sort_unstable();
    seats
}

fn text(id: &Id) -> String {
    uuid::Uuid::from_bytes(*id).to_string()
}

#[cfg(test)]
mod tests;
