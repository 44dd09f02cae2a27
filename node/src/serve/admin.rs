//! The running node behind the HTTP API: turns its calls into reads of this node's replicas,
//! changes of the cluster map, and commands that travel through the gateway like partners' own.
//! Decides nothing; what only another node can do it names.

mod commands;
mod events;
mod forecast;
mod members;
mod people;
mod queue;
mod reads;
mod refusals;
mod search;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cluster::Cluster;
use cluster::components::Components;
use domain::ids::IdempotencyKey;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Mutex, Semaphore, watch};

use super::logs::Logs;
use super::place::Place;
use crate::access::pass::Trust;
use crate::access::{Door, key};
use crate::config::Config;
use crate::forecast::Book;
use crate::forecast::price::{Category, Desk};
use crate::gateway::Gateway;
use crate::http::api::{
    AdminApi, Answer, Dump, EventCommand, Feed, Layout, NewEvent, NewNode, Operator, Search,
};
use crate::http::problem::{Problem, Reason};
use crate::http::views;
use crate::index::Index;
use crate::recommend::Recommendations;
use crate::trace::Tracer;

/// What a node's administration works with.
pub struct Parts {
    pub cluster: Cluster,
    pub place: Arc<Place>,
    pub gateway: Gateway,
    pub door: Door,
    /// `None`: switched off.
    pub index: Option<Index>,
    pub forecasts: Arc<Book>,
    pub components: Components,
    pub config: Config,
    /// True when the node is about to stop.
    pub leaving: watch::Receiver<bool>,
    pub logs: Logs,
    pub tracer: Tracer,
}

pub struct Admin {
    parts: Parts,
    /// Plans are large: one is read at a time.
    importing: Semaphore,
    /// New partners get their numbers one after the other.
    numbering: Mutex<()>,
    /// Price proposals that wait for a decision.
    desk: Desk,
    recommendations: Recommendations,
}

impl Admin {
    pub fn new(parts: Parts) -> Admin {
        Admin {
            parts,
            importing: Semaphore::new(1),
            numbering: Mutex::new(()),
            desk: Desk::default(),
            recommendations: Recommendations::default(),
        }
    }
}

#[async_trait]
impl AdminApi for Admin {
    fn node_id(&self) -> u64 {
        self.parts.cluster.node_id()
    }

    fn ready(&self) -> bool {
        !*self.parts.leaving.borrow() && self.parts.cluster.ready()
    }

    fn stopped_groups(&self) -> Vec<u32> {
        self.parts.cluster.stopped_groups()
    }

    fn disputed_groups(&self) -> Vec<u32> {
        self.parts.cluster.disputed_groups()
    }

    fn authorize(&self, token: &str) -> Result<Operator, Problem> {
        let first = self.parts.config.http.operator_key.as_bytes();
        if !first.is_empty() && bool::from(first.ct_eq(token.as_bytes())) {
            return Ok(Operator {
                key_id: "http.operator_key".into(),
            });
        }
        let authorization = format!("Bearer {token}");
        let door = &self.parts.door;
        if door.operator(Some(&authorization)).is_ok() {
            let key_id = key::parse(token).map_or("", |text| text.key_id).to_owned();
            return Ok(Operator { key_id });
        }
        Err(match door.partner(Some(&authorization)) {
            Ok(_) => Problem::new(Reason::Forbidden, "this is a partner's key"),
            Err(refused) => Problem::new(Reason::Unauthenticated, refused.to_string()),
        })
    }

    fn knows_secret(&self, token: &str) -> bool {
        let secret = self.parts.config.cluster.secret.as_bytes();
        !secret.is_empty() && bool::from(secret.ct_eq(token.as_bytes()))
    }

    fn now_ms(&self) -> u64 {
        self.parts.components.wall.now_ms()
    }

    async fn create_event(&self, event: NewEvent) -> Answer<views::EventSummary> {
        self.create(event).await
    }

    async fn events(&self) -> Answer<views::EventList> {
        Ok(self.list_events())
    }

    async fn event(&self, event_id: u64) -> Answer<views::EventSummary> {
        self.summary(event_id).await
    }

    async fn layout(&self, event_id: u64) -> Answer<Layout> {
        self.read_layout(event_id).await
    }

    async fn seats(&self, event_id: u64, linearizable: bool) -> Answer<views::Seats> {
        self.read_seats(event_id, linearizable).await
    }

    async fn watch(&self, event_id: u64, from_revision: u64) -> Answer<Box<dyn Feed>> {
        self.follow(event_id, from_revision).await
    }

