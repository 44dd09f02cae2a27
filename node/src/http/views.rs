//! What the HTTP API says, as JSON: one struct per object. `onsale ctl` reads the same structs, so
//! a field has one name in both. No behaviour beyond the formats of ids and moments.

mod forecast;

pub use forecast::{
    Band, Forecast, PriceDecision, PriceProposal, PriceSuggestion, RecommendationList, Recommended,
};

use serde::{Deserialize, Serialize};

use super::bodies::{QueueLane, Rules};
use super::timestamp;

/// An event as the cluster map knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEntry {
    pub event_id: u64,
    pub name: String,
    pub venue: String,
    pub organiser: String,
    /// RFC 3339; absent when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    pub test_mode: bool,
    /// reserved (its creation is not finished: repeat it), opened or closed.
    pub state: String,
    pub group: u32,
    /// The node that leads the event's group, as far as this node knows.
    pub leader: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    pub events: Vec<EventEntry>,
}

/// An event with what its sale says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSummary {
    #[serde(flatten)]
    pub entry: EventEntry,
    /// announced, open, paused or closed.
    pub phase: String,
    pub seats: SeatCounts,
    pub holds: u64,
    /// Cancelled ones included.
    pub orders: u64,
    pub rules: Rules,
    pub revision: u64,
    pub applied_index: u64,
    /// Hexadecimal.
    pub digest: String,
    /// Why the sale was frozen, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatCounts {
    pub total: u64,
    pub free: u64,
    pub held: u64,
    pub sold: u64,
    pub blocked: u64,
}

/// A command on an event was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub event_id: u64,
    pub revision: u64,
    pub log_index: u64,
    /// The key it was done under: repeat it with this one.
    pub idempotency_key: String,
}

/// The waiting room of an event, as its leader has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    pub event_id: u64,
    /// gathering, awaits_beacon or open.
    pub phase: String,
    pub paused: bool,
    pub closed: bool,
    pub lobby_at: String,
    pub opens_at: String,
    /// Of the seed by which the lobby is shuffled.
    pub commitment: String,
    pub beacon: bool,
    /// Have come, whatever became of them.
    pub joined: u64,
    pub waiting: u64,
    /// Were ever let in.
    pub released: u64,
    /// Have a pass and have not used it.
    pub at_the_desk: u64,
    pub served: u64,
    /// Let their pass run out unused.
    pub no_shows: u64,
    pub left: u64,
    pub removed: u64,
    /// Of all who came: the share that went away before they bought; absent while nobody came.
    pub abandonment: Option<f64>,
    /// Visitors a second, over the last seconds.
    pub inflow_per_s: f64,
    pub outflow_per_s: f64,
    pub outflow_target_per_s: f64,
    /// Passes a second that the sale can serve; absent while not known.
    pub capacity_per_s: Option<f64>,
    /// Of those let in whose pass was used or has ended: the share that bought.
    pub conversion: Option<f64>,
    pub free: u64,
    pub held: u64,
    pub sold: u64,
    /// At the pace of the last seconds; absent while nothing sells.
    pub sell_out_in_s: Option<u64>,
    pub pass_life_s: u32,
    pub pass_tickets: u16,
    pub per_minute: Option<u32>,
    pub at_the_desk_max: Option<u32>,
    pub hold_ms: u32,
    pub lanes: Vec<QueueLaneView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLaneView {
    #[serde(flatten)]
    pub rules: QueueLane,
    pub waiting: u64,
}

/// What a node logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// Level, then target=level, as in tracing's EnvFilter.
    pub filter: String,
}

/// Which share of calls a node traces beside those whose caller asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// From 0 to 1.
    pub ratio: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassKeyList {
    /// The newest last.
    pub keys: Vec<PassKeyView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassKeyView {
    pub key_id: String,
    /// Ed25519, hexadecimal.
    pub public_key: String,
    pub made_at: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub event_id: u64,
    pub name: String,
    pub width: f64,
    pub height: f64,
    pub categories: Vec<Category>,
    pub sections: Vec<Section>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub name: String,
    pub color: String,
}

/// A section's number everywhere else is its index in the layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    pub name: String,
    /// Of general admission, else 0.
    pub capacity: u32,
    pub category: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// Instead of rows when `form=positions`: x, y and category of each seat in turn, x and y in
    /// tenths of the plan's unit. For drawing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub label: String,
    pub seats: Vec<Seat>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    pub guid: String,
    pub number: String,
    pub x: f64,
    pub y: f64,
    pub category: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    pub accessible: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub companion: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub restricted_view: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub aisle_after: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The state of every seat at one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    pub event_id: u64,
    pub revision: u64,
    pub applied_index: u64,
    pub sections: Vec<SectionSeats>,
}

