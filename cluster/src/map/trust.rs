//! Partners that run a waiting room of their own for an event, and the keys that sign its tokens.

use proto::log::v1 as pb;

use super::{Map, MapRejection};

impl Map {
    /// Trusts a partner's room for an event; an empty key ends that.
    pub(super) fn put_trust(&mut self, put: &pb::PutTrust) -> Result<(), MapRejection> {
        let pb::PutTrust {
            sale_id,
            partner_id,
            public_key,
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
        self.trusts.insert(at, key);
        Ok(())
    }
}
