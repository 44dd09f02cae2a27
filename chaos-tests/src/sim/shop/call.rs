//! One call, and one wish over as many calls as it takes.

use std::time::Duration;

use cluster::types::NodeId;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Shop;
use super::ledger::{Act, Receipt, Told, Wish};
use super::request::Request;
use crate::sim::world::SHOP;

/// What an answer may take beyond the call's deadline: the server counts from when it got the call.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: usize = 6;

/// How a call gets to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Unary,
    Session,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Unary => "alone",
            Way::Session => "in a session",
        }
    }
}

/// What one attempt came to.
pub(super) enum Attempt {
    Done(Receipt),
    Rejected(String),
    Failed(String),
    Unknown,
}

impl Shop {
    /// Tries until there is an answer or patience is over, and writes it down.
    pub async fn wish(&self, rng: &mut StdRng, sale: u64, hold: u128, wish: Wish) -> Told {
        let key = match wish {
            Wish::Place { .. } => hold,
            _ => self.key(),
        };
        let asked_ms = self.now_ms();
        // Some take the first word for the last.
        let attempts = match rng.random_bool(0.4) {
            true => 1,
            false => rng.random_range(2..=ATTEMPTS_MAX),
        };
        let mut uncertain = false;
        let mut told = Told::Failed("not tried".into());
        for attempt in 0..attempts {
            if attempt > 0 {
                sleep(Duration::from_millis(rng.random_range(20..400))).await;
            }
            let node = self.any_node(rng);
            let way = self.any_way(rng);
            match self.attempt(way, node, sale, key, hold, &wish).await {
                Attempt::Done(receipt) => {
                    told = Told::Done(receipt);
                    break;
                }
                // These leave no record, so an earlier attempt may still come to something else.
                Attempt::Rejected(reason) if uncertain && leaves_no_record(&reason) => {
                    told = Told::Unknown;
                }
                Attempt::Rejected(reason) => {
                    told = Told::Rejected(reason);
                    break;
                }
                Attempt::Failed(_) if uncertain => told = Told::Unknown,
                Attempt::Failed(reason) => told = Told::Failed(reason),
                Attempt::Unknown => {
                    uncertain = true;
                    told = Told::Unknown;
                }
            }
        }
        let act = Act {
            sale,
            key,
            hold,
            wish,
            asked_ms,
            told_ms: self.now_ms(),
            told: told.clone(),
        };
        self.inner.trace.event(
            SHOP,
            act.wish.name(),
            format_args!("{sale} {hold:x} {told:?}"),
        );
        if let Told::Done(receipt) = &told {
            self.ledger().see_revision(sale, receipt.revision);
            let again = if self.inner.duplicates { 0.3 } else { 0.02 };
            if rng.random_bool(again) {
                self.repeat(rng, &act, receipt).await;
            }
        }
        self.ledger().acts.push(act);
        told
    }

    /// The same call again must get the same answer.
    async fn repeat(&self, rng: &mut StdRng, act: &Act, receipt: &Receipt) {
        let after_ms = self.inner.plan.repeats_after_ms;
        if after_ms > 0 {
            sleep(Duration::from_millis(rng.random_range(0..after_ms))).await;
        }
        let node = self.any_node(rng);
        let way = self.any_way(rng);
        let attempt = self.attempt(way, node, act.sale, act.key, act.hold, &act.wish);
        let found = match attempt.await {
            // The index is that of the entry which brought this answer, so it may be a later one.
            Attempt::Done(again) if again.same_as(receipt) => None,
            Attempt::Done(again) => Some(format!("{again:?}")),
            Attempt::Rejected(reason) => Some(reason),
            Attempt::Failed(_) | Attempt::Unknown => None,
        };
        let mut ledger = self.ledger();
        ledger.duplicates += 1;
        if let Some(found) = found {
            let Act { sale, key, .. } = act;
            let name = act.wish.name();
            ledger.violations.push(format!(
                "sale {sale}: {name} {key:x} was answered {receipt:?} and, repeated, {found}"
            ));
        }
    }

    pub fn any_node(&self, rng: &mut StdRng) -> NodeId {
        let nodes = self.nodes();
        nodes[rng.random_range(0..nodes.len())]
    }

