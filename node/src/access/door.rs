//! Who a call comes from: its `authorization` metadata against the keys of the cluster map.
//!
//! Keeps no cache of verified keys: what a cache would be keyed by without weakening it is a hash
//! as costly as the verification (some 0.3 µs, against 16 µs of a unary call), and a session
//! verifies once per stream.

use std::sync::Arc;

use domain::ids::{ChannelId, PartnerId};
use tokio::sync::watch;

use super::key;

/// A stored key with the partner it belongs to.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// `None`: a key for the cluster API alone.
    pub partner: Option<PartnerRecord>,
    pub operator: bool,
    pub salt: Vec<u8>,
    pub hash: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerRecord {
    pub id: PartnerId,
    pub channel: ChannelId,
    pub name: String,
}

/// The keys there are at this moment: the node's copy of the cluster map.
pub trait Keys: Send + Sync + 'static {
    fn find(&self, key_id: &str) -> Option<KeyRecord>;
    /// Rises whenever keys or partners may have changed.
    fn version(&self) -> u64;
    /// Tells each new version; `None` before this node knows any key.
    fn versions(&self) -> Option<watch::Receiver<u64>>;
}

/// An authenticated partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub partner: PartnerId,
    pub channel: ChannelId,
    pub name: Arc<str>,
    key_id: Arc<str>,
    /// Tells the key from another one made later under the same id.
    hash: Arc<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no API key: send the metadata `authorization: Bearer <api key>`")]
    Missing,
    #[error("the API key is not valid")]
    Invalid,
}

/// Checks keys. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    keys: Arc<dyn Keys>,
}

impl Door {
    pub fn new(keys: Arc<dyn Keys>) -> Door {
        Door { keys }
    }

    /// The partner that the value of an `authorization` header stands for.
    pub fn partner(&self, authorization: Option<&str>) -> Result<Caller, Refused> {
        let (key_id, record) = self.check(authorization)?;
        let partner = record.partner.ok_or(Refused::Invalid)?;
        Ok(Caller {
            partner: partner.id,
            channel: partner.channel,
            name: partner.name.into(),
            key_id: key_id.into(),
            hash: record.hash.into(),
        })
    }

    /// Whether the value of an `authorization` header is an operator's key.
    pub fn operator(&self, authorization: Option<&str>) -> Result<(), Refused> {
        let (_, record) = self.check(authorization)?;
        record.operator.then_some(()).ok_or(Refused::Invalid)
    }

    /// The map version that [`Door::still_valid`] should be asked again after.
    pub fn version(&self) -> u64 {
        self.keys.version()
    }

    /// Whether a caller that came in earlier, and stays on its stream, may still call.
    pub fn still_valid(&self, caller: &Caller) -> bool {
        self.keys.find(&caller.key_id).is_some_and(|record| {
            record.hash[..] == caller.hash[..]
                && record.partner.is_some_and(|partner| {
                    partner.id == caller.partner && partner.channel == caller.channel
                })
        })
    }

    /// Resolves when a caller that came in earlier may call no more.
    pub async fn shut(&self, caller: &Caller) -> Refused {
        let mut versions = self.keys.versions();
        while self.still_valid(caller) {
            let changed = match &mut versions {
                Some(versions) => versions.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                // Nobody changes keys any more: the node goes down.
                return std::future::pending().await;
            }
        }
        Refused::Invalid
    }

