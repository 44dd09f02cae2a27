//! A node in memory: a map of events, partners, keys and nodes with the rules of the cluster map,
//! and for each event a phase and its blocked seats. It decides as the real one would where a
//! handler's behaviour depends on it, and remembers what it was asked.

mod event;
mod nodes;
mod outlook;
mod people;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::IdempotencyKey;
use domain::rejection::Rejection;

use self::event::Event;
pub use self::event::QUIET_REVISION;
use self::nodes::Nodes;
use self::people::People;
use crate::access::pass::Trust;
use crate::forecast::price::Category;
use crate::http::api::{
    AdminApi, Answer, Dump, EventCommand, Feed, Layout, NewEvent, NewNode, Operator, Refusal,
    Search,
};
use crate::http::problem::{Problem, Reason};
use crate::http::views;

pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: BTreeMap<u64, Event>,
    people: People,
    nodes: Nodes,
    searches: Vec<Search>,
    /// Every call on an event is this node's (id, HTTP address).
    owner: Option<(u64, String)>,
    stopped_groups: Vec<u32>,
    disputed_groups: Vec<u32>,
}

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
        let event_id = 100 + state.events.len() as u64;
        let created = Event::announced(event_id, event)?;
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
        self.with_event(event_id, |event| event.layout())
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
        Ok(event::feed(from_revision))
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
        Ok(outlook::forecast(event_id))
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
        Ok(outlook::proposal(event_id, key, &categories))
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
        let partners = self.state().people.partners.values().cloned().collect();
        Ok(views::PartnerList { partners })
    }

    async fn add_partner(
        &self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> Answer<views::PartnerView> {
        Ok(self.state().people.add_partner(partner_id, name, channel))
    }

    async fn keys(&self) -> Answer<views::KeyList> {
        let keys = self.state().people.keys.values().cloned().collect();
        Ok(views::KeyList { keys })
    }

    async fn add_key(&self, partner_id: Option<u32>) -> Answer<views::NewKey> {
        self.state().people.add_key(partner_id)
    }

    async fn revoke_key(&self, key_id: String) -> Answer<()> {
        self.state().people.revoke_key(key_id)
    }

    async fn nodes(&self) -> Answer<views::NodeList> {
        let nodes = self.state().nodes.all();
        Ok(views::NodeList { nodes })
    }

    async fn join(&self, node: NewNode) -> Answer<()> {
        self.state().nodes.join(node);
        Ok(())
    }

    async fn promote(&self, node_id: u64) -> Answer<()> {
        self.state().nodes.set_state(node_id, "active")
    }

    async fn drain(&self, node_id: u64) -> Answer<()> {
        self.state().nodes.set_state(node_id, "draining")
    }

    async fn remove(&self, node_id: u64) -> Answer<()> {
        self.state().nodes.remove(node_id)
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
