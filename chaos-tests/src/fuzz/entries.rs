//! Entries of the log: of sales, decoded and made into what they create; of the cluster map, applied to
//! a map that goes through its snapshot and back.

use actors::codec::record::Records;
use actors::codec::{rules, venue};
use cluster::map::Map;
use domain::{Sale, invariants};
use prost::Message;
use proto::log::v1 as log;
use proto::log::v1::map_change::Change;

use super::commands::restores;
use super::partner_requests::tagged;
use super::samples::{self, START_MS};

/// The first byte says which message the rest is.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => entry(bytes),
        1 => map_entry(bytes),
        _ => map_snapshot(bytes),
    }
}

fn entry(bytes: &[u8]) {
    let Ok(entry) = log::Entry::decode(bytes) else {
        return;
    };
    // Proposals are merged by putting their bytes one after the other.
    let twice = log::Entry::decode(&[bytes, bytes].concat()[..]).expect("merges");
    let parts = [&entry.parts[..], &entry.parts[..]].concat();
    assert_eq!(twice.parts, parts);
    assert_eq!(
        log::Entry::decode(&entry.encode_to_vec()[..]),
        Ok(entry.clone())
    );
    for part in entry.parts {
        match part.body {
            Some(log::part::Body::Commands(commands)) => {
                Records::new(&commands.records).for_each(drop);
            }
            Some(log::part::Body::CreateSale(create)) => created(&create),
            Some(log::part::Body::ReleaseSale(_)) | None => {}
        }
    }
}

/// Either refused or a sound sale.
fn created(create: &log::CreateSale) {
    let Some(plan) = create.venue.as_ref().and_then(venue::from_proto) else {
        return;
    };
    let Some(sale_rules) = create.rules.as_ref().and_then(rules::from_proto) else {
        return;
    };
    assert_eq!(
        venue::from_proto(&venue::to_proto(&plan)),
        Some(plan.clone())
    );
    assert_eq!(
        rules::from_proto(&rules::to_proto(&sale_rules)),
        Some(sale_rules.clone())
    );
    if let Ok(sale) = Sale::new(&plan, sale_rules, create.hash_seed) {
        assert_eq!(invariants::check(&sale), []);
        restores(&sale);
    }
}

fn map_entry(bytes: &[u8]) {
    let mut map = Map::default();
    if let Ok(entry) = log::MapEntry::decode(bytes) {
        apply(&mut map, &entry);
    }
}

/// The map as it stands in a snapshot, and changes after it.
fn map_snapshot(bytes: &[u8]) {
    let Ok(mut map) = Map::decode(bytes.to_vec().into()) else {
        return;
    };
    survives(&map);
    let entry = log::MapEntry {
        changes: changes().into_iter().map(change).collect(),
    };
    apply(&mut map, &entry);
}

/// A change that is rejected leaves no trace; one that is not, counts once.
fn apply(map: &mut Map, entry: &log::MapEntry) {
    for change in entry
        .changes
        .iter()
        .filter_map(|change| change.change.as_ref())
    {
        let before = map.clone();
        match map.apply(change) {
            Ok(()) => assert_eq!(map.version, before.version.saturating_add(1)),
            Err(_) => assert_eq!(*map, before, "rejected and changed"),
        }
    }
    survives(map);
}

fn survives(map: &Map) {
    let back = Map::decode(map.encode()).expect("our own snapshot");
    assert_eq!(back, *map);
}

fn change(change: Change) -> log::MapChange {
    log::MapChange {
        proposer: 1,
        proposal: 2,
        at_ms: START_MS,
        change: Some(change),
    }
}

/// A node, a placement, a sale, a partner and a key come and go.
fn changes() -> Vec<Change> {
    let node = |node_id, state: log::NodeState| {
        Change::PutNode(log::PutNode {
            node_id,
            peer_address: format!("n{node_id}:7300"),
            partner_address: format!("n{node_id}:7100"),
            http_address: format!("n{node_id}:7200"),
            state: state.into(),
        })
    };
    let group = |replicas: &[u64], expected_epoch| {
        Change::PutGroup(log::PutGroup {
            group_id: 1,
            replicas: replicas.to_vec(),
            expected_epoch,
        })
    };
    vec![
        node(1, log::NodeState::Active),
        node(2, log::NodeState::Active),
        node(3, log::NodeState::Learner),
        group(&[1, 2], 0),
        group(&[1], 1),
        Change::ReserveSale(log::ReserveSale {
            sale_id: 9,
            group_id: 1,
            name: "Concert".to_owned(),
            venue: "Hall".to_owned(),
            organiser: "us".to_owned(),
            starts_at_ms: 5,
            test_mode: true,
        }),
        Change::SetSaleState(log::SetSaleState {
            sale_id: 9,
            state: log::SaleState::Opened.into(),
        }),
        Change::PutPartner(log::PutPartner {
            partner_id: 1,
            name: "shop".to_owned(),
            channel: 2,
        }),
        Change::PutKey(log::PutKey {
            key_id: "00010203".to_owned(),
            partner_id: 1,
            salt: vec![1; 16].into(),
            hash: vec![2; 32].into(),
            operator: false,
        }),
        Change::RevokeKey(log::RevokeKey {
            key_id: "00010203".to_owned(),
        }),
        node(2, log::NodeState::Draining),
        Change::RemoveNode(log::RemoveNode { node_id: 2 }),
    ]
}

pub fn corpus() -> Vec<Vec<u8>> {
    let part = |body| log::Part {
        sale_id: 9,
        at_ms: START_MS,
        proposer: 1,
        proposal: 2,
        body: Some(body),
    };
    let create = log::CreateSale {
        layout: vec![1, 2, 3].into(),
        venue: Some(venue::to_proto(&samples::venue())),
        rules: Some(rules::to_proto(&samples::rules())),
        hash_seed: 7,
    };
    let commands = log::Commands {
        count: 18,
        records: samples::records().into(),
    };
    let entry = log::Entry {
        parts: vec![
            part(log::part::Body::CreateSale(create)),
            part(log::part::Body::Commands(commands)),
            part(log::part::Body::ReleaseSale(log::ReleaseSale {})),
        ],
    };
    let map_entry = log::MapEntry {
        changes: changes().into_iter().map(change).collect(),
    };
    let mut map = Map::default();
    for change in changes().iter().take(9) {
        // What is rejected is not in the sample.
        let _ = map.apply(change);
    }
    let mut snapshot = vec![2];
    snapshot.extend_from_slice(&map.encode());
    vec![tagged(0, &entry), tagged(1, &map_entry), snapshot]
}
