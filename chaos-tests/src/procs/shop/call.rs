//! One attempt of a call, and one wish over as many attempts as it takes. Each attempt is written down
//! with what it came to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::channel::v1 as pb;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Street;
use crate::history::record::{Call, Done, Id, Op, Outcome, Reason, Rejected, Run, Seen};

/// What a buyer asks of a sale.
#[derive(Clone, Debug)]
pub struct Wish {
    pub sale: u64,
    pub client: u32,
    pub key: u128,
    pub call: Call,
    /// Of a hold that is placed.
    pub lines: Vec<pb::HoldLine>,
    /// The seats, where the caller knows them: those it chose, or those of the hold it speaks of.
    pub seats: Option<Vec<Run>>,
    pub ttl_s: u32,
}

/// The last word on a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Done(Done),
    Rejected(Reason),
    /// Certainly without effect.
    Failed,
    /// It may have happened, may still happen.
    Unknown,
}

/// How patiently a wish is pursued.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// One attempt may take this long.
    pub limit: Duration,
    pub pause_max: Duration,
}

impl Manner {
    /// As buyers do.
    pub const OF_A_BUYER: Manner = Manner {
        limit: Duration::from_millis(1_000),
        pause_max: Duration::from_millis(60),
    };
}

/// What an answer may take beyond the call's deadline: the server counts from when it got the call.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
/// Refusals that the sale may give without remembering them.
const LEAVE_NO_RECORD: [&str; 6] = [
    "SOLD_OUT",
    "SEAT_TAKEN",
    "SEAT_BLOCKED",
    "NOT_ENOUGH_ADJACENT",
    "NOT_ON_SALE",
    "KEY_EXPIRED",
];
/// The gateway waits at least as long before it sends a call again by itself.
const SENT_ONCE: Duration = Duration::from_millis(20);

