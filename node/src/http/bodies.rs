//! What callers send: JSON bodies and query strings, checked and turned into the words of
//! `api`. Unknown fields are refused, so that a misspelt limit is not silently no limit.

mod prices;

pub use prices::{DecidePrices, PricedCategory, ProposePrices};

use bytes::Bytes;
use domain::ids::{ChannelId, IdempotencyKey, SeatRef, VisitorId};
use domain::room::LaneRules;
use domain::room::pace::Ceilings;
use domain::rules::{ChannelRules, SaleRules};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::api::{NewEvent, NewNode, NewRoom, Search};
use super::problem::{Problem, Reason};
use super::timestamp;
use crate::access::pass;

/// Seats one block or unblock may name: what fits one command record.
pub const SEATS_MAX: usize = 10_000;

const TEXT_CHARS_MAX: usize = 200;
const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 1_000;

/// An event to be created, with its plan inside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEvent<'a> {
    pub name: String,
    #[serde(default)]
    pub venue: String,
    #[serde(default)]
    pub organiser: String,
    /// RFC 3339.
    pub starts_at: Option<String>,
    #[serde(default)]
    pub test_mode: bool,
    #[serde(default)]
    pub rules: Rules,
    /// Left as text: the plan's own reader says what is wrong with it, and where.
    #[serde(borrow)]
    pub plan: &'a RawValue,
    #[serde(default)]
    pub dedupe: bool,
}

/// The same when the whole body is the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEventQuery {
    pub name: Option<String>,
    #[serde(default)]
    pub venue: String,
    #[serde(default)]
    pub organiser: String,
    pub starts_at: Option<String>,
    #[serde(default)]
    pub test_mode: bool,
    pub hold_ttl_s: Option<u32>,
    pub buyer_limit: Option<u32>,
    #[serde(default)]
    pub dedupe: bool,
}

impl CreateEvent<'_> {
    /// `body` is what this was read from: the plan stays a part of it. The query may ask to dedupe too.
    pub fn into_event(
        self,
        key: IdempotencyKey,
        body: &Bytes,
        dedupe: bool,
    ) -> Result<NewEvent, Problem> {
        let plan = plan_of(body, self.plan);
        let rules = self.rules.into_domain(self.test_mode)?;
        checked(NewEvent {
            key,
            name: self.name,
            venue: self.venue,
            organiser: self.organiser,
            starts_at_ms: starts_at_ms(self.starts_at.as_deref())?,
            rules,
            plan,
            dedupe: dedupe || self.dedupe,
        })
    }
}

impl CreateEventQuery {
    pub fn into_event(self, key: IdempotencyKey, plan: &Bytes) -> Result<NewEvent, Problem> {
        let mut rules = Rules::default();
        rules.hold_ttl_s = self.hold_ttl_s.unwrap_or(rules.hold_ttl_s);
        rules.buyer_limit = self.buyer_limit.unwrap_or(rules.buyer_limit);
        if plan.is_empty() {
            return Err(Problem::new(
                Reason::InvalidPlan,
                "the body must be a seating plan",
            ));
        }
        checked(NewEvent {
            key,
            name: self.name.unwrap_or_default(),
            venue: self.venue,
            organiser: self.organiser,
            starts_at_ms: starts_at_ms(self.starts_at.as_deref())?,
            rules: rules.into_domain(self.test_mode)?,
            plan: Bytes::clone(plan),
            dedupe: self.dedupe,
        })
    }
}

fn checked(event: NewEvent) -> Result<NewEvent, Problem> {
    text("name", &event.name, true)?;
    text("venue", &event.venue, false)?;
    text("organiser", &event.organiser, false)?;
    Ok(event)
}

fn starts_at_ms(text: Option<&str>) -> Result<i64, Problem> {
    text.map_or(Ok(0), |text| moment("starts_at", text))
}

/// Hold times, limits, quotas. What is left out has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    pub hold_ttl_s: u32,
    pub hold_life_max_s: u32,
    /// 0 is no limit.
    pub buyer_limit: u32,
    pub hold_seats_max: u32,
    pub channels: Vec<Channel>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub channel: u16,
    #[serde(default)]
    pub floor: u32,
    /// Absent is no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
    /// 0 takes the sale's.
    #[serde(default)]
    pub hold_ttl_s: u32,
}

