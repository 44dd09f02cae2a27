//! Watches who leads: tells the machine, keeps the handle's knowledge, and resolves proposals of a
//! lost leadership. An isolated leader is told by nobody, so its last contact with a quorum is
//! looked at too, with every heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{AsyncRuntime, ServerState};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use super::adapter::{Adapter, Progress};
use super::outstanding::Outstanding;
use crate::bugs::{Bug, planted};
use crate::components::Halt;
use crate::group::Leadership;
use crate::machine::Machine;
use crate::metrics::GroupMetrics;
use crate::types::{GroupId, NodeId, Term, Types};

pub(super) struct Watch<R: AsyncRuntime> {
    pub(super) group: GroupId,
    pub(super) node: NodeId,
    pub(super) raft: openraft::Raft<Types<R>, Adapter>,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) leadership: watch::Sender<Leadership>,
    pub(super) applied_term: watch::Receiver<Term>,
    pub(super) progress: Arc<Progress>,
    pub(super) halt: Arc<dyn Halt>,
    pub(super) heartbeat: Duration,
    /// A leader without its quorum for so long has lost it.
    pub(super) quorum_limit: Duration,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) metrics: GroupMetrics,
}

impl<R: AsyncRuntime> Watch<R> {
    /// Until the replica stops; then it leads no more and nothing waits for it.
    pub(super) async fn run(mut self) {
        let mut server = self.raft.server_metrics();
        let mut tick = interval(self.heartbeat);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut led: Option<Term> = None;
        loop {
            tokio::select! {
                biased;
                changed = server.changed() => if changed.is_err() { break },
                changed = self.applied_term.changed() => if changed.is_err() { break },
                _ = tick.tick() => self.tick(),
            }
            if !self.is_running() {
                break;
            }
            self.look(&mut led).await;
        }
        // A watch may end before the state behind it is looked at.
        if !self.is_running() {
            self.end();
        }
        // It serves no more until the process starts anew, and must not pass for ready.
        self.ready.store(false, Ordering::Release);
        self.publish(None, 0);
        self.outstanding.abandon(None);
        self.metrics.end();
        if led.is_some() {
            self.machine.lead(None).await;
        }
    }

    async fn look(&mut self, led: &mut Option<Term>) {
        let (leader, term, leads) = self.observe();
        let now_led = leads.then_some(term);
        if *led == now_led {
            self.publish(leader.filter(|id| leads || *id != self.node), term);
            return;
        }
        // The handle knows before the machine is told: what the machine proposes then is not
        // refused. What the old leadership proposed is unknown before anybody acts on the new one.
        self.publish(leader.filter(|id| leads || *id != self.node), term);
        self.outstanding.abandon(now_led);
        if led.is_some() && now_led.is_some() {
            // One leadership of ours followed another: the machine sees both ends.
            self.machine.lead(None).await;
        }
        self.machine.lead(now_led).await;
        *led = now_led;
        tracing::info!(
            group = self.group,
            node = self.node,
            ?leader,
            term,
            leads,
            "leadership"
        );
        if leads {
            self.metrics.count_election_won();
        }
    }

    /// Leader, term, and whether this replica leads with everything before its term applied.
    fn observe(&self) -> (Option<NodeId>, Term, bool) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let term = metrics.current_term;
        let applied = *self.applied_term.borrow() == term || planted(Bug::ReadOvertakes);
        let alone = metrics.membership_config.voter_ids().count() == 1;
        let proved = metrics.last_quorum_acked.is_some_and(|acked| {
            use openraft::Instant as _;
            acked.elapsed() <= self.quorum_limit
        });
        let proved = proved || planted(Bug::ReadUnproved);
        let leads = metrics.state == ServerState::Leader && applied && (alone || proved);
        (metrics.current_leader, term, leads)
    }

    fn is_running(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.running_state.is_ok()
    }

    /// A replica whose storage failed ends the process: it would serve no more before a restart, and
    /// a restart reads everything back. One whose machine failed would stop at the same entry again,
    /// so the node goes on with its other groups.
    fn end(&self) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let Err(fatal) = &metrics.running_state else {
            return;
        };
        if matches!(fatal, Fatal::Stopped) {
            // It was told to.
            return;
        }
        tracing::error!(group = self.group, %fatal, "a replica has stopped");
        if matches!(fatal, Fatal::StorageError(_)) && !self.progress.machine_failed() {
            let why = format!("the replica of group {} has stopped: {fatal}", self.group);
            self.halt.halt(&why);
        }
    }

    fn publish(&self, leader: Option<NodeId>, term: Term) {
        let known = Leadership { leader, term };
        self.leadership.send_if_modified(|leadership| {
            let moved = *leadership != known;
            *leadership = known;
            moved
        });
    }

    fn tick(&self) {
        self.outstanding.abandon_overdue(Instant::now());
        // Openraft calls a leader without its quorum a leader still.
        let (_, _, leads) = self.observe();
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let index = |id: &Option<crate::types::LogId>| id.map_or(0, |id| id.index);
        let applied = index(&metrics.last_applied);
        self.metrics.set_progress(
            leads,
            metrics.current_term,
            index(&metrics.local_committed),
            applied,
            self.outstanding.len(),
        );
        self.metrics.set_snapshot(index(&metrics.snapshot));
        // Caught up once is enough: later lag is lag, not recovery.
        let heard = metrics.current_leader.is_some() && metrics.cluster_committed.is_some();
        if heard && applied >= index(&metrics.cluster_committed) {
            self.ready.store(true, Ordering::Release);
        }
    }
}
