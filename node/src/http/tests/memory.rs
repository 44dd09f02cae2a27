//! A node in memory: a map of events, partners, keys and nodes with the rules of the cluster map,
//! and for each event a phase and its blocked seats. It decides as the real one would where a
//! handler's behaviour depends on it, and remembers what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::{IdempotencyKey, SeatRef};
use domain::rejection::{Phase, Rejection};
use proto::channel::v1 as channel;

use crate::access::pass::Trust;
use crate::forecast::price::Category;
use crate::http::api::{
    AdminApi, Answer, Dump, EventCommand, Feed, Layout, NewEvent, NewNode, Operator, Refusal,
    Search,
};
use crate::http::problem::{Problem, Reason, phase_text};
use crate::http::views;

pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: BTreeMap<u64, Event>,
    partners: BTreeMap<u32, views::PartnerView>,
    keys: BTreeMap<String, views::KeyView>,
    nodes: BTreeMap<u64, views::NodeView>,
    searches: Vec<Search>,
    /// Every call on an event is this node's (id, HTTP address).
    owner: Option<(u64, String)>,
    stopped_groups: Vec<u32>,
    disputed_groups: Vec<u32>,
}

struct Event {
    key: IdempotencyKey,
    entry: views::EventEntry,
    plan: Bytes,
    phase: Phase,
    blocked: BTreeSet<(u16, u32)>,
    revision: u64,
}

const SEATS: u64 = 20;

/// From here on nothing changes.
pub const QUIET_REVISION: u64 = 77;

impl Memory {
    pub fn new() -> std::sync::Arc<Memory> {
        std::sync::Arc::new(Memory {
            state: Mutex::default(),
        })
    }

    /// A node that must pass calls on events to another.
    pub fn owned_by(node: u64, address: String) -> std::sync::Arc<Memory> {
        let memory = Memory::new();
        memory.state().owner = Some((node, address));
        memory
    }

    /// A node whose replicas of these groups differed from the others.
    pub fn stopped(groups: &[u32]) -> std::sync::Arc<Memory> {
        let memory = Memory::new();
        memory.state().stopped_groups = groups.to_vec();
        memory
    }

    /// A node whose replicas of these groups differ from another's, nobody knows which is wrong.
    pub fn disputed(groups: &[u32]) -> std::sync::Arc<Memory> {
        let memory = Memory::new();
        memory.state().disputed_groups = groups.to_vec();
        memory
    }

    pub fn plan(&self, event_id: u64) -> Bytes {
        self.state().events[&event_id].plan.clone()
    }

    pub fn last_search(&self) -> Option<Search> {
        self.state().searches.last().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn owned(&self) -> Result<MutexGuard<'_, State>, Refusal> {
        let state = self.state();
        match &state.owner {
            None => Ok(state),
            Some((node, address)) => Err(Refusal::Elsewhere {
                node: *node,
                address: address.clone(),
            }),
        }
    }

    fn with_event<T>(&self, event_id: u64, see: impl FnOnce(&mut Event) -> T) -> Answer<T> {
        let mut state = self.owned()?;
        match state.events.get_mut(&event_id) {
            Some(event) => Ok(see(event)),
            None => Err(Problem::unknown_event(event_id).into()),
        }
    }
}

impl Event {
    fn summary(&self) -> views::EventSummary {
        let blocked = self.blocked.len() as u64;
        views::EventSummary {
            entry: self.entry.clone(),
            phase: phase_text(self.phase).into(),
            seats: views::SeatCounts {
                total: SEATS,
                free: SEATS - blocked,
                blocked,
                ..Default::default()
            },
            holds: 0,
            orders: 0,
            rules: Default::default(),
            revision: self.revision,
            applied_index: self.revision,
            digest: "00".into(),
            frozen: None,
        }
    }

    fn apply(&mut self, command: EventCommand) -> Result<(), Rejection> {
        let phase = match (self.phase, &command) {
            (Phase::Announced, EventCommand::Open) => Phase::Open,
            (Phase::Open, EventCommand::Pause) => Phase::Paused,
            (Phase::Paused, EventCommand::Resume) => Phase::Open,
            (Phase::Open | Phase::Paused, EventCommand::Close) => Phase::Closed,
            (_, EventCommand::Reopen) if !self.entry.test_mode => {
                return Err(Rejection::OnlyInTestMode);
            }
            (
                phase,
                EventCommand::Reopen
                | EventCommand::Block(_)
                | EventCommand::Unblock(_)
                | EventCommand::SetRules(_)
                | EventCommand::OpenRoom(_)
                | EventCommand::MoveRoom { .. }
                | EventCommand::SetRoom(_)
                | EventCommand::SetBeacon(_)
                | EventCommand::RemoveVisitor { .. },
            ) => phase,
            (phase, _) => return Err(Rejection::PhaseForbids { phase }),
        };
        match command {
            EventCommand::Block(seats) => self.block(&seats)?,
            EventCommand::Unblock(seats) => {
                for seat in seats {
                    self.blocked.remove(&(seat.section, seat.seat));
                }
            }
            _ => {}
        }
        self.phase = phase;
        self.revision += 1;
        Ok(())
    }

