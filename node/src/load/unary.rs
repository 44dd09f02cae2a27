//! Calls over `SalesService`, one at a time, to the next node when one fails.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::components::Net;
use proto::channel::v1 as pb;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::call::{Answer, Call, Id, Line, Rejected, Run};
use super::client::{GaveUp, Trouble};
use super::connect::{self, Bearer};

/// The generated client with the key put on.
pub type Sales = SalesServiceClient<InterceptedService<Channel, Bearer>>;

/// A call that is silent for so long is made again elsewhere.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);
const RETRY_DELAY: Duration = Duration::from_millis(20);

pub struct Unary {
    nodes: Vec<Sales>,
    /// The node that answered last.
    node: AtomicUsize,
    trouble: Arc<Trouble>,
}

impl Unary {
    pub fn new(
        net: &Arc<dyn Net>,
        nodes: &[String],
        key: Bearer,
        trouble: Arc<Trouble>,
    ) -> Result<Unary, tonic::transport::Error> {
        let nodes = nodes
            .iter()
            .map(|address| {
                let channel = connect::connect_lazily(net, address)?;
                Ok(SalesServiceClient::with_interceptor(channel, key.clone()))
            })
            .collect::<Result<_, tonic::transport::Error>>()?;
        Ok(Unary {
            nodes,
            node: AtomicUsize::new(0),
            trouble,
        })
    }

    /// Tries until the outcome is certain; the caller limits the time.
    pub async fn call(&self, event: u64, key: Id, call: &Call) -> Result<Answer, GaveUp> {
        loop {
            let node = self.node.load(Ordering::Relaxed);
            let sales = self.nodes[node % self.nodes.len()].clone();
            let attempt = tokio::time::timeout(ATTEMPT_MAX, send(sales, event, key, call)).await;
            let status = match attempt {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("silence"),
            };
            let (elsewhere, delay) = match judge(&status) {
                Verdict::Rejected { revision, why } => {
                    return Ok(Answer::Rejected { revision, why });
                }
                Verdict::Final => return Err(GaveUp::Status(status.to_string())),
                Verdict::Unknown => {
                    self.trouble.unknown();
                    (false, RETRY_DELAY)
                }
                Verdict::Later(delay) => (false, delay),
                Verdict::Elsewhere => (true, RETRY_DELAY),
            };
            self.trouble.retry();
            if elsewhere {
                // Only the first of many callers moves everybody on.
                let next = node.wrapping_add(1);
                if self
                    .node
                    .compare_exchange(node, next, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
                {
                    self.trouble.reconnect();
                }
            }
            tokio::time::sleep(delay).await;
        }
    }
}

/// What a status means for the call.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Rejected { revision: u64, why: Rejected },
    Unknown,
    Later(Duration),
    Elsewhere,
    Final,
}

pub fn judge(status: &Status) -> Verdict {
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        let name = format!("REJECTION_REASON_{}", info.reason);
        if let Some(reason) = pb::RejectionReason::from_str_name(&name) {
            return Verdict::Rejected {
                revision: number(&info.metadata, "revision"),
                why: rejected(reason, &info.metadata),
            };
        }
        if info.reason == "UNKNOWN_OUTCOME" {
            return Verdict::Unknown;
        }
    }
    match status.code() {
        Code::ResourceExhausted => {
            let delay = details.retry_info().and_then(|info| info.retry_delay);
            Verdict::Later(delay.unwrap_or(RETRY_DELAY).max(RETRY_DELAY))
        }
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Verdict::Elsewhere
        }
        // How a connection that broke in the middle of a call shows itself.
        Code::Internal if details.error_info().is_none() => Verdict::Elsewhere,
        _ => Verdict::Final,
    }
}

