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
