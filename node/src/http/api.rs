//! What the HTTP handlers ask of a node: the seam between actix-web's workers and the main runtime.
//! Implemented by the running node (`serve::admin`) and, in tests, over a small cluster map in
//! memory. Knows no HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::{IdempotencyKey, SeatRef, VisitorId};
use domain::room::LaneRules;
use domain::room::pace::Ceilings;
use domain::rules::SaleRules;

use super::bodies::QueueSettings;
use super::problem::Problem;
use super::views;
use crate::access::pass::Trust;
use crate::forecast::price::Category;

/// Why a call has no answer here.
#[derive(Debug)]
pub enum Refusal {
    Problem(Problem),
    /// Only the node at this HTTP address can do it.
    Elsewhere {
        node: u64,
        address: String,
    },
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal::Problem(problem)
    }
}

pub type Answer<T> = Result<T, Refusal>;

/// Who calls, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The id of the key, never its secret.
    pub key_id: String,
}

/// An event to be created.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Under the same key the same event is created, once.
    pub key: IdempotencyKey,
    pub name: String,
    pub venue: String,
    pub organiser: String,
    /// Unix milliseconds; 0 when not said.
    pub starts_at_ms: i64,
    pub rules: SaleRules,
    /// A seating plan in the JSON format of seats.pretix.eu.
    pub plan: Bytes,
    /// Make ids for seats whose ids are not unique instead of refusing the plan.
    pub dedupe: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventCommand {
    Open,
    Pause,
    Resume,
    Close,
    Reopen,
    Block(Vec<SeatRef>),
    Unblock(Vec<SeatRef>),
    SetRules(SaleRules),
    OpenRoom(Box<NewRoom>),
    MoveRoom { lobby_at_ms: u64, open_at_ms: u64 },
    SetRoom(QueueSettings),
    SetBeacon([u8; 32]),
    RemoveVisitor { visitor: VisitorId, reason: u32 },
}

/// A waiting room to be opened; its seed is made by the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    pub lobby_at_ms: u64,
    pub open_at_ms: u64,
    pub waits_for_beacon: bool,
    pub pass_life_ms: u32,
    pub pass_tickets: u16,
    pub ceilings: Ceilings,
    pub lanes: Vec<LaneRules>,
}

/// What is looked for among orders or holds; everything given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    pub event: Option<u64>,
    pub partner: Option<u32>,
    pub buyer: Option<u128>,
    pub state: Option<String>,
    /// Placed at or after, before; Unix milliseconds.
    pub from_ms: Option<u64>,
    pub to_ms: Option<u64>,
    /// `next_page` of the answer before.
    pub page: Option<String>,
    pub page_size: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    pub node_id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
}

/// The bytes of one replica of a sale, for audits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    pub applied_index: u64,
    pub bytes: Bytes,
}

/// A layout with its etag.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub etag: String,
    pub map: proto::channel::v1::SeatMap,
}

/// The changes of one event after a revision.
#[async_trait]
pub trait Feed: Send {
    /// The next changes, as soon as there are any. `None`: too far behind, or the replica has
    /// gone; a new snapshot is needed, and every later call says so too. Dropping the future loses
    /// no change.
    async fn next(&mut self) -> Option<views::Changes>;
}

