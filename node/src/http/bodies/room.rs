//! Bodies of the calls about a waiting room, and whose tokens an event takes.

use domain::ids::{ChannelId, VisitorId};
use domain::room::LaneRules;
use domain::room::pace::Ceilings;
use serde::{Deserialize, Serialize};

use super::{id, instant, milliseconds};
use crate::access::pass;
use crate::http::api::NewRoom;
use crate::http::problem::Problem;

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
