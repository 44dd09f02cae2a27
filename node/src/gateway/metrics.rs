//! What the gateway counts: calls by door, command and how they ended, in steps of a batch, because a batch
//! is what it handles.

use std::time::Duration;

use domain::ids::ChannelId;
use prometheus::{
    IntCounter, IntGauge, Registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry, register_int_gauge_with_registry,
};

use super::channels::ChannelCalls;
use super::commands::{Command, Outcome, Tally};
use super::seconds::CallSeconds;

/// Through which door calls came to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One gRPC call each.
    Unary,
    /// A partner's session stream.
    Session,
    /// The HTTP API.
    Operator,
}

impl Entry {
    fn label(self) -> &'static str {
        match self {
            Entry::Unary => "unary",
            Entry::Session => "session",
            Entry::Operator => "operator",
        }
    }
}

/// How calls ended without a decision of their sale: unknown, and certain failures by their numbers.
const ENDINGS: [&str; 9] = [
    "unknown",
    "bad_request",
    "unknown_event",
    "busy",
    "no_leader",
    "deadline_passed",
    "sale_frozen",
    "forbidden",
    "disk_full",
];

/// What had no room for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The calls that a node may have under way.
    Calls,
    /// The bytes of them.
    Bytes,
    /// The link to the owner's node.
    Link,
    /// The owner's own queue, on whichever node.
    Owner,
}

impl Full {
    const ALL: [Full; 4] = [Full::Calls, Full::Bytes, Full::Link, Full::Owner];

    fn label(self) -> &'static str {
        match self {
            Full::Calls => "node_calls",
            Full::Bytes => "node_bytes",
            Full::Link => "link",
            Full::Owner => "owner_queue",
        }
    }
}

/// A door and a command, as they are told together. What operators ask for is told as one.
#[derive(Clone, Copy)]
struct Line(usize);

/// The lines of partners' doors come first, by command.
const LINES: [(Entry, Command); 9] = [
    (Entry::Unary, Command::Hold),
    (Entry::Unary, Command::Confirm),
    (Entry::Unary, Command::Join),
    (Entry::Unary, Command::Other),
    (Entry::Session, Command::Hold),
    (Entry::Session, Command::Confirm),
    (Entry::Session, Command::Join),
    (Entry::Session, Command::Other),
    (Entry::Operator, Command::Other),
];

impl Line {
    fn of(entry: Entry, command: Command) -> Line {
        let commands = Command::ALL.len();
        Line(match entry {
            Entry::Unary => command as usize,
            Entry::Session => commands + command as usize,
            Entry::Operator => 2 * commands,
        })
    }
}

/// Handles, made once from the node's registry.
pub struct GatewayMetrics {
    here: To,
    there: To,
    /// In the sequence of `Full::ALL`.
    busy_calls: [IntCounter; 4],
    repeated_calls: IntCounter,
    under_way: IntGauge,
    /// In the sequence of `LINES`.
    answer_seconds: CallSeconds,
    /// By line, then in the sequence of `Outcome::ALL`.
    answered_calls: [[IntCounter; 3]; LINES.len()],
    /// By line, then in the sequence of `ENDINGS`.
    undecided_calls: [[IntCounter; ENDINGS.len()]; LINES.len()],
    channels: ChannelCalls,
}

struct To {
    batches: IntCounter,
    /// In the sequence of `Command::ALL`.
    calls: [IntCounter; 4],
}

impl To {
    fn count(&self, calls: [u32; 4]) {
        self.batches.inc();
        for (counter, calls) in self.calls.iter().zip(calls) {
            if calls > 0 {
                counter.inc_by(calls.into());
            }
        }
    }
}

