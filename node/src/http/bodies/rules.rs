//! The rules of a sale as bodies state them.

use domain::ids::ChannelId;
use domain::rules::{ChannelRules, SaleRules};
use serde::{Deserialize, Serialize};

use super::milliseconds;
use crate::http::problem::Problem;

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
    /// Refuses what contradicts itself. Whether the floors fit into the venue only the event knows.
    pub fn into_domain(self, test_mode: bool) -> Result<SaleRules, Problem> {
        let life_s = self.hold_life_max_s;
        if self.hold_seats_max == 0 {
            return Err(Problem::bad_request(
                "rules.hold_seats_max: must be 1 or more",
            ));
        }
        if self.hold_ttl_s == 0 {
            return Err(Problem::bad_request("rules.hold_ttl_s: must be 1 or more"));
        }
        let hold_ttl_ms = milliseconds("rules.hold_ttl_s", self.hold_ttl_s)?;
        let hold_life_max_ms = milliseconds("rules.hold_life_max_s", life_s)?;
        within_life("rules.hold_ttl_s", self.hold_ttl_s, life_s)?;
        let mut channels = Vec::with_capacity(self.channels.len());
        for listed in self.channels {
            channels.push(listed.into_domain(life_s)?);
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
        Ok(SaleRules {
            hold_ttl_ms,
            hold_life_max_ms,
            buyer_limit: self.buyer_limit,
            hold_seats_max: self.hold_seats_max,
            test_mode,
            channels,
        })
    }
}

impl Channel {
    fn into_domain(self, life_s: u32) -> Result<ChannelRules, Problem> {
        let Channel {
            channel,
            floor,
            cap,
            hold_ttl_s,
        } = self;
        let hold_ttl_ms = milliseconds("rules.channels.hold_ttl_s", hold_ttl_s)?;
        within_life("rules.channels.hold_ttl_s", hold_ttl_s, life_s)
            .map_err(|problem| problem.with("channel", channel))?;
        if let Some(cap) = cap
            && floor > cap
        {
            return Err(Problem::bad_request(format!(
                "rules.channels.floor: {floor} of channel {channel} is more than its cap, {cap}"
            ))
            .with("channel", channel)
            .with("floor", floor)
            .with("cap", cap));
        }
        Ok(ChannelRules {
            channel: ChannelId(channel),
            floor,
            cap: cap.unwrap_or(u32::MAX),
            hold_ttl_ms,
        })
    }
}

fn within_life(field: &str, ttl_s: u32, life_s: u32) -> Result<(), Problem> {
    match ttl_s <= life_s {
        true => Ok(()),
        false => Err(Problem::bad_request(format!(
            "{field}: {ttl_s} s is longer than a hold may live, rules.hold_life_max_s is {life_s}"
        ))
        .with("hold_ttl_s", ttl_s)
        .with("hold_life_max_s", life_s)),
    }
}