    fn block(&mut self, seats: &[SeatRef]) -> Result<(), Rejection> {
        for seat in seats {
            if !self.blocked.insert((seat.section, seat.seat)) {
                return Err(Rejection::SeatNotFree { seat: *seat });
            }
        }
        Ok(())
    }
}

/// An event on which nothing happens.
struct Quiet;

#[async_trait]
impl Feed for Quiet {
    async fn next(&mut self) -> Option<views::Changes> {
        std::future::pending().await
    }
}

struct OneChange(bool);

#[async_trait]
impl Feed for OneChange {
    async fn next(&mut self) -> Option<views::Changes> {
        if std::mem::replace(&mut self.0, false) {
            return Some(views::Changes {
                revision: 9,
                changes: vec![views::SeatsChange {
                    revision: 9,
                    at_ms: 1,
                    section: 0,
                    first: 3,
                    count: 2,
                    from: "free".into(),
                    to: "held".into(),
                }],
            });
        }
        None
    }
}

#[async_trait]
impl AdminApi for Memory {
    fn node_id(&self) -> u64 {
        1
    }

    fn ready(&self) -> bool {
        let state = self.state();
        state.owner.is_none() && state.stopped_groups.is_empty()
    }

    fn stopped_groups(&self) -> Vec<u32> {
        self.state().stopped_groups.clone()
    }

    fn disputed_groups(&self) -> Vec<u32> {
        self.state().disputed_groups.clone()
    }

    fn authorize(&self, token: &str) -> Result<Operator, Problem> {
        match token {
            super::KEY => Ok(Operator { key_id: "k".into() }),
            "a-partners-key" => Err(Problem::new(Reason::Forbidden, "a partner's key")),
            _ => Err(Problem::new(Reason::Unauthenticated, "no such key")),
        }
    }

    fn knows_secret(&self, token: &str) -> bool {
        token == "the-cluster-secret"
    }

    fn now_ms(&self) -> u64 {
        1_788_291_000_000
    }

    async fn create_event(&self, event: NewEvent) -> Answer<views::EventSummary> {
        let mut state = self.owned()?;
        if let Some(known) = state.events.values().find(|known| known.key == event.key) {
            return Ok(known.summary());
        }
        if !event.plan.starts_with(b"{") {
            return Err(Problem::new(Reason::InvalidPlan, "line 1: not an object").into());
        }
        let event_id = 100 + state.events.len() as u64;
        let starts_at =
            (event.starts_at_ms != 0).then(|| crate::http::timestamp::show(event.starts_at_ms));
        let created = Event {
            key: event.key,
            entry: views::EventEntry {
                event_id,
                name: event.name,
                venue: event.venue,
                organiser: event.organiser,
                starts_at,
                test_mode: event.rules.test_mode,
                state: "opened".into(),
                group: 1,
                leader: Some(1),
            },
            plan: event.plan,
            phase: Phase::Announced,
            blocked: BTreeSet::new(),
            revision: 0,
        };
        let summary = created.summary();
        state.events.insert(event_id, created);
        Ok(summary)
    }

    async fn events(&self) -> Answer<views::EventList> {
        let state = self.state();
        let events = state.events.values().map(|event| event.entry.clone());
        Ok(views::EventList {
            events: events.collect(),
        })
    }

    async fn event(&self, event_id: u64) -> Answer<views::EventSummary> {
        self.with_event(event_id, |event| event.summary())
    }

    async fn layout(&self, event_id: u64) -> Answer<Layout> {
        self.with_event(event_id, |event| Layout {
            etag: format!("{event_id:x}"),
            map: channel::SeatMap {
                name: event.entry.venue.clone(),
                categories: Vec::new(),
                sections: vec![channel::Section {
                    name: "Stalls".into(),
                    rows: vec![channel::Row {
                        label: "A".into(),
                        seats: vec![channel::Seat {
                            guid: "a1".into(),
                            number: "1".into(),
                            x: 1.25,
                            y: -3.0,
                            category: 2,
                            accessible: true,
                            ..Default::default()
                        }],
                    }],
                    ..Default::default()
                }],
                width: 10.0,
                height: 5.0,
            },
        })
    }

