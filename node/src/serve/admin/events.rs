//! Creating an event: its plan is read, its sale reserved in the cluster map, created in its
//! group, marked as opened, and what the plan keeps off sale is blocked. Each step may be repeated,
//! so a creation that broke off is finished by repeating it under its key.

use cluster::group::Proposed;
use cluster::map::{MapRejection, SaleEntry, SaleState};
use cluster::node::MapFailure;
use cluster::types::GroupId;
use domain::command::Command;
use domain::ids::{IdempotencyKey, SaleId};
use proto::log::v1::map_change::Change;
use proto::log::v1::{self as log, SetSaleState};
use tokio::sync::oneshot;

use super::Admin;
use super::refusals::map_failed;
use crate::http::api::{Answer, NewEvent};
use crate::http::bodies::SEATS_MAX;
use crate::http::problem::{Problem, Reason};
use crate::http::views;
use crate::plan::{self, Imported, Options, PlanFault};

impl Admin {
    pub(super) async fn create(&self, event: NewEvent) -> Answer<views::EventSummary> {
        let sale_id = sale_id(event.key);
        let imported = self.import(&event).await?;
        let (_, layout) = plan::layout_bytes(&imported.seat_map)
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let group = self.reserve(sale_id, &event).await?;
        let cluster = &self.parts.cluster;
        let Some(replica) = cluster.group(group) else {
            return Err(self.at_leader(group));
        };
        if cluster.leader(group) != Some(cluster.node_id()) {
            return Err(self.at_leader(group));
        }
        self.parts
            .place
            .sales
            .create(
                replica.as_ref(),
                SaleId(sale_id),
                layout,
                &imported.venue,
                &event.rules,
                hash_seed(event.key),
            )
            .await
            .map_err(|failure| self.create_failed(failure, group))?;
        let opened = Change::SetSaleState(SetSaleState {
            sale_id,
            state: log::SaleState::Opened.into(),
        });
        match cluster.change_map(opened).await {
            // A repetition after the event was closed.
            Ok(_) | Err(MapFailure::Rejected(MapRejection::BadSaleState)) => {}
            Err(failure) => return Err(map_failed(failure)),
        }
        for (part, seats) in imported.blocked.chunks(SEATS_MAX).enumerate() {
            let block = Command::BlockSeats { seats };
            self.decide(sale_id, part_key(event.key, part), block)
                .await?;
        }
        self.summary(sale_id).await
    }

    /// Has every replica take a frozen sale up again, without the command that broke it.
    pub(super) async fn release_frozen(&self, event_id: u64) -> Answer<()> {
        let handle = self.leading_replica(event_id)?;
        let summary = handle.summary().await;
        let summary = summary.map_err(|failure| self.read_failed(failure))?;
        if summary.frozen.is_none() {
            return Err(Problem::new(Reason::Conflict, "the sale is not frozen").into());
        }
        match self.parts.place.sales.release(&handle).await {
            Proposed::Committed { .. } => Ok(()),
            Proposed::NotLeader { .. } => Err(self.at_leader(handle.group())),
            Proposed::DiskFull => Err(Problem::new(
                Reason::DiskFull,
                "the disk of the group's leader is full; nothing was tried",
            )
            .into()),
            Proposed::TooLarge { .. } => {
                Err(Problem::new(Reason::Internal, "a release is a few bytes").into())
            }
            Proposed::Unknown => Err(Problem::unknown_outcome().into()),
        }
    }

    /// Reads the plan on a lane of its own: a large one would hold the runtime up.
    async fn import(&self, event: &NewEvent) -> Result<Imported, Problem> {
        let _turn = self.importing.acquire().await;
        let (bytes, dedupe) = (event.plan.clone(), event.dedupe);
        let (done, imported) = oneshot::channel();
        let import = async move {
            let options = Options {
                dedupe,
                ..Options::default()
            };
            // Who asked may have gone.
            let _gone = done.send(plan::read(&bytes, &options));
        };
        self.parts.components.lanes.run("plan", Box::pin(import));
        match imported.await {
            Ok(Ok(imported)) => Ok(imported),
            Ok(Err(fault)) => Err(invalid(&fault)),
            Err(_) => Err(Problem::new(Reason::Internal, "the plan could not be read")),
        }
    }

    /// The group that has, or now gets, the sale.
    async fn reserve(&self, sale_id: u64, event: &NewEvent) -> Answer<GroupId> {
        let cluster = &self.parts.cluster;
        let map = cluster.map();
        let entry = match map.sales.get(&sale_id) {
            Some(known) => known.clone(),
            None => {
                let sales_of = |group: GroupId| {
                    let sales = map.sales.values();
                    sales.filter(|sale| sale.group == group).count()
                };
                let least = map
                    .groups
                    .keys()
                    .copied()
                    .min_by_key(|group| sales_of(*group));
                let group = least.ok_or_else(|| {
                    Problem::new(Reason::NotReady, "the cluster has no sale groups yet")
                })?;
                let entry = entry(sale_id, group, event);
                let reserve = Change::ReserveSale(entry.reserve());
                match cluster.change_map(reserve).await {
                    Ok(_) => entry,
                    // Reserved through another node, which this node's map shows by now.
                    Err(MapFailure::Rejected(MapRejection::SaleExists)) => self.entry(sale_id)?,
                    Err(failure) => return Err(map_failed(failure)),
                }
            }
        };
        let same = entry.reserve() == self::entry(sale_id, entry.group, event).reserve();
        if !same {
            return Err(Problem::new(
                Reason::AlreadyExists,
                "under this Idempotency-Key another event was created",
            )
            .with("event_id", sale_id)
            .into());
        }
        Ok(entry.group)
    }
}

fn entry(sale_id: u64, group: GroupId, event: &NewEvent) -> SaleEntry {
    SaleEntry {
        sale_id,
        group,
        name: event.name.clone(),
        venue: event.venue.clone(),
        organiser: event.organiser.clone(),
        starts_at_ms: event.starts_at_ms,
        test_mode: event.rules.test_mode,
        state: SaleState::Reserved,
    }
}

fn invalid(fault: &PlanFault) -> Problem {
    Problem::new(Reason::InvalidPlan, fault.to_string())
}

/// Below 2^53, so that JSON carries it: 41 bits of the key's milliseconds, 11 of its randomness.
/// The same key is the same event.
fn sale_id(key: IdempotencyKey) -> u64 {
    let random = (key.0 ^ (key.0 >> 11) ^ (key.0 >> 22) ^ (key.0 >> 33)) as u64;
    ((key.made_at_ms() & ((1 << 41) - 1)) << 11) | (random & 0x7ff)
}

/// Every replica builds its tables with it; partners do not know it.
fn hash_seed(key: IdempotencyKey) -> u64 {
    (key.0 as u64) ^ ((key.0 >> 64) as u64).rotate_left(32)
}

/// The keys of what a creation does besides: of the same time, distinct, and the same again.
fn part_key(key: IdempotencyKey, part: usize) -> IdempotencyKey {
    IdempotencyKey(key.0 ^ (part as u128 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id_is_its_keys_and_fits_json() {
        let key = IdempotencyKey(0x0198_b0a0_7c00_7abc_8def_0123_4567_89ab);
        let id = sale_id(key);
        assert!(id < 1 << 53);
        assert_eq!(id >> 11, key.made_at_ms());
        assert_eq!(id, sale_id(key));
        assert_ne!(id, sale_id(part_key(key, 0)));
        assert_eq!(part_key(key, 3).made_at_ms(), key.made_at_ms());
    }
}
