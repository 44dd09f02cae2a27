//! Partners and keys in memory, by the rules of the cluster map.

use std::collections::BTreeMap;

use crate::http::api::Answer;
use crate::http::problem::{Problem, Reason};
use crate::http::views;

#[derive(Default)]
pub struct People {
    pub partners: BTreeMap<u32, views::PartnerView>,
    pub keys: BTreeMap<String, views::KeyView>,
}

impl People {
    pub fn add_partner(
        &mut self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> views::PartnerView {
        let next = self.partners.keys().last().map_or(1, |id| id + 1);
        let partner_id = partner_id.unwrap_or(next);
        let partner = views::PartnerView {
            partner_id,
            name,
            channel: channel.unwrap_or(partner_id as u16),
        };
        self.partners.insert(partner_id, partner.clone());
        partner
    }

    pub fn add_key(&mut self, partner_id: Option<u32>) -> Answer<views::NewKey> {
        if let Some(id) = partner_id
            && !self.partners.contains_key(&id)
        {
            return Err(Problem::new(Reason::UnknownPartner, format!("partner {id}")).into());
        }
        let key_id = format!("{:08x}", self.keys.len());
        let view = views::KeyView {
            key_id: key_id.clone(),
            partner_id: partner_id.unwrap_or(0),
            operator: partner_id.is_none(),
        };
        self.keys.insert(key_id.clone(), view.clone());
        let key = format!("onsale_{key_id}_{:032x}", 5);
        Ok(views::NewKey { view, key })
    }

    pub fn revoke_key(&mut self, key_id: String) -> Answer<()> {
        match self.keys.remove(&key_id) {
            Some(_) => Ok(()),
            None => Err(Problem::new(Reason::UnknownKey, key_id).into()),
        }
    }
}
