//! What each change does to the map, and the bytes of its snapshot.

use proto::log::v1 as pb;
use proto::log::v1::map_change::Change;

use super::*;

fn node(id: NodeId, state: pb::NodeState) -> Change {
    Change::PutNode(pb::PutNode {
        node_id: id,
        peer_address: format!("peer-{id}"),
        partner_address: format!("partner-{id}"),
        http_address: format!("http-{id}"),
        state: state as i32,
    })
}

fn group(group_id: GroupId, replicas: &[NodeId], expected_epoch: u64) -> Change {
    Change::PutGroup(pb::PutGroup {
        group_id,
        replicas: replicas.to_vec(),
        expected_epoch,
    })
}

fn reserve(sale_id: u64, group_id: GroupId) -> Change {
    Change::ReserveSale(pb::ReserveSale {
        sale_id,
        group_id,
        name: "Night of the Proms".into(),
        venue: "Arena".into(),
        organiser: "Acme".into(),
        starts_at_ms: 1_800_000_000_000,
        test_mode: false,
    })
}

fn sale_state(sale_id: u64, state: pb::SaleState) -> Change {
    Change::SetSaleState(pb::SetSaleState {
        sale_id,
        state: state as i32,
    })
}

fn partner(partner_id: u32, channel: u32) -> Change {
    Change::PutPartner(pb::PutPartner {
        partner_id,
        name: "Web shop".into(),
        channel,
    })
}

fn key(key_id: &str, partner_id: u32, hash: &'static [u8]) -> Change {
    Change::PutKey(pb::PutKey {
        key_id: key_id.into(),
        partner_id,
        salt: b"salt".as_slice().into(),
        hash: hash.into(),
        operator: false,
    })
}

fn revoke(key_id: &str) -> Change {
    Change::RevokeKey(pb::RevokeKey {
        key_id: key_id.into(),
    })
}

fn full_map() -> Map {
    let mut map = Map::default();
    let changes = [
        node(1, pb::NodeState::Active),
        node(2, pb::NodeState::Active),
        node(3, pb::NodeState::Learner),
        group(1, &[1, 2], 0),
        group(2, &[2, 1], 0),
        reserve(77, 1),
        sale_state(77, pb::SaleState::Opened),
        partner(5, 2),
        key("0a1b2c3d", 5, b"hash"),
    ];
    for change in &changes {
        map.apply(change).expect("applied");
    }
    map
}

#[test]
fn rejected_changes_change_nothing() {
    use MapRejection as No;
    let cases = [
        (node(0, pb::NodeState::Active), No::BadValue),
        (node(4, pb::NodeState::Unspecified), No::BadValue),
        (node(1, pb::NodeState::Learner), No::NodeInUse),
        (
            Change::RemoveNode(pb::RemoveNode { node_id: 9 }),
            No::UnknownNode,
        ),
        (
            Change::RemoveNode(pb::RemoveNode { node_id: 1 }),
            No::NodeInUse,
        ),
        (group(0, &[1], 0), No::BadValue),
        (group(1, &[1, 2], 0), No::EpochMoved),
        (group(1, &[], 1), No::BadPlacement),
        (group(1, &[1, 1], 1), No::BadPlacement),
        (group(1, &[1, 9], 1), No::UnknownNode),
        (group(1, &[1, 3], 1), No::BadPlacement),
        (reserve(0, 1), No::BadValue),
        (reserve(78, 9), No::UnknownGroup),
        (reserve(77, 2), No::SaleExists),
        (sale_state(78, pb::SaleState::Opened), No::UnknownSale),
        (sale_state(77, pb::SaleState::Reserved), No::BadSaleState),
        (sale_state(77, pb::SaleState::Unspecified), No::BadValue),
        (partner(0, 1), No::BadValue),
        (partner(6, 70_000), No::BadValue),
        (key("ffff", 9, b"hash"), No::UnknownPartner),
        (key("0a1b2c3d", 5, b"other"), No::KeyExists),
        (key("", 5, b"hash"), No::BadValue),
        (revoke("ffff"), No::UnknownKey),
    ];
    for (change, rejection) in cases {
        let mut map = full_map();
        assert_eq!(map.apply(&change), Err(rejection), "{change:?}");
        assert_eq!(map, full_map(), "{change:?}");
    }
}

#[test]
fn steps_may_be_repeated() {
    let mut map = full_map();
    for change in [
        reserve(77, 1),
        sale_state(77, pb::SaleState::Opened),
        partner(5, 2),
        key("0a1b2c3d", 5, b"hash"),
        node(2, pb::NodeState::Active),
    ] {
        assert_eq!(map.apply(&change), Ok(()), "{change:?}");
    }
    let unversioned = Map {
        version: full_map().version,
        ..map
    };
    assert_eq!(unversioned, full_map());
}

