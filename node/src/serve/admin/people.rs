//! Partners and keys: entries of the cluster map.

use cluster::map::Partner;
use cluster::types::ROOT_GROUP;
use proto::log::v1::map_change::Change;
use proto::log::v1::{PutKey, RevokeKey};

use super::Admin;
use super::refusals::map_failed;
use crate::access::key;
use crate::http::api::Answer;
use crate::http::problem::{Problem, Reason};
use crate::http::views::{KeyList, KeyView, NewKey, PartnerList, PartnerView};
use crate::serve::welcome::random;

impl Admin {
    pub(super) fn list_partners(&self) -> PartnerList {
        let map = self.parts.cluster.map();
        PartnerList {
            partners: map.partners.values().map(view).collect(),
        }
    }

    /// The root group's leader numbers new partners, so that two nodes do not give one number.
    pub(super) async fn put_partner(
        &self,
        partner_id: Option<u32>,
        name: String,
        channel: Option<u16>,
    ) -> Answer<PartnerView> {
        let cluster = &self.parts.cluster;
        if cluster.leader(ROOT_GROUP) != Some(cluster.node_id()) {
            return Err(self.at_leader(ROOT_GROUP));
        }
        let _turn = self.numbering.lock().await;
        let map = cluster.map();
        let last = map.partners.keys().next_back().copied().unwrap_or(0);
        let id = match partner_id {
            Some(id) => id,
            None => last
                .checked_add(1)
                .ok_or_else(|| Problem::new(Reason::Conflict, "no number is left for a partner"))?,
        };
        let channel = match channel {
            Some(channel) => channel,
            None => u16::try_from(id)
                .map_err(|_| Problem::bad_request("channel: must be given for so large an id"))?,
        };
        let partner = Partner { id, name, channel };
        if let Some(known) = map.partners.get(&id)
            && *known != partner
        {
            return Err(Problem::new(
                Reason::AlreadyExists,
                format!("partner {id} is {:?}", known.name),
            )
            .with("partner_id", id)
            .into());
        }
        cluster
            .change_map(Change::PutPartner(partner.put()))
            .await
            .map_err(map_failed)?;
        Ok(view(&partner))
    }

    pub(super) fn list_keys(&self) -> KeyList {
        let map = self.parts.cluster.map();
        let keys = map.keys.values().map(|key| KeyView {
            key_id: key.key_id.clone(),
            partner_id: key.partner,
            operator: key.operator,
        });
        KeyList {
            keys: keys.collect(),
        }
    }

    pub(super) async fn make_key(&self, partner_id: Option<u32>) -> Answer<NewKey> {
        let random = random().map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let made = key::make(random);
        let put = PutKey {
            key_id: made.key_id.clone(),
            partner_id: partner_id.unwrap_or(0),
            salt: made.salt.into(),
            hash: made.hash.into(),
            operator: partner_id.is_none(),
        };
        let view = KeyView {
            key_id: made.key_id,
            partner_id: put.partner_id,
            operator: put.operator,
        };
        self.parts
            .cluster
            .change_map(Change::PutKey(put))
            .await
            .map_err(map_failed)?;
        Ok(NewKey {
            view,
            key: made.text,
        })
    }

    pub(super) async fn remove_key(&self, key_id: String) -> Answer<()> {
        let revoke = Change::RevokeKey(RevokeKey { key_id });
        let changed = self.parts.cluster.change_map(revoke).await;
        changed.map(|_| ()).map_err(map_failed)
    }
}

fn view(partner: &Partner) -> PartnerView {
    PartnerView {
        partner_id: partner.id,
        name: partner.name.clone(),
        channel: partner.channel,
    }
}
