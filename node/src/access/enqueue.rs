//! Who may join a waiting room: everybody, or those whom a partner sends with an enqueue token, a JSON
//! web token signed by a key that the operator trusts for that. What is asked of a join is decided
//! here, before the log; the partners' services ask for each.

use domain::ids::{PartnerId, SaleId, VisitorId};
use serde::Deserialize;

use super::pass::{self, Forged, PassKeys, Purpose};

/// What stands before an event's room for the visitors of one partner.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    event: SaleId,
    /// Signs the tokens that are asked for; `None`: none are.
    key: Option<[u8; 32]>,
}

/// What an enqueue token must say; it may say more.
#[derive(Deserialize)]
struct Said {
    evt: u64,
    sub: String,
    exp: u64,
    /// The priority class, instead of what the join says.
    cls: Option<u8>,
}

impl Gate {
    pub fn of(keys: &dyn PassKeys, event: SaleId, partner: PartnerId) -> Gate {
        Gate {
            event,
            key: keys.key_for(Purpose::Enqueue, event, partner),
        }
    }

    /// Whether nobody comes in without a token.
    pub fn asks(&self) -> bool {
        self.key.is_some()
    }

    /// The class a visitor joins in. No token is an empty one; a token is never looked past, so that
    /// nobody joins in another class than was signed.
    pub fn enter(
        &self,
        visitor: VisitorId,
        token: &str,
        class: u32,
        now_ms: u64,
    ) -> Result<u32, Forged> {
        match self.key {
            None if token.is_empty() => Ok(class),
            None => Err(Forged),
            Some(key) => {
                let said: Said = pass::stated(&key, token.as_bytes()).ok_or(Forged)?;
                let Said { evt, sub, exp, cls } = said;
                let fits = pass::is_of(evt, &sub, self.event, visitor);
                match fits && exp.saturating_mul(1000) > now_ms {
                    true => Ok(cls.map_or(class, u32::from)),
                    false => Err(Forged),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::super::pass::{NoPassKeys, PassKey, Trust, read_token};
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;
    const EVENT: SaleId = SaleId(7);
    const PARTNER: PartnerId = PartnerId(3);
    const VISITOR: VisitorId = VisitorId(9);

    fn signer(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn token(by: &SigningKey, alg: &str, body: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
        let signature = URL_SAFE_NO_PAD.encode(by.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    }

    fn body(evt: u64, sub: u128, exp: u64, more: &str) -> String {
        format!(r#"{{"evt":{evt},"sub":"{sub:032x}","exp":{exp}{more}}}"#)
    }

    fn good(more: &str) -> String {
        let exp = NOW_MS / 1000 + 60;
        token(&signer(5), "EdDSA", &body(7, 9, exp, more))
    }

    struct Trusting(Trust);

    impl PassKeys for Trusting {
        fn pass_keys(&self) -> Vec<PassKey> {
            Vec::new()
        }

        fn trust(&self, event: SaleId, partner: PartnerId) -> Option<Trust> {
            ((event, partner) == (EVENT, PARTNER)).then_some(self.0)
        }
    }

    fn trusting(purpose: Purpose) -> Trusting {
        let key = signer(5).verifying_key().to_bytes();
        Trusting(Trust { key, purpose })
    }

    fn gate() -> Gate {
        Gate::of(&trusting(Purpose::Enqueue), EVENT, PARTNER)
    }

    #[test]
    fn a_token_lets_its_visitor_in_and_may_name_the_class() {
        let gate = gate();
        assert!(gate.asks());
        let enter = |token: &str| gate.enter(VISITOR, token, 2, NOW_MS);
        assert_eq!(enter(&good("")), Ok(2));
        assert_eq!(enter(&good(r#","cls":8,"iss":"club""#)), Ok(8));
        assert_eq!(enter(&good(r#","cls":0"#)), Ok(0));
        let too_large = enter(&good(r#","cls":256"#));
        assert_eq!(too_large, Err(Forged));
    }

    #[test]
    fn nobody_else_comes_in() {
        let gate = gate();
        let enter = |token: &str| gate.enter(VISITOR, token, 0, NOW_MS);
        let exp = NOW_MS / 1000 + 60;
        let own = signer(5);
        let wrong = [
            String::new(),
            "no token".into(),
            token(&signer(6), "EdDSA", &body(7, 9, exp, "")),
            token(&own, "none", &body(7, 9, exp, "")),
            token(&own, "EdDSA", &body(8, 9, exp, "")),
            token(&own, "EdDSA", &body(7, 10, exp, "")),
            token(&own, "EdDSA", &body(7, 9, NOW_MS / 1000, "")),
            token(&own, "EdDSA", "{}"),
        ];
        for token in &wrong {
            assert_eq!(enter(token), Err(Forged), "{token}");
        }
        let good = good("");
        assert_eq!(enter(&good), Ok(0));
        let later = gate.enter(VISITOR, &good, 0, exp * 1000);
        assert_eq!(later, Err(Forged), "it ends when it says");
        for at in 0..good.len() {
            assert_eq!(enter(&good[..at]), Err(Forged));
            let mut flipped = good.clone().into_bytes();
            flipped[at] ^= 1;
            let flipped = String::from_utf8(flipped).expect("ASCII");
            assert_eq!(enter(&flipped), Err(Forged), "{flipped}");
        }
    }

    /// A key is for what it is trusted with and for nothing else.
    #[test]
    fn a_token_of_a_key_for_something_else_is_none() {
        let token = good("");
        let room = trusting(Purpose::Room);
        let gate = Gate::of(&room, EVENT, PARTNER);
        assert!(!gate.asks());
        assert_eq!(gate.enter(VISITOR, "", 1, NOW_MS), Ok(1));
        assert_eq!(gate.enter(VISITOR, &token, 1, NOW_MS), Err(Forged));
        let key = room.key_for(Purpose::Room, EVENT, PARTNER).expect("is one");
        assert!(read_token(&key, token.as_bytes(), EVENT, VISITOR).is_ok());
        let enqueue = trusting(Purpose::Enqueue);
        assert_eq!(enqueue.key_for(Purpose::Room, EVENT, PARTNER), None);
        let elsewhere = [
            Gate::of(&enqueue, SaleId(8), PARTNER),
            Gate::of(&enqueue, EVENT, PartnerId(4)),
            Gate::of(&NoPassKeys, EVENT, PARTNER),
        ];
        for gate in elsewhere {
            assert!(!gate.asks());
            assert_eq!(gate.enter(VISITOR, "", 1, NOW_MS), Ok(1));
            assert_eq!(gate.enter(VISITOR, &token, 1, NOW_MS), Err(Forged));
        }
    }
}
