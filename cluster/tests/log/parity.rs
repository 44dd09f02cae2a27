//! The disk in memory and the disk in a folder answer the same script alike.

use std::io;
use std::sync::Arc;

use cluster::disk::Disk;
use cluster::disk::folder::FolderDisk;
use cluster::disk::memory::MemoryDisk;
use openraft::storage::RaftLogStorage;

use crate::ground::{Content, Store, append, content, entries, log_id, open, tiny};

/// Everything a disk can be asked, with what it answers.
async fn script(disk: Arc<dyn Disk>) -> Vec<String> {
    fn told<T: std::fmt::Debug>(answer: io::Result<T>) -> String {
        format!("{:?}", answer.map_err(|error| error.kind()))
    }
    let mut answers = Vec::new();
    let file = disk.create("a").await.unwrap();
    answers.push(told(disk.create("a").await.map(|_| ())));
    answers.push(told(disk.open("b").await.map(|_| ())));
    answers.push(told(disk.remove("b").await));
    answers.push(told(disk.rename("b", "c").await));
    answers.push(told(file.preallocate(1000).await));
    answers.push(told(file.preallocate(10).await));
    answers.push(told(file.len().await));
    answers.push(told(file.write_at(990, &[7; 20]).await));
    answers.push(told(file.read_at(985, 100).await));
    answers.push(told(file.read_at(5000, 10).await));
    answers.push(told(file.sync().await));
    answers.push(told(file.truncate(995).await));
    answers.push(told(file.len().await));
    answers.push(told(file.truncate(1200).await));
    answers.push(told(file.read_at(988, 500).await));
    disk.create("b").await.unwrap();
    answers.push(told(disk.rename("a", "b").await));
    answers.push(told(disk.list().await));
    answers.push(told(file.read_at(988, 3).await));
    let again = disk.open("b").await.unwrap();
    answers.push(told(again.len().await));
    answers.push(told(disk.remove("b").await));
    answers.push(told(again.read_at(988, 3).await));
    answers.push(told(disk.sync_dir().await));
    answers.push(told(disk.list().await));
    answers
}

#[tokio::test]
async fn both_disks_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let real = FolderDisk::open(folder.path()).unwrap();
    let in_memory = script(MemoryDisk::new(1).attach()).await;
    assert_eq!(script(Arc::new(real)).await, in_memory);
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let first = FolderDisk::open(folder.path()).unwrap();
    let second = FolderDisk::open(folder.path()).map(|_| ());
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    FolderDisk::open(folder.path()).unwrap();
}

async fn written(disk: impl Fn() -> Arc<dyn Disk>) -> (Content, Content) {
    let log = open(disk(), tiny(8 * 1024)).await.unwrap();
    let mut store: Store = log.group(1);
    for index in 1..=60 {
        append(&mut store, entries(1, index, 1)).await.unwrap();
    }
    store.truncate_after(Some(log_id(1, 50))).await.unwrap();
    store.purge(log_id(1, 40)).await.unwrap();
    append(&mut store, entries(2, 51, 5)).await.unwrap();
    let before = content(&log, 1).await;
    log.close().await;
    let log = open(disk(), tiny(8 * 1024)).await.unwrap();
    let after = content(&log, 1).await;
    log.close().await;
    (before, after)
}

#[tokio::test]
async fn the_log_is_the_same_on_both() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = written(|| Arc::new(FolderDisk::open(folder.path()).unwrap())).await;
    assert_eq!(before, after);
    let disk = MemoryDisk::new(1);
    assert_eq!(written(|| disk.attach()).await, (before, after));
    for name in disk.names().iter().filter(|name| name.ends_with(".wal")) {
        let real = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(disk.bytes(name).unwrap(), real, "{name}");
    }
}
