//! Everything that was delivered in a run once more, from the first entry on, by the domain alone: no
//! snapshot, no restart, no node; a sale that was given a pill does nothing until it is released. What the
//! replicas have in the end must be what comes of it. On the way a clerk looks over each command that lets
//! visitors in: parties whole, in the sequence of their places, and whoever was passed over before all
//! behind once there is enough. Called by `run` in the end.

use std::collections::{BTreeMap, BTreeSet};

use actors::codec::command::Scratch;
use actors::codec::record::{self, Records};
use actors::codec::{rules, venue};
use bytes::Bytes;
use domain::Sale;
use domain::command::Command;
use domain::room::VisitorPhase;
use domain::room::shuffle::Line;
use prost::Message as _;
use proto::log::v1 as log;
use proto::log::v1::part::Body;

use super::deed::{Counts, Deed};
use super::fault::PILL;
use super::verdict::Replica;

#[derive(Default)]
pub struct Retold {
    sales: BTreeMap<u64, Sale>,
    /// Those that were given a pill and not released yet: nothing is done by them.
    frozen: BTreeSet<u64>,
    /// What comes behind it the replicas had not been asked about.
    last: BTreeMap<u64, u64>,
    pub deeds: Counts,
    violations: Vec<String>,
}

/// Entries with their indices, in the sequence of their log, of each sale as far as these replicas are.
pub fn retell(entries: &[(u64, Bytes)], replicas: &[Replica]) -> Retold {
    let last = replicas
        .iter()
        .map(|replica| (replica.sale, replica.summary.applied_index));
    let mut retold = Retold {
        last: last.collect(),
        ..Retold::default()
    };
    for (index, payload) in entries {
        match log::Entry::decode(payload.clone()) {
            Ok(entry) => entry
                .parts
                .into_iter()
                .for_each(|part| retold.tell(*index, part)),
            Err(why) => retold
                .violations
                .push(format!("entry {index} cannot be read: {why}")),
        }
    }
    retold
}

impl Retold {
    fn tell(&mut self, index: u64, part: log::Part) {
        let log::Part {
            sale_id,
            at_ms,
            body,
            ..
        } = part;
        if self.last.get(&sale_id).is_some_and(|last| index > *last) {
            return;
        }
        match body {
            Some(Body::CreateSale(create)) if !self.sales.contains_key(&sale_id) => {
                if let Some(sale) = created(&create) {
                    self.sales.insert(sale_id, sale);
                }
            }
            Some(Body::Commands(log::Commands { records, .. })) => {
                let sale = self.sales.get_mut(&sale_id);
                if let Some(sale) = sale.filter(|_| !self.frozen.contains(&sale_id)) {
                    let applied = apply(sale, at_ms, &records, &mut self.deeds);
                    let found = applied.found.into_iter();
                    self.violations.extend(
                        found.map(|found| format!("sale {sale_id}, entry {index}: {found}")),
                    );
                    if applied.has_pill {
                        self.frozen.insert(sale_id);
                    }
                }
            }
            Some(Body::ReleaseSale(_)) => {
                self.frozen.remove(&sale_id);
            }
            Some(Body::CreateSale(_)) | None => {}
        }
    }

    /// What replicas have otherwise than it was told again, and what the clerk found.
    pub fn compare(self, replicas: &[Replica]) -> Vec<String> {
        let Retold {
            sales,
            frozen: _,
            last: _,
            deeds: _,
            mut violations,
        } = self;
        for replica in replicas {
            let Replica {
                node,
                sale,
                summary,
                full_hash,
                ..
            } = replica;
            let Some(retold) = sales.get(sale) else {
                violations.push(format!("sale {sale} on n{node} was never created"));
                continue;
            };
            let told = (retold.revision(), retold.digest(), retold.full_hash());
            let has = (summary.revision, summary.digest, full_hash.unwrap_or(0));
            if summary.frozen.is_none() && told != has {
                violations.push(format!(
                    "sale {sale} on n{node} has {has:?}, and its whole log comes to {told:?}"
                ));
            }
        }
        violations
    }
}

fn created(create: &log::CreateSale) -> Option<Sale> {
    let plan = venue::from_proto(create.venue.as_ref()?)?;
    let rules = rules::from_proto(create.rules.as_ref()?)?;
    Sale::new(&plan, rules, create.hash_seed).ok()
}

#[derive(Default)]
struct Applied {
    found: Vec<String>,
    /// Nothing was done from there on.
    has_pill: bool,
}

