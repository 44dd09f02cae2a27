//! `SessionService`: many calls per message, many messages outstanding, for big partners.
//!
//! One object drives a stream both ways: polled for answers, it also reads requests. So requests
//! are read only while answers are taken, and a partner that stops reading is not read from.
//! A partner whose calls are refused is read no faster than the node means to refuse: a flood costs what
//! that costs, and fills the partner's own connection.
//! Calls of one sale reach its owner in the sequence they came (after a leadership change, those
//! that are sent again may come later than their neighbours).

mod outbox;
pub(super) mod split;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actors::calls::Calls;
use actors::trace::Context as TraceContext;
use domain::ids::SaleId;
use domain::rejection::Rejection;
use futures::Stream;
use futures::future::BoxFuture;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Outcome;
use proto::channel::v1::session_service_server::SessionService;
use proto::channel::v1::{
    FailureReason, SessionCall, SessionChallenge, SessionFailed, SessionRequest, SessionResponse,
    StatusManyRequest,
};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::FieldViolation;

use super::admission::{Admission, Obstacle, VISITORS_MAX};
use super::ending::ending;
use super::input::{self, NotTaken, Stamp, ToRecord};
use super::meter::Counted;
use super::metrics::{Form, Method};
use super::{Partners, Reader, deadline, status};
use crate::access::Caller;
use crate::gateway::{Entry, Gateway};
use crate::trace::{CallSpan, STATE_HEADER, TRACE_HEADER};
use outbox::Outbox;
use split::{ForSale, Splitter};

/// The session service of a node.
#[derive(Clone)]
pub struct Sessions {
    pub partners: Partners,
    pub admission: Admission,
}

#[tonic::async_trait]
impl SessionService for Sessions {
    type SessionStream = Session;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Session>, Status> {
        let partners = self.partners.clone();
        let caller = partners.caller(request.metadata())?;
        let ends_after = deadline::timeout(request.metadata())?;
        let ending = ending(&partners, caller.clone(), ends_after);
        let stamp = Stamp::of(&caller);
        let header = |name| request.metadata().get(name)?.to_str().ok();
        let asked = partners
            .tracer
            .asked(header(TRACE_HEADER), || header(STATE_HEADER));
        Ok(Response::new(Session {
            asked,
            traced: None,
            gateway: partners.gateway.entered_by(Entry::Session),
            counted: Counted::begin(&partners.metrics, Method::SESSION),
            requests: request.into_inner(),
            reading: true,
            ending: Box::pin(ending),
            until: deadline::of_stream(ends_after),
            end: None,
            splitter: Splitter::new(stamp, Arc::clone(&partners.pass_keys)),
            admission: self.admission.clone(),
            outbox: Outbox::new(partners.config.session_calls),
            refused: 0,
            rest: None,
            key_checked_at: partners.door.version(),
            caller,
            stamp,
            scratch: Vec::new(),
            partners,
        }))
    }
}

/// One partner's stream.
pub struct Session {
    partners: Partners,
    admission: Admission,
    gateway: Gateway,
    counted: Counted,
    caller: Caller,
    stamp: Stamp,
    /// The version of the keys that the caller's was last checked against.
    key_checked_at: u64,
    requests: Streaming<SessionRequest>,
    reading: bool,
    /// Resolves when the stream is over by itself: its deadline, or the node goes down.
    ending: BoxFuture<'static, Status>,
    /// No call is worth trying any more after this: nobody would be there to be told.
    until: Option<Instant>,
    /// Told once what is outstanding has been answered.
    end: Option<Status>,
    splitter: Splitter,
    outbox: Outbox,
    /// Calls refused whose share of the rate of refusals is still to be had, and until when nothing is read
    /// for want of it.
    refused: usize,
    rest: Option<Pin<Box<Sleep>>>,
    scratch: Vec<u8>,
    /// Whose trace each message is part of, where the stream asked for it.
    asked: Option<TraceContext>,
    /// The span of the message that is being taken.
    traced: Option<Arc<CallSpan>>,
}

impl Session {
    fn stop_reading(&mut self, end: Option<Status>) {
        self.reading = false;
        self.traced = None;
        self.end = self.end.take().or(end);
    }