#[test]
fn a_draining_node_stays_in_its_groups_and_enters_no_other() {
    let mut map = full_map();
    map.apply(&node(2, pb::NodeState::Draining))
        .expect("drained");
    assert_eq!(map.apply(&group(1, &[2, 1], 1)), Ok(()));
    assert_eq!(map.groups[&1].epoch, 2);
    assert_eq!(
        map.apply(&group(3, &[2], 0)),
        Err(MapRejection::BadPlacement)
    );
}

#[test]
fn a_snapshot_is_read_back_whole() {
    let map = full_map();
    assert_eq!(Map::decode(map.encode()).expect("decoded"), map);
    assert!(Map::decode(vec![0xff; 9].into()).is_err());
}

/// The bytes of the past are readable for ever: this map as the first version wrote it.
#[test]
fn the_snapshot_of_the_first_version_is_readable() {
    let map = full_map();
    let hex: String = map
        .encode()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, GOLDEN);
    let past: Vec<u8> = (0..GOLDEN.len() / 2)
        .map(|at| u8::from_str_radix(&GOLDEN[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    assert_eq!(Map::decode(past.into()).expect("readable"), map);
}

/// The two newest stay, in a snapshot too; a key under a known id is another one's or the same.
#[test]
fn the_two_newest_pass_keys_are_kept() {
    let key = |byte: u8, made_at_ms| {
        Change::PutPassKey(pb::PutPassKey {
            key_id: format!("key-{byte}"),
            secret: vec![byte; 32].into(),
            public: vec![byte + 100; 32].into(),
            made_at_ms,
        })
    };
    let mut map = full_map();
    for byte in 1..=3 {
        assert_eq!(map.apply(&key(byte, 10 * u64::from(byte))), Ok(()));
    }
    let ids: Vec<&str> = map
        .pass_keys
        .iter()
        .map(|key| key.key_id.as_str())
        .collect();
    assert_eq!(ids, ["key-2", "key-3"]);
    assert_eq!(map.apply(&key(3, 30)), Ok(()), "repeated");
    assert_eq!(map.apply(&key(3, 31)), Err(MapRejection::KeyExists));
    assert_eq!(map.apply(&key(4, 29)), Err(MapRejection::BadValue));
    let short = pb::PutPassKey {
        key_id: "short".into(),
        secret: vec![1; 31].into(),
        public: vec![1; 32].into(),
        made_at_ms: 99,
    };
    let refused = map.apply(&Change::PutPassKey(short));
    assert_eq!(refused, Err(MapRejection::BadValue));
    assert_eq!(Map::decode(map.encode()).expect("decoded"), map);
}

/// Of a partner that is known, for one event, until it is taken back.
#[test]
fn a_partners_key_is_trusted_for_what_was_said_until_it_is_not() {
    let trust_for = |purpose: i32, partner_id, key: &'static [u8]| {
        Change::PutTrust(pb::PutTrust {
            sale_id: 77,
            partner_id,
            public_key: key.into(),
            purpose,
        })
    };
    let room = pb::TrustPurpose::Room as i32;
    let trust = |partner_id, key| trust_for(room, partner_id, key);
    let [room, enqueue] = [TrustPurpose::Room, TrustPurpose::Enqueue].map(|purpose| Trust {
        key: [7; 32],
        purpose,
    });
    let mut map = full_map();
    let known = *map.partners.keys().next().expect("a partner");
    assert_eq!(map.apply(&trust(known, &[7; 32])), Ok(()));
    assert_eq!(map.trusts[&(77, known)], room);
    assert_eq!(Map::decode(map.encode()).expect("decoded"), map);
    let other = map.apply(&Change::PutTrust(enqueue.put(77, known)));
    assert_eq!(other, Ok(()));
    assert_eq!(map.trusts[&(77, known)], enqueue, "one at a time");
    assert_eq!(Map::decode(map.encode()).expect("decoded"), map);
    let nothing_known = map.apply(&trust_for(3, known, &[7; 32]));
    assert_eq!(nothing_known, Err(MapRejection::BadValue));
    // As it was written before there were two.
    assert_eq!(map.apply(&trust_for(0, known, &[7; 32])), Ok(()));
    assert_eq!(map.trusts[&(77, known)], room);
    let short = map.apply(&trust(known, &[7; 31]));
    assert_eq!(short, Err(MapRejection::BadValue));
    let unknown = map.apply(&trust(known + 1, &[7; 32]));
    assert_eq!(unknown, Err(MapRejection::UnknownPartner));
    assert_eq!(map.apply(&Change::PutTrust(Trust::end(77, known))), Ok(()));
    assert!(map.trusts.is_empty());
}

const GOLDEN: &str = "\
    0a1f08011206706565722d311a09706172746e65722d312206687474702d3128020a1f08021206706565722d\
    321a09706172746e65722d322206687474702d3228020a1f08031206706565722d331a09706172746e65722d\
    332206687474702d33280112080801120201021801120808021202020118011a300a2c084d10011a124e6967\
    6874206f66207468652050726f6d7322054172656e612a0441636d653080a0f1c2b1341002220e0805120857\
    65622073686f7018022a180a08306131623263336410051a0473616c742204686173683009";
