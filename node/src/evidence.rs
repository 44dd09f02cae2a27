//! The evidence of a lobby's shuffle as a file: what is published, signed, and how anybody computes it
//! anew. `onsale verify-queue` reads it; the cluster API writes it.
//!
//! A file is exactly the JSON that its content makes, so that no byte of it may differ; a signature by
//! the cluster's pass key binds what the shuffle does not prove, as why somebody was removed.

use std::fmt;

use actors::sale::Published;
use domain::ids::VisitorId;
use domain::room::shuffle::{self, Line, Misfit, Seed};
use domain::room::{Reason, Removal};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::access::pass::PassKey;

/// Hashes, seeds and keys are in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub content: Content,
    pub key_id: String,
    /// Ed25519, as `AdmissionService.ListPassKeys` tells it.
    pub public_key: String,
    /// Over the JSON of `content`.
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub event_id: u64,
    pub commitment: String,
    /// Over all who came before the lobby closed.
    pub lobby_root: String,
    pub lobby_len: u64,
    /// Of the lobby, by lane.
    pub lane_lens: Vec<u32>,
    /// Once the lobby was shuffled.
    pub seed: Option<String>,
    pub beacon: Option<String>,
    pub removals: Vec<Gone>,
    /// Everybody, in the sequence of coming; nobody before the lobby was shuffled.
    pub visitors: Vec<Came>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    pub number: u32,
    pub at_ms: u64,
    /// As the operator numbered it; `null`: they left.
    pub reason: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Came {
    pub visitor: String,
    pub lane: u8,
    pub place: u32,
    /// Tickets wanted together, where that is more than one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub party: u8,
    /// So much was left, too little for the party, when others were let in before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_with: Option<u8>,
    /// How many were let in before.
    pub released_as: Option<u64>,
}

fn one() -> u8 {
    1
}

fn is_one(party: &u8) -> bool {
    *party == 1
}

/// What a file shows that is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub event_id: u64,
    pub key_id: String,
    pub visitors: usize,
    pub lobby: u64,
    pub released: usize,
    pub removed: usize,
    pub has_beacon: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Untrue {
    #[error("this is no evidence of a queue: {0}")]
    Unreadable(String),
    #[error("the file was changed: it is not written as evidence is")]
    Rewritten,
    #[error("{field} is not {bytes} bytes in hexadecimal")]
    Hex { field: &'static str, bytes: usize },
    #[error("the signature is not that of key {key_id} over this content")]
    Signature { key_id: String },
    #[error("signed by key {found}, not by {expected}")]
    OtherKey { found: String, expected: String },
    #[error("{}", Told(.0))]
    Misfit(Misfit),
}

struct Told<'a>(&'a Misfit);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Misfit::SeedHidden => write!(f, "the lobby is not shuffled yet: the seed is secret"),
            Misfit::Commitment => write!(f, "the seed is not the one that was promised"),
            Misfit::Root => write!(f, "the list is not the one that was closed"),
            Misfit::LobbyLen => write!(f, "the list is shorter than the lobby was"),
            Misfit::LaneLen { lane } => write!(f, "lane {lane} had another length"),
            Misfit::Place { number, expected } => {
                write!(f, "visitor {number} belongs at place {expected}")
            }
            Misfit::Overtaken { number } => {
                write!(
                    f,
                    "visitor {number} was let in before somebody ahead of them"
                )
            }
            Misfit::PassedOver { number } => {
                write!(
                    f,
                    "visitor {number} was passed over although enough was left"
                )
            }
            Misfit::Removal { number } => {
                write!(f, "visitor {number} was removed twice, or never was there")
            }
        }
    }
}

