//! The lane beside the writer: prepares the next segment before it is needed, writes down how far
//! the log was acknowledged, removes segments nothing needs. None of it stands in an append's way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::mark::MarkFile;
use super::segment::{self, Segment};
use super::state::Shared;
use crate::disk::{self, Disk};

/// How long to wait for room on a full disk before trying again.
const FULL_RETRY: Duration = Duration::from_secs(1);

pub struct Files {
    pub disk: Arc<dyn Disk>,
    pub shared: Arc<Shared>,
    /// Holds one prepared segment.
    pub prepared: mpsc::Sender<Segment>,
    pub next_number: u64,
    pub segment_bytes: u64,
    pub mark_file: MarkFile,
    pub marked: u64,
    pub mark_after: Duration,
}

impl Files {
    /// Runs until the writer has ended or a call fails; a failure ends the log.
    pub async fn run(mut self) {
        if let Err((doing, error)) = self.work().await {
            let failure = self.shared.fail(doing, &error);
            self.shared.halt.halt(&failure.why);
        }
    }

    async fn work(&mut self) -> Result<(), (&'static str, io::Error)> {
        let mut mark_at: Option<Instant> = None;
        let mut retry_at: Option<Instant> = None;
        let shared = self.shared.clone();
        let prepared = self.prepared.clone();
        loop {
            tokio::select! {
                biased;
                permit = prepared.reserve(), if retry_at.is_none() => {
                    // The writer has ended.
                    let Ok(permit) = permit else { break };
                    match self.prepare().await.map_err(|e| ("preparing a segment", e))? {
                        Some(segment) => permit.send(segment),
                        None => retry_at = Some(Instant::now() + FULL_RETRY),
                    }
                }
                () = prepared.closed(), if retry_at.is_some() => break,
                () = until(retry_at), if retry_at.is_some() => retry_at = None,
                () = shared.changed.notified(), if mark_at.is_none() => {
                    self.remove().await.map_err(|e| ("removing a segment", e))?;
                    mark_at = Some(Instant::now() + self.mark_after);
                }
                () = until(mark_at), if mark_at.is_some() => {
                    mark_at = None;
                    self.mark().await.map_err(|e| ("marking", e))?;
                    self.remove().await.map_err(|e| ("removing a segment", e))?;
                }
            }
        }
        self.mark().await.map_err(|e| ("marking", e))?;
        self.remove().await.map_err(|e| ("removing a segment", e))
    }

    /// The next segment, or nothing while the disk is full: that is no failure yet, the segment in
    /// use has room left.
    async fn prepare(&mut self) -> io::Result<Option<Segment>> {
        let prepared = segment::prepare(&*self.disk, self.next_number, self.segment_bytes).await;
        let full = prepared.as_ref().is_err_and(disk::is_full);
        self.shared.lock().full = full;
        self.shared.metrics.set_full(full);
        if full {
            tracing::warn!("no room for the next segment of the log: no sale is taken");
            segment::remove_unfinished(&*self.disk).await?;
            return Ok(None);
        }
        self.next_number += 1;
        prepared.map(Some)
    }

    async fn mark(&mut self) -> io::Result<()> {
        let (mark, failed) = {
            let state = self.shared.lock();
            let failure = state.failure.as_ref();
            (
                state.acknowledged,
                failure.is_some_and(|failure| !failure.closed),
            )
        };
        if failed || mark.sequence == self.marked {
            return Ok(());
        }
        self.mark_file.write(mark).await?;
        self.marked = mark.sequence;
        self.shared.metrics.count_mark();
        Ok(())
    }

    /// Removes the oldest first and makes each removal durable, so that no gap can appear.
    async fn remove(&mut self) -> io::Result<()> {
        while let Some(number) = self.unneeded() {
            self.disk.remove(&segment::name(number)).await?;
            self.disk.sync_dir().await?;
        }
        Ok(())
    }

    fn unneeded(&self) -> Option<u64> {
        self.shared.lock().unneeded.pop_front()
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
