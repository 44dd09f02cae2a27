//! Channel partners and the sales channel each sells through.

use proto::log::v1 as pb;

use super::{Map, MapRejection};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    pub id: u32,
    pub name: String,
    pub channel: u16,
}

impl Partner {
    /// The change that writes this partner.
    pub fn put(&self) -> pb::PutPartner {
        let Partner { id, name, channel } = self;
        pb::PutPartner {
            partner_id: *id,
            name: name.clone(),
            channel: (*channel).into(),
        }
    }

    pub(super) fn read(put: &pb::PutPartner) -> Result<Self, MapRejection> {
        let pb::PutPartner {
            partner_id,
            name,
            channel,
        } = put;
        let channel = u16::try_from(*channel).map_err(|_| MapRejection::BadValue)?;
        if *partner_id == 0 {
            return Err(MapRejection::BadValue);
        }
        Ok(Partner {
            id: *partner_id,
            name: name.clone(),
            channel,
        })
    }
}

impl Map {
    pub(super) fn put_partner(&mut self, put: &pb::PutPartner) -> Result<(), MapRejection> {
        let partner = Partner::read(put)?;
        self.partners.insert(partner.id, partner);
        Ok(())
    }
}
