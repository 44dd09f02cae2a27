//! Whether the node is ready, what its replicas think of each other, and the room on the disk of its
//! folder; read when somebody asks.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cluster::Cluster;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge, Registry};
use tokio::sync::watch;

/// Looks at each scrape.
pub struct Health {
    cluster: Cluster,
    /// True when the node is about to stop.
    leaving: watch::Receiver<bool>,
    folder: PathBuf,
    ready: IntGauge,
    stopped: IntGauge,
    disputed: IntGauge,
    disk_free: Gauge,
    disk: Gauge,
}

impl Health {
    pub fn register(
        registry: &Registry,
        cluster: Cluster,
        leaving: watch::Receiver<bool>,
        folder: &Path,
    ) -> prometheus::Result<()> {
        registry.register(Box::new(Health {
            cluster,
            leaving,
            folder: folder.to_owned(),
            ready: IntGauge::new("onsale_node_ready", "1 while the node is ready, as /readyz says.")?,
            stopped: IntGauge::new(
                "onsale_node_stopped_groups",
                "Groups whose replica here was stopped because it differed from the others.",
            )?,
            disputed: IntGauge::new(
                "onsale_node_disputed_groups",
                "Groups whose replica here differs from another's while no majority tells who is right.",
            )?,
            disk_free: Gauge::new(
                "onsale_node_disk_free_bytes",
                "Bytes that the node may still write on the disk of its folder.",
            )?,
            disk: Gauge::new("onsale_node_disk_bytes", "Bytes of the disk of the node's folder.")?,
        }))
    }

    fn look(&self) {
        let ready = !*self.leaving.borrow() && self.cluster.ready();
        self.ready.set(ready.into());
        self.stopped.set(self.cluster.stopped_groups().len() as i64);
        self.disputed
            .set(self.cluster.disputed_groups().len() as i64);
        if let Some(room) = room(&self.folder) {
            self.disk_free.set(room.free as f64);
            self.disk.set(room.all as f64);
        }
    }

    fn parts(&self) -> [&dyn Collector; 5] {
        [
            &self.ready,
            &self.stopped,
            &self.disputed,
            &self.disk_free,
            &self.disk,
        ]
    }
}

impl Collector for Health {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.look();
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

/// Of a disk, in bytes.
struct Room {
    free: u64,
    all: u64,
}

fn room(folder: &Path) -> Option<Room> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends with a zero, and statvfs fills the struct it is given; an all-zero one is
    // valid too.
    let stat = unsafe {
        if libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    let block = stat.f_frsize;
    Some(Room {
        free: stat.f_bavail.saturating_mul(block),
        all: stat.f_blocks.saturating_mul(block),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = room(folder.path()).expect("a disk");
        assert!(there.free <= there.all && there.all > 0);
        assert!(room(&folder.path().join("nowhere")).is_none());
    }
}
