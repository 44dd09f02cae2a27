//! Creating an event: what can be refused is refused first; then its sale is reserved in the
//! cluster map and created in its group, what the plan keeps off sale is blocked, and the sale is
//! marked as opened, before which it cannot go on sale. Each step may be repeated, so a creation
//! that broke off is finished by repeating it under its key.

mod blueprint;

use std::time::Duration;

use actors::sale::Frost;
use cluster::group::Proposed;
use cluster::map::{MapRejection, SaleEntry, SaleState};
use cluster::node::MapFailure;
use cluster::types::GroupId;
use domain::command::Command;
use domain::ids::{IdempotencyKey, SaleId, SeatRef};
use proto::log::v1::map_change::Change;
use proto::log::v1::{self as log, SetSaleState};
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::blueprint::Blueprint;
use super::Admin;
use super::reads::frost as frost_text;
use super::refusals::{map_failed, no_leader, too_large, unfinished};
use crate::http::api::{Answer, NewEvent};
use crate::http::bodies::SEATS_MAX;
use crate::http::problem::{Problem, Reason};
use crate::http::views;

/// How far this node's map may be behind another's.
const MAP_DELAY_MAX: Duration = Duration::from_secs(2);

impl Admin {
    pub(super) async fn create(&self, event: NewEvent) -> Answer<views::EventSummary> {
        let sale_id = sale_id(event.key);
        let blueprint = self.draw(&event).await?;
        let bytes_max = self.parts.cluster.entry_bytes_max();
        if blueprint.entry_bytes > bytes_max {
            return Err(too_large(blueprint.entry_bytes, bytes_max).into());
        }
        let entry = self.reserve(sale_id, &event).await?;
        let group = entry.group;
        let cluster = &self.parts.cluster;
        let Some(replica) = cluster.group(group) else {
            return Err(self.at_leader(group));
        };
        if cluster.leader(group) != Some(cluster.node_id()) {
            return Err(self.at_leader(group));
        }
        let sales = &self.parts.place.sales;
        sales
            .create(
                replica.as_ref(),
                SaleId(sale_id),
                blueprint.layout,
                &blueprint.venue,
                &event.rules,
                blueprint.hash_seed,
            )
            .await
            .map_err(|failure| self.create_failed(failure, group))?;
        // The sale that is there may be from an earlier attempt.
        let handle = sales.get(SaleId(sale_id)).ok_or_else(no_leader)?;
        let exported = handle.export().await;
        let exported = exported.map_err(|failure| self.read_failed(failure))?;
        if exported.state.hash_seed != blueprint.hash_seed {
            return Err(another(sale_id, "with another plan or other rules").into());
        }
        if entry.state == SaleState::Reserved {
            self.finish(sale_id, event.key, &blueprint.blocked).await?;
        }
        self.summary(sale_id).await
    }

    /// The last steps: from here on the sale can go on sale.
    async fn finish(&self, sale_id: u64, key: IdempotencyKey, blocked: &[SeatRef]) -> Answer<()> {
        for (part, seats) in blocked.chunks(SEATS_MAX).enumerate() {
            let block = Command::BlockSeats { seats };
            self.decide(sale_id, part_key(key, part), block).await?;
        }
        let opened = Change::SetSaleState(SetSaleState {
            sale_id,
            state: log::SaleState::Opened.into(),
        });
        match self.parts.cluster.change_map(opened).await {
            // A repetition after the event was closed.
            Ok(_) | Err(MapFailure::Rejected(MapRejection::BadSaleState)) => Ok(()),
            Err(failure) => Err(map_failed(failure)),
        }
    }

    /// Refuses an event whose creation has not come to its end: seats that its plan keeps off sale
    /// may still be free. This node's map may be a moment behind.
    pub(super) async fn must_be_finished(&self, event_id: u64) -> Result<(), Problem> {
        let mut version = self.parts.cluster.map_version();
        let finished = async {
            while self.entry(event_id)?.state == SaleState::Reserved {
                if version.changed().await.is_err() {
                    return Err(unfinished(event_id));
                }
            }
            Ok(())
        };
        match timeout(MAP_DELAY_MAX, finished).await {
            Ok(known) => known,
            Err(_) => Err(unfinished(event_id)),
        }
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
            Proposed::Committed { .. } => {
                let summary = handle.summary().await;
                let summary = summary.map_err(|failure| self.read_failed(failure))?;
                Ok(released(summary.frozen.as_ref())?)
            }
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

    /// On a lane of its own: a large plan would hold the runtime up.
    async fn draw(&self, event: &NewEvent) -> Result<Blueprint, Problem> {
        let _turn = self.importing.acquire().await;
        let event = event.clone();
        let (done, drawn) = oneshot::channel();
        let draw = async move {
            // Who asked may have gone.
            let _gone = done.send(Blueprint::draw(&event));
        };
        self.parts.components.lanes.run("plan", Box::pin(draw));
        let unread = |_| Problem::new(Reason::Internal, "the plan could not be read");
        drawn.await.map_err(unread)?
    }

    /// The sale's entry in the map, there before or made now.
    async fn reserve(&self, sale_id: u64, event: &NewEvent) -> Answer<SaleEntry> {
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
            return Err(
                another(sale_id, "with another name, venue, organiser, time or mode").into(),
            );
        }
        Ok(entry)
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

/// Taking up again fails where what the sale did before breaks it again.
fn released(frozen: Option<&Frost>) -> Result<(), Problem> {
    let Some(frost) = frozen else {
        return Ok(());
    };
    Err(Problem::new(
        Reason::SaleFrozen,
        "the sale is frozen still: what it did before broke it again, this node's log tells how",
    )
    .with("frozen", frost_text(frost)))
}

fn another(sale_id: u64, how: &str) -> Problem {
    Problem::new(
        Reason::AlreadyExists,
        format!("under this Idempotency-Key another event was created, {how}"),
    )
    .with("event_id", sale_id)
}

/// Below 2^53, so that JSON carries it: 41 bits of the key's milliseconds, 11 of its randomness.
/// The same key is the same event.
fn sale_id(key: IdempotencyKey) -> u64 {
    let random = (key.0 ^ (key.0 >> 11) ^ (key.0 >> 22) ^ (key.0 >> 33)) as u64;
    ((key.made_at_ms() & ((1 << 41) - 1)) << 11) | (random & 0x7ff)
}

/// The keys of what a creation does besides: of the same time, distinct, and the same again.
fn part_key(key: IdempotencyKey, part: usize) -> IdempotencyKey {
    IdempotencyKey(key.0 ^ (part as u128 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_that_is_frozen_still_is_not_said_to_be_released() {
        assert_eq!(released(None), Ok(()));
        let frost = Frost {
            log_index: 11,
            command: 3,
            why: "attempt to add with overflow".into(),
        };
        let problem = released(Some(&frost)).expect_err("is frozen");
        assert_eq!((problem.status, &*problem.reason), (503, "SALE_FROZEN"));
        assert!(problem.in_the_way["frozen"].ends_with("add with overflow"));
    }

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
