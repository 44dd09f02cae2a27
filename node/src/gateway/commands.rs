//! Which commands a batch brings and what became of them, for whoever counts calls by command. Reads
//! of a record its kind alone, and allocates only for batches of more than one command.

use std::sync::atomic::{AtomicUsize, Ordering};

use actors::calls::CallIds;
use actors::codec::record::{Records, kind};

use super::packed::Ending;

/// What a call asks for, as far as it is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Hold,
    /// The checkout.
    Confirm,
    Join,
    Other,
}

impl Command {
    pub const ALL: [Command; 4] = [
        Command::Hold,
        Command::Confirm,
        Command::Join,
        Command::Other,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Command::Hold => "hold",
            Command::Confirm => "confirm",
            Command::Join => "join",
            Command::Other => "other",
        }
    }

    /// Of a whole record.
    fn of(record: &[u8]) -> Command {
        match record.get(2) {
            Some(
                &(kind::PLACE_HOLD | kind::PLACE_HOLD_WITH_PASS | kind::PLACE_HOLD_WITH_TOKEN),
            ) => Command::Hold,
            Some(&kind::CONFIRM_HOLD) => Command::Confirm,
            Some(&kind::JOIN_ROOM) => Command::Join,
            _ => Command::Other,
        }
    }
}

/// The commands of a batch, in the sequence of its calls.
pub struct Commands {
    /// In the sequence of `Command::ALL`.
    counts: [u32; 4],
    each: Each,
}

enum Each {
    Alike(Command),
    /// Where answers were last found: they mostly come in the sequence of the calls.
    Own(Box<[Command]>, AtomicUsize),
}

impl Commands {
    pub fn of(records: &[u8], calls: usize) -> Commands {
        let mut counts = [0; 4];
        let mut commands = Records::new(records).map(Command::of);
        let Some(first) = commands.next() else {
            let each = Each::Alike(Command::Other);
            return Commands { counts, each };
        };
        let (mut alike, mut next) = (1, commands.next());
        while next == Some(first) {
            alike += 1;
            next = commands.next();
        }
        counts[first as usize] = alike;
        let Some(other) = next else {
            let each = Each::Alike(first);
            return Commands { counts, each };
        };
        let mut own = Vec::with_capacity(calls);
        own.resize(alike as usize, first);
        for command in std::iter::once(other).chain(commands) {
            counts[command as usize] += 1;
            own.push(command);
        }
        Commands {
            counts,
            each: Each::Own(own.into(), AtomicUsize::new(0)),
        }
    }

    /// In the sequence of `Command::ALL`.
    pub fn counts(&self) -> [u32; 4] {
        self.counts
    }

    /// The command of one of the calls; `call_ids` are those of the batch.
    pub fn find(&self, call_ids: &CallIds, call_id: u32) -> Command {
        let (own, next) = match &self.each {
            Each::Alike(command) => return *command,
            Each::Own(own, next) => (own, next),
        };
        let from = next.load(Ordering::Relaxed);
        let mut places = (from..own.len()).chain(0..from.min(own.len()));
        let place = places.find(|place| call_ids.get(*place) == Some(call_id));
        place.map_or(Command::Other, |place| {
            next.store(place + 1, Ordering::Relaxed);
            own[place]
        })
    }
}

/// How an answer is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Rejected,
    /// Without a decision of the sale.
    Undecided,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Done, Outcome::Rejected, Outcome::Undecided];

    pub fn label(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Rejected => "rejected",
            Outcome::Undecided => "undecided",
        }
    }
}

/// Answers of one batch, counted before they are told to the shared counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By command, then by outcome.
    answers: [[u32; 3]; 4],
}

impl Tally {
    pub fn add(&mut self, command: Command, ending: Ending) {
        let outcome = match ending {
            Ending::Done => Outcome::Done,
            Ending::Rejected | Ending::KeyExpired => Outcome::Rejected,
            Ending::Failed(_) | Ending::Unknown => Outcome::Undecided,
        };
        self.answers[command as usize][outcome as usize] += 1;
    }

    pub fn count(&self, command: Command, outcome: Outcome) -> u32 {
        self.answers[command as usize][outcome as usize]
    }

    /// Of a command, however they ended.
    pub fn of(&self, command: Command) -> u32 {
        self.answers[command as usize].iter().sum()
    }

    /// Of all commands, with one outcome.
    pub fn with(&self, outcome: Outcome) -> u32 {
        let counts = self.answers.iter();
        counts.map(|counts| counts[outcome as usize]).sum()
    }
}

#[cfg(test)]
mod tests {
    use actors::codec::record::{Header, put_header};
    use domain::ids::{ChannelId, IdempotencyKey, PartnerId};

    use super::*;

    fn records(kinds: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        for kind in kinds {
            let header = Header {
                kind: *kind,
                partner: PartnerId(1),
                channel: ChannelId(1),
                key: IdempotencyKey(1),
            };
            put_header(&mut records, header, 0).expect("fits");
        }
        records
    }

    #[test]
    fn a_batch_of_one_command_is_known_by_it() {
        let commands = Commands::of(&records(&[kind::CONFIRM_HOLD; 3]), 3);
        assert_eq!(commands.counts(), [0, 3, 0, 0]);
        assert!(matches!(commands.each, Each::Alike(Command::Confirm)));
        let nobody = CallIds::default();
        assert_eq!(commands.find(&nobody, 7), Command::Confirm);
    }

    #[test]
    fn answers_find_their_commands_in_any_sequence() {
        let kinds = [
            kind::PLACE_HOLD,
            kind::PLACE_HOLD_WITH_PASS,
            kind::JOIN_ROOM,
            kind::CONFIRM_HOLD,
            kind::CANCEL_ORDER,
        ];
        let commands = Commands::of(&records(&kinds), kinds.len());
        assert_eq!(commands.counts(), [2, 1, 1, 1]);
        let ids: CallIds = [50, 51, 52, 53, 54].into_iter().collect();
        for (call_id, command) in [
            (52, Command::Join),
            (53, Command::Confirm),
            (50, Command::Hold),
            (54, Command::Other),
            (51, Command::Hold),
            (99, Command::Other),
        ] {
            assert_eq!(commands.find(&ids, call_id), command, "{call_id}");
        }
    }
}
