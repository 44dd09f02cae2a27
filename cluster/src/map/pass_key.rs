//! Keys by which passes of waiting rooms are signed. The two newest are kept: the one before goes on
//! being good while passes that it signed live.

use std::fmt;

use proto::log::v1 as pb;

use super::{Map, MapRejection};

/// Older ones are dropped.
const KEPT: usize = 2;

#[derive(Clone, PartialEq, Eq)]
pub struct PassKey {
    pub key_id: String,
    /// Ed25519.
    pub secret: [u8; 32],
    pub public: [u8; 32],
    pub made_at_ms: u64,
}

// A secret does not belong in a log.
impl fmt::Debug for PassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassKey")
            .field("key_id", &self.key_id)
            .field("made_at_ms", &self.made_at_ms)
            .finish_non_exhaustive()
    }
}

impl PassKey {
    /// The change that writes this key.
    pub fn put(&self) -> pb::PutPassKey {
        let PassKey {
            key_id,
            secret,
            public,
            made_at_ms,
        } = self;
        pb::PutPassKey {
            key_id: key_id.clone(),
            secret: secret.to_vec().into(),
            public: public.to_vec().into(),
            made_at_ms: *made_at_ms,
        }
    }

    pub(super) fn read(put: &pb::PutPassKey) -> Result<Self, MapRejection> {
        let pb::PutPassKey {
            key_id,
            secret,
            public,
            made_at_ms,
        } = put;
        let bytes = |bytes: &[u8]| bytes.try_into().map_err(|_| MapRejection::BadValue);
        if key_id.is_empty() {
            return Err(MapRejection::BadValue);
        }
        Ok(PassKey {
            key_id: key_id.clone(),
            secret: bytes(secret)?,
            public: bytes(public)?,
            made_at_ms: *made_at_ms,
        })
    }
}

impl Map {
    pub(super) fn put_pass_key(&mut self, put: &pb::PutPassKey) -> Result<(), MapRejection> {
        let key = PassKey::read(put)?;
        match self
            .pass_keys
            .iter()
            .find(|known| known.key_id == key.key_id)
        {
            Some(known) if *known == key => return Ok(()),
            Some(_) => return Err(MapRejection::KeyExists),
            None => {}
        }
        let newest = self.pass_keys.last().map(|key| key.made_at_ms);
        if newest.is_some_and(|newest| newest > key.made_at_ms) {
            return Err(MapRejection::BadValue);
        }
        self.pass_keys.push(key);
        let surplus = self.pass_keys.len().saturating_sub(KEPT);
        self.pass_keys.drain(..surplus);
        Ok(())
    }
}
