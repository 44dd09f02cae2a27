//! Passes: what a visitor who was let in shows with a hold. A JSON web token (RFC 7519) in the compact
//! form of RFC 7515, signed with EdDSA over Ed25519 (RFC 8037) and nothing else, so that no header can
//! talk the check into a weaker one.
//!
//! A pass says who was let in; what is left of it, and whether its time is over, the sale knows and
//! decides by log time. So a retry after the end still gets its first answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{ChannelId, PartnerId, SaleId, VisitorId};
use domain::room::Token;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

/// Longer ones are not looked at.
pub const PASS_LEN_MAX: usize = 1024;

/// A new key signs only after this, so that every node knows it when its first pass is shown.
const KNOWN_EVERYWHERE_MS: u64 = 5_000;

/// What a pass says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    pub event: SaleId,
    pub visitor: VisitorId,
    pub partner: PartnerId,
    pub channel: ChannelId,
    pub tickets: u16,
    pub from_ms: u64,
    pub ends_ms: u64,
    /// The visitor's number in the room: with the event, what the pass is one of its kind by.
    pub number: u32,
}

/// A key that signs, or once signed.
#[derive(Clone)]
pub struct PassKey {
    pub key_id: String,
    pub secret: [u8; 32],
    pub public: [u8; 32],
    pub made_at_ms: u64,
}

impl PassKey {
    pub fn new(secret: [u8; 32], made_at_ms: u64) -> PassKey {
        let public = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
        PassKey {
            key_id: key_id_of(&public),
            secret,
            public,
            made_at_ms,
        }
    }
}

/// A key is named by its first bytes.
pub fn key_id_of(public: &[u8; 32]) -> String {
    let bytes = public.iter().take(8).map(|byte| format!("{byte:02x}"));
    bytes.collect()
}

/// The keys there are at this moment, in the sequence of being made.
pub trait PassKeys: Send + Sync + 'static {
    fn pass_keys(&self) -> Vec<PassKey>;
    /// The partner's key that is trusted for the event.
    fn trust(&self, event: SaleId, partner: PartnerId) -> Option<Trust>;

    /// The same, when it is trusted for this.
    fn key_for(&self, purpose: Purpose, event: SaleId, partner: PartnerId) -> Option<[u8; 32]> {
        let trust = self.trust(event, partner)?;
        (trust.purpose == purpose).then_some(trust.key)
    }
}

/// A partner's key that is trusted for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Ed25519.
    pub key: [u8; 32],
    pub purpose: Purpose,
}

/// What tokens of a partner's key are taken for, and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// As passes, of a waiting room that the partner runs for the event.
    Room,
    /// To join the waiting room here.
    Enqueue,
}

/// Of a node that has none.
pub struct NoPassKeys;

impl PassKeys for NoPassKeys {
    fn pass_keys(&self) -> Vec<PassKey> {
        Vec::new()
    }

    fn trust(&self, _: SaleId, _: PartnerId) -> Option<Trust> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pass is not valid here")]
pub struct Forged;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    evt: u64,
    sub: String,
    ptr: u32,
    chn: u16,
    max: u16,
    nbf: u64,
    exp: u64,
    jti: String,
}

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "JWT";

/// Signs with the newest key that every node knows by now; `None` while there is none.
pub fn sign(keys: &[PassKey], claims: &Claims, now_ms: u64) -> Option<String> {
    let known = |key: &&PassKey| key.made_at_ms.saturating_add(KNOWN_EVERYWHERE_MS) <= now_ms;
    let key = keys.iter().rev().find(known).or(keys.first())?;
    let header = Header {
        alg: ALGORITHM,
        kid: &key.key_id,
        typ: TYPE,
    };
    let Claims {
        event,
        visitor,
        partner,
        channel,
        tickets,
        from_ms,
        ends_ms,
        number,
    } = *claims;
    let body = Body {
        evt: event.0,
        sub: format!("{:032x}", visitor.0),
        ptr: partner.0,
        chn: channel.0,
        max: tickets,
        nbf: from_ms / 1000,
        exp: ends_ms.div_ceil(1000),
        jti: format!("{:x}-{number:x}", event.0),
    };
    let mut text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).ok()?);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&body).ok()?, &mut text);
    let signature = SigningKey::from_bytes(&key.secret).sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut text);
    Some(text)
}

/// Whether a pass was signed here for this visitor of this partner at this event.
pub fn check(
    keys: &[PassKey],
    pass: &[u8],
    event: SaleId,
    visitor: VisitorId,
    partner: PartnerId,
    channel: ChannelId,
) -> Result<(), Forged> {
    let body = verify(keys, pass).ok_or(Forged)?;
    let sub = format!("{:032x}", visitor.0);
    let fits = body.sub.as_bytes().ct_eq(sub.as_bytes())
        & body.evt.ct_eq(&event.0)
        & body.ptr.ct_eq(&partner.0)
        & body.chn.ct_eq(&channel.0);
    bool::from(fits).then_some(()).ok_or(Forged)
}

