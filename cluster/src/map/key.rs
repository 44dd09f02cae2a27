//! API keys: a salted hash each, never the secret.

use std::fmt;

use proto::log::v1 as pb;

use super::{Map, MapRejection};

#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub key_id: String,
    pub partner: u32,
    pub salt: Vec<u8>,
    /// SHA-256 over salt and secret.
    pub hash: Vec<u8>,
    /// May call the cluster API.
    pub operator: bool,
}

// A hash in a debug log is an invitation.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("key_id", &self.key_id)
            .field("partner", &self.partner)
            .field("operator", &self.operator)
            .finish_non_exhaustive()
    }
}

impl ApiKey {
    /// The change that writes this key.
    pub fn put(&self) -> pb::PutKey {
        let ApiKey {
            key_id,
            partner,
            salt,
            hash,
            operator,
        } = self;
        pb::PutKey {
            key_id: key_id.clone(),
            partner_id: *partner,
            salt: salt.clone().into(),
            hash: hash.clone().into(),
            operator: *operator,
        }
    }

    pub(super) fn read(put: &pb::PutKey) -> Result<Self, MapRejection> {
        let pb::PutKey {
            key_id,
            partner_id,
            salt,
            hash,
            operator,
        } = put;
        if key_id.is_empty() || hash.is_empty() {
            return Err(MapRejection::BadValue);
        }
        Ok(ApiKey {
            key_id: key_id.clone(),
            partner: *partner_id,
            salt: salt.to_vec(),
            hash: hash.to_vec(),
            operator: *operator,
        })
    }
}

impl Map {
    pub(super) fn put_key(&mut self, put: &pb::PutKey) -> Result<(), MapRejection> {
        let key = ApiKey::read(put)?;
        // An operator's key may belong to nobody.
        let needs_partner = !(key.operator && key.partner == 0);
        if needs_partner && !self.partners.contains_key(&key.partner) {
            return Err(MapRejection::UnknownPartner);
        }
        match self.keys.get(&key.key_id) {
            Some(known) if *known != key => Err(MapRejection::KeyExists),
            _ => {
                self.keys.insert(key.key_id.clone(), key);
                Ok(())
            }
        }
    }

    pub(super) fn revoke_key(&mut self, revoke: &pb::RevokeKey) -> Result<(), MapRejection> {
        match self.keys.remove(&revoke.key_id) {
            Some(_) => Ok(()),
            None => Err(MapRejection::UnknownKey),
        }
    }
}
