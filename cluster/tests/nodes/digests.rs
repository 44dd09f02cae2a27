//! Replicas compare their digests: who differs from a majority stops, until it is rebuilt.

use cluster::disk::memory::MemoryDisk;
use cluster::group::Proposed;
use cluster::node::{AdminFailure, StartFailure};
use cluster::types::{GroupId, NodeId, ROOT_GROUP};
use cluster::{Config, ReplicaState, Standing};
use prost::Message as _;
use proto::log::v1::map_change::Change;
use proto::log::v1::{MapSnapshot, PutPartner};

use crate::stage::{Stage, propose};

const GROUP: GroupId = 1;

fn often(config: &mut Config) {
    config.digest_entries = 8;
    config.keep_entries = 4;
}

fn standing(stage: &Stage, node: NodeId) -> Option<Standing> {
    stage.node(node).cluster.standings().get(&GROUP).copied()
}

fn agrees(stage: &Stage, node: NodeId, from: u64) -> bool {
    agrees_on(stage, node, GROUP, from)
}

fn agrees_on(stage: &Stage, node: NodeId, group: GroupId, from: u64) -> bool {
    let standings = stage.node(node).cluster.standings();
    matches!(standings.get(&group), Some(Standing::Agrees { index }) if *index >= from)
}

fn runs(stage: &Stage, node: NodeId) -> bool {
    stage.node(node).cluster.group(GROUP).is_some()
}

fn corrupt(stage: &Stage, node: NodeId) {
    let toy = stage.node(node).toys.get(GROUP).expect("carries the group");
    toy.corrupt();
}

/// Commits `count` numbers whatever becomes of single attempts; the index of the last one.
fn keep_committing(stage: &Stage, count: usize) -> u64 {
    let mut indexes = Vec::new();
    while indexes.len() < count {
        let leader = stage.leader(GROUP);
        let Some(group) = stage.node(leader).cluster.group(GROUP) else {
            continue;
        };
        let outcome = propose(group.as_ref(), indexes.len() as u64);
        if let Ok(Proposed::Committed { index }) = stage.on(leader, outcome) {
            indexes.push(index);
        }
    }
    indexes.last().copied().unwrap_or_default()
}

fn others(stage: &Stage, node: NodeId) -> Vec<NodeId> {
    let ids = stage.nodes.keys().copied();
    ids.filter(|id| *id != node).collect()
}