    async fn seats(&self, event_id: u64, _linearizable: bool) -> Answer<views::Seats> {
        self.with_event(event_id, |event| views::Seats {
            event_id,
            revision: event.revision,
            applied_index: event.revision,
            sections: Vec::new(),
        })
    }

    async fn watch(&self, event_id: u64, from_revision: u64) -> Answer<Box<dyn Feed>> {
        self.with_event(event_id, |_| ())?;
        if from_revision == 0 {
            return Err(Problem::new(Reason::Compacted, "take a snapshot").into());
        }
        match from_revision {
            QUIET_REVISION => Ok(Box::new(Quiet)),
            _ => Ok(Box::new(OneChange(true))),
        }
    }

    async fn command(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        command: EventCommand,
    ) -> Answer<views::Applied> {
        self.with_event(event_id, |event| {
            event.apply(command).map_err(Problem::rejected)?;
            Ok(views::Applied {
                event_id,
                revision: event.revision,
                log_index: event.revision,
                idempotency_key: views::id_text(key.0),
            })
        })?
    }

    async fn dump(&self, event_id: u64) -> Answer<Dump> {
        self.with_event(event_id, |event| Dump {
            applied_index: event.revision,
            bytes: Bytes::from_static(b"\x08\x01"),
        })
    }

    async fn observe(&self, event_id: u64) -> Answer<serde_json::Value> {
        self.with_event(
            event_id,
            |event| serde_json::json!({ "revision": event.revision }),
        )
    }

    async fn queue(&self, _event_id: u64) -> Answer<views::Queue> {
        Err(Problem::rejected(Rejection::NoRoom).into())
    }

    async fn evidence(&self, _event_id: u64) -> Answer<Bytes> {
        Err(Problem::rejected(Rejection::NoRoom).into())
    }

    async fn trust(&self, _: u64, _: u32, _: Option<Trust>) -> Answer<()> {
        Ok(())
    }

    async fn pass_keys(&self) -> Answer<views::PassKeyList> {
        Ok(views::PassKeyList::default())
    }

    async fn rotate_pass_key(&self) -> Answer<views::PassKeyList> {
        Ok(views::PassKeyList::default())
    }

    async fn forecast(&self, event_id: u64) -> Answer<views::Forecast> {
        self.event(event_id).await?;
        let band = |likely| {
            Some(views::Band {
                low: likely - 1,
                likely,
                high: likely + 1,
            })
        };
        Ok(views::Forecast {
            event_id,
            size: "small".into(),
            phase: "open".into(),
            seats: SEATS as u32,
            sold: 5,
            held: 1,
            model: Some("pace".into()),
            note: "made 2 s ago".into(),
            sell_out_in_s: Some(views::Band {
                low: Some(60),
                likely: Some(90),
                high: None,
            }),
            sold_in_1m: band(9),
            sold_in_10m: None,
            closes_in_s: None,
            sold_by_close: None,
        })
    }

    async fn recommendations(&self, event_id: u64) -> Answer<views::RecommendationList> {
        self.event(event_id).await?;
        Ok(views::RecommendationList {
            event_id,
            recommendations: Vec::new(),
            orders: 0,
            age_s: 0,
            events_missing: 0,
        })
    }

    async fn propose_prices(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        categories: Vec<Category>,
    ) -> Answer<views::PriceProposal> {
        self.event(event_id).await?;
        let raised = categories.iter().map(|category| views::PriceSuggestion {
            name: category.name.clone(),
            price: category.price,
            proposed: category.price + category.step,
            break_even: 0.1,
        });
        Ok(views::PriceProposal {
            event_id,
            proposal_id: Some(views::id_text(key.0)),
            why: "it is a test".into(),
            categories: raised.collect(),
        })
    }

    async fn decide_prices(
        &self,
        event_id: u64,
        proposal: u128,
        approve: bool,
        by: Option<Operator>,
    ) -> Answer<views::PriceDecision> {
        self.event(event_id).await?;
        Ok(views::PriceDecision {
            event_id,
            proposal_id: views::id_text(proposal),
            approved: approve,
            by: by.expect("somebody calls").key_id,
            note: String::new(),
        })
    }

    async fn orders(&self, search: Search) -> Answer<views::OrderPage> {
        self.state().searches.push(search);
        Ok(views::OrderPage::default())
    }

    async fn order(&self, order_id: u128) -> Answer<views::OrderRow> {
        Err(Problem::new(Reason::UnknownOrder, views::id_text(order_id)).into())
    }

