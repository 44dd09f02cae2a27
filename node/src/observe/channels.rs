//! Seats by channel over all sales a node leads. Channels are numbered by operators, so there is no end to
//! them: the first that are seen have a series of their own, the rest have one together.

use std::collections::BTreeMap;

use domain::ids::ChannelId;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// Channels with a series of their own.
pub const CHANNELS_MAX: usize = 32;
/// The label of the rest.
pub const OTHER_CHANNELS: &str = "other";

pub struct ChannelMetrics {
    seats: IntGaugeVec,
    told: BTreeMap<ChannelId, IntGauge>,
}

impl ChannelMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<ChannelMetrics> {
        let seats = IntGaugeVec::new(
            Opts::new(
                "onsale_sale_channel_seats",
                "Seats held and sold by channel in sales this node leads; beyond 32 channels as other.",
            ),
            &["channel"],
        )?;
        registry.register(Box::new(seats.clone()))?;
        Ok(ChannelMetrics {
            seats,
            told: BTreeMap::new(),
        })
    }

    pub fn tell(&mut self, now: &BTreeMap<ChannelId, u64>) {
        for gauge in self.told.values() {
            gauge.set(0);
        }
        let mut others = 0_u64;
        for (channel, seats) in now {
            let has_room = self.told.len() < CHANNELS_MAX;
            if !self.told.contains_key(channel) && has_room {
                let label = channel.0.to_string();
                let gauge = self.seats.with_label_values(&[label.as_str()]);
                self.told.insert(*channel, gauge);
            }
            match self.told.get(channel) {
                Some(gauge) => gauge.set(i64::try_from(*seats).unwrap_or(i64::MAX)),
                None => others += seats,
            }
        }
        if others > 0 || self.told.len() == CHANNELS_MAX {
            let others = i64::try_from(others).unwrap_or(i64::MAX);
            self.seats.with_label_values(&[OTHER_CHANNELS]).set(others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_channels_are_few_series() {
        let registry = Registry::new();
        let mut metrics = ChannelMetrics::new(&registry).expect("registers");
        let seats = |channels: std::ops::Range<u16>| -> BTreeMap<ChannelId, u64> {
            channels.map(|channel| (ChannelId(channel), 2)).collect()
        };
        metrics.tell(&seats(7..8));
        metrics.tell(&seats(100..1000));
        let families = registry.gather();
        let told: BTreeMap<String, i64> = families[0]
            .get_metric()
            .iter()
            .map(|metric| {
                let label = metric.get_label()[0].value().to_owned();
                (label, metric.get_gauge().get_value() as i64)
            })
            .collect();
        assert_eq!(told.len(), CHANNELS_MAX + 1);
        assert_eq!(told["7"], 0, "sells nothing any more");
        assert_eq!(told["100"], 2);
        assert_eq!(told.values().sum::<i64>(), 1800);
    }
}