impl Evidence {
    pub fn new(event_id: u64, published: &Published, key: &PassKey) -> Evidence {
        let shuffle::Evidence {
            commitment,
            lobby_root,
            lobby_len,
            lane_lens,
            seed,
            beacon,
            removals,
        } = &published.evidence;
        let content = Content {
            event_id,
            commitment: hex(commitment),
            lobby_root: hex(lobby_root),
            lobby_len: *lobby_len,
            lane_lens: lane_lens.clone(),
            seed: seed.map(|seed| hex(&seed.0)),
            beacon: beacon.as_ref().map(|beacon| hex(beacon)),
            removals: removals.iter().map(gone).collect(),
            visitors: published.lines.iter().map(came).collect(),
        };
        let signature = SigningKey::from_bytes(&key.secret).sign(&bytes(&content));
        Evidence {
            content,
            key_id: key.key_id.clone(),
            public_key: hex(&key.public),
            signature: hex(&signature.to_bytes()),
        }
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes(self)
    }

    /// Computes all anew. `key_id`, where given, is the key that must have signed.
    pub fn verify(file: &[u8], key_id: Option<&str>) -> Result<Verdict, Untrue> {
        let evidence: Evidence =
            serde_json::from_slice(file).map_err(|error| Untrue::Unreadable(error.to_string()))?;
        let written = file.strip_suffix(b"\n").unwrap_or(file);
        if evidence.to_bytes() != written {
            return Err(Untrue::Rewritten);
        }
        evidence.verify_signature(key_id)?;
        let Content {
            event_id,
            commitment,
            lobby_root,
            lobby_len,
            lane_lens,
            seed,
            beacon,
            removals,
            visitors,
        } = evidence.content;
        let lines: Vec<Line> = visitors.iter().map(line).collect::<Result<_, _>>()?;
        let published = shuffle::Evidence {
            commitment: unhex("commitment", &commitment)?,
            lobby_root: unhex("lobby_root", &lobby_root)?,
            lobby_len,
            lane_lens,
            seed: match seed {
                Some(seed) => Some(Seed(unhex("seed", &seed)?)),
                None => None,
            },
            beacon: match &beacon {
                Some(beacon) => Some(unhex("beacon", beacon)?),
                None => None,
            },
            removals: removals.iter().map(removal).collect(),
        };
        shuffle::verify(&published, &lines).map_err(Untrue::Misfit)?;
        Ok(Verdict {
            event_id,
            key_id: evidence.key_id,
            visitors: lines.len(),
            lobby: lobby_len,
            released: lines
                .iter()
                .filter(|line| line.released_as.is_some())
                .count(),
            removed: removals.len(),
            has_beacon: beacon.is_some(),
        })
    }

    fn verify_signature(&self, expected: Option<&str>) -> Result<(), Untrue> {
        let Evidence {
            content,
            key_id,
            public_key,
            signature,
        } = self;
        let public: [u8; 32] = unhex("public_key", public_key)?;
        let signature: [u8; 64] = unhex("signature", signature)?;
        let found = crate::access::pass::key_id_of(&public);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Untrue::OtherKey {
                found,
                expected: expected.to_owned(),
            });
        }
        let is_signed = VerifyingKey::from_bytes(&public).is_ok_and(|key| {
            key.verify_strict(&bytes(content), &Signature::from_bytes(&signature))
                .is_ok()
        });
        match is_signed && found == *key_id {
            true => Ok(()),
            false => Err(Untrue::Signature {
                key_id: key_id.clone(),
            }),
        }
    }
}

fn gone(removal: &Removal) -> Gone {
    Gone {
        number: removal.number,
        at_ms: removal.at_ms,
        reason: match removal.reason {
            Reason::Left => None,
            Reason::Rule(rule) => Some(rule),
        },
    }
}

fn removal(gone: &Gone) -> Removal {
    Removal {
        number: gone.number,
        at_ms: gone.at_ms,
        reason: gone.reason.map_or(Reason::Left, Reason::Rule),
    }
}

fn came(line: &Line) -> Came {
    Came {
        visitor: format!("{:032x}", line.visitor.0),
        lane: line.lane,
        place: line.place,
        party: line.party,
        passed_with: line.passed_with,
        released_as: line.released_as,
    }
}

