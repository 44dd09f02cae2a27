//! What must be true in the end: replicas alike, everything that was acknowledged there, nothing
//! that was refused, no seat sold twice, nobody left waiting.

mod passes;
pub mod rooms;

use std::collections::{BTreeMap, BTreeSet};

use actors::sale::Summary;
use cluster::types::NodeId;
use domain::Sale;
use domain::ids::SaleId;

use super::computer::{BEGIN_MS, Hands};
use super::fault::Kind;
use super::plan::Plan;
use super::shop::ledger::{Act, Ledger, OrderSeen, Receipt, Run, SEATED, Told, Wish};
use rooms::RoomSeen;

/// How far the sales' time may be from the true one: what a node's clock is slewed by in a run.
const CLOCKS_DIFFER_MS: u64 = 1_000;

/// What one replica says of one sale.
#[derive(Clone, Debug)]
pub struct Replica {
    pub node: NodeId,
    pub sale: u64,
    pub summary: Summary,
    /// The hash over the whole state; `None` of a frozen sale.
    pub full_hash: Option<u64>,
    /// Invariants of the sale that do not hold.
    pub broken: Vec<String>,
    pub room: Option<RoomSeen>,
}

/// Asks all sales of a node.
pub async fn inspect(hands: Hands) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for handle in hands.sales.all() {
        let SaleId(sale) = handle.id();
        let Ok(summary) = handle.summary().await else {
            continue;
        };
        let (mut full_hash, mut broken, mut room) = (None, Vec::new(), None);
        if let Ok(exported) = handle.export().await {
            full_hash = Some(exported.state.hash());
            let orders = exported.state.orders.clone();
            match Sale::restore(exported.state) {
                Ok(sale) => {
                    let violations = domain::invariants::check(&sale);
                    broken.extend(violations.iter().map(|found| format!("{found:?}")));
                    room = RoomSeen::of(&sale, &orders);
                }
                Err(fault) => broken.push(format!("its state cannot be restored: {fault:?}")),
            }
        }
        replicas.push(Replica {
            node: hands.cluster.node_id(),
            sale,
            summary,
            full_hash,
            broken,
            room,
        });
    }
    replicas
}

/// Why the replicas are not yet as many as there must be, alike and at rest, if they are not.
pub fn unsettled(plan: &Plan, replicas: &[Replica]) -> Option<String> {
    for sale in plan.sale_ids() {
        let told = replicas.iter().filter(|replica| replica.sale == sale);
        let (told, must) = (told.count(), plan.replicas);
        if told < must {
            return Some(format!("sale {sale} has {told} replicas of {must}"));
        }
    }
    let mut first: BTreeMap<u64, &Replica> = BTreeMap::new();
    for replica in replicas {
        let Replica {
            node,
            sale,
            summary,
            ..
        } = replica;
        if summary.waiting_commands > 0 || summary.in_flight > 0 {
            return Some(format!("sale {sale} on n{node} has commands under way"));
        }
        if summary.counts.held > 0 {
            let held = summary.counts.held;
            return Some(format!("sale {sale} on n{node} still holds {held} seats"));
        }
        let known = first.entry(*sale).or_insert(replica);
        let told = |replica: &Replica| {
            let Summary {
                applied_index,
                revision,
                digest,
                ..
            } = replica.summary;
            (applied_index, revision, digest, replica.full_hash)
        };
        if told(known) != told(replica) {
            return Some(format!(
                "sale {sale}: n{} says {:?}, n{node} says {:?}",
                known.node,
                told(known),
                told(replica)
            ));
        }
    }
    None
}

/// Everything that can be told from the replicas and the ledger.
pub fn judge(plan: &Plan, replicas: &[Replica], ledger: &Ledger) -> Vec<String> {
    let mut found = ledger.violations.clone();
    for replica in replicas {
        let Replica { node, sale, .. } = replica;
        let broken = replica.broken.iter();
        found.extend(broken.map(|broken| format!("sale {sale} on n{node}: {broken}")));
        if let Some(frost) = &replica.summary.frozen {
            found.push(format!("sale {sale} on n{node} is frozen: {frost:?}"));
        }
    }
    check_orders(ledger, &mut found);
    passes::check(plan, replicas, ledger, &mut found);
    rooms::check(replicas, &ledger.guests, &mut found);
    check_seats(ledger, &mut found);
    check_revisions(ledger, &mut found);
    if !plan.faults.contains(&Kind::Suspend) {
        // A monotonic clock that leaps takes the sales' time with it; nothing promises otherwise.
        check_expiry(ledger, &mut found);
    }
    found
}

/// Orders are there exactly as their buyers were told.
fn check_orders(ledger: &Ledger, found: &mut Vec<String>) {
    let mut cancels: BTreeMap<(u64, u128), &Act> = BTreeMap::new();
    let mut held: BTreeMap<(u64, u128), &Receipt> = BTreeMap::new();
    for act in &ledger.acts {
        match (&act.wish, &act.told) {
            (Wish::Cancel { order }, _) => {
                cancels.insert((act.sale, *order), act);
            }
            (Wish::Place { .. }, Told::Done(receipt)) => {
                held.insert((act.sale, act.hold), receipt);
            }
            _ => {}
        }
    }
    for act in &ledger.acts {
        let Wish::Confirm { order } = act.wish else {
            continue;
        };
        let seen = ledger.orders.get(&(act.sale, order));
        let cancel = cancels.get(&(act.sale, order)).map(|cancel| &cancel.told);
        if let Some(wrong) = wrong_order(act, seen, cancel) {
            found.push(format!("sale {}: order {order:x} {wrong}", act.sale));
        }
        let hold = held.get(&(act.sale, act.hold));
        if let (Told::Done(sold), Some(hold)) = (&act.told, hold)
            && sorted(&sold.seats) != sorted(&hold.seats)
        {
            let (sale, sold, hold) = (act.sale, &sold.seats, &hold.seats);
            found.push(format!(
                "sale {sale}: order {order:x} got {sold:?} of a hold of {hold:?}"
            ));
        }
    }
}