impl Default for Rules {
    fn default() -> Self {
        let rules = SaleRules::default();
        Rules {
            hold_ttl_s: rules.hold_ttl_ms / 1000,
            hold_life_max_s: rules.hold_life_max_ms / 1000,
            buyer_limit: rules.buyer_limit,
            hold_seats_max: rules.hold_seats_max,
            channels: Vec::new(),
        }
    }
}

impl Rules {
    pub fn into_domain(self, test_mode: bool) -> Result<SaleRules, Problem> {
        let mut channels = Vec::with_capacity(self.channels.len());
        for listed in self.channels {
            channels.push(ChannelRules {
                channel: ChannelId(listed.channel),
                floor: listed.floor,
                cap: listed.cap.unwrap_or(u32::MAX),
                hold_ttl_ms: milliseconds("rules.channels.hold_ttl_s", listed.hold_ttl_s)?,
            });
        }
        channels.sort_by_key(|rules| rules.channel);
        if let Some(pair) = channels
            .windows(2)
            .find(|pair| pair[0].channel == pair[1].channel)
        {
            return Err(Problem::bad_request(format!(
                "rules.channels: channel {} is listed twice",
                pair[0].channel.0
            )));
        }
        if self.hold_ttl_s == 0 {
            return Err(Problem::bad_request("rules.hold_ttl_s: must be 1 or more"));
        }
        Ok(SaleRules {
            hold_ttl_ms: milliseconds("rules.hold_ttl_s", self.hold_ttl_s)?,
            hold_life_max_ms: milliseconds("rules.hold_life_max_s", self.hold_life_max_s)?,
            buyer_limit: self.buyer_limit,
            hold_seats_max: self.hold_seats_max,
            test_mode,
            channels,
        })
    }
}