/// A node's administration. Every method may be called on any node.
#[async_trait]
pub trait AdminApi: Send + Sync + 'static {
    fn node_id(&self) -> u64;
    /// Recovered, caught up, not about to stop.
    fn ready(&self) -> bool;
    /// Groups whose replica here differed from the others and was stopped.
    fn stopped_groups(&self) -> Vec<u32>;
    /// Groups whose replica here differs from another's and goes on, because nobody can tell who is
    /// right.
    fn disputed_groups(&self) -> Vec<u32>;
    fn authorize(&self, token: &str) -> Result<Operator, Problem>;
    /// Whether a node that asks to join with this token knows the cluster's secret.
    fn knows_secret(&self, token: &str) -> bool;
    /// Unix milliseconds: the time of a key made at the edge.
    fn now_ms(&self) -> u64;

    async fn create_event(&self, event: NewEvent) -> Answer<views::EventSummary>;
    async fn events(&self) -> Answer<views::EventList>;
    async fn event(&self, event_id: u64) -> Answer<views::EventSummary>;
    async fn layout(&self, event_id: u64) -> Answer<Layout>;
    async fn seats(&self, event_id: u64, linearizable: bool) -> Answer<views::Seats>;
    async fn watch(&self, event_id: u64, from_revision: u64) -> Answer<Box<dyn Feed>>;
    async fn command(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        command: EventCommand,
    ) -> Answer<views::Applied>;
    async fn dump(&self, event_id: u64) -> Answer<Dump>;
    /// Takes a frozen sale up again, without the command that broke it.
    async fn release(&self, event_id: u64) -> Answer<()>;
    /// What the sale's actor on this node believes.
    async fn observe(&self, event_id: u64) -> Answer<serde_json::Value>;

    /// When the sale will have sold out, and how many seats it will have sold.
    async fn forecast(&self, event_id: u64) -> Answer<views::Forecast>;
    /// What else the event's buyers buy.
    async fn recommendations(&self, event_id: u64) -> Answer<views::RecommendationList>;
    /// Other prices, as a proposal under the call's key; changes nothing.
    async fn propose_prices(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        categories: Vec<Category>,
    ) -> Answer<views::PriceProposal>;
    /// Writes down what an operator decided on a proposal.
    async fn decide_prices(
        &self,
        event_id: u64,
        proposal: u128,
        approve: bool,
        by: Option<Operator>,
    ) -> Answer<views::PriceDecision>;

    /// The waiting room of an event.
    async fn queue(&self, event_id: u64) -> Answer<views::Queue>;
    /// The file by which anybody checks the shuffle of its lobby.
    async fn evidence(&self, event_id: u64) -> Answer<Bytes>;
    /// Trusts tokens of a partner's key for an event, or none any more.
    async fn trust(&self, event_id: u64, partner_id: u32, trust: Option<Trust>) -> Answer<()>;
    async fn pass_keys(&self) -> Answer<views::PassKeyList>;
    /// Makes a key that signs passes from soon on; the one before stays good.
    async fn rotate_pass_key(&self) -> Answer<views::PassKeyList>;

    async fn orders(&self, search: Search) -> Answer<views::OrderPage>;
    async fn order(&self, order_id: u128) -> Answer<views::OrderRow>;
    async fn holds(&self, search: Search) -> Answer<views::HoldPage>;
    async fn hold(&self, hold_id: u128) -> Answer<views::HoldRow>;

    async fn partners(&self) -> Answer<views::PartnerList>;
    /// Without an id the next free one; the channel defaults to the id.
    async fn add_partner(
        &self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> Answer<views::PartnerView>;
    async fn keys(&self) -> Answer<views::KeyList>;
    /// A key of a partner, or of an operator when there is none.
    async fn add_key(&self, partner_id: Option<u32>) -> Answer<views::NewKey>;
    async fn revoke_key(&self, key_id: String) -> Answer<()>;

    async fn nodes(&self) -> Answer<views::NodeList>;
    async fn join(&self, node: NewNode) -> Answer<()>;
    async fn promote(&self, node_id: u64) -> Answer<()>;
    async fn drain(&self, node_id: u64) -> Answer<()>;
    async fn remove(&self, node_id: u64) -> Answer<()>;

    /// What a node logs, after it was changed to `filter`.
    async fn log_filter(&self, node_id: u64, filter: Option<String>) -> Answer<views::LogFilter>;

    /// Which share of calls a node traces, after it was changed to `ratio`.
    async fn sampling(&self, node_id: u64, ratio: Option<f64>) -> Answer<views::Sampling>;

    /// The groups of the map, with this node's replicas.
    async fn groups(&self) -> Answer<views::GroupList>;
    async fn transfer(&self, group_id: u32, to: u64) -> Answer<()>;
    async fn snapshot(&self, group_id: u32) -> Answer<()>;
    /// Has this node's stopped replica begin anew.
    async fn rebuild(&self, group_id: u32) -> Answer<()>;
}