    fn check<'a>(&self, authorization: Option<&'a str>) -> Result<(&'a str, KeyRecord), Refused> {
        let value = authorization.ok_or(Refused::Missing)?;
        let (scheme, text) = value.split_once(' ').ok_or(Refused::Invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refused::Invalid);
        }
        let text = key::parse(text.trim()).ok_or(Refused::Invalid)?;
        let record = self.keys.find(text.key_id).ok_or(Refused::Invalid)?;
        if !key::matches(text, &record.salt, &record.hash) {
            return Err(Refused::Invalid);
        }
        Ok((text.key_id, record))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    struct Table(Mutex<BTreeMap<String, KeyRecord>>, watch::Sender<u64>);

    impl Table {
        fn new(records: impl IntoIterator<Item = (String, KeyRecord)>) -> Arc<Table> {
            let records = records.into_iter().collect();
            Arc::new(Table(Mutex::new(records), watch::Sender::new(1)))
        }

        fn change(&self, change: impl FnOnce(&mut BTreeMap<String, KeyRecord>)) {
            change(&mut self.0.lock().unwrap());
            self.1.send_modify(|version| *version += 1);
        }
    }

    impl Keys for Table {
        fn find(&self, key_id: &str) -> Option<KeyRecord> {
            self.0.lock().unwrap().get(key_id).cloned()
        }
        fn version(&self) -> u64 {
            *self.1.borrow()
        }
        fn versions(&self) -> Option<watch::Receiver<u64>> {
            Some(self.1.subscribe())
        }
    }

    fn record(made: &key::NewKey, operator: bool) -> KeyRecord {
        KeyRecord {
            partner: (!operator).then(|| PartnerRecord {
                id: PartnerId(7),
                channel: ChannelId(3),
                name: "box office".into(),
            }),
            operator,
            salt: made.salt.clone(),
            hash: made.hash.clone(),
        }
    }

    #[test]
    fn only_the_right_key_opens() {
        let (partner, operator) = (key::make([1; 36]), key::make([2; 36]));
        let table = Table::new([
            (partner.key_id.clone(), record(&partner, false)),
            (operator.key_id.clone(), record(&operator, true)),
        ]);
        let door = Door::new(table.clone());
        let bearer = |text: &str| format!("Bearer {text}");
        let caller = door.partner(Some(&bearer(&partner.text))).expect("valid");
        assert_eq!(
            (caller.partner, caller.channel),
            (PartnerId(7), ChannelId(3))
        );
        assert_eq!(door.partner(None), Err(Refused::Missing));
        for wrong in [
            partner.text.clone(),
            bearer("nonsense"),
            format!("Basic {}", partner.text),
            bearer(&partner.text.replace("01010101_01", "01010101_02")),
            bearer(&key::make([3; 36]).text),
        ] {
            assert_eq!(door.partner(Some(&wrong)), Err(Refused::Invalid), "{wrong}");
        }
        assert_eq!(
            door.operator(Some(&bearer(&partner.text))),
            Err(Refused::Invalid)
        );
        assert_eq!(door.operator(Some(&bearer(&operator.text))), Ok(()));
        assert_eq!(
            door.partner(Some(&bearer(&operator.text))),
            Err(Refused::Invalid)
        );
        assert!(door.still_valid(&caller));
        table.change(|keys| drop(keys.remove(&partner.key_id)));
        assert!(!door.still_valid(&caller));
    }

    #[tokio::test]
    async fn the_door_shuts_behind_a_caller_whose_key_is_taken_away() {
        let (first, second) = (key::make([1; 36]), key::make([2; 36]));
        let table = Table::new([
            (first.key_id.clone(), record(&first, false)),
            (second.key_id.clone(), record(&second, false)),
        ]);
        let door = Door::new(table.clone());
        let bearer = format!("Bearer {}", first.text);
        let caller = door.partner(Some(&bearer)).expect("valid");
        let shut = door.shut(&caller);
        tokio::pin!(shut);
        assert!(futures::poll!(&mut shut).is_pending());
        table.change(|keys| drop(keys.remove(&second.key_id)));
        assert!(futures::poll!(&mut shut).is_pending(), "another's key");
        table.change(|keys| drop(keys.remove(&first.key_id)));
        assert_eq!(shut.await, Refused::Invalid);
        assert_eq!(door.shut(&caller).await, Refused::Invalid, "at once");
    }
}