    pub(super) fn any_way(&self, rng: &mut StdRng) -> Way {
        match rng.random_range(0..100) < self.inner.plan.sessions_percent {
            true => Way::Session,
            false => Way::Unary,
        }
    }

    async fn attempt(
        &self,
        way: Way,
        node: NodeId,
        sale: u64,
        key: u128,
        hold: u128,
        wish: &Wish,
    ) -> Attempt {
        let asked_ms = self.now_ms();
        let known = self.ledger().revisions.get(&sale).copied().unwrap_or(0);
        let call = Request::of(sale, key, hold, wish, self.inner.plan.hold_ttl_s);
        let sent = async {
            match way {
                Way::Unary => self.send_alone(node, call).await,
                Way::Session => self.send_in_session(node, call).await,
            }
        };
        let what = format!("{} {}", wish.name(), way.name());
        let attempt = match self.bounded(&what, node, sent).await {
            Ok(receipt) => Attempt::Done(receipt),
            Err(status) => {
                self.check_refusal(node, sale, known, &status);
                judge(&status)
            }
        };
        if let Attempt::Rejected(reason) | Attempt::Failed(reason) = &attempt {
            let took = self.now_ms() - asked_ms;
            self.inner.trace.event(
                SHOP,
                "answer",
                format_args!("n{node} {} {key:x} {reason} after {took} ms", wish.name()),
            );
        }
        attempt
    }

    /// Who refuses tells the revision it decided on: never one before what anybody was told of when
    /// the call was made. Only that a sale wants a pass is told without a proof, because it never changes,
    /// and that a pass is none, which the sale is not asked.
    pub(super) fn check_refusal(&self, node: NodeId, sale: u64, known: u64, status: &Status) {
        let info = status.get_details_error_info();
        let revision = info.and_then(|info| info.metadata.get("revision")?.parse::<u64>().ok());
        let why = reason(status).unwrap_or_default();
        if let Some(revision) = revision
            && revision < known
            && !matches!(why.as_str(), "QUEUE_REQUIRED" | "PASS_INVALID")
        {
            self.ledger().violations.push(format!(
                "sale {sale}: n{node} refused a call ({why}) on revision {revision}, {known} was told before"
            ));
        }
    }

    /// Counts the call, ends it when the caller's patience does, and gives a silent connection up.
    /// Faults may keep an answer away; a cluster without faults answers in time. `what` names the call
    /// and the way it takes.
    pub async fn bounded<T>(
        &self,
        what: &str,
        node: NodeId,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        self.ledger().calls += 1;
        let limit = self.inner.plan.call_timeout;
        let is_calm = self.is_calm();
        let ended = timeout(limit + ON_ITS_WAY, call).await;
        let ended = ended.unwrap_or_else(|_| {
            if is_calm {
                let found = format!("{what} at n{node} has no answer {limit:?} after it was made");
                self.ledger().violations.push(found);
            }
            Err(Status::deadline_exceeded("no answer"))
        });
        if let Err(status) = &ended
            && status.get_details_error_info().is_none()
        {
            self.inner.wires.give_up(node);
        }
        ended
    }
}

fn leaves_no_record(reason: &str) -> bool {
    matches!(
        reason,
        "SOLD_OUT" | "NOT_ON_SALE" | "KEY_EXPIRED" | "QUEUE_REQUIRED" | "PASS_INVALID"
    )
}

pub(super) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// What a status says about the effect of the call. One without details comes from the way there.
pub(super) fn judge(status: &Status) -> Attempt {
    let Some(reason) = reason(status) else {
        return Attempt::Unknown;
    };
    match reason.as_str() {
        "UNKNOWN_OUTCOME" => Attempt::Unknown,
        "BAD_REQUEST" | "UNKNOWN_EVENT" | "BUSY" | "NO_LEADER" | "DEADLINE_PASSED"
        | "SALE_FROZEN" | "FORBIDDEN" | "SHUTTING_DOWN" | "RATE_LIMITED" | "API_KEY_MISSING"
        | "API_KEY_INVALID" | "DISK_FULL" => Attempt::Failed(reason),
        _ if status.code() == Code::Unknown => Attempt::Unknown,
        _ => Attempt::Rejected(reason),
    }
}
