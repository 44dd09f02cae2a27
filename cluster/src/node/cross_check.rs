//! Replicas of a group compare their digests. Peers tell theirs with the gossip; what differs from a
//! majority of the voters at the same log index stops, a leader included, and stays stopped over
//! restarts until an operator has it rebuilt. Where no majority can tell who is right, every
//! replica concerned says so and goes on.
//!
//! A replica is rebuilt through its group's members: the leader lets it go, it forgets its log and
//! its snapshots, and is brought in again as a learner by snapshot.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use proto::cluster::v1 as pb;
use tokio::time::{Instant, timeout};

use super::Inner;
use crate::bugs::{Bug, planted};
use crate::metrics::ClusterMetrics;
use crate::replica::registry::Replicas;
use crate::types::{GroupId, NodeId};
use verdict::{Verdict, verdict};

/// How this node's replica of a group stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// With a majority, last at this log index.
    Agrees { index: u64 },
    /// Another replica's digest differs at this log index, and no majority tells who is right.
    Disputed { index: u64 },
    /// A majority's digest differed: stopped, until it is rebuilt.
    Stopped,
    /// Stopped, and waiting for its group's leader to let it go.
    Rebuilding,
}

impl Standing {
    /// Whether the replica must not run.
    pub fn is_stopped(self) -> bool {
        matches!(self, Standing::Stopped | Standing::Rebuilding)
    }
}

pub(crate) struct CrossCheck {
    metrics: ClusterMetrics,
    inner: Mutex<State>,
}

#[derive(Default)]
struct State {
    told: BTreeMap<NodeId, BTreeMap<GroupId, Told>>,
    standings: BTreeMap<GroupId, Standing>,
    /// Since when stopped replicas wait to be let go.
    rebuilding: BTreeMap<GroupId, Instant>,
}

/// What a peer said of its replica of one group.
#[derive(Default)]
struct Told {
    incarnation: u64,
    digests: BTreeMap<u64, u64>,
    rebuilding: bool,
}

impl CrossCheck {
    /// `stopped`: the replicas that were stopped before this node was started.
    pub(crate) fn new(metrics: ClusterMetrics, stopped: Vec<GroupId>) -> Self {
        let stopped = stopped.into_iter().map(|group| (group, Standing::Stopped));
        let state = State {
            standings: stopped.collect(),
            ..State::default()
        };
        CrossCheck {
            metrics,
            inner: Mutex::new(state),
        }
    }

    pub(crate) fn standings(&self) -> BTreeMap<GroupId, Standing> {
        self.lock().standings.clone()
    }

    /// Whether the replica here must not run.
    pub(crate) fn is_stopped(&self, group: GroupId) -> bool {
        let standing = self.lock().standings.get(&group).copied();
        standing.is_some_and(Standing::is_stopped)
    }

    /// What this node tells a peer that knows its digests up to somewhere.
    pub(crate) fn tell(
        &self,
        replicas: &Replicas,
        known: &[pb::KnownDigests],
    ) -> Vec<pb::GroupDigests> {
        let running = replicas.all().into_iter().map(|(group, replica)| {
            let digests = replica.digests();
            let incarnation = digests.incarnation();
            let known = known
                .iter()
                .find(|known| known.group_id == group && known.incarnation == incarnation);
            let news = match known {
                Some(known) => digests.after(known.index),
                None => digests.all(),
            };
            pb::GroupDigests {
                group_id: group,
                incarnation,
                digests: news
                    .into_iter()
                    .map(|(index, digest)| pb::Digest { index, digest })
                    .collect(),
                rebuilding: false,
            }
        });
        let state = self.lock();
        let rebuilding = state.rebuilding.keys().map(|group| pb::GroupDigests {
            group_id: *group,
            rebuilding: true,
            ..pb::GroupDigests::default()
        });
        running.chain(rebuilding).collect()
    }

    /// What is known of a peer's digests, so that it need not say it again.
    fn known(&self, node: NodeId) -> Vec<pb::KnownDigests> {
        let state = self.lock();
        let groups = state.told.get(&node).into_iter().flatten();
        groups
            .filter_map(|(group, told)| {
                Some(pb::KnownDigests {
                    group_id: *group,
                    incarnation: told.incarnation,
                    index: *told.digests.last_key_value()?.0,
                })
            })
            .collect()
    }

    fn hear(&self, node: NodeId, groups: Vec<pb::GroupDigests>, kept: usize) {
        let mut state = self.lock();
        let told = state.told.entry(node).or_default();
        // A replica that is not named runs no more: its word no longer counts.
        told.retain(|group, _| groups.iter().any(|named| named.group_id == *group));
        for named in groups {
            let told = told.entry(named.group_id).or_default();
            if told.incarnation != named.incarnation {
                *told = Told {
                    incarnation: named.incarnation,
                    ..Told::default()
                };
            }
            told.rebuilding = named.rebuilding;
            let digests = named.digests.into_iter();
            told.digests
                .extend(digests.map(|digest| (digest.index, digest.digest)));
            while told.digests.len() > kept {
                told.digests.pop_first();
            }
        }
    }

    /// A node that left the map is forgotten.
    pub(super) fn retain(&self, nodes: &[NodeId]) {
        self.lock().told.retain(|node, _| nodes.contains(node));
    }

