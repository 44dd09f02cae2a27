//! Disks that lose their power, are full, are slow, or hang.

use std::time::Duration;

use onsale::local::{api, metrics};

use super::{Active, FAULT_MAX, Stage};
use crate::procs::cluster::READY_WITHIN;
use crate::procs::limits::Controller;
use crate::procs::{Trouble, trouble};

/// Writes a second that a slow disk carries out.
const WRITES_PER_S: u32 = 25;
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const WRITE_IOPS: &str = "blkio.throttle.write_iops_device";
const SERVICED: &str = "blkio.throttle.io_serviced";

impl Stage {
    /// The power of all of them is gone at once, and comes back; the nodes stay down.
    ///
    /// The processes are killed first: a process that lives on when its file system is shut down may
    /// be told that a sync went well whose data is lost (ext4 answers so when it fails to mark
    /// preallocated extents as written), and would acknowledge what no real disk had acknowledged.
    pub(super) fn cut_power(&mut self, active: &Active) -> Result<(), Trouble> {
        self.cluster.kill_at_once(&active.nodes);
        for at in &active.nodes {
            self.cluster.disk(*at)?.cut_power()?;
        }
        self.cluster.all_gone(&active.nodes)?;
        for at in &active.nodes {
            self.cluster.disk(*at)?.restore_power()?;
        }
        Ok(())
    }

    /// Takes all room, and waits until the log wants another segment and finds none.
    pub(super) fn fill_disk(&mut self, active: &Active) -> Result<(), Trouble> {
        let at = active.nodes[0];
        if self.cluster.disk(at)?.fill()? == 0 {
            return Err(trouble("the disk had no room before"));
        }
        while !self.is_full(at) && active.began.elapsed() < FAULT_MAX {
            self.pass(LOOK_AGAIN)?;
        }
        Ok(())
    }

    /// It happened if the node says that it has no room.
    pub(super) fn empty_disk(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let full = self.is_full(at);
        self.cluster.disk(at)?.empty()?;
        Ok(full.into())
    }

    fn is_full(&self, at: usize) -> bool {
        let text = api::metrics(&self.cluster.nodes[at].http_address).unwrap_or_default();
        metrics::sum(&text, "onsale_log_disk_full") > 0.0
    }

    /// How many writes there were before.
    pub(super) fn slow_disk(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let device = self.cluster.disk(at)?.device()?;
        let limits = &self.cluster.nodes[at].limits;
        limits.set(
            Controller::Blkio,
            WRITE_IOPS,
            &format!("{device} {WRITES_PER_S}"),
        )?;
        self.writes(at)
    }

    /// It happened if there were writes to be slowed.
    pub(super) fn unslow_disk(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let writes = self.writes(at)?;
        let device = self.cluster.disk(at)?.device()?;
        let limits = &self.cluster.nodes[at].limits;
        limits.set(Controller::Blkio, WRITE_IOPS, &format!("{device} 0"))?;
        // The node may have held itself for dead.
        self.revive(at)?;
        self.cluster.wait_one_ready(at, READY_WITHIN)?;
        Ok((writes > active.before).into())
    }

    fn writes(&mut self, at: usize) -> Result<u64, Trouble> {
        let device = self.cluster.disk(at)?.device()?;
        let limits = &self.cluster.nodes[at].limits;
        let text = limits.get(Controller::Blkio, SERVICED)?;
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(&format!("{device} Write ")));
        Ok(line.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    pub(super) fn hang_disk(&mut self, active: &Active) -> Result<(), Trouble> {
        self.cluster.disk(active.nodes[0])?.freeze(FAULT_MAX)
    }

    /// The node may have ended itself, or be about to: a leader with a hung disk must not go on.
    pub(super) fn thaw_disk(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        self.cluster.disk(at)?.thaw()?;
        // What was to end when the disk hung ends now.
        std::thread::sleep(LOOK_AGAIN);
        self.revive(at)?;
        self.cluster.wait_one_ready(at, READY_WITHIN)?;
        Ok(1)
    }
}
