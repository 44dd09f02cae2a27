//! What stands before a visitor who comes to a room: how often anybody may come, the partner's token,
//! and what comes like a bot. The same for a call alone and for one in a session.

use domain::ids::{PartnerId, SaleId, VisitorId};
use proto::channel::v1::JoinRequest;
use tokio::time::Instant;
use tonic_types::FieldViolation;

use crate::access::OverLimit;
use crate::access::challenge::Asked;
use crate::access::pass::Forged;
use crate::access::risk::{Comer, Verdict};
use crate::bugs::{Bug, planted};
use crate::grpc::Partners;
use crate::grpc::input::{self, Violations};

/// The class of those who come like bots: a lane of its own if the room has one, else everybody's.
const SLOW_CLASS: u32 = 255;

/// Why a visitor does not come in now; nothing was tried.
pub enum Obstacle {
    Malformed(Vec<FieldViolation>),
    UnknownEvent,
    OverLimit(OverLimit),
    Forged,
    /// Meet it, and join again.
    Challenge {
        challenge: String,
        hardness: u8,
    },
}

/// The one visitor a request names.
pub fn one(bytes: &[u8]) -> Result<VisitorId, Vec<FieldViolation>> {
    let mut violations = Violations::default();
    let visitor = violations.visitor("visitor", bytes);
    violations.none(visitor)
}

/// An address's or a device's hash as it is counted; what is too long for one is refused with the rest.
fn mark(hash: &[u8]) -> Option<u128> {
    let mut padded = [0; 16];
    padded.get_mut(..hash.len())?.copy_from_slice(hash);
    (!hash.is_empty()).then_some(u128::from_be_bytes(padded))
}

impl Partners {
    /// Lets a visitor go on to the sale, in the class that is theirs.
    pub fn let_join(&self, partner: PartnerId, message: &mut JoinRequest) -> Result<(), Obstacle> {
        let visitor = one(&message.visitor).map_err(Obstacle::Malformed)?;
        let event = SaleId(message.event_id);
        // Nothing is noted of who comes to what is no event.
        if !self.knows(event) {
            return Err(Obstacle::UnknownEvent);
        }
        let address = mark(&message.address_hash);
        self.joins
            .check(event, visitor, address)
            .map_err(Obstacle::OverLimit)?;
        let (keys, now_ms) = (self.pass_keys.as_ref(), self.wall.now_ms());
        input::enter(message, partner, keys, now_ms).map_err(|Forged| Obstacle::Forged)?;
        let comer = Comer {
            event,
            partner,
            visitor,
            address,
            device: mark(&message.device_hash),
            now: Instant::now(),
        };
        match self.risk.judge(&comer) {
            Verdict::Welcome => {}
            Verdict::Prove { hardness } => self.challenged(&comer, hardness, message)?,
            Verdict::Slow { hardness } => {
                self.challenged(&comer, hardness, message)?;
                if !planted(Bug::SlowIsWelcome) {
                    message.priority_class = SLOW_CLASS;
                }
            }
        }
        Ok(())
    }

    fn knows(&self, event: SaleId) -> bool {
        let whereabouts = &self.whereabouts;
        whereabouts.replica(event).is_some() || whereabouts.event(event).is_some()
    }

    /// Whether a challenge is met; else what it is.
    fn challenged(
        &self,
        comer: &Comer,
        hardness: u8,
        message: &JoinRequest,
    ) -> Result<(), Obstacle> {
        let keys = self.pass_keys.pass_keys();
        // Without a key there is no room either: the sale says so.
        let Some(key) = keys.first() else {
            return Ok(());
        };
        let now_ms = self.wall.now_ms();
        let mut secret = key.secret;
        if planted(Bug::ChallengeOfNode) {
            secret[0] ^= self.tracer.node_id() as u8;
        }
        let is_met = self.challenge.is_met(&Asked {
            secret: &secret,
            event: comer.event,
            visitor: comer.visitor,
            hardness,
            answer: &message.proof_of_work,
            now_ms,
        });
        if is_met {
            return Ok(());
        }
        let (event, visitor) = (comer.event, comer.visitor);
        let challenge = self.challenge.ask(&secret, event, visitor, now_ms);
        Err(Obstacle::Challenge {
            challenge,
            hardness,
        })
    }
}