    /// The nodes whose replica of a group waits to be let go.
    pub(crate) fn rebuilding(&self, group: GroupId) -> BTreeSet<NodeId> {
        let state = self.lock();
        let nodes = state.told.iter().filter(|(_, groups)| {
            let told = groups.get(&group);
            told.is_some_and(|told| told.rebuilding)
        });
        nodes.map(|(node, _)| *node).collect()
    }

    /// The replicas stopped here, and since when they wait to be let go to begin anew.
    fn stopped_here(&self) -> Vec<(GroupId, Option<Instant>)> {
        let state = self.lock();
        let stopped = state
            .standings
            .iter()
            .filter(|(_, standing)| standing.is_stopped());
        stopped
            .map(|(group, _)| (*group, state.rebuilding.get(group).copied()))
            .collect()
    }

    pub(crate) fn rebuild(&self, group: GroupId) {
        let mut state = self.lock();
        state.rebuilding.entry(group).or_insert_with(Instant::now);
        state.standings.insert(group, Standing::Rebuilding);
    }

    /// The replica is gone, with its log and its snapshots: a new one may be started.
    pub(crate) fn cleared(&self, group: GroupId) {
        let mut state = self.lock();
        state.rebuilding.remove(&group);
        state.standings.remove(&group);
    }

    /// Takes note of a verdict; answers whether the replica has to stop.
    fn judge(&self, group: GroupId, verdict: Verdict) -> bool {
        let mut state = self.lock();
        let before = state.standings.get(&group).copied();
        let standing = match verdict {
            Verdict::Unknown => return false,
            Verdict::Agrees { index } => {
                self.metrics.group(group).set_digest_agreed(index);
                Standing::Agrees { index }
            }
            Verdict::Disputed { index } => {
                if !matches!(before, Some(Standing::Disputed { .. })) {
                    tracing::error!(
                        group,
                        index,
                        "replicas differ and no majority tells which is right: compare them"
                    );
                    self.metrics.group(group).count_digest_mismatch();
                }
                Standing::Disputed { index }
            }
            Verdict::Differs { index } => {
                tracing::error!(
                    group,
                    index,
                    "this replica's digest differs from the majority's: it stops until it is rebuilt"
                );
                self.metrics.group(group).count_digest_mismatch();
                if planted(Bug::DifferenceUnheeded) {
                    return false;
                }
                Standing::Stopped
            }
        };
        state.standings.insert(group, standing);
        standing == Standing::Stopped
    }

    fn verdict(
        &self,
        node: NodeId,
        group: GroupId,
        voters: &BTreeSet<NodeId>,
        own: &BTreeMap<u64, u64>,
    ) -> Verdict {
        let state = self.lock();
        let peers = state.told.iter().filter_map(|(peer, groups)| {
            let told = groups.get(&group)?;
            Some((*peer, &told.digests))
        });
        verdict(node, voters, own, &peers.collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A group at rest is compared too: its replicas all stand at its last entry.
    pub(super) async fn digest_at_rest(&self, before: &mut BTreeMap<GroupId, u64>) {
        let mut now = BTreeMap::new();
        for (group, replica) in self.replicas.all() {
            let applied = replica.status().applied;
            now.insert(group, applied);
            let rests = before.get(&group) == Some(&applied);
            if rests && !replica.digests().has(applied) {
                // A replica whose owners are busy does not rest.
                timeout(self.config.heartbeat(), replica.digest())
                    .await
                    .ok();
            }
        }
        *before = now;
    }

    pub(super) async fn ask_digests(&self, node: NodeId) {
        let Some(link) = self.link(node) else {
            return;
        };
        let request = pb::ListDigestsRequest {
            known: self.check.known(node),
        };
        let mut client = link.client();
        match timeout(self.config.request_limit(), client.list_digests(request)).await {
            Ok(Ok(answer)) => {
                let groups = answer.into_inner().groups;
                self.check.hear(node, groups, crate::replica::digests::KEPT);
            }
            Ok(Err(status)) => {
                tracing::debug!(node, why = status.message(), "a peer tells no digests");
            }
            Err(_) => tracing::debug!(node, "a peer tells no digests in time"),
        }
    }

    /// Stops the replicas here that differ from a majority.
    pub(super) async fn stop_differing(&self) {
        for (group, replica) in self.replicas.all() {
            let voters = replica.status().voters;
            let own = replica.digests().all();
            let node = self.config.node_id;
            let verdict = self.check.verdict(node, group, &voters, &own);
            if !self.check.judge(group, verdict) {
                continue;
            }
            // Before all else: a node that ends now must not take the replica up again.
            if !planted(Bug::StopForgotten)
                && let Err(error) = self.snapshots.mark_stopped(group).await
            {
                tracing::error!(group, %error, "the stop is not on the disk");
            }
            self.replicas.remove(group);
            replica.shutdown().await;
        }
    }

    /// What is left of a stopped replica goes once its group's leader has let it go: because it is
    /// to be rebuilt, and then it begins anew, or because the map has placed it elsewhere.
    pub(super) async fn clear_stopped(&self) {
        let map = self.published.map();
        let node = self.config.node_id;
        for (group, since) in self.check.stopped_here() {
            let placed_here = map
                .groups
                .get(&group)
                .is_none_or(|placement| placement.replicas.contains(&node));
            let goes = since.is_some() || !placed_here;
            if !goes || !self.let_go(group, since) {
                continue;
            }
            tracing::info!(group, "a stopped replica is cleared away");
            if self.forget(group).await {
                self.check.cleared(group);
            }
        }
    }
}