/// Bit planes in base64: seat n is bit n % 8 (least significant first) of byte n / 8. A seat in no
/// plane is free. General admission has counts alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionSeats {
    pub section: u32,
    pub seat_count: u32,
    pub held: String,
    pub sold: String,
    pub blocked: String,
    pub capacity: u32,
    pub held_count: u32,
    pub sold_count: u32,
    pub blocked_count: u32,
}

/// One message of the change feed: the revision after it, and the changes in sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub revision: u64,
    pub changes: Vec<SeatsChange>,
}

/// Seats `first` to `first + count - 1` went from one state to another; in general admission only
/// the count means something. States: free, held, sold, blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsChange {
    pub revision: u64,
    pub at_ms: u64,
    pub section: u16,
    pub first: u32,
    pub count: u16,
    pub from: String,
    pub to: String,
}

/// An order, as this node's index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    pub order_id: String,
    pub event_id: u64,
    pub hold_id: String,
    pub partner_id: u32,
    pub channel: u16,
    pub buyer: String,
    /// paid or cancelled.
    pub state: String,
    pub seats: u32,
    pub placed_at: String,
}

/// A hold, as this node's index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    pub hold_id: String,
    pub event_id: u64,
    pub partner_id: u32,
    pub channel: u16,
    pub buyer: String,
    /// held, released, expired or confirmed.
    pub state: String,
    pub seats: u32,
    pub placed_at: String,
    pub deadline: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    pub orders: Vec<OrderRow>,
    /// Give it back as `page` for more; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<String>,
    /// Events whose orders may be missing, because the node's index takes them anew; absent when
    /// there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_missing: usize,
    /// Events whose orders are missing, because they have no replica on the node that was asked;
    /// absent when there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_elsewhere: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPage {
    pub holds: Vec<HoldRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_missing: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_elsewhere: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerView {
    pub partner_id: u32,
    pub name: String,
    pub channel: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerList {
    pub partners: Vec<PartnerView>,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub key_id: String,
    pub partner_id: u32,
    pub operator: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
}

/// A new key: the only time its secret is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    #[serde(flatten)]
    pub view: KeyView,
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    pub node_id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
    /// learner, active or draining.
    pub state: String,
    /// Sale groups it carries a replica of.
    pub groups: u32,
    /// Groups it leads, as far as the answering node knows.
    pub leads: u32,
    /// Whether it answered this request.
    pub answering: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeList {
    pub nodes: Vec<NodeView>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    pub group_id: u32,
    /// Where the map wants replicas.
    pub replicas: Vec<u64>,
    pub epoch: u64,
    pub leader: Option<u64>,
    pub term: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    pub sales: u64,
    /// One per replica that answered.
    pub members: Vec<MemberView>,
}

/// One replica of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub node_id: u64,
    /// leader, follower, learner, candidate or stopped.
    pub state: String,
    /// How its digest compares: agrees, disputed (nobody knows who is right), differs (stopped
    /// until it is rebuilt) or rebuilding; empty before it was compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The log index at which it agreed or was disputed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_index: Option<u64>,
    pub last_log: u64,
    pub committed: u64,
    pub applied: u64,
    pub snapshot: u64,
    /// Entries behind the leader's log, as the leader sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    pub groups: Vec<GroupView>,
    /// Nodes that did not answer in time: their replicas are missing above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_nodes: Vec<u64>,
}

/// A 16-byte id as a UUID's text.
pub fn id_text(id: u128) -> String {
    uuid::Uuid::from_u128(id).to_string()
}

/// A moment of the log as RFC 3339.
pub fn moment_text(unix_ms: u64) -> String {
    timestamp::show(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}