    /// Takes one message; returns answers that are there at once.
    fn take(&mut self, request: SessionRequest) -> Result<Option<SessionResponse>, Status> {
        self.check_key()?;
        self.partners.metrics.observe_session_message();
        let SessionRequest { calls, packed } = request;
        let tracer = &self.partners.tracer;
        self.traced = tracer.message("session_message", self.asked.as_ref());
        let mut response = SessionResponse::default();
        if !calls.is_empty() {
            self.take_nested(calls);
            if let Some((refused, count)) = self.splitter.take_refused() {
                self.observe_refusals(count);
                response.results.extend(outbox::results(&refused));
            }
        }
        if !packed.is_empty() {
            self.take_packed(&packed)?;
            if let Some((refused, count)) = self.splitter.take_refused() {
                self.observe_refusals(count);
                response.packed = refused;
            }
        }
        self.traced = None;
        let is_answered = !response.results.is_empty() || !response.packed.is_empty();
        Ok(is_answered.then_some(response))
    }

    fn take_packed(&mut self, packed: &[u8]) -> Result<(), Status> {
        let busy_ms = self.partners.config.busy_retry_ms;
        let mut admitted = self.outbox.room();
        let mut wait_ms = busy_ms;
        if self.partners.limit.is_on() {
            let calls = split::count(packed);
            if let Err(over) = self.partners.limit.check(self.stamp.partner, calls) {
                admitted = 0;
                wait_ms = millis(over.retry_after);
            }
        }
        self.splitter
            .packed(packed, admitted, wait_ms)
            .map_err(|cut_off| {
                let violation = FieldViolation::new("packed", cut_off.to_string());
                status::bad_request(vec![violation])
            })?;
        self.submit(false);
        Ok(())
    }

    fn take_nested(&mut self, calls: Vec<SessionCall>) {
        let mut room = self.outbox.room();
        let mut wait_ms = self.partners.config.busy_retry_ms;
        if let Err(over) = self.partners.limit.check(self.stamp.partner, calls.len()) {
            room = 0;
            wait_ms = millis(over.retry_after);
        }
        for SessionCall { call_id, mut call } in calls {
            if room > 0
                && let Some(Call::Join(join)) = &mut call
                && let Err(obstacle) = self.partners.let_join(self.stamp.partner, join)
            {
                room -= self.keep_out(call_id, obstacle);
                continue;
            }
            let request: Option<&dyn ToRecord> = match &call {
                Some(Call::PlaceHold(request)) => Some(request),
                Some(Call::ExtendHold(request)) => Some(request),
                Some(Call::ReleaseHold(request)) => Some(request),
                Some(Call::ConfirmHold(request)) => Some(request),
                Some(Call::CancelOrder(request)) => Some(request),
                Some(Call::Join(request)) => Some(request),
                Some(Call::Leave(request)) => Some(request),
                Some(Call::Status(_)) | None => None,
            };
            if let Some(Call::Status(request)) = call {
                room = room.saturating_sub(self.tell_places(call_id, request, room, wait_ms));
                continue;
            }
            self.scratch.clear();
            let keys = self.partners.pass_keys.as_ref();
            match request.map(|request| {
                let sale = SaleId(request.event_id());
                input::take(request, self.stamp, keys, &mut self.scratch).map(|()| sale)
            }) {
                Some(Err(NotTaken::PassInvalid)) => {
                    self.splitter.reject(call_id, Rejection::PassInvalid);
                }
                None => self.splitter.refuse(call_id, FailureReason::BadRequest, 0),
                Some(_) if room == 0 => {
                    self.splitter.refuse(call_id, FailureReason::Busy, wait_ms);
                }
                Some(Err(NotTaken::Malformed(violations))) => {
                    room -= self.keep_out(call_id, Obstacle::Malformed(violations));
                }
                Some(Ok(sale)) => {
                    room -= 1;
                    self.splitter.record(sale, call_id, &self.scratch);
                }
            }
        }
        self.submit(true);
    }

    /// Tells a partner what is in the way of a call; returns how many calls that counts for.
    fn keep_out(&mut self, call_id: u32, obstacle: Obstacle) -> usize {
        let said = match obstacle {
            Obstacle::UnknownEvent => {
                self.splitter
                    .refuse(call_id, FailureReason::UnknownEvent, 0);
                return 0;
            }
            Obstacle::OverLimit(over) => {
                let wait_ms = millis(over.retry_after);
                self.splitter.refuse(call_id, FailureReason::Busy, wait_ms);
                return 0;
            }
            Obstacle::Forged => {
                self.splitter.reject(call_id, Rejection::PassInvalid);
                return 0;
            }
            Obstacle::Malformed(violations) => Outcome::Failed(SessionFailed {
                reason: FailureReason::BadRequest.into(),
                retry_after_ms: 0,
                detail: status::said(&violations),
            }),
            Obstacle::Challenge {
                challenge,
                hardness,
            } => Outcome::Challenge(SessionChallenge {
                challenge,
                hardness: hardness.into(),
            }),
        };
        self.observe_refusals(1);
        self.outbox.send_for(call_id, 1).answer(said);
        1
    }

