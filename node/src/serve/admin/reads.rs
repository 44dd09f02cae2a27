//! What is read of events: lists from the cluster map, the rest from this node's replica.

use actors::SaleHandle;
use actors::sale::{ChangeFeed, Frost, SeatsView, Summary, WatchFailure};
use actors::sales::encode_sale;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cluster::map::{SaleEntry, SaleState};
use domain::change::{Change, Fact, SeatState};
use domain::ids::{Revision, SaleId};
use domain::rules::SaleRules;
use prost::Message as _;
use serde_json::{Value, json};

use super::Admin;
use super::refusals::unfinished;
use crate::http::api::{Answer, Dump, Feed, Layout};
use crate::http::bodies::{Channel, Rules};
use crate::http::problem::{Problem, Reason, phase_text};
use crate::http::{timestamp, views};
use crate::plan;

impl Admin {
    pub(super) fn entry(&self, event_id: u64) -> Result<SaleEntry, Problem> {
        let map = self.parts.cluster.map();
        let entry = map.sales.get(&event_id).cloned();
        entry.ok_or_else(|| Problem::unknown_event(event_id))
    }

    /// This node's replica, or which node to ask.
    pub(super) fn replica(&self, event_id: u64) -> Answer<SaleHandle> {
        if let Some(handle) = self.parts.place.sales.get(SaleId(event_id)) {
            return Ok(handle);
        }
        let entry = self.entry(event_id)?;
        if entry.state == SaleState::Reserved {
            return Err(unfinished(event_id).into());
        }
        Err(self.at_leader(entry.group))
    }

    pub(super) fn list_events(&self) -> views::EventList {
        let map = self.parts.cluster.map();
        views::EventList {
            events: map.sales.values().map(|sale| self.view(sale)).collect(),
        }
    }

    fn view(&self, sale: &SaleEntry) -> views::EventEntry {
        views::EventEntry {
            event_id: sale.sale_id,
            name: sale.name.clone(),
            venue: sale.venue.clone(),
            organiser: sale.organiser.clone(),
            starts_at: (sale.starts_at_ms != 0).then(|| timestamp::show(sale.starts_at_ms)),
            test_mode: sale.test_mode,
            state: match sale.state {
                SaleState::Reserved => "reserved",
                SaleState::Opened => "opened",
                SaleState::Closed => "closed",
            }
            .into(),
            group: sale.group,
            leader: self.parts.cluster.leader(sale.group),
        }
    }

    pub(super) async fn summary(&self, event_id: u64) -> Answer<views::EventSummary> {
        let handle = self.replica(event_id)?;
        let entry = self.entry(event_id)?;
        let summary = handle.summary().await;
        let summary = summary.map_err(|failure| self.read_failed(failure))?;
        let counts = summary.counts;
        let seats = views::SeatCounts {
            total: [counts.free, counts.held, counts.sold, counts.blocked]
                .into_iter()
                .map(u64::from)
                .sum(),
            free: counts.free.into(),
            held: counts.held.into(),
            sold: counts.sold.into(),
            blocked: counts.blocked.into(),
        };
        Ok(views::EventSummary {
            entry: self.view(&entry),
            phase: phase_text(summary.phase).into(),
            seats,
            holds: counts.holds as u64,
            orders: counts.orders as u64,
            rules: rules(&summary.rules),
            revision: summary.revision.0,
            applied_index: summary.applied_index,
            digest: format!("{:016x}", summary.digest),
            frozen: summary.frozen.as_ref().map(frost),
        })
    }

    pub(super) async fn read_layout(&self, event_id: u64) -> Answer<Layout> {
        let handle = self.replica(event_id)?;
        let packed = handle.layout().await;
        let packed = packed.map_err(|failure| self.read_failed(failure))?;
        let (etag, map) = plan::layout_from_bytes(&packed)
            .map_err(|fault| Problem::new(Reason::Internal, fault.to_string()))?;
        Ok(Layout { etag, map })
    }

    pub(super) async fn read_seats(&self, event_id: u64, linear: bool) -> Answer<views::Seats> {
        let handle = self.replica(event_id)?;
        let seats = handle.seats(linear).await;
        let seats = seats.map_err(|failure| self.read_failed(failure))?;
        Ok(seats_view(event_id, &seats))
    }

    pub(super) async fn follow(&self, event_id: u64, from: u64) -> Answer<Box<dyn Feed>> {
        let handle = self.replica(event_id)?;
        match handle.watch(Revision(from)).await {
            Ok(feed) => Ok(Box::new(Following { feed })),
            Err(WatchFailure::Compacted) => Err(Problem::new(
                Reason::Compacted,
                "changes after that revision are no longer kept: take the seats anew",
            )
            .with("from", from)
            .into()),
            Err(WatchFailure::FromTheFuture) => Err(Problem::new(
                Reason::Conflict,
                "this node has not come to that revision yet",
            )
            .with("from", from)
            .into()),
            Err(WatchFailure::Stopped) => Err(super::refusals::no_leader()),
        }
    }

