//! A history: one JSON value a line.
//!
//! First a `house` for each sale, then an `op` for each attempt of a call, then a `final` for each
//! replica that was read at the end. Times are of one clock, in any unit. A retry is an attempt of its
//! own under the same key. Ids are hexadecimal.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    House(House),
    Op(Op),
    Final(Final),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct House {
    pub sale: u64,
    pub sections: Vec<SectionSize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionSize {
    Seats(u32),
    Capacity(u32),
}

/// One attempt of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub sale: u64,
    pub client: u32,
    /// The idempotency key; zero for reads.
    pub key: Id,
    pub call: Call,
    /// The seats that the caller chose, sorted and joined; none if the sale was to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Vec<Run>>,
    /// How long a hold lasts at least, if the caller knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    pub invoke: u64,
    /// None if no answer came.
    #[serde(rename = "return")]
    pub returned: Option<u64>,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    Place {
        hold: Id,
    },
    Extend {
        hold: Id,
    },
    Release {
        hold: Id,
    },
    Confirm {
        hold: Id,
        order: Id,
    },
    Cancel {
        order: Id,
    },
    Block,
    Unblock,
    /// Opens, pauses, resumes or closes the sale, or sets its rules.
    Govern,
    /// All seats; `stale` if the caller did not ask for the present state.
    Read {
        stale: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done(Done),
    Rejected(Rejected),
    Seen(Seen),
    /// Certainly without effect.
    Failed,
    /// It may have happened, or may still happen.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Of the log; 0 if the answer may have come with a later entry than the one that did it, because
    /// somebody on the way may have sent the call again.
    pub index: u64,
    pub revision: u64,
    /// Log time, if it can be known: a hold's deadline less the time it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// Of a hold that was placed or extended.
    #[serde(default)]
    pub deadline_ms: u64,
    pub runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// As in `Done`.
    pub index: u64,
    pub revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    SeatTaken {
        section: u16,
        seat: u32,
    },
    HoldInUse,
    HoldReleased,
    HoldExpired,
    HoldConfirmed,
    UnknownHold,
    OrderInUse,
    UnknownOrder,
    OrderCancelled,
    /// A reason that says nothing about seats, holds or orders.
    Other {
        name: String,
    },
}

/// What a read showed: every seat that is not free.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub index: u64,
    pub revision: u64,
    pub held: Vec<Run>,
    pub sold: Vec<Run>,
    pub blocked: Vec<Run>,
}

/// A replica's state after the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Final {
    pub sale: u64,
    pub replica: u32,
    pub now_ms: u64,
    pub seen: Seen,
    pub holds: Vec<FinalHold>,
    pub orders: Vec<FinalOrder>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalHold {
    pub hold: Id,
    pub deadline_ms: u64,
    pub runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalOrder {
    pub order: Id,
    pub paid: bool,
    pub runs: Vec<Run>,
}

/// Section, first seat, how many; for general admission the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run(pub u16, pub u32, pub u16);

/// A hold, an order or a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        struct Hexadecimal;
        impl serde::de::Visitor<'_> for Hexadecimal {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a hexadecimal number of up to 128 bits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
                u128::from_str_radix(text, 16).map(Id).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hexadecimal)
    }
}

/// Reads a history; the error names the line.
pub fn read(from: impl BufRead) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for (number, line) in from.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let record = serde_json::from_str(&line)
            .map_err(|error| io::Error::other(format!("line {}: {error}", number + 1)))?;
        records.push(record);
    }
    Ok(records)
}

pub fn write(records: &[Record], mut to: impl Write) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut to, record)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
