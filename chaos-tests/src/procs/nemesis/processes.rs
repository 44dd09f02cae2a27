//! Processes that are killed, and processes that are stopped for a while.

use super::{Active, Stage};
use crate::procs::Trouble;
use crate::procs::cluster::READY_WITHIN;

impl Stage {
    pub(super) fn kill(&mut self, active: &Active) -> Result<(), Trouble> {
        self.cluster.kill_all_of(&active.nodes)
    }

    /// Starts the nodes again that a fault took down, and waits until they are ready.
    pub(super) fn raise(&mut self, active: &Active) -> Result<u64, Trouble> {
        for at in &active.nodes {
            self.revive(*at)?;
        }
        for at in &active.nodes {
            self.cluster.wait_one_ready(*at, READY_WITHIN)?;
        }
        Ok(1)
    }

    pub(super) fn pause(&mut self, active: &Active) {
        for at in &active.nodes {
            self.cluster.signal(*at, libc::SIGSTOP);
        }
    }

    pub(super) fn resume(&mut self, active: &Active) -> u64 {
        for at in &active.nodes {
            self.cluster.signal(*at, libc::SIGCONT);
        }
        1
    }
}
