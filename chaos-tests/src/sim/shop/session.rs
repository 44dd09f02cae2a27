//! Calls over session streams: the same messages, many per stream in life; here a stream a call, so
//! that a call's end does not depend on its neighbours'.

use std::collections::HashMap;

use cluster::types::NodeId;
use futures::StreamExt as _;
use proto::channel::v1 as pb;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Became;
use proto::channel::v1::session_service_client::SessionServiceClient;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Shop;
use super::ledger::Receipt;
use super::request::Request;
use super::unary::runs;

/// What the one call of a stream is called.
const CALL: u32 = 7;

impl Shop {
    pub(super) async fn send_in_session(
        &self,
        node: NodeId,
        call: Request,
    ) -> Result<Receipt, Status> {
        // Who extends a hold knows its seats; a call made alone is not told them again.
        let tells_seats = !matches!(call, Request::Extend(_));
        let call = match call {
            Request::Place(asked) => Call::PlaceHold(asked),
            Request::Extend(asked) => Call::ExtendHold(asked),
            Request::Release(asked) => Call::ReleaseHold(asked),
            Request::Confirm(asked) => Call::ConfirmHold(asked),
            Request::Cancel(asked) => Call::CancelOrder(asked),
        };
        told(self.ask_in_session(node, call).await?, tells_seats)
    }

    /// A call of any kind, and what became of it when it was carried out.
    pub(super) async fn ask_in_session(
        &self,
        node: NodeId,
        call: Call,
    ) -> Result<pb::SessionDone, Status> {
        let wires = &self.inner.wires;
        let message = pb::SessionRequest {
            calls: vec![pb::SessionCall {
                call_id: CALL,
                call: Some(call),
            }],
            ..pb::SessionRequest::default()
        };
        // The stream stays open until the answer is there.
        let messages = futures::stream::iter([message]).chain(futures::stream::pending());
        let request = wires.request(messages, self.inner.plan.call_timeout);
        let mut sessions = SessionServiceClient::new(wires.to(node));
        let mut answers = sessions.session(request).await?.into_inner();
        while let Some(response) = answers.message().await? {
            let result = response
                .results
                .into_iter()
                .find(|result| result.call_id == CALL);
            if let Some(became) = result.and_then(|result| result.result) {
                return done(became);
            }
        }
        Err(Status::unavailable("the stream ended without an answer"))
    }
}

/// In the words of a call that was made alone.
fn told(done: pb::SessionDone, tells_seats: bool) -> Result<Receipt, Status> {
    Ok(Receipt {
        seats: if tells_seats {
            runs(&done.seats)
        } else {
            Vec::new()
        },
        deadline_ms: done.deadline_ms,
        revision: done.revision,
        log_index: done.log_index,
    })
}

fn done(became: Became) -> Result<pb::SessionDone, Status> {
    match became {
        Became::Done(done) => Ok(done),
        Became::Rejected(rejected) => {
            let mut metadata = rejected.metadata.clone();
            metadata.insert("revision".into(), rejected.revision.to_string());
            let name = rejected.reason().as_str_name();
            let name = name.strip_prefix("REJECTION_REASON_").unwrap_or(name);
            Err(with_reason(name, metadata))
        }
        Became::Failed(failed) => {
            let name = failed.reason().as_str_name();
            let name = name.strip_prefix("FAILURE_REASON_").unwrap_or(name);
            Err(with_reason(name, HashMap::new()))
        }
        Became::Challenge(asked) => {
            let metadata = HashMap::from([
                ("challenge".to_owned(), asked.challenge),
                ("hardness".to_owned(), asked.hardness.to_string()),
            ]);
            Err(with_reason("CHALLENGE_REQUIRED", metadata))
        }
        Became::Status(_) => Err(Status::internal("places, which nobody asked for")),
        Became::Unknown(_) => Err(with_reason("UNKNOWN_OUTCOME", HashMap::new())),
    }
}

fn with_reason(reason: &str, metadata: HashMap<String, String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, "session", metadata);
    Status::with_error_details(Code::FailedPrecondition, reason, details)
}
