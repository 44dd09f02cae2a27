//! Partners' keys that are trusted for an event, and what their tokens are taken for.

use proto::log::v1 as pb;

use super::{Map, MapRejection};

/// A partner's key for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Ed25519.
    pub key: [u8; 32],
    pub purpose: TrustPurpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustPurpose {
    /// The partner runs a waiting room of its own: its tokens are passes.
    Room,
    /// Its tokens let visitors join the waiting room here.
    Enqueue,
}

impl TrustPurpose {
    fn write(self) -> pb::TrustPurpose {
        match self {
            TrustPurpose::Room => pb::TrustPurpose::Room,
            TrustPurpose::Enqueue => pb::TrustPurpose::Enqueue,
        }
    }

    fn read(purpose: i32) -> Result<TrustPurpose, MapRejection> {
        match pb::TrustPurpose::try_from(purpose) {
            Ok(pb::TrustPurpose::Unspecified | pb::TrustPurpose::Room) => Ok(TrustPurpose::Room),
            Ok(pb::TrustPurpose::Enqueue) => Ok(TrustPurpose::Enqueue),
            Err(_) => Err(MapRejection::BadValue),
        }
    }
}

impl Trust {
    pub fn put(&self, sale_id: u64, partner_id: u32) -> pb::PutTrust {
        let Trust { key, purpose } = self;
        pb::PutTrust {
            sale_id,
            partner_id,
            public_key: key.to_vec().into(),
            purpose: purpose.write() as i32,
        }
    }

    /// What ends the trust, whatever it was for.
    pub fn end(sale_id: u64, partner_id: u32) -> pb::PutTrust {
        pb::PutTrust {
            sale_id,
            partner_id,
            ..pb::PutTrust::default()
        }
    }
}

impl Map {
    /// Trusts a partner's key for an event instead of the one before; an empty key ends that.
    pub(super) fn put_trust(&mut self, put: &pb::PutTrust) -> Result<(), MapRejection> {
        let pb::PutTrust {
            sale_id,
            partner_id,
            public_key,
            purpose,
        } = put;
        if !self.partners.contains_key(partner_id) {
            return Err(MapRejection::UnknownPartner);
        }
        let at = (*sale_id, *partner_id);
        if public_key.is_empty() {
            self.trusts.remove(&at);
            return Ok(());
        }
        let key = public_key
            .as_ref()
            .try_into()
            .map_err(|_| MapRejection::BadValue)?;
        let purpose = TrustPurpose::read(*purpose)?;
        self.trusts.insert(at, Trust { key, purpose });
        Ok(())
    }
}