impl GatewayMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<GatewayMetrics> {
        let batches = register_int_counter_vec_with_registry!(
            "onsale_gateway_batches_total",
            "Batches of calls given to their sale's owner: here, or there on another node.",
            &["to"],
            registry
        )?;
        let calls = register_int_counter_vec_with_registry!(
            "onsale_gateway_calls_total",
            "Calls in those batches by command; those that went there were forwarded.",
            &["to", "command"],
            registry
        )?;
        let to = |owner: &str| To {
            batches: batches.with_label_values(&[owner]),
            calls: Command::ALL.map(|command| calls.with_label_values(&[owner, command.label()])),
        };
        let answered = register_int_counter_vec_with_registry!(
            "onsale_gateway_answered_calls_total",
            "Calls answered, by command and by how they ended: done, rejected by their sale, or undecided.",
            &["entry", "command", "outcome"],
            registry
        )?;
        let undecided = register_int_counter_vec_with_registry!(
            "onsale_gateway_undecided_calls_total",
            "Calls answered without a decision of their sale, by command and by how they ended.",
            &["entry", "command", "ending"],
            registry
        )?;
        let busy = register_int_counter_vec_with_registry!(
            "onsale_gateway_busy_calls_total",
            "Calls refused because something was full: this node, the link to the owner or the owner's queue.",
            &["bound"],
            registry
        )?;
        let answer_seconds = CallSeconds::new(
            registry,
            "onsale_gateway_answer_seconds",
            "From the taking of a batch of calls to the answer of each call, repeats included.",
            ["command", "entry"],
            LINES.map(|(entry, command)| [command.label(), entry.label()]),
        )?;
        Ok(GatewayMetrics {
            here: to("here"),
            there: to("there"),
            busy_calls: Full::ALL.map(|full| busy.with_label_values(&[full.label()])),
            repeated_calls: register_int_counter_with_registry!(
                "onsale_gateway_repeated_calls_total",
                "Calls sent again, for want of a leader or of an outcome.",
                registry
            )?,
            under_way: register_int_gauge_with_registry!(
                "onsale_gateway_calls_under_way",
                "Calls taken on this node and not yet answered.",
                registry
            )?,
            answer_seconds,
            answered_calls: LINES.map(|(entry, command)| {
                let (entry, command) = (entry.label(), command.label());
                Outcome::ALL
                    .map(|outcome| answered.with_label_values(&[entry, command, outcome.label()]))
            }),
            undecided_calls: LINES.map(|(entry, command)| {
                let (entry, command) = (entry.label(), command.label());
                ENDINGS.map(|ending| undecided.with_label_values(&[entry, command, ending]))
            }),
            channels: ChannelCalls::new(registry)?,
        })
    }

    pub(super) fn observe_taken(&self, calls: usize) {
        self.under_way.add(calls as i64);
    }

    /// Answers of one batch that came through `channel`; `None`: it is no partner's.
    pub(super) fn observe_answers(
        &self,
        entry: Entry,
        channel: Option<ChannelId>,
        tally: &Tally,
        took: Duration,
    ) {
        let mut all = 0;
        for command in Command::ALL {
            let calls = tally.of(command);
            if calls == 0 {
                continue;
            }
            all += calls;
            let Line(line) = Line::of(entry, command);
            self.answer_seconds.observe(line, calls, took);
            for outcome in Outcome::ALL {
                let calls = tally.count(command, outcome);
                if calls > 0 {
                    self.answered_calls[line][outcome as usize].inc_by(calls.into());
                }
            }
        }
        self.under_way.sub(all.into());
        if let Some(channel) = channel {
            self.channels.count(channel, tally);
        }
    }

    /// `failure`: the number of its reason; `None` where nobody knows whether it may still happen.
    pub(super) fn observe_undecided(
        &self,
        entry: Entry,
        command: Command,
        failure: Option<u16>,
        calls: u32,
    ) {
        let ending = failure.map_or(0, usize::from);
        let Line(line) = Line::of(entry, command);
        if let Some(counter) = self.undecided_calls[line].get(ending) {
            counter.inc_by(calls.into());
        }
    }

    /// By command, in the sequence of `Command::ALL`.
    pub(super) fn observe_here(&self, calls: [u32; 4]) {
        self.here.count(calls);
    }

    pub(super) fn observe_there(&self, calls: [u32; 4]) {
        self.there.count(calls);
    }

    pub(super) fn observe_busy(&self, full: Full, calls: usize) {
        self.busy_calls[full as usize].inc_by(calls as u64);
    }

    pub(super) fn observe_repeat(&self, calls: usize) {
        self.repeated_calls.inc_by(calls as u64);
    }
}

#[cfg(test)]
mod tests {
    use proto::channel::v1::FailureReason;

    use super::*;

    #[test]
    fn every_door_and_command_has_its_line() {
        for (at, (entry, command)) in LINES.into_iter().enumerate() {
            assert_eq!(Line::of(entry, command).0, at);
        }
        assert_eq!(Line::of(Entry::Operator, Command::Hold).0, LINES.len() - 1);
    }

    #[test]
    fn endings_have_the_names_of_their_failures() {
        for (number, ending) in (1..).zip(ENDINGS.iter().skip(1)) {
            let reason = FailureReason::try_from(number).expect("is a reason");
            let name = format!("FAILURE_REASON_{}", ending.to_uppercase());
            assert_eq!(reason.as_str_name(), name);
        }
        let next = i32::try_from(ENDINGS.len()).expect("few");
        assert!(FailureReason::try_from(next).is_err(), "a new reason");
    }
}
