//! The kinds of fault of layer 1, and how often each happened.

use serde_json::{Map, Value};

macro_rules! faults {
    ($($(#[$doc:meta])* $kind:ident => $name:literal,)*) => {
        /// What can go wrong around the pure domain.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $kind,)* }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Fault::$kind,)*];

            pub fn name(self) -> &'static str {
                match self { $(Fault::$kind => $name,)* }
            }
        }
    };
}

faults! {
    /// A replica loses its memory and replays from its last snapshot.
    CrashToSnapshot => "crash_to_snapshot",
    /// A replica loses memory and snapshot and replays the whole log.
    CrashToNothing => "crash_to_nothing",
    Snapshot => "snapshot",
    /// A replica far behind gets the state of another.
    SnapshotInstalled => "snapshot_installed",
    /// A replica falls behind the log.
    Lag => "lag",
    /// Another node leads in a new term, by its own clock.
    LeaderChange => "leader_change",
    ClockJumpForward => "clock_jump_forward",
    ClockJumpBack => "clock_jump_back",
    /// A leader's stamps jump to and fro.
    ClockStrobe => "clock_strobe",
    /// Nobody asks for longer than the table of keys remembers.
    Night => "night",
    /// Committed, but the caller is not told.
    AnswerLost => "answer_lost",
    /// Never committed, and the caller is not told.
    ProposalDiscarded => "proposal_discarded",
    /// A call comes twice with the same key.
    DuplicateCallback => "duplicate_callback",
    /// A call comes after the hold's deadline.
    LateCallback => "late_callback",
    /// What belongs after another call comes before it.
    ReorderedCallback => "reordered_callback",
    /// A call comes again a day later.
    OldKey => "old_key",
    /// Another request under a key that was used.
    KeyReused => "key_reused",
    KeyMissing => "key_missing",
    KeyFromFuture => "key_from_future",
}

/// How often each kind happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Counts {
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub fn add(&mut self, other: &Counts) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// Kinds that never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        let kinds = Fault::ALL.iter().filter(|fault| self.of(**fault) == 0);
        kinds.map(|fault| fault.name()).collect()
    }

    pub fn to_json(self) -> Value {
        let pairs = Fault::ALL
            .iter()
            .map(|fault| (fault.name().to_owned(), self.of(*fault).into()));
        Value::Object(pairs.collect::<Map<String, Value>>())
    }
}