    /// Reads places beside the stream; returns how many calls that counts for.
    fn tell_places(
        &mut self,
        call_id: u32,
        request: StatusManyRequest,
        room: usize,
        wait_ms: u32,
    ) -> usize {
        let calls = request.visitors.len();
        if !(1..=VISITORS_MAX).contains(&calls) {
            self.splitter.refuse(call_id, FailureReason::BadRequest, 0);
            return 0;
        }
        if calls > room {
            self.splitter.refuse(call_id, FailureReason::Busy, wait_ms);
            return 0;
        }
        let errand = self.outbox.send_for(call_id, calls as u32);
        let reader = Reader {
            partner: self.stamp.partner,
            channel: self.stamp.channel,
        };
        let until = self.deadline();
        let admission = self.admission.clone();
        tokio::spawn(async move {
            let told = admission.session_status(reader, request, until).await;
            errand.answer(match told {
                Ok(places) => Outcome::Status(places),
                Err(status) => Outcome::Failed(SessionFailed {
                    reason: why(&status).into(),
                    retry_after_ms: wait_ms,
                    detail: status.message().to_owned(),
                }),
            });
        });
        calls
    }

    /// Of a call that comes now.
    fn deadline(&self) -> Instant {
        let allowed = Instant::now() + self.partners.config.timeout;
        self.until.map_or(allowed, |until| until.min(allowed))
    }

    fn submit(&mut self, nested: bool) {
        let deadline = self.deadline();
        let mut calls = 0;
        for ForSale {
            sale,
            records,
            call_ids,
        } in self.splitter.take_sales()
        {
            let answers = self.outbox.expect(call_ids.len(), nested, &self.traced);
            calls += call_ids.len();
            self.gateway.submit_traced(
                sale,
                Calls {
                    records,
                    call_ids,
                    deadline,
                    answers,
                    trace: None,
                },
                self.traced.clone(),
            );
        }
        let form = if nested { Form::Nested } else { Form::Packed };
        self.partners.metrics.observe_session_calls(form, calls);
    }

    fn observe_refusals(&mut self, count: u32) {
        self.partners.metrics.observe_session_refusals(count);
        self.refused += count as usize;
    }

    /// Ready when the refusals of before have had their time.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(cx));
                self.rest = None;
            }
            self.refused += self.outbox.take_refused();
            if self.refused == 0 {
                return Poll::Ready(());
            }
            let Partners { refusals, .. } = &self.partners;
            match refusals.check(self.stamp.partner, self.refused) {
                Ok(()) => self.refused = 0,
                Err(over) => self.rest = Some(Box::pin(sleep(over.retry_after))),
            }
        }
    }

    /// A key that was revoked ends the streams it opened.
    fn check_key(&mut self) -> Result<(), Status> {
        let version = self.partners.door.version();
        if version != self.key_checked_at {
            if !self.partners.door.still_valid(&self.caller) {
                return Err(status::unauthenticated(crate::access::Refused::Invalid));
            }
            self.key_checked_at = version;
        }
        Ok(())
    }
}

/// A read's failure in a session's words.
fn why(status: &Status) -> FailureReason {
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition => FailureReason::BadRequest,
        Code::NotFound => FailureReason::UnknownEvent,
        Code::DeadlineExceeded => FailureReason::DeadlinePassed,
        _ => FailureReason::NoLeader,
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}

impl Stream for Session {
    type Item = Result<SessionResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Poll::Ready(response) = this.outbox.poll_message(cx) {
                return Poll::Ready(Some(Ok(response)));
            }
            if !this.reading {
                if !this.outbox.is_idle() {
                    return Poll::Pending;
                }
                let end = this.end.take();
                let code = end.as_ref().map_or(Code::Ok, Status::code);
                this.counted.ended(code);
                return Poll::Ready(end.map(Err));
            }
            if let Poll::Ready(status) = this.ending.as_mut().poll(cx) {
                this.stop_reading(Some(status));
                continue;
            }
            if this.poll_pace(cx).is_pending() {
                return Poll::Pending;
            }
            match Pin::new(&mut this.requests).poll_next(cx) {
                Poll::Ready(Some(Ok(request))) => match this.take(request) {
                    Ok(None) => {}
                    Ok(Some(response)) => return Poll::Ready(Some(Ok(response))),
                    Err(status) => this.stop_reading(Some(status)),
                },
                Poll::Ready(Some(Err(told))) => {
                    let bytes_max = this.partners.config.message_bytes_max;
                    let reasoned = status::of_transport(&told, bytes_max);
                    this.stop_reading(Some(reasoned.unwrap_or(told)));
                }
                Poll::Ready(None) => this.stop_reading(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