impl Street {
    /// Tries until there is an answer that is certain, at one node after the other.
    pub async fn wish(&self, rng: &mut StdRng, wish: &Wish, manner: Manner) -> Told {
        let first = rng.random_range(0..self.wires.count());
        let mut uncertain = false;
        let mut told = Told::Failed;
        for attempt in 1_u32.. {
            if attempt > 1 {
                let pause_ms = rng.random_range(5..=manner.pause_max.as_millis() as u64);
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            let again = uncertain || attempt > 1;
            let at = first + attempt as usize - 1;
            let (outcome, is_over) = self.attempt(at, wish, manner.limit, again, uncertain).await;
            self.took(attempt);
            match outcome {
                Outcome::Unknown if is_over => return Told::Unknown,
                Outcome::Done(done) => return Told::Done(done),
                Outcome::Rejected(rejected) => return Told::Rejected(rejected.reason),
                Outcome::Unknown => {
                    uncertain = true;
                    told = Told::Unknown;
                }
                Outcome::Failed | Outcome::Seen(_) if uncertain => told = Told::Unknown,
                Outcome::Failed | Outcome::Seen(_) => told = Told::Failed,
            }
            if !self.is_patient() {
                break;
            }
        }
        told
    }

    /// One attempt, written down, and whether asking again is of no use although it is not certain.
    /// `uncertain` if an earlier attempt may still happen.
    async fn attempt(
        &self,
        at: usize,
        wish: &Wish,
        limit: Duration,
        again: bool,
        uncertain: bool,
    ) -> (Outcome, bool) {
        let was_stormy = self.is_stormy();
        let invoke = self.chronicle.now_ns();
        let began = Instant::now();
        let sent = tokio::time::timeout(limit + ON_ITS_WAY, self.send(at, wish, limit));
        let answer = sent.await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        // The index is only that of the entry which did it if nobody can have sent the call twice.
        let once = !again && !was_stormy && !self.is_stormy() && began.elapsed() < SENT_ONCE;
        let mut is_over = false;
        let mut outcome = match answer {
            Ok(done) => Outcome::Done(done),
            Err(status) => {
                let node = at % self.wires.count() + 1;
                self.chronicle.complain(format!("node {node}: {status}"));
                let name = reason(&status).unwrap_or_default();
                // An earlier attempt may still come to something else.
                is_over = uncertain && LEAVE_NO_RECORD.contains(&name.as_str());
                match is_over {
                    true => Outcome::Unknown,
                    false => judge(&status),
                }
            }
        };
        if !once {
            match &mut outcome {
                Outcome::Done(done) => (done.index, done.at_ms) = (0, None),
                Outcome::Rejected(rejected) => rejected.index = 0,
                _ => {}
            }
        }
        let is_answer = !matches!(outcome, Outcome::Unknown);
        self.chronicle.write(Op {
            sale: wish.sale,
            client: wish.client,
            key: Id(wish.key),
            call: wish.call,
            asked: match wish.call {
                Call::Place { .. } => wish.seats.clone(),
                _ => None,
            },
            ttl_ms: match wish.call {
                Call::Place { .. } => Some(u64::from(wish.ttl_s) * 1000),
                _ => None,
            },
            invoke,
            returned: is_answer.then(|| self.chronicle.now_ns()),
            outcome: outcome.clone(),
        });
        (outcome, is_over)
    }

    async fn send(&self, at: usize, wish: &Wish, limit: Duration) -> Result<Done, Status> {
        let mut sales = SalesServiceClient::new(self.wires.to(at));
        let event_id = wish.sale;
        let idempotency_key = id(wish.key);
        let known = || wish.seats.clone().unwrap_or_default();
        Ok(match wish.call {
            Call::Place { hold } => {
                let asked = pb::PlaceHoldRequest {
                    pass_token: String::new(),
                    event_id,
                    idempotency_key,
                    hold_id: id(hold.0),
                    buyer: id(wish.key),
                    ttl_s: wish.ttl_s,
                    lines: wish.lines.clone(),
                };
                let told = sales.place_hold(self.wires.request(asked, limit)).await?;
                let told = told.into_inner();
                Done {
                    at_ms: told.deadline_ms.checked_sub(u64::from(wish.ttl_s) * 1000),
                    deadline_ms: told.deadline_ms,
                    ..done(told.log_index, told.revision, runs(&told.seats))
                }
            }
            Call::Extend { hold } => {
                let asked = pb::ExtendHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id: id(hold.0),
                    ttl_s: wish.ttl_s,
                };
                let told = sales.extend_hold(self.wires.request(asked, limit)).await?;
                let told = told.into_inner();
                Done {
                    deadline_ms: told.deadline_ms,
                    ..done(told.log_index, told.revision, known())
                }
            }
            Call::Release { hold } => {
                let asked = pb::ReleaseHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id: id(hold.0),
                };
                let told = sales.release_hold(self.wires.request(asked, limit)).await?;
                let told = told.into_inner();
                done(told.log_index, told.revision, runs(&told.seats))
            }
            Call::Confirm { hold, order } => {
                let asked = pb::ConfirmHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id: id(hold.0),
                    order_id: id(order.0),
                    payment_reference: "paid".into(),
                };
                let told = sales.confirm_hold(self.wires.request(asked, limit)).await?;
                let told = told.into_inner();
                done(told.log_index, told.revision, runs(&told.seats))
            }
            Call::Cancel { order } => {
                let asked = pb::CancelOrderRequest {
                    event_id,
                    idempotency_key,
                    order_id: id(order.0),
                };
                let told = sales.cancel_order(self.wires.request(asked, limit)).await?;
                let told = told.into_inner();
                done(told.log_index, told.revision, runs(&told.seats))
            }
            Call::Block | Call::Unblock | Call::Govern | Call::Read { .. } => {
                return Err(Status::internal("no call of a buyer"));
            }
        })
    }

    /// Looks at all seats of a sale, and writes down what was seen.
    pub async fn look(&self, at: usize, sale: u64, client: u32, stale: bool, limit: Duration) {
        let asked = pb::GetSeatsRequest {
            event_id: sale,
            linearizable: !stale,
        };
        let invoke = self.chronicle.now_ns();
        let mut seats = SeatsServiceClient::new(self.wires.to(at));
        let told = seats.get_seats(self.wires.request(asked, limit));
        let told = tokio::time::timeout(limit + ON_ITS_WAY, told).await;
        let Ok(Ok(told)) = told else {
            return;
        };
        self.chronicle.write(Op {
            sale,
            client,
            key: Id(0),
            call: Call::Read { stale },
            asked: None,
            ttl_ms: None,
            invoke,
            returned: Some(self.chronicle.now_ns()),
            outcome: Outcome::Seen(seen(&told.into_inner())),
        });
    }

    /// An order as it is read at a node: whether it is paid, and its seats. `None` if there is none.
    pub async fn read_order(
        &self,
        at: usize,
        sale: u64,
        order: Id,
        limit: Duration,
    ) -> Result<Option<(bool, Vec<Run>)>, Status> {
        let asked = pb::GetOrderRequest {
            event_id: sale,
            order_id: id(order.0),
        };
        let mut sales = SalesServiceClient::new(self.wires.to(at));
        let read = sales.get_order(self.wires.request(asked, limit));
        let read = tokio::time::timeout(limit + ON_ITS_WAY, read).await;
        match read.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))) {
            Ok(told) => {
                let told = told.into_inner();
                let is_paid = told.state == i32::from(pb::OrderState::Paid);
                Ok(Some((is_paid, runs(&told.seats))))
            }
            Err(status) if reason(&status).as_deref() == Some("UNKNOWN_ORDER") => Ok(None),
            Err(status) => Err(status),
        }
    }
}

