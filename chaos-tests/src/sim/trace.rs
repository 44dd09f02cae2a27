//! What happened, event by event. The hash covers everything; lines are kept for people: all of
//! them in a file when asked for, the last ones always.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// Lines shown after a failure.
const LAST: usize = 400;

/// A handle to the trace of one run.
#[derive(Clone)]
pub struct Trace {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    hash: Xxh3,
    lines: u64,
    last: VecDeque<String>,
    file: Option<BufWriter<File>>,
    now: Duration,
    line: String,
}

impl Trace {
    /// With a file, every line is written to it.
    pub fn new(file: Option<&Path>) -> io::Result<Trace> {
        let file = file.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Trace {
            inner: Arc::new(Mutex::new(Inner {
                hash: Xxh3::new(),
                lines: 0,
                last: VecDeque::with_capacity(LAST),
                file,
                now: Duration::ZERO,
                line: String::new(),
            })),
        })
    }

    /// Tells the time of the events to come.
    pub fn set_now(&self, now: Duration) {
        self.lock().now = now;
    }

    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// One line: when, where, what.
    pub fn event(&self, host: &str, kind: &str, what: fmt::Arguments<'_>) {
        let mut inner = self.lock();
        let now = inner.now;
        let mut line = std::mem::take(&mut inner.line);
        line.clear();
        // Writing to a string does not fail.
        let _ = write!(
            line,
            "{:>4}.{:03} {host:<5} {kind:<10} {what}",
            now.as_secs(),
            now.subsec_millis()
        );
        inner.hash.update(line.as_bytes());
        inner.lines += 1;
        if inner.last.len() == LAST {
            inner.last.pop_front();
        }
        let shown = line.clone();
        inner.last.push_back(shown);
        if let Some(file) = &mut inner.file {
            // A trace that cannot be written is noticed by who reads it.
            let _ = writeln!(file, "{line}");
        }
        inner.line = line;
    }

    /// Bytes put on a link: in the hash, and in the file as a checksum.
    pub fn bytes(&self, host: &str, bytes: &[u8]) {
        let mut inner = self.lock();
        let now = inner.now.as_millis() as u64;
        inner.hash.update(host.as_bytes());
        inner.hash.update(&now.to_le_bytes());
        inner.hash.update(&(bytes.len() as u64).to_le_bytes());
        inner.hash.update(bytes);
        if let Some(file) = &mut inner.file {
            let digest = xxhash_rust::xxh3::xxh3_64(bytes);
            let length = bytes.len();
            let _ = writeln!(file, "{now:>8} {host:<5} sent {length} {digest:016x}");
        }
    }

    pub fn hash(&self) -> u64 {
        self.lock().hash.digest()
    }

    pub fn lines(&self) -> u64 {
        self.lock().lines
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> Vec<String> {
        self.lock().last.iter().cloned().collect()
    }

    /// Puts what is written so far into the file.
    pub fn flush(&self) -> io::Result<()> {
        self.lock()
            .file
            .as_mut()
            .map_or(Ok(()), |file| file.flush())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