fn apply(sale: &mut Sale, at_ms: u64, records: &[u8], deeds: &mut Counts) -> Applied {
    let mut scratch = Scratch::default();
    let mut changes = Vec::new();
    let mut applied = Applied::default();
    for bytes in Records::new(records) {
        let Ok(request) = record::decode(bytes, &mut scratch) else {
            continue;
        };
        if request.key == PILL {
            applied.has_pill = true;
            break;
        }
        let up_to = match request.command {
            Command::ReleaseVisitors { up_to } => Some(up_to),
            _ => None,
        };
        let before = sale.room().map(|room| room.census().released);
        changes.clear();
        sale.apply(at_ms, &request, &mut changes);
        let room = sale.room().zip(before);
        if let (Some((room, before)), Some(up_to)) = (room, up_to)
            && room.census().released > before
        {
            let visitors = room.export().visitors;
            let waits: Vec<bool> = visitors
                .iter()
                .map(|visitor| visitor.phase == VisitorPhase::Waiting)
                .collect();
            // Nothing that lets visitors in takes seats.
            let free = sale.counts().free;
            let clerk = Clerk {
                lines: &room.lines(),
                waits: &waits,
                free,
                before,
            };
            applied.found.extend(clerk.look(up_to, deeds));
        }
    }
    applied
}

/// Looks over what one command let in.
struct Clerk<'a> {
    /// Of all who have come, by number.
    lines: &'a [Line],
    /// Who waits after it.
    waits: &'a [bool],
    /// Seats and places.
    free: u32,
    /// How many had been let in before it.
    before: u64,
}

impl Clerk<'_> {
    fn look(&self, up_to: u64, deeds: &mut Counts) -> Option<String> {
        let mut let_in: Vec<(u64, &Line)> = self
            .lines
            .iter()
            .filter_map(|line| Some((line.released_as?, line)))
            .filter(|(at, _)| *at >= self.before)
            .collect();
        let_in.sort_unstable_by_key(|(at, _)| *at);
        let all = self.before + let_in.len() as u64;
        if all > up_to {
            return Some(format!("{all} are let in, and {up_to} were to be"));
        }
        let_in
            .iter()
            .find_map(|(at, line)| self.wrong(*at, line, deeds))
    }

    fn wrong(&self, at: u64, line: &Line, deeds: &mut Counts) -> Option<String> {
        let free = self.free;
        if u32::from(line.party) > free {
            return Some(format!("{line:?} is let in and {free} are left"));
        }
        // Who waited at that moment: who waits still, and who was let in after.
        let others = self.lines.iter().zip(self.waits).filter(|(other, waits)| {
            let is_later = other.released_as.is_some_and(|other| other > at);
            other.lane == line.lane && (**waits || is_later)
        });
        let (mut passed, mut behind) = (0, 0);
        for (other, _) in others {
            if other.place > line.place {
                behind += 1;
            } else if u32::from(other.party) <= free {
                return Some(format!(
                    "{line:?} is let in before {other:?}, {free} being left"
                ));
            } else {
                passed += 1;
            }
        }
        deeds.add(Deed::PassOver, passed);
        let comes_first = line.passed_with.is_some() && behind > 0;
        deeds.add(Deed::ComeFirst, u64::from(comes_first));
        None
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::VisitorId;

    use super::*;

    fn line(place: u32, party: u8, passed_with: Option<u8>, released_as: Option<u64>) -> Line {
        Line {
            visitor: VisitorId(u128::from(place)),
            lane: 0,
            place,
            party,
            passed_with,
            released_as,
        }
    }

    fn look(lines: &[Line], free: u32, before: u64, up_to: u64) -> (Option<String>, Counts) {
        let waits: Vec<bool> = lines
            .iter()
            .map(|line| line.released_as.is_none())
            .collect();
        let mut deeds = Counts::default();
        let clerk = Clerk {
            lines,
            waits: &waits,
            free,
            before,
        };
        (clerk.look(up_to, &mut deeds), deeds)
    }

    #[test]
    fn a_clerk_knows_whose_turn_it_is() {
        // The first wants three, two are left: the second is let in, and the first was passed over.
        let passed = [line(0, 3, Some(2), None), line(1, 2, None, Some(5))];
        let (wrong, deeds) = look(&passed, 2, 5, 6);
        assert_eq!(wrong, None);
        assert_eq!(deeds.of(Deed::PassOver), 1);
        // With three left it is the first one's turn.
        assert!(look(&passed, 3, 5, 6).0.is_some());
        // Nobody looks at what was let in before.
        assert_eq!(look(&passed, 3, 6, 6).0, None);
        let first = [
            line(0, 3, Some(2), Some(6)),
            line(1, 2, None, Some(5)),
            line(2, 1, None, None),
        ];
        let (wrong, deeds) = look(&first, 3, 6, 7);
        assert_eq!(wrong, None);
        assert_eq!(deeds.of(Deed::ComeFirst), 1);
        assert!(look(&first, 2, 6, 7).0.is_some(), "too large a party");
        assert!(look(&first, 3, 6, 6).0.is_some(), "more than were to be");
        // Both by one command, and the other way round.
        assert!(look(&first, 3, 5, 7).0.is_some());
    }
}
