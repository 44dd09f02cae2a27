//! Passes, tokens of a partner's own room and tokens to join with: any text, and any claims that the
//! right key has signed. What is taken says what it was taken for, and is the one text that was signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{ChannelId, PartnerId, SaleId, VisitorId};
use domain::room::Token;
use ed25519_dalek::{Signer as _, SigningKey};
use onsale::access::enqueue::Gate;
use onsale::access::pass::{
    Claims, PASS_LEN_MAX, PassKey, PassKeys, Purpose, Trust, check, read_token, sign,
};
use serde_json::Value;

const EVENT: SaleId = SaleId(4_711);
const VISITOR: VisitorId = VisitorId(0x0190_0000_0000_7000_8000_0000_0000_0009);
const PARTNER: PartnerId = PartnerId(3);
const CHANNEL: ChannelId = ChannelId(2);
const NOW_MS: u64 = 1_800_000_000_000;
const SECRET: [u8; 32] = [7; 32];
/// The class that a join names itself.
const CLASS: u32 = 5;

/// An input that begins so is header and claims, a line each, which are signed here.
const SIGNED: u8 = b'+';

struct Keys;

impl PassKeys for Keys {
    fn pass_keys(&self) -> Vec<PassKey> {
        vec![key()]
    }

    fn trust(&self, event: SaleId, partner: PartnerId) -> Option<Trust> {
        let trust = Trust {
            key: key().public,
            purpose: Purpose::Enqueue,
        };
        ((event, partner) == (EVENT, PARTNER)).then_some(trust)
    }
}

fn key() -> PassKey {
    PassKey::new(SECRET, 0)
}

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((&SIGNED, lines)) => {
            let mut parts = lines.splitn(2, |byte| *byte == b'\n');
            let mut part = || parts.next().unwrap_or_default();
            said(part(), part());
        }
        _ => forged(data),
    }
}

/// Whatever text it is, it was not signed, unless it is the one that was.
fn forged(text: &[u8]) {
    let is_good = check(&[key()], text, EVENT, VISITOR, PARTNER, CHANNEL).is_ok();
    assert!(
        !is_good || text == good().as_bytes(),
        "another text is taken"
    );
    let token = read_token(&key().public, text, EVENT, VISITOR);
    let class = std::str::from_utf8(text).map(enter);
    if text != good().as_bytes() {
        assert!(token.is_err(), "another text is a token");
        // Without any text nobody comes in either.
        assert!(
            !matches!(class, Ok(Some(_))),
            "another text lets a visitor join"
        );
    }
}

/// Signed as it should be: what is taken says so.
fn said(header: &[u8], claims: &[u8]) {
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(claims));
    let signature = SigningKey::from_bytes(&SECRET).sign(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let is_pass = check(&[key()], token.as_bytes(), EVENT, VISITOR, PARTNER, CHANNEL);
    let taken = read_token(&key().public, token.as_bytes(), EVENT, VISITOR);
    let class = enter(&token);
    if token.len() > PASS_LEN_MAX {
        assert!(is_pass.is_err() && taken.is_err() && class.is_none());
    }
    if is_pass.is_err() && taken.is_err() && class.is_none() {
        return;
    }
    // What it says beside is skipped by whoever reads it, and need not even be text.
    let read = serde_json::from_slice::<Value>;
    let (Ok(header), Ok(claims)) = (read(header), read(claims)) else {
        return;
    };
    let number = |name: &str| claims[name].as_u64();
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(number("evt"), Some(EVENT.0));
    assert_eq!(claims["sub"], format!("{:032x}", VISITOR.0));
    if is_pass.is_ok() {
        assert_eq!(
            (&header["kid"], &header["typ"]),
            (&key().key_id.into(), &"JWT".into())
        );
        assert_eq!(number("ptr"), Some(PARTNER.0.into()));
        assert_eq!(number("chn"), Some(CHANNEL.0.into()));
    }
    let exp = number("exp");
    if let Ok(Token { ends_ms, tickets }) = taken {
        assert_eq!(exp.map(|exp| exp.saturating_mul(1000)), Some(ends_ms));
        let signed = claims.get("max").filter(|max| !max.is_null());
        assert_eq!(signed.map_or(Some(1), Value::as_u64), Some(tickets.into()));
    }
    if let Some(class) = class {
        assert!(exp.is_some_and(|exp| exp.saturating_mul(1000) > NOW_MS));
        let signed = claims.get("cls").filter(|class| !class.is_null());
        let expected = signed.map_or(Some(CLASS.into()), Value::as_u64);
        assert_eq!(expected, Some(class.into()));
    }
}

/// The class in which somebody who shows this joins, if they do.
fn enter(token: &str) -> Option<u32> {
    let gate = Gate::of(&Keys, EVENT, PARTNER);
    assert!(gate.asks());
    gate.enter(VISITOR, token, CLASS, NOW_MS).ok()
}

fn good() -> String {
    let claims = Claims {
        event: EVENT,
        visitor: VISITOR,
        partner: PARTNER,
        channel: CHANNEL,
        tickets: 4,
        from_ms: NOW_MS,
        ends_ms: NOW_MS + 600_000,
        number: 12,
    };
    sign(&[key()], &claims, NOW_MS).expect("there is a key")
}

pub const WORDS: &[&str] = &[
    "\"alg\":\"none\"",
    "\"alg\":\"EdDSA\"",
    "\"alg\":\"HS256\"",
    "\"typ\":\"JWT\"",
    "\"kid\":\"../../x\"",
    "\"evt\":4711",
    "\"sub\":",
    "\"ptr\":3",
    "\"chn\":2",
    "\"max\":65535",
    "\"cls\":null",
    "\"cls\":255",
    "\"exp\":18446744073709551615",
    "\"exp\":-1",
    "1e3",
    "null",
    "{",
    "}",
    ",",
    ".",
    "=",
    "\n",
];

pub fn corpus() -> Vec<Vec<u8>> {
    let good = good();
    let part = |at: usize| -> Vec<u8> {
        let part = good.split('.').nth(at).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(part).expect("our own text")
    };
    let signed = |header: &[u8], claims: &[u8]| [b"+", header, b"\n", claims].concat();
    let (header, claims) = (part(0), part(1));
    let evt = EVENT.0;
    let sub = VISITOR.0;
    let own =
        format!(r#"{{"evt":{evt},"sub":"{sub:032x}","exp":1800000060,"max":2,"iss":"club"}}"#);
    let join = format!(r#"{{"evt":{evt},"sub":"{sub:032x}","exp":1800000060,"cls":1}}"#);
    vec![
        good.clone().into_bytes(),
        signed(&header, &claims),
        signed(&header, own.as_bytes()),
        signed(br#"{"alg":"EdDSA"}"#, join.as_bytes()),
        b"..".to_vec(),
        vec![b'a'; PASS_LEN_MAX + 1],
    ]
}
