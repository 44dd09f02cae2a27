//! Rules of a sale, to and from their durable message.

use domain::ids::ChannelId;
use domain::rules::{ChannelRules, SaleRules};
use proto::log::v1 as log;

pub fn to_proto(rules: &SaleRules) -> log::SaleRules {
    let SaleRules {
        hold_ttl_ms,
        hold_life_max_ms,
        buyer_limit,
        hold_seats_max,
        test_mode,
        channels,
    } = rules;
    let channels = channels
        .iter()
        .map(
            |ChannelRules {
                 channel,
                 floor,
                 cap,
                 hold_ttl_ms,
             }| log::ChannelRules {
                channel: u32::from(channel.0),
                floor: *floor,
                cap: *cap,
                hold_ttl_ms: *hold_ttl_ms,
            },
        )
        .collect();
    log::SaleRules {
        hold_ttl_ms: *hold_ttl_ms,
        hold_life_max_ms: *hold_life_max_ms,
        buyer_limit: *buyer_limit,
        hold_seats_max: *hold_seats_max,
        test_mode: *test_mode,
        channels,
    }
}

/// `None` when a channel's number does not fit.
pub fn from_proto(rules: &log::SaleRules) -> Option<SaleRules> {
    let log::SaleRules {
        hold_ttl_ms,
        hold_life_max_ms,
        buyer_limit,
        hold_seats_max,
        test_mode,
        channels,
    } = rules;
    let channels = channels
        .iter()
        .map(
            |log::ChannelRules {
                 channel,
                 floor,
                 cap,
                 hold_ttl_ms,
             }| {
                let channel = ChannelId(u16::try_from(*channel).ok()?);
                Some(ChannelRules {
                    channel,
                    floor: *floor,
                    cap: *cap,
                    hold_ttl_ms: *hold_ttl_ms,
                })
            },
        )
        .collect::<Option<Vec<_>>>()?;
    Some(SaleRules {
        hold_ttl_ms: *hold_ttl_ms,
        hold_life_max_ms: *hold_life_max_ms,
        buyer_limit: *buyer_limit,
        hold_seats_max: *hold_seats_max,
        test_mode: *test_mode,
        channels,
    })
}