fn milliseconds(field: &str, seconds: u32) -> Result<u32, Problem> {
    seconds
        .checked_mul(1000)
        .ok_or_else(|| Problem::bad_request(format!("{field}: {seconds} s is too long")))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatList {
    pub seats: Vec<Span>,
}

/// A seat, or `count` seats from it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub section: u16,
    pub seat: u32,
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

impl SeatList {
    pub fn into_domain(self) -> Result<Vec<SeatRef>, Problem> {
        let asked: u64 = self.seats.iter().map(|span| u64::from(span.count)).sum();
        if asked == 0 {
            return Err(Problem::bad_request("seats: names no seat"));
        }
        if asked > SEATS_MAX as u64 {
            return Err(Problem::new(
                Reason::TooLarge,
                "one call may name 10,000 seats: make several",
            )
            .with("asked", asked)
            .with("max", SEATS_MAX));
        }
        let mut seats = Vec::with_capacity(asked as usize);
        for span in &self.seats {
            let end = span.seat.checked_add(span.count).ok_or_else(|| {
                Problem::bad_request(format!("seats: no section has a seat {}", span.seat))
            })?;
            seats.extend((span.seat..end).map(|seat| SeatRef {
                section: span.section,
                seat,
            }));
        }
        Ok(seats)
    }
}

/// A waiting room to be armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmQueue {
    /// RFC 3339: from when on visitors may come, and when the lobby closes and the first are let in.
    pub lobby_at: String,
    pub opens_at: String,
    /// Nobody is let in before an outside value is given once the lobby has closed.
    #[serde(default)]
    pub beacon: bool,
    #[serde(default = "pass_life_s")]
    pub pass_life_s: u32,
    #[serde(default = "pass_tickets")]
    pub pass_tickets: u16,
    /// Visitors a minute at most; absent is no ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// Visitors with a pass that they have not used, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_the_desk: Option<u32>,
    /// When 99 of 100 holds take longer, fewer are let in.
    #[serde(default = "hold_ms")]
    pub hold_ms: u32,
    /// A visitor takes the first that is theirs. Empty: one lane for everybody.
    #[serde(default)]
    pub lanes: Vec<QueueLane>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueLane {
    /// Absent: of any channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u16>,
    /// Absent: of any class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<u8>,
    /// Its share of those let in, while somebody waits in it.
    pub weight: u16,
}

fn pass_life_s() -> u32 {
    600
}

fn pass_tickets() -> u16 {
    8
}

fn hold_ms() -> u32 {
    Ceilings::default().hold_ms
}

impl ArmQueue {
    pub fn into_domain(self) -> Result<NewRoom, Problem> {
        let ArmQueue {
            lobby_at,
            opens_at,
            beacon,
            pass_life_s,
            pass_tickets,
            per_minute,
            at_the_desk,
            hold_ms,
            lanes,
        } = self;
        let times = MoveQueue { lobby_at, opens_at };
        let (lobby_at_ms, open_at_ms) = times.into_domain()?;
        let lane = |lane: QueueLane| LaneRules {
            channel: lane.channel.map(ChannelId),
            class: lane.class,
            weight: lane.weight,
        };
        let everybodys = QueueLane {
            channel: None,
            class: None,
            weight: 1,
        };
        let lanes = match lanes.is_empty() {
            true => vec![everybodys],
            false => lanes,
        };
        Ok(NewRoom {
            lobby_at_ms,
            open_at_ms,
            waits_for_beacon: beacon,
            pass_life_ms: milliseconds("pass_life_s", pass_life_s)?,
            pass_tickets,
            ceilings: Ceilings {
                per_minute,
                at_the_desk,
                hold_ms,
            },
            lanes: lanes.into_iter().map(lane).collect(),
        })
    }
}

/// What can be changed while visitors wait; all of it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Nobody is let in.
    pub paused: bool,
    /// Nobody new is taken: the room is drained.
    pub closed: bool,
    /// Absent is no ceiling.
    pub per_minute: Option<u32>,
    pub at_the_desk: Option<u32>,
    pub hold_ms: u32,
    /// By lane; empty: they stay.
    #[serde(default)]
    pub weights: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveQueue {
    pub lobby_at: String,
    pub opens_at: String,
}

impl MoveQueue {
    pub fn into_domain(self) -> Result<(u64, u64), Problem> {
        let lobby_at = instant("lobby_at", &self.lobby_at)?;
        let opens_at = instant("opens_at", &self.opens_at)?;
        match opens_at >= lobby_at {
            true => Ok((lobby_at, opens_at)),
            false => Err(Problem::bad_request(
                "opens_at: must not be before lobby_at",
            )),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// 32 bytes in hexadecimal, that nobody could know when the lobby closed.
    pub beacon: String,
}

impl Beacon {
    pub fn into_domain(self) -> Result<[u8; 32], Problem> {
        crate::evidence::unhex("beacon", &self.beacon)
            .map_err(|wrong| Problem::bad_request(wrong.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveVisitor {
    /// The visitor's key, as a UUID or 32 hexadecimal digits.
    pub visitor: String,
    /// The number of the rule, which the visitor is told and the evidence names.
    pub reason: u32,
}

impl RemoveVisitor {
    pub fn into_domain(self) -> Result<(VisitorId, u32), Problem> {
        Ok((VisitorId(id("visitor", &self.visitor)?), self.reason))
    }
}

/// A partner's key whose tokens are taken for the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    pub partner_id: u32,
    /// Ed25519, 32 bytes in hexadecimal; absent ends the trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    #[serde(default)]
    pub purpose: TrustPurpose,
}

/// What tokens of a partner's key are taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TrustPurpose {
    /// As passes: the partner runs a waiting room of its own.
    #[default]
    Room,
    /// To join the waiting room here, which then nobody does without one.
    Enqueue,
}

impl Trust {
    pub fn into_domain(self) -> Result<(u32, Option<pass::Trust>), Problem> {
        let purpose = match self.purpose {
            TrustPurpose::Room => pass::Purpose::Room,
            TrustPurpose::Enqueue => pass::Purpose::Enqueue,
        };
        let trust = self.public_key.map(|text| {
            let key = crate::evidence::unhex("public_key", &text)
                .map_err(|wrong| Problem::bad_request(wrong.to_string()))?;
            Ok(pass::Trust { key, purpose })
        });
        Ok((self.partner_id, trust.transpose()?))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPartner {
    pub partner_id: Option<u32>,
    pub name: String,
    pub channel: Option<u16>,
}

impl AddPartner {
    pub fn check(&self) -> Result<(), Problem> {
        text("name", &self.name, true)?;
        match self.partner_id {
            Some(0) => Err(Problem::bad_request("partner_id: must be 1 or more")),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    pub partner_id: Option<u32>,
    #[serde(default)]
    pub operator: bool,
}

impl AddKey {
    pub fn check(&self) -> Result<(), Problem> {
        match self.operator == self.partner_id.is_some() {
            true => Err(Problem::bad_request(
                "a key is either a partner's (partner_id) or an operator's (operator: true)",
            )),
            false => Ok(()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub node_id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
}

impl Join {
    pub fn into_node(self) -> Result<NewNode, Problem> {
        let Join {
            node_id,
            peer_address,
            partner_address,
            http_address,
        } = self;
        if node_id == 0 || node_id > u64::from(u32::MAX) {
            return Err(Problem::bad_request("node_id: must be 1 to 4294967295"));
        }
        for (field, address) in [
            ("peer_address", &peer_address),
            ("partner_address", &partner_address),
            ("http_address", &http_address),
        ] {
            crate::config::check::check_address(field, address)
                .map_err(|fault| Problem::bad_request(fault.to_string()))?;
        }
        Ok(NewNode {
            node_id,
            peer_address,
            partner_address,
            http_address,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub to: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    event: Option<u64>,
    partner: Option<u32>,
    buyer: Option<String>,
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    page: Option<String>,
    page_size: Option<usize>,
}

impl SearchQuery {
    /// `states` are those the kind of row can be in.
    pub fn into_search(self, states: &[&str]) -> Result<Search, Problem> {
        if let Some(state) = &self.state
            && !states.contains(&state.as_str())
        {
            return Err(Problem::bad_request(format!(
                "state: must be one of {}, is {state:?}",
                states.join(", ")
            )));
        }
        let page_size = self.page_size.unwrap_or(PAGE_SIZE);
        if !(1..=PAGE_SIZE_MAX).contains(&page_size) {
            return Err(Problem::bad_request(format!(
                "page_size: must be 1 to {PAGE_SIZE_MAX}, is {page_size}"
            )));
        }
        Ok(Search {
            event: self.event,
            partner: self.partner,
            buyer: self.buyer.map(|text| id("buyer", &text)).transpose()?,
            state: self.state,
            from_ms: self.from.map(|text| instant("from", &text)).transpose()?,
            to_ms: self.to.map(|text| instant("to", &text)).transpose()?,
            page: self.page,
            page_size,
        })
    }
}

/// A 16-byte id: a UUID, with or without hyphens.
pub fn id(field: &str, text: &str) -> Result<u128, Problem> {
    uuid::Uuid::try_parse(text)
        .map(|id| id.as_u128())
        .map_err(|_| Problem::bad_request(format!("{field}: {text:?} is not a UUID")))
}

fn instant(field: &str, text: &str) -> Result<u64, Problem> {
    moment(field, text).map(|ms| u64::try_from(ms).unwrap_or(0))
}

/// RFC 3339 as Unix milliseconds.
pub fn moment(field: &str, text: &str) -> Result<i64, Problem> {
    timestamp::read(text).ok_or_else(|| {
        Problem::bad_request(format!(
            "{field}: {text:?} is not a moment like 2026-09-01T19:30:00Z"
        ))
    })
}

/// A name people read: not longer than a line, without control characters.
pub fn text(field: &str, text: &str, required: bool) -> Result<(), Problem> {
    let why = if required && text.trim().is_empty() {
        "must not be empty"
    } else if text.chars().count() > TEXT_CHARS_MAX {
        "must be 200 characters or fewer"
    } else if text.chars().any(char::is_control) {
        "must not have control characters"
    } else {
        return Ok(());
    };
    Err(Problem::bad_request(format!("{field}: {why}")))
}

/// The part of `body` that `raw` was read from, without a copy.
fn plan_of(body: &Bytes, raw: &RawValue) -> Bytes {
    body.slice_ref(raw.get().as_bytes())
}
