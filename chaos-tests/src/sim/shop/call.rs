//! One call, and one wish over as many calls as it takes.

use std::time::Duration;

use bytes::Bytes;
use cluster::types::NodeId;
use proto::channel::v1 as pb;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Shop;
use super::ledger::{Act, Line, OrderSeen, Receipt, Run, SEATED, STANDING, SeatsSeen, Told, Wish};
use crate::sim::world::SHOP;

/// What an answer may take beyond the call's deadline: the server counts from when it got the call.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: usize = 6;

/// What one attempt came to.
enum Attempt {
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
        let attempts = rng.random_range(1..=ATTEMPTS_MAX);
        let mut uncertain = false;
        let mut told = Told::Failed("not tried".into());
        for attempt in 0..attempts {
            if attempt > 0 {
                sleep(Duration::from_millis(rng.random_range(20..400))).await;
            }
            let node = self.any_node(rng);
            match self.attempt(node, sale, key, hold, &wish).await {
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
        let node = self.any_node(rng);
        let attempt = self.attempt(node, act.sale, act.key, act.hold, &act.wish);
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

    async fn attempt(
        &self,
        node: NodeId,
        sale: u64,
        key: u128,
        hold: u128,
        wish: &Wish,
    ) -> Attempt {
        let asked_ms = self.now_ms();
        let sent = self.send(node, sale, key, hold, wish);
        let attempt = match self.bounded(node, sent).await {
            Ok(receipt) => Attempt::Done(receipt),
            Err(status) => judge(&status),
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

    /// Counts the call, ends it when the caller's patience does, and gives a silent connection up.
    /// Faults may keep an answer away; a cluster without faults answers in time.
    pub async fn bounded<T>(
        &self,
        node: NodeId,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        self.ledger().calls += 1;
        let limit = self.inner.plan.call_timeout;
        let is_calm = self.is_calm();
        let ended = timeout(limit + ON_ITS_WAY, call).await;
        let ended = ended.unwrap_or_else(|_| {
            if is_calm {
                let found = format!("a call to n{node} has no answer {limit:?} after it was made");
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

    async fn send(
        &self,
        node: NodeId,
        event_id: u64,
        key: u128,
        hold: u128,
        wish: &Wish,
    ) -> Result<Receipt, Status> {
        let mut sales = SalesServiceClient::new(self.inner.wires.to(node));
        let idempotency_key = id(key);
        let hold_id = id(hold);
        let limit = self.inner.plan.call_timeout;
        Ok(match wish {
            Wish::Place { lines, ttl_s } => {
                let asked = pb::PlaceHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id,
                    buyer: Bytes::from_static(b"buyer"),
                    ttl_s: *ttl_s,
                    lines: lines.iter().map(line).collect(),
                };
                let request = self.inner.wires.request(asked, limit);
                let told = sales.place_hold(request).await?.into_inner();
                Receipt {
                    seats: runs(&told.seats),
                    deadline_ms: told.deadline_ms,
                    revision: told.revision,
                    log_index: told.log_index,
                }
            }
            Wish::Extend => {
                let asked = pb::ExtendHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id,
                    ttl_s: self.inner.plan.hold_ttl_s,
                };
                let request = self.inner.wires.request(asked, limit);
                let told = sales.extend_hold(request).await?.into_inner();
                Receipt {
                    deadline_ms: told.deadline_ms,
                    revision: told.revision,
                    log_index: told.log_index,
                    ..Receipt::default()
                }
            }
            Wish::Release => {
                let asked = pb::ReleaseHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id,
                };
                let request = self.inner.wires.request(asked, limit);
                let told = sales.release_hold(request).await?.into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
            Wish::Confirm { order } => {
                let asked = pb::ConfirmHoldRequest {
                    event_id,
                    idempotency_key,
                    hold_id,
                    order_id: id(*order),
                    payment_reference: "paid".into(),
                };
                let request = self.inner.wires.request(asked, limit);
                let told = sales.confirm_hold(request).await?.into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
            Wish::Cancel { order } => {
                let asked = pb::CancelOrderRequest {
                    event_id,
                    idempotency_key,
                    order_id: id(*order),
                };
                let request = self.inner.wires.request(asked, limit);
                let told = sales.cancel_order(request).await?.into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
        })
    }

    /// Reads an order; an inner `None` is the answer that there is none.
    pub async fn read_order(
        &self,
        node: NodeId,
        event_id: u64,
        order: u128,
    ) -> Result<Option<OrderSeen>, Status> {
        let asked = pb::GetOrderRequest {
            event_id,
            order_id: id(order),
        };
        let mut sales = SalesServiceClient::new(self.inner.wires.to(node));
        let request = self
            .inner
            .wires
            .request(asked, self.inner.plan.call_timeout);
        match self.bounded(node, sales.get_order(request)).await {
            Ok(seen) => {
                let seen = seen.into_inner();
                Ok(Some(OrderSeen {
                    is_paid: seen.state == i32::from(pb::OrderState::Paid),
                    seats: runs(&seen.seats),
                }))
            }
            Err(status) if reason(&status).as_deref() == Some("UNKNOWN_ORDER") => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Reads all seats, proved current.
    pub async fn read_seats(&self, node: NodeId, event_id: u64) -> Result<SeatsSeen, Status> {
        let asked = pb::GetSeatsRequest {
            event_id,
            linearizable: true,
        };
        let mut seats = SeatsServiceClient::new(self.inner.wires.to(node));
        let request = self
            .inner
            .wires
            .request(asked, self.inner.plan.call_timeout);
        let told = self.bounded(node, seats.get_seats(request)).await?;
        let told = told.into_inner();
        let mut seen = SeatsSeen {
            revision: told.revision,
            ..SeatsSeen::default()
        };
        for section in &told.sections {
            let ones = |plane: &[u8]| plane.iter().map(|byte| byte.count_ones()).sum::<u32>();
            seen.held += ones(&section.held) + section.held_count;
            seen.sold += ones(&section.sold) + section.sold_count;
            let bit = |seat: &u32| section.sold[*seat as usize / 8] >> (seat % 8) & 1 == 1;
            if section.section == SEATED {
                seen.sold_seats = (0..section.seat_count).filter(bit).collect();
            }
        }
        Ok(seen)
    }
}

fn leaves_no_record(reason: &str) -> bool {
    matches!(reason, "SOLD_OUT" | "NOT_ON_SALE" | "KEY_EXPIRED")
}

fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// What a status says about the effect of the call. One without details comes from the way there.
fn judge(status: &Status) -> Attempt {
    let Some(reason) = reason(status) else {
        return Attempt::Unknown;
    };
    match reason.as_str() {
        "UNKNOWN_OUTCOME" => Attempt::Unknown,
        "BAD_REQUEST" | "UNKNOWN_EVENT" | "BUSY" | "NO_LEADER" | "DEADLINE_PASSED"
        | "SALE_FROZEN" | "FORBIDDEN" | "SHUTTING_DOWN" | "RATE_LIMITED" | "API_KEY_MISSING"
        | "API_KEY_INVALID" => Attempt::Failed(reason),
        _ if status.code() == Code::Unknown => Attempt::Unknown,
        _ => Attempt::Rejected(reason),
    }
}

fn receipt(seats: &[pb::SeatRun], revision: u64, log_index: u64) -> Receipt {
    Receipt {
        seats: runs(seats),
        deadline_ms: 0,
        revision,
        log_index,
    }
}

fn runs(seats: &[pb::SeatRun]) -> Vec<Run> {
    let run = |run: &pb::SeatRun| Run {
        section: run.section,
        first: run.first,
        count: run.count,
    };
    seats.iter().map(run).collect()
}

fn id(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn line(line: &Line) -> pb::HoldLine {
    use pb::hold_line::Line as To;
    let to = match line {
        Line::Best(quantity) => To::BestAvailable(pb::BestAvailable {
            quantity: *quantity,
            allow_split: true,
            sections: vec![SEATED],
            ..pb::BestAvailable::default()
        }),
        Line::Seat(seat) => To::Seats(pb::ChosenSeats {
            seats: vec![pb::SeatRef {
                section: SEATED,
                seat: *seat,
            }],
        }),
        Line::Standing(quantity) => To::GeneralAdmission(pb::GeneralAdmission {
            section: STANDING,
            quantity: *quantity,
        }),
    };
    pb::HoldLine { line: Some(to) }
}