    pub(super) async fn dump_replica(&self, event_id: u64) -> Answer<Dump> {
        let Some(handle) = self.parts.place.sales.get(SaleId(event_id)) else {
            self.entry(event_id)?;
            return Err(Problem::new(
                Reason::NoReplicaHere,
                "this node carries no replica of the event's group",
            )
            .into());
        };
        let layout = handle.layout().await;
        let layout = layout.map_err(|failure| self.read_failed(failure))?;
        let exported = handle.export().await;
        let exported = exported.map_err(|failure| self.read_failed(failure))?;
        let applied_index = exported.applied_index;
        let bytes = encode_sale(SaleId(event_id), layout, &exported).encode_to_vec();
        Ok(Dump {
            applied_index,
            bytes: bytes.into(),
        })
    }

    pub(super) async fn belief(&self, event_id: u64) -> Answer<Value> {
        let handle = self.replica(event_id)?;
        let summary = handle.summary().await;
        let summary = summary.map_err(|failure| self.read_failed(failure))?;
        Ok(belief(self.parts.cluster.node_id(), event_id, &summary))
    }
}

fn belief(node_id: u64, event_id: u64, summary: &Summary) -> Value {
    let Summary {
        phase,
        counts,
        revision,
        applied_index,
        digest,
        now_ms,
        next_deadline_ms,
        rules: _,
        frozen,
        leads,
        waiting_commands,
        in_flight,
    } = summary;
    json!({
        "node_id": node_id,
        "event_id": event_id,
        "phase": phase_text(*phase),
        "leads_in_term": leads,
        "revision": revision.0,
        "applied_index": applied_index,
        "digest": format!("{digest:016x}"),
        "log_time": views::moment_text(*now_ms),
        "next_deadline": next_deadline_ms.map(views::moment_text),
        "waiting_commands": waiting_commands,
        "proposals_in_flight": in_flight,
        "free": counts.free,
        "held": counts.held,
        "sold": counts.sold,
        "blocked": counts.blocked,
        "holds": counts.holds,
        "orders": counts.orders,
        "remembered_keys": counts.remembered,
        "frozen": frozen.as_ref().map(frost),
    })
}

pub(super) fn frost(frost: &Frost) -> String {
    let Frost {
        log_index,
        command,
        why,
    } = frost;
    format!("command {command} of entry {log_index}: {why}")
}

fn rules(rules: &SaleRules) -> Rules {
    let SaleRules {
        hold_ttl_ms,
        hold_life_max_ms,
        buyer_limit,
        hold_seats_max,
        test_mode: _,
        channels,
    } = rules;
    Rules {
        hold_ttl_s: hold_ttl_ms / 1000,
        hold_life_max_s: hold_life_max_ms / 1000,
        buyer_limit: *buyer_limit,
        hold_seats_max: *hold_seats_max,
        channels: channels
            .iter()
            .map(|rules| Channel {
                channel: rules.channel.0,
                floor: rules.floor,
                cap: (rules.cap != u32::MAX).then_some(rules.cap),
                hold_ttl_s: rules.hold_ttl_ms / 1000,
            })
            .collect(),
    }
}

fn seats_view(event_id: u64, seats: &SeatsView) -> views::Seats {
    let plane = |bytes: &Bytes| STANDARD.encode(bytes);
    let sections = seats.sections.iter().enumerate();
    views::Seats {
        event_id,
        revision: seats.revision.0,
        applied_index: seats.applied_index,
        sections: sections
            .map(|(section, seats)| views::SectionSeats {
                section: section as u32,
                seat_count: seats.seat_count,
                held: plane(&seats.held),
                sold: plane(&seats.sold),
                blocked: plane(&seats.blocked),
                capacity: seats.capacity,
                held_count: seats.held_count,
                sold_count: seats.sold_count,
                blocked_count: seats.blocked_count,
            })
            .collect(),
    }
}

struct Following {
    feed: ChangeFeed,
}

#[async_trait]
impl Feed for Following {
    async fn next(&mut self) -> Option<views::Changes> {
        // A feed that has failed fails again.
        let changes = self.feed.next().await.ok()?;
        let revision = changes.last().map_or(0, |change| change.revision.0);
        Some(views::Changes {
            revision,
            changes: changes.iter().filter_map(seats_change).collect(),
        })
    }
}

fn seats_change(change: &Change) -> Option<views::SeatsChange> {
    let Change {
        revision,
        at_ms,
        fact,
    } = change;
    let Fact::SeatsChanged { run, from, to } = fact else {
        return None;
    };
    Some(views::SeatsChange {
        revision: revision.0,
        at_ms: *at_ms,
        section: run.section,
        first: run.first,
        count: run.count,
        from: seat_state(*from).into(),
        to: seat_state(*to).into(),
    })
}

fn seat_state(state: SeatState) -> &'static str {
    match state {
        SeatState::Free => "free",
        SeatState::Held => "held",
        SeatState::Sold => "sold",
        SeatState::Blocked => "blocked",
    }
}