fn verify(keys: &[PassKey], pass: &[u8]) -> Option<Body> {
    let parts = Parts::of(pass)?;
    let Header { alg, kid, typ } = serde_json::from_slice(&parts.header).ok()?;
    if alg != ALGORITHM || typ != TYPE {
        return None;
    }
    let key = keys.iter().find(|key| key.key_id == kid)?;
    serde_json::from_slice(&parts.body_signed_by(&key.public)?).ok()
}

/// A token in its three parts.
struct Parts<'a> {
    header: Vec<u8>,
    body: &'a str,
    signed: &'a str,
    signature: Signature,
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Option<Parts<'a>> {
        if token.len() > PASS_LEN_MAX {
            return None;
        }
        let text = std::str::from_utf8(token).ok()?;
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, body) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Parts {
            header: URL_SAFE_NO_PAD.decode(header).ok()?,
            body,
            signed,
            signature: Signature::from_slice(&signature).ok()?,
        })
    }

    fn body_signed_by(&self, public: &[u8; 32]) -> Option<Vec<u8>> {
        VerifyingKey::from_bytes(public)
            .ok()?
            .verify_strict(self.signed.as_bytes(), &self.signature)
            .ok()?;
        URL_SAFE_NO_PAD.decode(self.body).ok()
    }
}

/// What a token of a partner's own room must say; it may say more.
#[derive(Deserialize)]
struct Stated {
    evt: u64,
    sub: String,
    exp: u64,
    #[serde(default = "one")]
    max: u16,
}

#[derive(Deserialize)]
struct StatedHeader<'a> {
    alg: &'a str,
}

fn one() -> u16 {
    1
}

/// What a token that a partner's own room signed says of a visitor at this event.
pub fn read_token(
    key: &[u8; 32],
    token: &[u8],
    event: SaleId,
    visitor: VisitorId,
) -> Result<Token, Forged> {
    let Stated { evt, sub, exp, max } = stated(key, token).ok_or(Forged)?;
    match is_of(evt, &sub, event, visitor) {
        true => Ok(Token {
            ends_ms: exp.saturating_mul(1000),
            tickets: max,
        }),
        false => Err(Forged),
    }
}

/// What a token says that somebody else signed with this key.
pub(super) fn stated<T: DeserializeOwned>(key: &[u8; 32], token: &[u8]) -> Option<T> {
    let parts = Parts::of(token)?;
    let StatedHeader { alg } = serde_json::from_slice(&parts.header).ok()?;
    if alg != ALGORITHM {
        return None;
    }
    serde_json::from_slice(&parts.body_signed_by(key)?).ok()
}