    async fn holds(&self, search: Search) -> Answer<views::HoldPage> {
        self.state().searches.push(search);
        Ok(views::HoldPage::default())
    }

    async fn hold(&self, hold_id: u128) -> Answer<views::HoldRow> {
        Err(Problem::new(Reason::UnknownHold, views::id_text(hold_id)).into())
    }

    async fn partners(&self) -> Answer<views::PartnerList> {
        let partners = self.state().partners.values().cloned().collect();
        Ok(views::PartnerList { partners })
    }

    async fn add_partner(
        &self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> Answer<views::PartnerView> {
        let mut state = self.state();
        let next = state.partners.keys().last().map_or(1, |id| id + 1);
        let partner_id = partner_id.unwrap_or(next);
        let partner = views::PartnerView {
            partner_id,
            name,
            channel: channel.unwrap_or(partner_id as u16),
        };
        state.partners.insert(partner_id, partner.clone());
        Ok(partner)
    }

    async fn keys(&self) -> Answer<views::KeyList> {
        let keys = self.state().keys.values().cloned().collect();
        Ok(views::KeyList { keys })
    }

    async fn add_key(&self, partner_id: Option<u32>) -> Answer<views::NewKey> {
        let mut state = self.state();
        if let Some(id) = partner_id
            && !state.partners.contains_key(&id)
        {
            return Err(Problem::new(Reason::UnknownPartner, format!("partner {id}")).into());
        }
        let key_id = format!("{:08x}", state.keys.len());
        let view = views::KeyView {
            key_id: key_id.clone(),
            partner_id: partner_id.unwrap_or(0),
            operator: partner_id.is_none(),
        };
        state.keys.insert(key_id.clone(), view.clone());
        let key = format!("onsale_{key_id}_{:032x}", 5);
        Ok(views::NewKey { view, key })
    }

    async fn revoke_key(&self, key_id: String) -> Answer<()> {
        match self.state().keys.remove(&key_id) {
            Some(_) => Ok(()),
            None => Err(Problem::new(Reason::UnknownKey, key_id).into()),
        }
    }

    async fn nodes(&self) -> Answer<views::NodeList> {
        let nodes = self.state().nodes.values().cloned().collect();
        Ok(views::NodeList { nodes })
    }

    async fn join(&self, node: NewNode) -> Answer<()> {
        let view = views::NodeView {
            node_id: node.node_id,
            peer_address: node.peer_address,
            partner_address: node.partner_address,
            http_address: node.http_address,
            state: "learner".into(),
            groups: 0,
            leads: 0,
            answering: false,
        };
        self.state().nodes.insert(node.node_id, view);
        Ok(())
    }

    async fn promote(&self, node_id: u64) -> Answer<()> {
        set_state(&mut self.state(), node_id, "active")
    }

    async fn drain(&self, node_id: u64) -> Answer<()> {
        set_state(&mut self.state(), node_id, "draining")
    }

    async fn remove(&self, node_id: u64) -> Answer<()> {
        match self.state().nodes.remove(&node_id) {
            Some(_) => Ok(()),
            None => Err(Problem::new(Reason::UnknownNode, format!("node {node_id}")).into()),
        }
    }

    async fn groups(&self) -> Answer<views::GroupList> {
        Ok(views::GroupList {
            groups: vec![views::GroupView {
                group_id: 1,
                ..Default::default()
            }],
            silent_nodes: Vec::new(),
        })
    }

    async fn transfer(&self, _group_id: u32, _to: u64) -> Answer<()> {
        self.owned().map(|_| ())
    }

    async fn snapshot(&self, _group_id: u32) -> Answer<()> {
        Ok(())
    }

    async fn release(&self, event_id: u64) -> Answer<()> {
        self.event(event_id).await.map(|_| ())
    }

    async fn log_filter(&self, _: u64, filter: Option<String>) -> Answer<views::LogFilter> {
        let filter = filter.unwrap_or_else(|| "info".to_owned());
        Ok(views::LogFilter { filter })
    }

    async fn sampling(&self, _: u64, ratio: Option<f64>) -> Answer<views::Sampling> {
        let ratio = ratio.unwrap_or(0.0);
        Ok(views::Sampling { ratio })
    }

    async fn rebuild(&self, _group_id: u32) -> Answer<()> {
        Ok(())
    }
}

fn set_state(state: &mut State, node_id: u64, to: &str) -> Answer<()> {
    match state.nodes.get_mut(&node_id) {
        Some(node) => {
            node.state = to.into();
            Ok(())
        }
        None => Err(Problem::new(Reason::UnknownNode, format!("node {node_id}")).into()),
    }
}
