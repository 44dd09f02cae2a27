//! Looks over the shoulder of every replica: what is delivered at an index of a group must be the
//! same on all of them, in every incarnation, for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::{SaleMachines, Sales};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::group::Group;
use cluster::machine::{Committed, Encode, Machine, MachineFault, Machines};
use cluster::types::{GroupId, Term};
use futures::future::BoxFuture;
use xxhash_rust::xxh3::xxh3_64;

use super::trace::Trace;

/// What all replicas of a run applied.
#[derive(Clone, Default)]
pub struct Witness {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    entries: BTreeMap<(GroupId, u64), Entry>,
    violations: Vec<String>,
    deliveries: u64,
    restores: u64,
}

struct Entry {
    term: Term,
    digest: u64,
    first: String,
    payload: Bytes,
}

impl Witness {
    /// The machines of a node's sales, watched.
    pub fn machines(&self, sales: Arc<Sales>, host: &str, trace: &Trace) -> Arc<dyn Machines> {
        Arc::new(WatchedMachines {
            machines: SaleMachines(sales),
            witness: self.clone(),
            host: host.to_owned(),
            trace: trace.clone(),
        })
    }

    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// What was delivered anywhere, in the sequence of each group's log.
    pub fn entries(&self) -> Vec<(u64, Bytes)> {
        let seen = self.lock();
        let entries = seen.entries.iter();
        entries
            .map(|((_, index), entry)| (*index, entry.payload.clone()))
            .collect()
    }

    /// Entries delivered, on all replicas together.
    pub fn deliveries(&self) -> u64 {
        self.lock().deliveries
    }

    /// States replaced by a snapshot, at a start or by a leader.
    pub fn restores(&self) -> u64 {
        self.lock().restores
    }

    fn delivered(&self, host: &str, entry: &Committed, last: u64) {
        let mut seen = self.lock();
        seen.deliveries += 1;
        let digest = xxh3_64(&entry.payload);
        let Committed {
            group, term, index, ..
        } = *entry;
        if index <= last {
            seen.violations.push(format!(
                "{host} was delivered index {index} of group {group} after {last}"
            ));
        }
        match seen.entries.get(&(group, index)) {
            None => {
                let first = host.to_owned();
                let entry = Entry {
                    term,
                    digest,
                    first,
                    payload: entry.payload.clone(),
                };
                seen.entries.insert((group, index), entry);
            }
            Some(known) if known.term == term && known.digest == digest => {}
            Some(known) => {
                let Entry {
                    term: other_term,
                    digest: other,
                    first,
                    payload: _,
                } = known;
                let found = format!(
                    "index {index} of group {group}: {host} applied term {term} {digest:016x}, \
                     {first} applied term {other_term} {other:016x}"
                );
                seen.violations.push(found);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct WatchedMachines {
    machines: SaleMachines,
    witness: Witness,
    host: String,
    trace: Trace,
}

impl Machines for WatchedMachines {
    fn machine(&self, group: GroupId, handle: Arc<dyn Group>) -> Arc<dyn Machine> {
        Arc::new(WatchedMachine {
            group,
            machine: self.machines.machine(group, handle),
            witness: self.witness.clone(),
            host: self.host.clone(),
            trace: self.trace.clone(),
            last: Mutex::new(0),
        })
    }
}

struct WatchedMachine {
    group: GroupId,
    machine: Arc<dyn Machine>,
    witness: Witness,
    host: String,
    trace: Trace,
    /// The last index delivered in this incarnation.
    last: Mutex<u64>,
}

impl WatchedMachine {
    fn event(&self, kind: &str, what: std::fmt::Arguments<'_>) {
        let group = self.group;
        self.trace
            .event(&self.host, kind, format_args!("g{group} {what}"));
    }
}

#[async_trait]
impl Machine for WatchedMachine {
    async fn deliver(&self, entry: Committed) -> Result<(), MachineFault> {
        let (term, index, length) = (entry.term, entry.index, entry.payload.len());
        self.event("apply", format_args!("t{term} i{index} {length} B"));
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            self.witness.delivered(&self.host, &entry, *last);
            *last = index;
        }
        self.machine.deliver(entry).await
    }

    async fn snapshot(
        &self,
    ) -> Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault> {
        self.event("snapshot", format_args!(""));
        self.machine.snapshot().await
    }

    async fn digest(&self) -> Result<BoxFuture<'static, Result<u64, MachineFault>>, MachineFault> {
        self.machine.digest().await
    }

    async fn restore(&self, snapshot: Bytes) -> Result<(), MachineFault> {
        self.event("restore", format_args!("{} B", snapshot.len()));
        self.witness.lock().restores += 1;
        self.machine.restore(snapshot).await
    }

    fn behind(&self) -> u64 {
        self.machine.behind()
    }

    async fn lead(&self, term: Option<Term>) {
        match term {
            Some(term) => self.event("lead", format_args!("t{term}")),
            None => self.event("follow", format_args!("")),
        }
        self.machine.lead(term).await;
    }
}
