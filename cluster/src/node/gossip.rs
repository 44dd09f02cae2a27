//! What the peers tell about themselves every second: their clocks and the groups they lead. It
//! finds leaders of groups not carried here and feeds placement; nothing safe depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use proto::cluster::v1 as pb;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Inner;
use crate::metrics::ClusterMetrics;
use crate::placement::{Observed, ObservedGroup};
use crate::replica::registry::Led;
use crate::types::{GroupId, NodeId, ROOT_GROUP};

pub(super) struct Gossip {
    told: Mutex<BTreeMap<NodeId, Told>>,
    /// Peers that did not answer last time: said once, until they answer again.
    silent: Mutex<BTreeSet<NodeId>>,
    metrics: ClusterMetrics,
}

/// The last words of one peer.
struct Told {
    at: Instant,
    /// What its wall clock showed then.
    wall_ms: u64,
    leads: Vec<Led>,
    /// Its disk has no room.
    disk_full: bool,
    /// Its replicas have not applied what they were sent.
    catching_up: bool,
}

impl Gossip {
    pub(super) fn new(metrics: ClusterMetrics) -> Gossip {
        Gossip {
            told: Mutex::default(),
            silent: Mutex::default(),
            metrics,
        }
    }

    pub(super) fn clocks(&self) -> BTreeMap<NodeId, (u64, Instant)> {
        let told = self.lock();
        told.iter()
            .map(|(node, told)| (*node, (told.wall_ms, told.at)))
            .collect()
    }

    /// Who said last that it leads a group; the highest term wins.
    pub(super) fn leader(&self, group: GroupId) -> Option<NodeId> {
        let told = self.lock();
        let claims = told.iter().flat_map(|(node, told)| {
            let leads = told.leads.iter().filter(|led| led.group == group);
            leads.map(|led| (led.term, *node))
        });
        claims.max().map(|(_, node)| node)
    }

    /// The peers whose disks have no room, by their last words.
    pub(super) fn full(&self) -> BTreeSet<NodeId> {
        let told = self.lock();
        let full = told.iter().filter(|(_, told)| told.disk_full);
        full.map(|(node, _)| *node).collect()
    }

    /// The peers whose replicas have not applied what they were sent, by their last words.
    fn catching_up(&self) -> BTreeSet<NodeId> {
        let told = self.lock();
        let behind = told.iter().filter(|(_, told)| told.catching_up);
        behind.map(|(node, _)| *node).collect()
    }

    /// `since`: only what was heard after that.
    pub(super) fn led(&self, group: GroupId, since: Option<Instant>) -> Option<(NodeId, Led)> {
        let told = self.lock();
        let fresh = told
            .iter()
            .filter(|(_, told)| since.is_none_or(|since| told.at > since));
        let claims = fresh.flat_map(|(node, told)| {
            let leads = told.leads.iter().filter(|led| led.group == group);
            leads.map(|led| (*node, led))
        });
        let newest = claims.max_by_key(|(_, led)| led.term);
        newest.map(|(node, led)| (node, led.clone()))
    }

    fn answers(&self, node: NodeId) {
        if self.silent().remove(&node) {
            tracing::info!(node, "a peer answers again");
        }
    }

    fn is_silent(&self, node: NodeId, why: &str) {
        if self.silent().insert(node) {
            tracing::warn!(node, why, "a peer does not answer");
        }
    }

    /// A node that left the map is forgotten; of the others is told how many are silent.
    fn retain(&self, others: &[NodeId]) {
        self.lock().retain(|node, _| others.contains(node));
        let mut silent = self.silent();
        silent.retain(|node| others.contains(node));
        self.metrics.set_silent_peers(silent.len());
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, BTreeSet<NodeId>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A second with the default profile, less with a faster one.
    pub(super) fn gossip_period(&self) -> Duration {
        (self.config.heartbeat() * 4).min(Duration::from_secs(1))
    }

    /// This node and the peers heard lately.
    pub(super) fn alive(&self) -> BTreeSet<NodeId> {
        let limit = self.gossip_period() * 3;
        let told = self.gossip.lock();
        let heard = told.iter().filter(|(_, told)| told.at.elapsed() < limit);
        let heard = heard.map(|(node, _)| *node);
        heard.chain([self.config.node_id]).collect()
    }

    pub(super) fn observe(&self) -> Observed {
        let alive = self.alive();
        let mut full = self.gossip.full();
        if self.log.is_full() {
            full.insert(self.config.node_id);
        }
        let mut catching_up = self.gossip.catching_up();
        if self.replicas.catching_up() {
            catching_up.insert(self.config.node_id);
        }
        let told = self.gossip.lock();
        let mut newest: BTreeMap<GroupId, (u64, NodeId, Led)> = BTreeMap::new();
        let here = self.replicas.led();
        let here = here.into_iter().map(|led| (self.config.node_id, led));
        let there = told.iter().filter(|(node, _)| alive.contains(node));
        let there =
            there.flat_map(|(node, told)| told.leads.iter().map(|led| (*node, led.clone())));
        for (node, led) in here.chain(there) {
            let known = newest.get(&led.group).map(|(term, ..)| *term);
            if led.group != ROOT_GROUP && known.is_none_or(|term| term < led.term) {
                newest.insert(led.group, (led.term, node, led));
            }
        }
        let groups = newest.into_iter().map(|(group, (_, leader, led))| {
            let seen = ObservedGroup {
                leader,
                voters: led.voters,
                learners: led.learners,
            };
            (group, seen)
        });
        Observed {
            groups: groups.collect(),
            alive,
            full,
            catching_up,
        }
    }

    pub(super) async fn gossip_loop(self: Arc<Self>) {
        let mut tick = interval(self.gossip_period());
        let mut applied = BTreeMap::new();
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let others = self.others();
            self.digest_at_rest(&mut applied).await;
            join_all(others.iter().map(|node| async {
                self.ask(*node).await;
                self.ask_digests(*node).await;
            }))
            .await;
            self.gossip.retain(&others);
            self.check.retain(&others);
        }
    }

    async fn ask(&self, node: NodeId) {
        let Some(link) = self.link(node) else {
            return;
        };
        let limit = self.config.request_limit();
        let asking = async {
            let mut client = link.client();
            let sent = Instant::now();
            let clock = client.get_clock(pb::GetClockRequest {}).await?.into_inner();
            let at = Instant::now();
            let led = client.list_led_groups(pb::ListLedGroupsRequest {}).await?;
            let led = led.into_inner();
            Ok::<_, tonic::Status>(Told {
                at,
                wall_ms: super::clocks::shown_ms(clock.wall_ms, at - sent),
                leads: led.groups.into_iter().map(read_led).collect(),
                disk_full: led.disk_full,
                catching_up: led.catching_up,
            })
        };
        match timeout(limit, asking).await {
            Ok(Ok(told)) => {
                self.gossip.lock().insert(node, told);
                self.gossip.answers(node);
            }
            Ok(Err(status)) => self.gossip.is_silent(node, status.message()),
            Err(_) => self.gossip.is_silent(node, "not in time"),
        }
    }
}

fn read_led(led: pb::LedGroup) -> Led {
    Led {
        group: led.group_id,
        term: led.term,
        voters: led.voters.into_iter().collect(),
        learners: led.learners.into_iter().collect(),
        settled: led.settled,
    }
}