#[test]
fn a_group_at_rest_is_compared_at_its_last_entry() {
    let stage = Stage::new(3, |_| {});
    let last = stage.commit(GROUP, 7);
    stage.until("all agree on the last entry", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
}

#[test]
fn a_follower_that_differs_stops_and_is_rebuilt_from_its_peers() {
    let mut stage = Stage::new(3, often);
    let leader = stage.leader(GROUP);
    let follower = others(&stage, leader)[0];
    keep_committing(&stage, 10);
    corrupt(&stage, follower);
    let last = keep_committing(&stage, 10);
    stage.until("it stops", |stage| {
        standing(stage, follower) == Some(Standing::Stopped) && !runs(stage, follower)
    });
    assert!(!stage.node(follower).cluster.ready());
    stage.until("it tells no leader and no progress any more", |stage| {
        let gauges = ["onsale_raft_leader", "onsale_raft_apply_index"];
        gauges
            .iter()
            .all(|name| !stage.tells(follower, name, GROUP))
    });
    let told = stage.metric(follower, "onsale_raft_digest_mismatches_total", Some(GROUP));
    assert!(told >= 1.0, "what was counted stays counted");
    stage.until("the others agree", |stage| {
        others(stage, follower)
            .iter()
            .all(|node| agrees(stage, *node, last))
    });
    // The log that it would need is gone: only a snapshot can bring it back.
    for node in others(&stage, follower) {
        let cluster = stage.node(node).cluster.clone();
        stage.on(node, cluster.snapshot(GROUP)).expect("is begun");
    }

    let (log, snapshots) = stage.kill(follower);
    stage.start_on(follower, log, snapshots);
    assert_eq!(standing(&stage, follower), Some(Standing::Stopped));
    keep_committing(&stage, 10);
    assert!(!runs(&stage, follower), "a restart does not take it up");

    let cluster = stage.node(follower).cluster.clone();
    stage.until("it knows the root group", |stage| {
        stage
            .node(follower)
            .cluster
            .map()
            .groups
            .contains_key(&GROUP)
    });
    stage
        .on(follower, cluster.rebuild(GROUP))
        .expect("is begun");
    stage.until("it votes again", |stage| {
        let status = stage.node(follower).cluster.status();
        status.iter().any(|status| {
            status.group == GROUP
                && status.state == ReplicaState::Follower
                && status.voters.contains(&follower)
        })
    });
    let last = keep_committing(&stage, 10);
    stage.until("all agree and the node is ready", |stage| {
        stage.node(follower).cluster.ready() && (1..=3).all(|node| agrees(stage, node, last))
    });
    let numbers = stage.numbers(stage.leader(GROUP), GROUP);
    stage.until_all_have(GROUP, &numbers);
}

#[test]
fn a_leader_that_differs_stops_and_the_others_go_on() {
    let stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    corrupt(&stage, leader);
    keep_committing(&stage, 10);
    stage.until("it stops", |stage| {
        standing(stage, leader) == Some(Standing::Stopped) && !runs(stage, leader)
    });
    let last = keep_committing(&stage, 10);
    assert_ne!(stage.leader(GROUP), leader);
    stage.until("the others agree", |stage| {
        others(stage, leader)
            .iter()
            .all(|node| agrees(stage, *node, last))
    });
    let other_group = stage.commit(2, 1);
    assert!(other_group > 0, "the node's other replicas go on");
}

#[test]
fn without_a_majority_both_say_so_and_a_third_decides() {
    let mut stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    let [wrong, absent] = others(&stage, leader)[..] else {
        panic!("three nodes");
    };
    let (log, snapshots) = stage.kill(absent);
    corrupt(&stage, wrong);
    keep_committing(&stage, 10);
    stage.until("both say so", |stage| {
        [wrong, leader]
            .iter()
            .all(|node| matches!(standing(stage, *node), Some(Standing::Disputed { .. })))
    });
    assert!(
        [wrong, leader]
            .iter()
            .all(|node| stage.node(*node).cluster.ready()),
        "both go on, or nobody would sell"
    );
    keep_committing(&stage, 10);
    stage.start_on(absent, log, snapshots);
    stage.until("the third decides", |stage| {
        standing(stage, wrong) == Some(Standing::Stopped)
    });
    let last = keep_committing(&stage, 10);
    stage.until("the others agree", |stage| {
        agrees(stage, leader, last) && agrees(stage, absent, last)
    });
}

#[test]
fn a_snapshot_and_restarts_are_no_cause_for_alarm() {
    let mut stage = Stage::new(3, often);
    keep_committing(&stage, 10);
    let leader = stage.leader(GROUP);
    let away = others(&stage, leader)[0];
    let (log, snapshots) = stage.kill(away);
    keep_committing(&stage, 30);
    for node in others(&stage, away) {
        let cluster = stage.node(node).cluster.clone();
        stage.on(node, cluster.snapshot(GROUP)).expect("is begun");
    }
    stage.until("the log is purged", |stage| {
        let status = stage.node(leader).cluster.status();
        status
            .iter()
            .any(|status| status.group == GROUP && status.purged > 20)
    });
    stage.start_on(away, log, snapshots);
    let last = keep_committing(&stage, 10);
    stage.until("all agree after a snapshot", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
    let restored = stage.node(away).toys.get(GROUP).expect("is here").state();
    assert!(restored.restores > 0, "it came by snapshot");

    for node in 1..=3 {
        let (log, snapshots) = stage.kill(node);
        stage.start_on(node, log, snapshots);
    }
    let last = keep_committing(&stage, 20);
    stage.until("all agree after restarts", |stage| {
        (1..=3).all(|node| agrees(stage, node, last))
    });
}

#[test]
fn a_root_replica_that_differs_stops_and_its_node_is_not_ready() {
    let mut stage = Stage::new(3, |_| {});
    put_partner(&stage, 1, 1, "true");
    let leader = stage.leader(ROOT_GROUP);
    let wrong = others(&stage, leader)[0];
    let cluster = stage.node(wrong).cluster.clone();
    stage.until("it has the partner", |_| {
        cluster.map().partners.contains_key(&1)
    });
    stage
        .on(wrong, cluster.snapshot(ROOT_GROUP))
        .expect("is begun");
    stage.until("the snapshot is complete", |stage| {
        let status = stage.node(wrong).cluster.status();
        let root = status.iter().find(|status| status.group == ROOT_GROUP);
        root.is_some_and(|root| root.snapshot > 0)
    });
    let (log, snapshots) = stage.kill(wrong);
    forge_root(&snapshots, "forged");
    stage.start_on(wrong, log, snapshots);
    stage.until("it stops", |stage| {
        stage.node(wrong).cluster.stopped_groups() == [ROOT_GROUP]
    });
    let cluster = stage.node(wrong).cluster.clone();
    assert!(cluster.group(ROOT_GROUP).is_none() && !cluster.ready());
    assert_eq!(cluster.map().partners[&1].name, "forged");
    let refused = stage.on(wrong, cluster.rebuild(ROOT_GROUP));
    assert!(
        matches!(refused, Err(AdminFailure::Refused(_))),
        "another node takes its place: {refused:?}"
    );

    let well = others(&stage, wrong);
    put_partner(&stage, well[0], 2, "another");
    stage.until("the others go on and agree", |stage| {
        well.iter().all(|node| {
            let cluster = &stage.node(*node).cluster;
            cluster.ready()
                && cluster.map().partners.contains_key(&2)
                && agrees_on(stage, *node, ROOT_GROUP, 1)
        })
    });

    let (log, snapshots) = stage.kill(wrong);
    let restarted = stage.try_start_on(wrong, log, snapshots);
    assert!(
        matches!(restarted, Err(StartFailure::RootStopped)),
        "a restart is no remedy"
    );
}

fn put_partner(stage: &Stage, at: NodeId, partner_id: u32, name: &str) {
    let partner = PutPartner {
        partner_id,
        name: name.into(),
        channel: partner_id,
    };
    let cluster = stage.node(at).cluster.clone();
    stage
        .on(at, cluster.change_map(Change::PutPartner(partner)))
        .expect("is applied");
}

/// Gives the first partner another name in the root group's snapshot, every checksum right: what a
/// memory that lied would have written.
fn forge_root(disk: &MemoryDisk, name: &str) {
    // The format is written down in `cluster/src/snapshot/format.rs`.
    const HEADER_BYTES: usize = 46;
    let is_root = |bytes: &[u8]| bytes[10..14] == ROOT_GROUP.to_le_bytes();
    let files = disk.names().into_iter().filter_map(|file| {
        let bytes = disk.bytes(&file)?;
        let root = bytes.starts_with(b"ONSALESN") && is_root(&bytes);
        root.then_some((file, bytes))
    });
    for (file, mut bytes) in files {
        let meta_len = u32::from_le_bytes(bytes[14..18].try_into().unwrap()) as usize;
        let state_len = u64::from_le_bytes(bytes[26..34].try_into().unwrap()) as usize;
        let compressed = bytes.split_off(HEADER_BYTES + meta_len);
        let state = zstd::bulk::decompress(&compressed, state_len).unwrap();
        let mut map = MapSnapshot::decode(&state[..]).unwrap();
        map.partners[0].name = name.into();
        let state = map.encode_to_vec();
        let compressed = zstd::bulk::compress(&state, 1).unwrap();
        bytes[18..26].copy_from_slice(&(compressed.len() as u64).to_le_bytes());
        bytes[26..34].copy_from_slice(&(state.len() as u64).to_le_bytes());
        let checksum = xxhash_rust::xxh3::xxh3_64(&compressed);
        bytes[34..42].copy_from_slice(&checksum.to_le_bytes());
        let mut header = crc32fast::Hasher::new();
        header.update(&bytes[..42]);
        header.update(&bytes[HEADER_BYTES..]);
        bytes[42..46].copy_from_slice(&header.finalize().to_le_bytes());
        bytes.extend_from_slice(&compressed);
        disk.put(&file, bytes);
    }
}