fn number(metadata: &HashMap<String, String>, name: &str) -> u64 {
    metadata
        .get(name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

fn rejected(reason: pb::RejectionReason, metadata: &HashMap<String, String>) -> Rejected {
    Rejected {
        reason: reason as i32 as u16,
        retry: match metadata.get("retry").map(String::as_str) {
            Some("later") => 1,
            Some("with_other_seats") => 2,
            _ => 0,
        },
        section: number(metadata, "section") as u16,
        seat: number(metadata, "seat") as u32,
        a: number(metadata, "free"),
        b: number(metadata, "held"),
    }
}

/// One attempt.
pub async fn send(mut sales: Sales, event_id: u64, key: Id, call: &Call) -> Result<Answer, Status> {
    let idempotency_key = Bytes::copy_from_slice(&key);
    let bytes = |id: &Id| Bytes::copy_from_slice(id);
    let answer = match call {
        Call::PlaceHold {
            pass,
            hold,
            buyer,
            ttl_s,
            lines,
        } => {
            let request = pb::PlaceHoldRequest {
                pass_token: pass.clone(),
                event_id,
                idempotency_key,
                hold_id: bytes(hold),
                buyer: bytes(buyer),
                ttl_s: *ttl_s,
                lines: lines.iter().map(line).collect(),
            };
            let told = sales.place_hold(Request::new(request)).await?.into_inner();
            done(told.revision, told.log_index, told.deadline_ms, &told.seats)
        }
        Call::ExtendHold { hold, ttl_s } => {
            let request = pb::ExtendHoldRequest {
                event_id,
                idempotency_key,
                hold_id: bytes(hold),
                ttl_s: *ttl_s,
            };
            let told = sales.extend_hold(Request::new(request)).await?.into_inner();
            done(told.revision, told.log_index, told.deadline_ms, &[])
        }
        Call::ReleaseHold { hold } => {
            let request = pb::ReleaseHoldRequest {
                event_id,
                idempotency_key,
                hold_id: bytes(hold),
            };
            let told = sales
                .release_hold(Request::new(request))
                .await?
                .into_inner();
            done(told.revision, told.log_index, 0, &told.seats)
        }
        Call::ConfirmHold {
            hold,
            order,
            payment,
        } => {
            let request = pb::ConfirmHoldRequest {
                event_id,
                idempotency_key,
                hold_id: bytes(hold),
                order_id: bytes(order),
                payment_reference: payment.clone(),
            };
            let told = sales
                .confirm_hold(Request::new(request))
                .await?
                .into_inner();
            done(told.revision, told.log_index, 0, &told.seats)
        }
        Call::CancelOrder { order } => {
            let request = pb::CancelOrderRequest {
                event_id,
                idempotency_key,
                order_id: bytes(order),
            };
            let told = sales
                .cancel_order(Request::new(request))
                .await?
                .into_inner();
            done(told.revision, told.log_index, 0, &told.seats)
        }
    };
    Ok(answer)
}

fn done(revision: u64, log_index: u64, deadline_ms: u64, seats: &[pb::SeatRun]) -> Answer {
    Answer::Done {
        revision,
        log_index,
        deadline_ms,
        seats: seats
            .iter()
            .map(|run| Run {
                section: run.section as u16,
                count: run.count as u16,
                first: run.first,
            })
            .collect(),
    }
}

/// A line as the generated messages have it.
pub fn line(line: &Line) -> pb::HoldLine {
    use pb::hold_line::Line as Wire;
    let wire = match line {
        Line::Seats(seats) => Wire::Seats(pb::ChosenSeats {
            seats: seats
                .iter()
                .map(|(section, seat)| pb::SeatRef {
                    section: u32::from(*section),
                    seat: *seat,
                })
                .collect(),
        }),
        Line::Best {
            quantity,
            category,
            or_cheaper,
            accessible,
            split,
            sections,
        } => Wire::BestAvailable(pb::BestAvailable {
            quantity: u32::from(*quantity),
            category: category.map(u32::from),
            or_cheaper: *or_cheaper,
            sections: sections.iter().map(|section| u32::from(*section)).collect(),
            accessible: *accessible,
            allow_split: *split,
        }),
        Line::General { section, quantity } => Wire::GeneralAdmission(pb::GeneralAdmission {
            section: u32::from(*section),
            quantity: u32::from(*quantity),
        }),
    };
    pb::HoldLine { line: Some(wire) }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refusal(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Status {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let details = ErrorDetails::with_error_info(reason, "onsale.dev", metadata);
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn statuses_are_told_apart() {
        let status = refusal(
            Code::ResourceExhausted,
            "SOLD_OUT",
            &[("free", "1"), ("held", "4"), ("revision", "9")],
        );
        let Verdict::Rejected { revision: 9, why } = judge(&status) else {
            panic!("{:?}", judge(&status));
        };
        assert_eq!((why.reason, why.a, why.b), (18, 1, 4));
        let unknown = refusal(Code::Unknown, "UNKNOWN_OUTCOME", &[]);
        assert_eq!(judge(&unknown), Verdict::Unknown);
        let busy = refusal(Code::ResourceExhausted, "BUSY", &[]);
        assert_eq!(judge(&busy), Verdict::Later(RETRY_DELAY));
        assert_eq!(
            judge(&Status::unavailable("connection refused")),
            Verdict::Elsewhere
        );
        assert_eq!(
            judge(&refusal(Code::PermissionDenied, "FORBIDDEN", &[])),
            Verdict::Final
        );
    }
}
