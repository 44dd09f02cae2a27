//! Waiting rooms for operators: what they see of one, the evidence of its shuffle, and the keys that
//! sign passes.

use actors::SaleHandle;
use actors::sale::RoomReport;
use bytes::Bytes;
use cluster::map::{PassKey as StoredKey, Trust as StoredTrust, TrustPurpose};
use domain::ids::{IdempotencyKey, SaleId};
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, RoomPhase};
use proto::log::v1::map_change::Change;
use sha2::{Digest as _, Sha256};

use super::Admin;
use super::refusals::map_failed;
use crate::access::pass::{PassKey, PassKeys as _, Purpose, Trust};
use crate::evidence::{Evidence, hex};
use crate::http::api::Answer;
use crate::http::bodies::QueueLane;
use crate::http::problem::{Problem, Reason};
use crate::http::{timestamp, views};
use crate::serve::welcome::random;

impl Admin {
    /// The replica that leads the event's sale.
    pub(super) fn leading_replica(&self, event_id: u64) -> Answer<SaleHandle> {
        let entry = self.entry(event_id)?;
        let cluster = &self.parts.cluster;
        match self.parts.place.sales.get(SaleId(event_id)) {
            Some(handle) if cluster.leader(entry.group) == Some(cluster.node_id()) => Ok(handle),
            _ => Err(self.at_leader(entry.group)),
        }
    }

    pub(super) async fn read_queue(&self, event_id: u64) -> Answer<views::Queue> {
        let handle = self.leading_replica(event_id)?;
        let report = handle.room().await;
        let report = report.map_err(|failure| self.read_failed(failure))?;
        let report = report.ok_or_else(no_room)?;
        Ok(view(event_id, &report, &handle))
    }

    pub(super) async fn read_evidence(&self, event_id: u64) -> Answer<Bytes> {
        let handle = self.replica(event_id)?;
        let published = handle.published().await;
        let published = published.map_err(|failure| self.read_failed(failure))?;
        let published = published.ok_or_else(no_room)?;
        let keys = self.parts.place.pass_keys();
        let key = keys
            .last()
            .ok_or_else(|| Problem::new(Reason::Internal, "there is no key to sign it with"))?;
        let mut file = Evidence::new(event_id, &published, key).to_bytes();
        file.push(b'\n');
        Ok(file.into())
    }

    pub(super) fn list_pass_keys(&self) -> views::PassKeyList {
        let keys = self.parts.place.pass_keys();
        let keys = keys.iter().map(|key| views::PassKeyView {
            key_id: key.key_id.clone(),
            public_key: hex(&key.public),
            made_at: timestamp::show(key.made_at_ms as i64),
        });
        views::PassKeyList {
            keys: keys.collect(),
        }
    }

    /// The new key signs once every node knows it; the one before stays good beside it.
    pub(super) async fn make_pass_key(&self) -> Answer<views::PassKeyList> {
        let secret = random().map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let made = PassKey::new(secret, self.parts.components.wall.now_ms());
        let PassKey {
            key_id,
            secret,
            public,
            made_at_ms,
        } = made;
        let put = StoredKey {
            key_id,
            secret,
            public,
            made_at_ms,
        }
        .put();
        self.parts
            .cluster
            .change_map(Change::PutPassKey(put))
            .await
            .map_err(map_failed)?;
        Ok(self.list_pass_keys())
    }

    pub(super) async fn put_trust(
        &self,
        event_id: u64,
        partner_id: u32,
        trust: Option<Trust>,
    ) -> Answer<()> {
        self.entry(event_id)?;
        let put = match trust {
            Some(Trust { key, purpose }) => {
                let purpose = match purpose {
                    Purpose::Room => TrustPurpose::Room,
                    Purpose::Enqueue => TrustPurpose::Enqueue,
                };
                StoredTrust { key, purpose }.put(event_id, partner_id)
            }
            None => StoredTrust::end(event_id, partner_id),
        };
        let changed = self.parts.cluster.change_map(Change::PutTrust(put)).await;
        changed.map(|_| ()).map_err(map_failed)
    }

    /// A room's seed: nobody's to guess, and the same again under the same key.
    pub(super) async fn seed(&self, event_id: u64, key: IdempotencyKey) -> Answer<Seed> {
        if self.parts.place.pass_keys().is_empty() {
            self.make_pass_key().await?;
        }
        let keys = self.parts.place.pass_keys();
        let secret = keys
            .first()
            .ok_or_else(|| Problem::new(Reason::NotReady, "this node has not heard of the key"))?;
        let seed = Sha256::new()
            .chain_update(b"onsale lobby seed of an event")
            .chain_update(secret.secret)
            .chain_update(event_id.to_be_bytes())
            .chain_update(key.0.to_be_bytes())
            .finalize();
        Ok(Seed(seed.into()))
    }
}

fn no_room() -> Problem {
    Problem::rejected(domain::rejection::Rejection::NoRoom)
}

fn view(event_id: u64, report: &RoomReport, handle: &SaleHandle) -> views::Queue {
    let RoomReport { room, plan, lanes } = report;
    let (census, flow) = (room.census, handle.flow());
    let per_s = |thousandths: u64| thousandths as f64 / 1000.0;
    // Of those who have come to an end of their pass, or used it.
    let ended = census.released.saturating_sub(census.at_the_desk);
    let used = ended.saturating_sub(census.expired);
    let sold_per_s = per_s(flow.sold_per_1000_s());
    views::Queue {
        event_id,
        phase: match room.phase {
            RoomPhase::Gathering => "gathering",
            RoomPhase::AwaitsBeacon => "awaits_beacon",
            RoomPhase::Open => "open",
        }
        .into(),
        paused: room.is_paused,
        closed: room.is_closed,
        lobby_at: timestamp::show(room.lobby_at_ms as i64),
        opens_at: timestamp::show(room.open_at_ms as i64),
        commitment: hex(&plan.seed.commitment()),
        beacon: plan.waits_for_beacon,
        joined: census.joined,
        waiting: census.waiting,
        released: census.released,
        at_the_desk: census.at_the_desk,
        served: census.served,
        no_shows: census.expired,
        left: census.left,
        removed: census.removed,
        abandonment: (census.joined > 0).then(|| census.left as f64 / census.joined as f64),
        inflow_per_s: per_s(flow.joined_per_1000_s()),
        outflow_per_s: per_s(flow.released_per_1000_s()),
        outflow_target_per_s: per_s(flow.target_per_1000_s()),
        capacity_per_s: flow.capacity_per_1000_s().map(per_s),
        conversion: (ended > 0).then(|| used as f64 / ended as f64),
        free: room.free.into(),
        held: room.held.into(),
        sold: room.sold.into(),
        sell_out_in_s: (sold_per_s > 0.0)
            .then(|| ((f64::from(room.free) + f64::from(room.held)) / sold_per_s) as u64),
        pass_life_s: room.pass_life_ms / 1000,
        pass_tickets: room.pass_tickets,
        per_minute: plan.ceilings.per_minute,
        at_the_desk_max: plan.ceilings.at_the_desk,
        hold_ms: plan.ceilings.hold_ms,
        lanes: lanes
            .iter()
            .map(|(rules, waiting)| lane(rules, *waiting))
            .collect(),
    }
}

fn lane(rules: &LaneRules, waiting: u64) -> views::QueueLaneView {
    let LaneRules {
        channel,
        class,
        weight,
    } = *rules;
    views::QueueLaneView {
        rules: QueueLane {
            channel: channel.map(|channel| channel.0),
            class,
            weight,
        },
        waiting,
    }
}