fn line(came: &Came) -> Result<Line, Untrue> {
    let visitor: [u8; 16] = unhex("visitor", &came.visitor)?;
    Ok(Line {
        visitor: VisitorId(u128::from_be_bytes(visitor)),
        lane: came.lane,
        place: came.place,
        party: came.party,
        passed_with: came.passed_with,
        released_as: came.released_as,
    })
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Numbers, texts and lists: nothing that JSON has no words for.
    serde_json::to_vec(value).unwrap_or_default()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], Untrue> {
    let wrong = || Untrue::Hex { field, bytes: N };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digits = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use domain::ids::{ChannelId, PartnerId};
    use domain::room::pace::Ceilings;
    use domain::room::{Arrival, LaneRules, Plan, Room};

    use super::*;

    fn file() -> Vec<u8> {
        let everybodys = LaneRules {
            channel: None,
            class: None,
            weight: 1,
        };
        let plan = Plan {
            lobby_at_ms: 0,
            open_at_ms: 1_000,
            seed: Seed([7; 32]),
            waits_for_beacon: true,
            pass_life_ms: 600_000,
            pass_tickets: 4,
            ceilings: Ceilings::default(),
            lanes: vec![everybodys],
        };
        let mut room = Room::new(1, plan).unwrap();
        for visitor in 1..=20 {
            let arrival = Arrival {
                visitor: VisitorId(visitor),
                partner: PartnerId(1),
                channel: ChannelId(1),
                class: 0,
                party: 1 + (visitor % 4) as u8,
            };
            room.join(&arrival, 10).unwrap();
        }
        room.remove(VisitorId(3), 42, 20).unwrap();
        room.pass_time(1_000);
        room.set_beacon([9; 32]).unwrap();
        room.release(5, 2, 1_001, |_| {});
        let published = Published {
            evidence: room.evidence(),
            lines: room.lines(),
        };
        Evidence::new(4_711, &published, &PassKey::new([1; 32], 0)).to_bytes()
    }

    #[test]
    fn true_as_it_was_published_and_false_after_any_change() {
        let good = file();
        let verdict = Evidence::verify(&good, None).unwrap();
        assert_eq!(
            (
                verdict.visitors,
                verdict.lobby,
                verdict.released,
                verdict.removed
            ),
            (20, 20, 5, 1)
        );
        let key_id = verdict.key_id.as_str();
        assert!(Evidence::verify(&good, Some(key_id)).is_ok());
        assert!(Evidence::verify(&good, Some("0000000000000000")).is_err());
        for at in 0..good.len() {
            for bit in [0, 1, 4] {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                let told = Evidence::verify(&changed, None);
                assert!(told.is_err(), "byte {at}: {told:?}");
            }
            assert!(Evidence::verify(&good[..at], None).is_err());
        }
    }

    /// Whoever has the key and signs anew is still found out by the shuffle itself.
    #[test]
    fn a_new_signature_does_not_make_another_sequence_true() {
        let key = PassKey::new([1; 32], 0);
        let evidence: Evidence = serde_json::from_slice(&file()).unwrap();
        let again = |change: &dyn Fn(&mut Content)| {
            let mut evidence = evidence.clone();
            change(&mut evidence.content);
            let signed = SigningKey::from_bytes(&key.secret).sign(&bytes(&evidence.content));
            evidence.signature = hex(&signed.to_bytes());
            Evidence::verify(&evidence.to_bytes(), None)
        };
        assert!(again(&|_| {}).is_ok());
        let misfits = [
            again(&|content| content.visitors.swap(0, 1)),
            again(&|content| content.visitors[5].place ^= 1),
            again(&|content| content.visitors[7].visitor.replace_range(31.., "f")),
            again(&|content| content.seed = Some("00".repeat(32))),
            again(&|content| content.beacon = None),
            again(&|content| content.removals.clear()),
            again(&|content| content.lobby_len -= 1),
            again(&|content| {
                let waits = content.visitors.iter_mut();
                let last = waits.filter(|came| came.released_as.is_none());
                last.max_by_key(|came| came.place).unwrap().released_as = Some(5);
            }),
        ];
        for (change, told) in misfits.into_iter().enumerate() {
            assert!(matches!(told, Err(Untrue::Misfit(_))), "{change}: {told:?}");
        }
    }
}
