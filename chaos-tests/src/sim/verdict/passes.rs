//! What buyers were told of holds before waiting rooms: none without a pass, and never more tickets held
//! and sold at once than the buyer's passes were good for.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::VisitorId;
use domain::room::VisitorPhase;

use super::Replica;
use crate::sim::plan::Plan;
use crate::sim::shop::ledger::{Act, Ledger, Told, Wish};

/// Tickets that were set aside from one revision on, and until when.
struct Held {
    from: u64,
    /// The revision that gave them back; paid ones never come back to a pass.
    until: u64,
    tickets: u32,
}

pub fn check(plan: &Plan, replicas: &[Replica], ledger: &Ledger, found: &mut Vec<String>) {
    let rooms: BTreeSet<u64> = plan.room_ids().collect();
    let mut guests: BTreeMap<(u64, u128), Vec<Held>> = BTreeMap::new();
    let ends = ends(ledger);
    for act in ledger.acts.iter().filter(|act| rooms.contains(&act.sale)) {
        let (Wish::Place { guest, .. }, Told::Done(receipt)) = (&act.wish, &act.told) else {
            continue;
        };
        let Act { sale, hold, .. } = act;
        let Some(guest) = guest else {
            found.push(format!(
                "sale {sale}: hold {hold:x} was placed without a pass"
            ));
            continue;
        };
        let book = ledger.guests.guests.get(&(*sale, guest.visitor));
        if let Some(removed_ms) = book.and_then(|book| book.removed_ms)
            && act.asked_ms > removed_ms
            && is_removed(replicas, *sale, VisitorId(guest.visitor))
        {
            let visitor = guest.visitor;
            found.push(format!(
                "sale {sale}: visitor {visitor:x} was removed at {removed_ms} ms and placed hold {hold:x} after it"
            ));
        }
        let held = Held {
            from: receipt.revision,
            // What ran out did so at a revision that nobody was told.
            until: ends
                .get(&(*sale, *hold))
                .copied()
                .unwrap_or(receipt.revision),
            tickets: receipt.seats.iter().map(|run| run.count).sum(),
        };
        let guest = guests.entry((*sale, guest.visitor)).or_default();
        guest.push(held);
    }
    for ((sale, visitor), holds) in guests {
        let most = most_at_once(&holds);
        let token = ledger.guests.tokens.get(&(sale, visitor)).copied();
        let passes = good_for(replicas, sale, VisitorId(visitor));
        let good_for = passes + token.unwrap_or(0);
        if most > good_for {
            found.push(format!(
                "sale {sale}: visitor {visitor:x} had {most} tickets at once on passes good for {good_for}"
            ));
        }
    }
}

/// The revision at which each hold was given back, or never for one that was paid.
fn ends(ledger: &Ledger) -> BTreeMap<(u64, u128), u64> {
    let acts = ledger.acts.iter();
    let ends = acts.filter_map(|act| match (&act.wish, &act.told) {
        (Wish::Confirm { .. }, Told::Done(_)) => Some(((act.sale, act.hold), u64::MAX)),
        (Wish::Release, Told::Done(receipt)) => Some(((act.sale, act.hold), receipt.revision)),
        _ => None,
    });
    ends.collect()
}

fn most_at_once(holds: &[Held]) -> u32 {
    let at = |revision: u64| -> u32 {
        let there =
            |held: &&Held| held.from == revision || (held.from < revision && revision < held.until);
        let there = holds.iter().filter(there);
        there.map(|held| held.tickets).sum()
    };
    holds.iter().map(|held| at(held.from)).max().unwrap_or(0)
}

/// Whether the last word on a visitor is that a rule took them out.
fn is_removed(replicas: &[Replica], sale: u64, visitor: VisitorId) -> bool {
    let mut seen = replicas.iter().filter(|replica| replica.sale == sale);
    let room = seen.find_map(|replica| replica.room.as_ref());
    let known = room.and_then(|room| room.visitors.iter().rfind(|known| known.visitor == visitor));
    known.is_some_and(|known| known.phase == VisitorPhase::Removed)
}

/// Of all the passes that were given to a visitor.
fn good_for(replicas: &[Replica], sale: u64, visitor: VisitorId) -> u32 {
    let mut seen = replicas.iter().filter(|replica| replica.sale == sale);
    let Some(room) = seen.find_map(|replica| replica.room.as_ref()) else {
        return 0;
    };
    room.good_for(visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_not_counted_twice() {
        let held = |from, until, tickets| Held {
            from,
            until,
            tickets,
        };
        let paid = held(1, u64::MAX, 2);
        let given_back = held(3, 5, 2);
        assert_eq!(most_at_once(&[]), 0);
        assert_eq!(most_at_once(&[paid, given_back, held(5, 5, 1)]), 4);
        assert_eq!(most_at_once(&[held(1, 5, 2), held(4, 4, 1)]), 3);
        assert_eq!(most_at_once(&[held(1, 1, 2), held(4, 4, 1)]), 2);
    }
}
