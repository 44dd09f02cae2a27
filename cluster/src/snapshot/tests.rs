//! Files of snapshots on a memory disk.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::format::{self, Damage};
use super::*;
use crate::components::{Components, Halt, Io, Lanes, Net, Scope, WallClock};
use crate::disk::memory::MemoryDisk;
use crate::types::{CommittedLeaderId, LogId, Membership, Peer, SnapshotMeta, StoredMembership};

const GROUP: u32 = 3;

fn meta(term: u64, index: u64) -> SnapshotMeta {
    let log_id = LogId::new(CommittedLeaderId::new(term), index);
    let peers = [1, 2, 3].map(|id| {
        let address = format!("node-{id}");
        (id, Peer { address })
    });
    let voters = vec![[1, 2, 3].into_iter().collect()];
    let peers: std::collections::BTreeMap<_, _> = peers.into();
    let membership = Membership::new(voters, peers).expect("a membership");
    SnapshotMeta {
        last_log_id: Some(log_id),
        last_membership: StoredMembership::new(Some(log_id), membership),
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let state = b"many seats, many seats, many seats".repeat(20);
    let meta = meta(2, 40);
    let file = format::encode(GROUP, &meta, &state).expect("encoded");
    assert_eq!(format::decode(GROUP, &file), Ok((meta, state)));
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(format::check(GROUP, &damaged).is_err(), "byte {at}");
    }
    for len in 0..file.len() {
        assert!(format::check(GROUP, &file[..len]).is_err(), "cut at {len}");
    }
    assert_eq!(format::check(4, &file), Err(Damage::OtherGroup(GROUP)));
}

#[test]
fn the_header_is_where_the_next_version_will_look_for_it() {
    let file = format::encode(GROUP, &SnapshotMeta::default(), b"").expect("encoded");
    assert_eq!(&file[..14], b"ONSALESN\x01\x00\x03\x00\x00\x00");
}

#[tokio::test]
async fn the_newest_is_kept_and_found_again() {
    let disk = MemoryDisk::new(1);
    let store = store(&disk).await;
    for index in [9, 10, 100] {
        let state = Bytes::from(format!("state at {index}"));
        store
            .save(GROUP, &meta(1, index), state)
            .await
            .expect("saved");
    }
    store
        .save(4, &meta(1, 5), Bytes::new())
        .await
        .expect("saved");
    assert_eq!(disk.names().len(), 2);
    disk.crash();

    let store = self::store(&disk).await;
    let (found, file) = store.newest(GROUP).await.expect("read").expect("one");
    assert_eq!(found, meta(1, 100));
    let state = store.load(GROUP, &file).await.expect("loaded");
    assert_eq!(state, "state at 100");
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_by_name() {
    let disk = MemoryDisk::new(1);
    let store = store(&disk).await;
    let saved = store
        .save(GROUP, &meta(1, 9), Bytes::from_static(b"state"))
        .await;
    let name = saved.expect("saved").name().to_owned();
    disk.flip(&name, 60, 1);
    let refused = store
        .newest(GROUP)
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(refused.contains(&name), "{refused}");
}

#[tokio::test]
async fn a_received_snapshot_is_adopted_or_cleared_away() {
    let disk = MemoryDisk::new(1);
    let store = store(&disk).await;
    let bytes = format::encode(GROUP, &meta(2, 20), b"state").expect("encoded");
    let checksum = crc32fast::hash(&bytes);
    let receive = async || {
        let mut receiving = store.receive(GROUP).await.expect("begun");
        for chunk in bytes.chunks(7) {
            receiving
                .write(Bytes::copy_from_slice(chunk))
                .await
                .expect("written");
        }
        receiving
    };
    let broken = receive().await.finish(bytes.len() as u64, !checksum).await;
    assert!(broken.is_err());
    drop(receive().await);

    let file = receive()
        .await
        .finish(bytes.len() as u64, checksum)
        .await
        .expect("complete");
    let file = store
        .adopt(GROUP, &meta(2, 20), file)
        .await
        .expect("adopted");
    let state = store.load(GROUP, &file).await.expect("loaded");
    assert_eq!(state, "state");
    assert_eq!(disk.names(), [file.name()]);
}

async fn store(disk: &MemoryDisk) -> SnapshotStore {
    let components = Components {
        log_disk: disk.attach(),
        snapshot_disk: disk.attach(),
        net: Arc::new(Nothing),
        wall: Arc::new(Nothing),
        halt: Arc::new(Nothing),
        lanes: Arc::new(Nothing),
        scope: Arc::new(Nothing),
        seed: 1,
    };
    SnapshotStore::open(&components).await.expect("opened")
}

/// Snapshots need a disk and a lane only.
struct Nothing;

impl Lanes for Nothing {
    fn run(&self, _name: &str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

impl WallClock for Nothing {
    fn now_ms(&self) -> u64 {
        0
    }
}

impl Halt for Nothing {
    fn halt(&self, why: &str) {
        panic!("{why}");
    }
}

impl Scope for Nothing {
    fn enter<'a>(&self, future: BoxFuture<'a, ()>) -> BoxFuture<'a, ()> {
        future
    }
}

#[async_trait::async_trait]
impl Net for Nothing {
    async fn dial(&self, _address: &str) -> std::io::Result<Box<dyn Io>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn listen(
        &self,
        _address: &str,
    ) -> std::io::Result<futures::stream::BoxStream<'static, std::io::Result<Box<dyn Io>>>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
