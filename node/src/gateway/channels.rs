//! What calls through each channel came to. Channels are numbered by operators, so there is no end to
//! them: the first that call have counters of their own, the rest have some together. All calls of a
//! batch come through one channel.

use std::sync::OnceLock;

use domain::ids::ChannelId;
use prometheus::{IntCounter, IntCounterVec, Registry, register_int_counter_vec_with_registry};

use super::commands::{Command, Outcome, Tally};
use crate::observe::{CHANNELS_MAX, OTHER_CHANNELS};

const OUTCOMES: [&str; 3] = ["placed", "refused", "ordered"];

pub struct ChannelCalls {
    calls: IntCounterVec,
    /// In the sequence in which they first called.
    own: [OnceLock<Own>; CHANNELS_MAX],
    others: [IntCounter; 3],
}

struct Own {
    channel: ChannelId,
    counters: [IntCounter; 3],
}

impl ChannelCalls {
    pub fn new(registry: &Registry) -> prometheus::Result<ChannelCalls> {
        let calls = register_int_counter_vec_with_registry!(
            "onsale_gateway_channel_calls_total",
            "Holds placed, calls refused by their sale and holds ordered, by channel; beyond 32 channels as other.",
            &["channel", "outcome"],
            registry
        )?;
        Ok(ChannelCalls {
            others: counters(&calls, OTHER_CHANNELS),
            calls,
            own: Default::default(),
        })
    }

    pub fn count(&self, channel: ChannelId, tally: &Tally) {
        let counts = [
            tally.count(Command::Hold, Outcome::Done),
            tally.with(Outcome::Rejected),
            tally.count(Command::Confirm, Outcome::Done),
        ];
        if counts == [0; 3] {
            return;
        }
        for (counter, by) in self.of(channel).iter().zip(counts) {
            if by > 0 {
                counter.inc_by(by.into());
            }
        }
    }

    fn of(&self, channel: ChannelId) -> &[IntCounter; 3] {
        let own = || Own {
            channel,
            counters: counters(&self.calls, &channel.0.to_string()),
        };
        let known = self.own.iter().map(|slot| slot.get_or_init(own));
        let mut of = known.filter(|slot| slot.channel == channel);
        of.next().map_or(&self.others, |own| &own.counters)
    }
}

fn counters(calls: &IntCounterVec, channel: &str) -> [IntCounter; 3] {
    OUTCOMES.map(|outcome| calls.with_label_values(&[channel, outcome]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::packed::Ending;

    #[test]
    fn many_channels_are_few_series() {
        let registry = Registry::new();
        let calls = ChannelCalls::new(&registry).expect("registers");
        let mut tally = Tally::default();
        tally.add(Command::Hold, Ending::Done);
        tally.add(Command::Hold, Ending::Rejected);
        tally.add(Command::Confirm, Ending::Done);
        tally.add(Command::Confirm, Ending::Unknown);
        for channel in (0..1000).chain([7, 7]) {
            calls.count(ChannelId(channel), &tally);
        }
        let told = registry.gather();
        let told = told[0].get_metric();
        assert_eq!(told.len(), OUTCOMES.len() * (CHANNELS_MAX + 1));
        let all: f64 = told.iter().map(|one| one.get_counter().get_value()).sum();
        assert_eq!(all, 3.0 * 1002.0);
        assert_eq!(
            calls.of(ChannelId(7)).each_ref().map(IntCounter::get),
            [3; 3]
        );
        assert_eq!(calls.others[2].get(), 1000 - CHANNELS_MAX as u64);
    }
}