/// Whether a token's claims are of this visitor at this event.
pub(super) fn is_of(evt: u64, sub: &str, event: SaleId, visitor: VisitorId) -> bool {
    let expected = format!("{:032x}", visitor.0);
    bool::from(sub.as_bytes().ct_eq(expected.as_bytes()) & evt.ct_eq(&event.0))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn claims() -> Claims {
        Claims {
            event: SaleId(4_711),
            visitor: VisitorId(0x0190_0000_0000_7000_8000_0000_0000_0001),
            partner: PartnerId(7),
            channel: ChannelId(3),
            tickets: 4,
            from_ms: NOW_MS,
            ends_ms: NOW_MS + 600_000,
            number: 12,
        }
    }

    fn key(byte: u8, made_at_ms: u64) -> PassKey {
        PassKey::new([byte; 32], made_at_ms)
    }

    fn is_good(keys: &[PassKey], pass: &[u8]) -> bool {
        let Claims {
            event,
            visitor,
            partner,
            channel,
            ..
        } = claims();
        check(keys, pass, event, visitor, partner, channel).is_ok()
    }

    #[test]
    fn a_pass_is_good_for_its_own_visitor_event_partner_and_channel() {
        let keys = [key(1, 0)];
        let pass = sign(&keys, &claims(), NOW_MS).unwrap();
        assert_eq!(pass, sign(&keys, &claims(), NOW_MS).unwrap());
        assert!(is_good(&keys, pass.as_bytes()));
        let Claims {
            event,
            visitor,
            partner,
            channel,
            ..
        } = claims();
        let wrong = [
            check(&keys, pass.as_bytes(), SaleId(1), visitor, partner, channel),
            check(
                &keys,
                pass.as_bytes(),
                event,
                VisitorId(1),
                partner,
                channel,
            ),
            check(
                &keys,
                pass.as_bytes(),
                event,
                visitor,
                PartnerId(1),
                channel,
            ),
            check(
                &keys,
                pass.as_bytes(),
                event,
                visitor,
                partner,
                ChannelId(1),
            ),
        ];
        assert_eq!(wrong, [Err(Forged); 4]);
    }

    #[test]
    fn keys_overlap() {
        let (old, new) = (key(1, 0), key(2, NOW_MS));
        let before = sign(std::slice::from_ref(&old), &claims(), NOW_MS).unwrap();
        let both = [old, new.clone()];
        assert!(is_good(&both, before.as_bytes()));
        // Right after the change the one that all nodes know still signs.
        assert_eq!(sign(&both, &claims(), NOW_MS).unwrap(), before);
        let after = sign(&both, &claims(), NOW_MS + KNOWN_EVERYWHERE_MS).unwrap();
        assert_ne!(after, before);
        assert!(is_good(&both, after.as_bytes()));
        assert!(!is_good(&[new], before.as_bytes()), "the old key is gone");
        assert_eq!(sign(&[], &claims(), NOW_MS), None);
    }

    /// A partner's own room signs with a key of its own, and what else it says does not matter.
    #[test]
    fn a_token_of_a_partners_room_is_read() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = key.verifying_key().to_bytes();
        let token = |alg: &str, body: String| {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"x"}}"#));
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
            let signature = key.sign(signed.as_bytes()).to_bytes();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let (event, visitor) = (SaleId(7), VisitorId(9));
        let body = |sub: u128, evt: u64| {
            format!(r#"{{"evt":{evt},"sub":"{sub:032x}","exp":100,"max":4,"iss":"club"}}"#)
        };
        let read = |token: String| read_token(&public, token.as_bytes(), event, visitor);
        let said = Token {
            ends_ms: 100_000,
            tickets: 4,
        };
        assert_eq!(read(token("EdDSA", body(9, 7))), Ok(said));
        assert_eq!(read(token("EdDSA", body(8, 7))), Err(Forged));
        assert_eq!(read(token("EdDSA", body(9, 8))), Err(Forged));
        assert_eq!(read(token("none", body(9, 7))), Err(Forged));
        assert_eq!(read(token("EdDSA", "{}".into())), Err(Forged));
        let other = read_token(
            &[9; 32],
            token("EdDSA", body(9, 7)).as_bytes(),
            event,
            visitor,
        );
        assert_eq!(other, Err(Forged));
    }

    /// Flipped bits, cut ends, other algorithms, other keys, strangers' bytes: 100,000 of them.
    #[test]
    fn nothing_forged_is_good() {
        let keys = [key(1, 0), key(2, 1)];
        let good = sign(&keys, &claims(), NOW_MS).unwrap().into_bytes();
        let mut tried = 0;
        let mut refused = |pass: &[u8]| {
            tried += 1;
            assert!(!is_good(&keys, pass), "{}", String::from_utf8_lossy(pass));
        };
        for at in 0..good.len() {
            refused(&good[..at]);
            for bit in 0..8 {
                let mut flipped = good.clone();
                flipped[at] ^= 1 << bit;
                refused(&flipped);
            }
        }
        let text = String::from_utf8(good.clone()).unwrap();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let (header, body) = signed.split_once('.').unwrap();
        let key_id = &keys[1].key_id;
        for alg in ["none", "HS256", "ES256", "RS256", "eddsa", "Ed25519", ""] {
            let header = format!(r#"{{"alg":"{alg}","kid":"{key_id}","typ":"JWT"}}"#);
            let header = URL_SAFE_NO_PAD.encode(header);
            refused(format!("{header}.{body}.{signature}").as_bytes());
            refused(format!("{header}.{body}.").as_bytes());
            refused(format!("{header}.{body}").as_bytes());
            // Signed, even, but by an algorithm that says something else.
            let signed = format!("{header}.{body}");
            let own = SigningKey::from_bytes(&keys[1].secret).sign(signed.as_bytes());
            refused(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(own.to_bytes())).as_bytes());
        }
        let mut rng = StdRng::seed_from_u64(9);
        for _ in 0..30_000 {
            // Another key under the known id, and claims of all kinds.
            let forger = PassKey {
                key_id: key_id.clone(),
                ..PassKey::new(rng.random(), 0)
            };
            let forged = sign(&[forger], &claims(), NOW_MS).unwrap();
            refused(forged.as_bytes());
            let body = Body {
                evt: rng.random(),
                sub: format!("{:032x}", rng.random::<u128>()),
                ptr: 7,
                chn: 3,
                max: rng.random(),
                nbf: 0,
                exp: u64::MAX,
                jti: String::new(),
            };
            let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&body).unwrap());
            refused(format!("{header}.{body}.{signature}").as_bytes());
        }
        for _ in 0..40_000 {
            let mut bytes = vec![0; rng.random_range(0..400)];
            rng.fill(&mut bytes[..]);
            refused(&bytes);
        }
        refused(&vec![b'a'; PASS_LEN_MAX + 1]);
        assert!(tried > 100_000, "{tried}");
    }
}
