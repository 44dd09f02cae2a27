//! The text of an API key and its salted hash: `onsale_<8 hex key id>_<32 hex secret>`.
//!
//! Stores nothing and looks nothing up. Randomness is the caller's.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "onsale_";
const KEY_ID_LEN: usize = 8;
const SECRET_LEN: usize = 32;

/// A key's text, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'a> {
    pub key_id: &'a str,
    secret: &'a str,
}

impl std::fmt::Debug for KeyText<'_> {
    /// Never shows the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "onsale_{}_…", self.key_id)
    }
}

/// A new key: the text is shown once, salt and hash are kept in the cluster map.
pub struct NewKey {
    pub text: String,
    pub key_id: String,
    pub salt: Vec<u8>,
    pub hash: Vec<u8>,
}

/// Reads a key's text; `None` when it is not one.
pub fn parse(text: &str) -> Option<KeyText<'_>> {
    let (key_id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let hex = |part: &str| {
        part.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (key_id.len() == KEY_ID_LEN && secret.len() == SECRET_LEN && hex(key_id) && hex(secret))
        .then_some(KeyText { key_id, secret })
}

/// Makes a key from 36 random bytes: 4 for the id, 16 for the secret, 16 for the salt.
pub fn make(random: [u8; 36]) -> NewKey {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let (key_id, rest) = random.split_at(4);
    let (secret, salt) = rest.split_at(16);
    let (key_id, secret) = (hex(key_id), hex(secret));
    NewKey {
        text: format!("{PREFIX}{key_id}_{secret}"),
        hash: hash(salt, &secret),
        salt: salt.to_vec(),
        key_id,
    }
}

/// Whether the text's secret has this salted hash; takes the same time whatever differs.
pub fn matches(text: KeyText<'_>, salt: &[u8], expected: &[u8]) -> bool {
    hash(salt, text.secret).ct_eq(expected).into()
}

fn hash(salt: &[u8], secret: &str) -> Vec<u8> {
    Sha256::new()
        .chain_update(salt)
        .chain_update(secret.as_bytes())
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_read_and_matches_only_its_own_hash() {
        let random = std::array::from_fn(|index| index as u8);
        let made = make(random);
        let text = parse(&made.text).expect("a made key reads");
        assert_eq!(text.key_id, "00010203");
        assert!(matches(text, &made.salt, &made.hash));
        let mut other = random;
        other[4] ^= 1;
        let other = make(other);
        assert!(!matches(text, &other.salt, &other.hash));
        assert!(!matches(text, &made.salt, &[]));
        assert!(!format!("{text:?}").contains(text.secret));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in [
            "",
            "onsale_",
            "onsale_00010203",
            "onsale_00010203_",
            "onsale_0001020_00000000000000000000000000000000",
            "onsale_0001020G_00000000000000000000000000000000",
            "onsale_00010203_0000000000000000000000000000000é",
            "Onsale_00010203_00000000000000000000000000000000",
            "onsale_00010203_000000000000000000000000000000000",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