fn done(index: u64, revision: u64, runs: Vec<Run>) -> Done {
    Done {
        index,
        revision,
        runs,
        ..Done::default()
    }
}

/// What a status says about the effect of the call. One without details comes from the way there.
fn judge(status: &Status) -> Outcome {
    let Some(name) = reason(status) else {
        return Outcome::Unknown;
    };
    match name.as_str() {
        "UNKNOWN_OUTCOME" => Outcome::Unknown,
        "BAD_REQUEST" | "UNKNOWN_EVENT" | "BUSY" | "NO_LEADER" | "DEADLINE_PASSED"
        | "SALE_FROZEN" | "FORBIDDEN" | "DISK_FULL" | "SHUTTING_DOWN" | "RATE_LIMITED"
        | "API_KEY_MISSING" | "API_KEY_INVALID" => Outcome::Failed,
        _ if status.code() == Code::Unknown => Outcome::Unknown,
        _ => rejected(status, name),
    }
}

fn rejected(status: &Status, name: String) -> Outcome {
    let details = status.get_details_error_info();
    let number = |field: &str| -> u64 {
        let metadata = details.as_ref().map(|info| &info.metadata);
        let text = metadata.and_then(|metadata| metadata.get(field));
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let reason = match name.as_str() {
        "SEAT_TAKEN" => Reason::SeatTaken {
            section: number("section") as u16,
            seat: number("seat") as u32,
        },
        "HOLD_ID_IN_USE" => Reason::HoldInUse,
        "HOLD_RELEASED" => Reason::HoldReleased,
        "HOLD_EXPIRED" => Reason::HoldExpired,
        "HOLD_CONFIRMED" => Reason::HoldConfirmed,
        "UNKNOWN_HOLD" => Reason::UnknownHold,
        "ORDER_ID_IN_USE" => Reason::OrderInUse,
        "UNKNOWN_ORDER" => Reason::UnknownOrder,
        "ORDER_CANCELLED" => Reason::OrderCancelled,
        _ => Reason::Other { name },
    };
    Outcome::Rejected(Rejected {
        index: number("log_index"),
        revision: number("revision"),
        at_ms: None,
        reason,
    })
}

fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

fn seen(told: &pb::GetSeatsResponse) -> Seen {
    let mut seen = Seen {
        index: told.applied_index,
        revision: told.revision,
        ..Seen::default()
    };
    for section in &told.sections {
        let number = section.section as u16;
        let places = [
            (&section.held, section.held_count, &mut seen.held),
            (&section.sold, section.sold_count, &mut seen.sold),
            (&section.blocked, section.blocked_count, &mut seen.blocked),
        ];
        for (plane, count, to) in places {
            to.extend(runs_of_plane(number, section.seat_count, plane));
            if count > 0 {
                to.push(Run(number, 0, count as u16));
            }
        }
    }
    seen
}

/// The seats whose bit is set, neighbours joined.
pub fn runs_of_plane(section: u16, seats: u32, plane: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for seat in 0..seats {
        let byte = plane.get(seat as usize / 8).copied().unwrap_or(0);
        if byte >> (seat % 8) & 1 == 0 {
            continue;
        }
        match runs.last_mut() {
            Some(Run(_, first, count)) if *first + u32::from(*count) == seat => *count += 1,
            _ => runs.push(Run(section, seat, 1)),
        }
    }
    runs
}

fn runs(seats: &[pb::SeatRun]) -> Vec<Run> {
    let run = |run: &pb::SeatRun| Run(run.section as u16, run.first, run.count as u16);
    seats.iter().map(run).collect()
}

fn id(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}
