//! What a suspect is asked for before joining: a port, and proof of work as the reference. A CAPTCHA
//! service would stand here too: `ask` would give its address, `is_met` ask it about the answer.

use domain::ids::{SaleId, VisitorId};
use sha2::{Digest as _, Sha256};

use crate::bugs::{Bug, planted};

/// A challenge is the same on every node and needs no memory.
pub trait Challenge: Send + Sync + 'static {
    /// What to give to the visitor; `secret` is the cluster's.
    fn ask(&self, secret: &[u8; 32], event: SaleId, visitor: VisitorId, now_ms: u64) -> String;

    /// Whether the answer is one to what was asked a moment ago.
    fn is_met(&self, asked: &Asked<'_>) -> bool;
}

/// An answer and what it must fit.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub secret: &'a [u8; 32],
    pub event: SaleId,
    pub visitor: VisitorId,
    pub hardness: u8,
    pub answer: &'a [u8],
    pub now_ms: u64,
}

/// Find bytes whose hash begins with zero bits: `SHA-256(challenge ‖ visitor ‖ answer)`.
pub struct ProofOfWork;

/// A challenge is good in its own ten minutes and the next.
const SLOT_MS: u64 = 600_000;

impl ProofOfWork {
    fn challenge(secret: &[u8; 32], event: SaleId, visitor: VisitorId, slot: u64) -> String {
        let hash = Sha256::new()
            .chain_update(b"onsale challenge")
            .chain_update(secret)
            .chain_update(event.0.to_be_bytes())
            .chain_update(visitor.0.to_be_bytes())
            .chain_update(slot.to_be_bytes())
            .finalize();
        crate::evidence::hex(&hash[..16])
    }

    /// Zero bits that an answer's hash begins with.
    pub fn zero_bits(challenge: &str, visitor: VisitorId, answer: &[u8]) -> u32 {
        let hash = Sha256::new()
            .chain_update(challenge)
            .chain_update(visitor.0.to_be_bytes())
            .chain_update(answer)
            .finalize();
        let mut bits = 0;
        for byte in hash {
            bits += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        bits
    }
}

impl Challenge for ProofOfWork {
    fn ask(&self, secret: &[u8; 32], event: SaleId, visitor: VisitorId, now_ms: u64) -> String {
        ProofOfWork::challenge(secret, event, visitor, now_ms / SLOT_MS)
    }

    fn is_met(&self, asked: &Asked<'_>) -> bool {
        let Asked {
            secret,
            event,
            visitor,
            hardness,
            answer,
            now_ms,
        } = *asked;
        let slot = now_ms / SLOT_MS;
        if planted(Bug::AnswerUnchecked) {
            return !answer.is_empty();
        }
        !answer.is_empty()
            && [slot, slot.saturating_sub(1)].into_iter().any(|slot| {
                let challenge = ProofOfWork::challenge(secret, event, visitor, slot);
                ProofOfWork::zero_bits(&challenge, visitor, answer) >= u32::from(hardness)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_for_its_visitor_event_and_time() {
        let (secret, event, visitor) = ([7; 32], SaleId(1), VisitorId(9));
        let challenge = ProofOfWork.ask(&secret, event, visitor, SLOT_MS);
        let answer = (0_u32..)
            .map(u32::to_be_bytes)
            .find(|answer| ProofOfWork::zero_bits(&challenge, visitor, answer) >= 10)
            .unwrap();
        let asked = Asked {
            secret: &secret,
            event,
            visitor,
            hardness: 10,
            answer: &answer,
            now_ms: SLOT_MS,
        };
        assert!(ProofOfWork.is_met(&asked));
        let next = Asked {
            now_ms: 3 * SLOT_MS - 1,
            ..asked
        };
        assert!(ProofOfWork.is_met(&next));
        let wrong = [
            Asked {
                now_ms: 3 * SLOT_MS,
                ..asked
            },
            Asked {
                visitor: VisitorId(10),
                ..asked
            },
            Asked {
                event: SaleId(2),
                ..asked
            },
            Asked {
                hardness: 40,
                ..asked
            },
            Asked {
                answer: b"",
                ..asked
            },
        ];
        assert!(wrong.iter().all(|wrong| !ProofOfWork.is_met(wrong)));
    }
}
