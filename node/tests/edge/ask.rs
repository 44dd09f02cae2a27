//! One call in each form there is: by itself, as a message of a session, packed in a session.

use std::time::Duration;

use bytes::Bytes;
use onsale::load::call::{Call, Id};
use onsale::load::packed::{Answers, Head, Outcome, Writer};
use onsale::load::unary::{self, Sales};
use proto::channel::v1::session_call::Call as Nested;
use proto::channel::v1::session_result::Result as Told;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::node::Node;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Unary,
    Nested,
    Packed,
}

pub const FORMS: [Form; 3] = [Form::Unary, Form::Nested, Form::Packed];

/// How a call ended, in the words that all forms share.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Done,
    /// The reason, and after how long it may be tried again when it says so.
    Refused(String, Option<Duration>),
    Unknown,
}

impl Ending {
    #[track_caller]
    pub fn reason(&self) -> &str {
        match self {
            Ending::Refused(reason, _) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Tells when to come back.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Ending::Refused(_, delay) => delay.filter(|delay| !delay.is_zero()),
            _ => None,
        }
    }
}

/// A partner with one connection.
pub struct Partner {
    pub channel: Channel,
    sales: Sales,
    session: Session,
}

impl Partner {
    pub async fn connect(node: &Node) -> Partner {
        let channel = node.channel().await;
        let keyed = InterceptedService::new(channel.clone(), node.bearer());
        Partner {
            session: Session::open(node, channel.clone()).await.expect("opens"),
            sales: Sales::new(keyed),
            channel,
        }
    }

    pub async fn ask(&mut self, form: Form, event: u64, key: Id, call: &Call) -> Ending {
        match form {
            Form::Unary => match unary::send(self.sales.clone(), event, key, call).await {
                Ok(_) => Ending::Done,
                Err(status) => of_status(&status),
            },
            Form::Nested => {
                let calls = vec![nested(1, event, key, call)];
                self.session.send(calls, Bytes::new()).await;
                self.session.receive(1).await.remove(0).1
            }
            Form::Packed => {
                let mut writer = Writer::default();
                writer.call(
                    Head {
                        call_id: 1,
                        event,
                        key,
                    },
                    call,
                );
                self.session.send(Vec::new(), writer.take()).await;
                self.session.receive(1).await.remove(0).1
            }
        }
    }
}

/// A partner's end of a session.
pub struct Session {
    requests: mpsc::Sender<SessionRequest>,
    responses: Streaming<SessionResponse>,
}

impl Session {
    pub async fn open(node: &Node, channel: Channel) -> Result<Session, Status> {
        let (requests, outgoing) = mpsc::channel(16);
        let request = node.with_key(ReceiverStream::new(outgoing));
        let responses = SessionServiceClient::new(channel).session(request).await?;
        Ok(Session {
            requests,
            responses: responses.into_inner(),
        })
    }

    pub async fn send(&self, calls: Vec<SessionCall>, packed: Bytes) {
        let request = SessionRequest { calls, packed };
        self.requests.send(request).await.expect("is open");
    }

    /// The endings of so many calls, by their ids.
    pub async fn receive(&mut self, count: usize) -> Vec<(u32, Ending)> {
        let mut endings = Vec::new();
        while endings.len() < count {
            endings.extend(self.receive_some().await);
        }
        assert_eq!(endings.len(), count, "each call is answered once");
        endings
    }

    /// The endings in the next message.
    pub async fn receive_some(&mut self) -> Vec<(u32, Ending)> {
        let response = self.responses.message().await.expect("well");
        let SessionResponse { results, packed } = response.expect("goes on");
        let packed = Answers::new(&packed).map(|answer| {
            let answer = answer.expect("is an answer");
            (answer.call_id, of_packed(&answer.outcome))
        });
        results.into_iter().map(of_result).chain(packed).collect()
    }

    /// Why the stream ends.
    pub async fn end(&mut self) -> Status {
        loop {
            match self.responses.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended well"),
                Err(status) => return status,
            }
        }
    }
}

/// The call as a message.
pub fn nested(call_id: u32, event_id: u64, key: Id, call: &Call) -> SessionCall {
    let bytes = |id: &Id| Bytes::copy_from_slice(id);
    let idempotency_key = bytes(&key);
    let call = match call {
        Call::PlaceHold {
            pass: _,
            hold,
            buyer,
            ttl_s,
            lines,
        } => Nested::PlaceHold(PlaceHoldRequest {
            pass_token: String::new(),
            event_id,
            idempotency_key,
            hold_id: bytes(hold),
            buyer: bytes(buyer),
            ttl_s: *ttl_s,
            lines: lines.iter().map(unary::line).collect(),
        }),
        Call::ExtendHold { hold, ttl_s } => Nested::ExtendHold(ExtendHoldRequest {
            event_id,
            idempotency_key,
            hold_id: bytes(hold),
            ttl_s: *ttl_s,
        }),
        Call::ReleaseHold { hold } => Nested::ReleaseHold(ReleaseHoldRequest {
            event_id,
            idempotency_key,
            hold_id: bytes(hold),
        }),
        Call::ConfirmHold {
            hold,
            order,
            payment,
        } => Nested::ConfirmHold(ConfirmHoldRequest {
            event_id,
            idempotency_key,
            hold_id: bytes(hold),
            order_id: bytes(order),
            payment_reference: payment.clone(),
        }),
        Call::CancelOrder { order } => Nested::CancelOrder(CancelOrderRequest {
            event_id,
            idempotency_key,
            order_id: bytes(order),
        }),
    };
    SessionCall {
        call_id,
        call: Some(call),
    }
}

fn of_status(status: &Status) -> Ending {
    let details = status.get_error_details();
    let info = details.error_info().expect("every refusal has a reason");
    if info.reason == "UNKNOWN_OUTCOME" {
        return Ending::Unknown;
    }
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable)
        && info.reason != "CHANNEL_QUOTA"
    {
        assert!(delay.is_some(), "{status:?} does not say when");
    }
    Ending::Refused(info.reason.clone(), delay)
}

fn of_result(result: SessionResult) -> (u32, Ending) {
    let ending = match result.result.expect("says") {
        Told::Done(_) => Ending::Done,
        Told::Rejected(rejected) => refused_as(rejected.reason().as_str_name(), 0),
        Told::Failed(failed) => refused_as(failed.reason().as_str_name(), failed.retry_after_ms),
        Told::Challenge(_) => refused_as("CHALLENGE_REQUIRED", 0),
        Told::Status(_) => panic!("places, which nobody asked for"),
        Told::Unknown(_) => Ending::Unknown,
    };
    (result.call_id, ending)
}

fn of_packed(outcome: &Outcome<'_>) -> Ending {
    match outcome {
        Outcome::Done { .. } => Ending::Done,
        Outcome::Rejected(why) => {
            let reason = RejectionReason::try_from(i32::from(why.reason)).expect("is known");
            refused_as(reason.as_str_name(), 0)
        }
        Outcome::Failed {
            reason,
            retry_after_ms,
        } => {
            let reason = FailureReason::try_from(i32::from(*reason)).expect("is known");
            refused_as(reason.as_str_name(), *retry_after_ms)
        }
        Outcome::Unknown => Ending::Unknown,
    }
}

fn refused_as(name: &str, retry_after_ms: u32) -> Ending {
    let name = name.trim_start_matches("REJECTION_REASON_");
    let name = name.trim_start_matches("FAILURE_REASON_");
    let delay = (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms.into()));
    Ending::Refused(name.to_owned(), delay)
}