fn wrong_order(
    act: &Act,
    seen: Option<&Option<OrderSeen>>,
    cancel: Option<&Told>,
) -> Option<String> {
    let Some(seen) = seen else {
        return Some("was not read".into());
    };
    match (&act.told, seen) {
        (Told::Done(_), None) => Some("was acknowledged and is not there".into()),
        (Told::Done(receipt), Some(seen)) if sorted(&receipt.seats) != sorted(&seen.seats) => {
            let (told, has) = (&receipt.seats, &seen.seats);
            Some(format!("was told {told:?} and has {has:?}"))
        }
        (Told::Done(_), Some(seen)) => match cancel {
            None | Some(Told::Failed(_) | Told::Rejected(_)) if !seen.is_paid => {
                Some("was acknowledged and is cancelled".into())
            }
            Some(Told::Done(_)) if seen.is_paid => {
                Some("was told to be cancelled and is paid".into())
            }
            _ => None,
        },
        (Told::Rejected(reason) | Told::Failed(reason), Some(_)) => {
            Some(format!("is there, and its buyer was told {reason}"))
        }
        (Told::Rejected(_) | Told::Failed(_), None) | (Told::Unknown, _) => None,
    }
}

/// The paid orders' seats are the sold seats, each in one order.
fn check_seats(ledger: &Ledger, found: &mut Vec<String>) {
    let mut sold: BTreeMap<u64, (BTreeSet<u32>, u32)> = BTreeMap::new();
    for ((sale, order), seen) in &ledger.orders {
        let Some(seen) = seen.as_ref().filter(|seen| seen.is_paid) else {
            continue;
        };
        let (seats, count) = sold.entry(*sale).or_default();
        for run in &seen.seats {
            *count += run.count;
            if run.section != SEATED {
                continue;
            }
            for seat in run.first..run.first + run.count {
                if !seats.insert(seat) {
                    found.push(format!(
                        "sale {sale}: seat {seat} is sold twice, once in order {order:x}"
                    ));
                }
            }
        }
    }
    for (sale, seen) in &ledger.seats {
        let (seats, count) = sold.remove(sale).unwrap_or_default();
        let planes: BTreeSet<u32> = seen.sold_seats.iter().copied().collect();
        if seats != planes || count != seen.sold {
            let planes = seen.sold;
            found.push(format!(
                "sale {sale}: orders have {count} seats, the seat map says {planes} are sold"
            ));
        }
        if seen.held > 0 {
            let held = seen.held;
            found.push(format!(
                "sale {sale}: {held} seats are held after every deadline"
            ));
        }
    }
}

/// A wish that was answered before another was asked stands before it, and no two changes share a
/// revision.
fn check_revisions(ledger: &Ledger, found: &mut Vec<String>) {
    let mut by_sale: BTreeMap<u64, Vec<(&Act, u64)>> = BTreeMap::new();
    for act in &ledger.acts {
        if let Told::Done(receipt) = &act.told {
            let acts = by_sale.entry(act.sale).or_default();
            acts.push((act, receipt.revision));
        }
    }
    for (sale, mut acts) in by_sale {
        acts.sort_by_key(|(_, revision)| *revision);
        for pair in acts.windows(2) {
            let ((one, revision), (other, again)) = (pair[0], pair[1]);
            if revision == again {
                found.push(format!(
                    "sale {sale}: revision {revision} was told to {:x} and to {:x}",
                    one.key, other.key
                ));
            }
        }
        // From the last revision down: none may have been over before a later one was asked for
        // and yet have a higher revision.
        let mut told_first = u64::MAX;
        for (act, revision) in acts.iter().rev() {
            if told_first < act.asked_ms {
                found.push(format!(
                    "sale {sale}: {} {:x} was asked for after a higher revision than its {revision} \
                     had been told",
                    act.wish.name(),
                    act.key
                ));
            }
            told_first = told_first.min(act.told_ms);
        }
    }
}

/// No hold ends before its deadline by more than clocks may differ.
fn check_expiry(ledger: &Ledger, found: &mut Vec<String>) {
    let mut deadlines: BTreeMap<(u64, u128), u64> = BTreeMap::new();
    for act in &ledger.acts {
        if let (Wish::Place { .. } | Wish::Extend, Told::Done(receipt)) = (&act.wish, &act.told) {
            let known = deadlines.entry((act.sale, act.hold)).or_default();
            *known = receipt.deadline_ms.max(*known);
        }
    }
    for act in &ledger.acts {
        let expired = matches!(&act.told, Told::Rejected(reason) if reason == "HOLD_EXPIRED");
        let deadline = deadlines.get(&(act.sale, act.hold));
        if let (true, Some(deadline_ms)) = (expired, deadline) {
            let told_ms = BEGIN_MS + act.told_ms;
            if told_ms + CLOCKS_DIFFER_MS < *deadline_ms {
                let early_ms = deadline_ms - told_ms;
                let Act { sale, hold, .. } = act;
                found.push(format!(
                    "sale {sale}: hold {hold:x} was told to be over {early_ms} ms before its deadline"
                ));
            }
        }
    }
}

fn sorted(seats: &[Run]) -> Vec<Run> {
    let mut seats = seats.to_vec();
    seats.sort_unstable();
    seats
}