    async fn command(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        command: EventCommand,
    ) -> Answer<views::Applied> {
        self.carry_out(event_id, key, command).await
    }

    async fn dump(&self, event_id: u64) -> Answer<Dump> {
        self.dump_replica(event_id).await
    }

    async fn release(&self, event_id: u64) -> Answer<()> {
        self.release_frozen(event_id).await
    }

    async fn observe(&self, event_id: u64) -> Answer<serde_json::Value> {
        self.belief(event_id).await
    }

    async fn forecast(&self, event_id: u64) -> Answer<views::Forecast> {
        self.read_forecast(event_id)
    }

    async fn recommendations(&self, event_id: u64) -> Answer<views::RecommendationList> {
        self.recommend(event_id).await
    }

    async fn propose_prices(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        categories: Vec<Category>,
    ) -> Answer<views::PriceProposal> {
        self.make_proposal(event_id, key, &categories)
    }

    async fn decide_prices(
        &self,
        event_id: u64,
        proposal: u128,
        approve: bool,
        by: Option<Operator>,
    ) -> Answer<views::PriceDecision> {
        self.note_decision(event_id, proposal, approve, by)
    }

    async fn queue(&self, event_id: u64) -> Answer<views::Queue> {
        self.read_queue(event_id).await
    }

    async fn evidence(&self, event_id: u64) -> Answer<Bytes> {
        self.read_evidence(event_id).await
    }

    async fn trust(&self, event_id: u64, partner_id: u32, trust: Option<Trust>) -> Answer<()> {
        self.put_trust(event_id, partner_id, trust).await
    }

    async fn pass_keys(&self) -> Answer<views::PassKeyList> {
        Ok(self.list_pass_keys())
    }

    async fn rotate_pass_key(&self) -> Answer<views::PassKeyList> {
        self.make_pass_key().await
    }

    async fn orders(&self, search: Search) -> Answer<views::OrderPage> {
        self.find_orders(search).await
    }

    async fn order(&self, order_id: u128) -> Answer<views::OrderRow> {
        self.find_order(order_id).await
    }

    async fn holds(&self, search: Search) -> Answer<views::HoldPage> {
        self.find_holds(search).await
    }

    async fn hold(&self, hold_id: u128) -> Answer<views::HoldRow> {
        self.find_hold(hold_id).await
    }

    async fn partners(&self) -> Answer<views::PartnerList> {
        Ok(self.list_partners())
    }

    async fn add_partner(
        &self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> Answer<views::PartnerView> {
        self.put_partner(partner_id, name, channel).await
    }

    async fn keys(&self) -> Answer<views::KeyList> {
        Ok(self.list_keys())
    }

    async fn add_key(&self, partner_id: Option<u32>) -> Answer<views::NewKey> {
        self.make_key(partner_id).await
    }

    async fn revoke_key(&self, key_id: String) -> Answer<()> {
        self.remove_key(key_id).await
    }

    async fn nodes(&self) -> Answer<views::NodeList> {
        Ok(self.list_nodes())
    }

    async fn join(&self, node: NewNode) -> Answer<()> {
        self.take_in(node).await
    }

    async fn promote(&self, node_id: u64) -> Answer<()> {
        let promoted = self.parts.cluster.promote(node_id).await;
        promoted.map_err(|failure| self.admin_failed(failure))
    }

    async fn drain(&self, node_id: u64) -> Answer<()> {
        let drained = self.parts.cluster.drain(node_id).await;
        drained.map_err(|failure| self.admin_failed(failure))
    }

    async fn remove(&self, node_id: u64) -> Answer<()> {
        let removed = self.parts.cluster.remove(node_id).await;
        removed.map_err(|failure| self.admin_failed(failure))
    }

    async fn log_filter(&self, node_id: u64, filter: Option<String>) -> Answer<views::LogFilter> {
        self.tell(node_id, filter)
    }

    async fn sampling(&self, node_id: u64, ratio: Option<f64>) -> Answer<views::Sampling> {
        self.sample(node_id, ratio)
    }

    async fn groups(&self) -> Answer<views::GroupList> {
        Ok(self.list_groups())
    }

    async fn transfer(&self, group_id: u32, to: u64) -> Answer<()> {
        self.hand_over(group_id, to).await
    }

    async fn snapshot(&self, group_id: u32) -> Answer<()> {
        self.take_snapshot(group_id).await
    }

    async fn rebuild(&self, group_id: u32) -> Answer<()> {
        self.rebuild_replica(group_id).await
    }
}
