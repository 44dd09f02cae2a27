//! `AdmissionService`: who comes to a waiting room, where they stand, and their passes.

mod board;
mod entry;
mod forecast;
mod metrics;
mod reader;
mod told;
mod waits;

use std::sync::Arc;

use actors::codec::answer::Answer;
use domain::ids::{SaleId, VisitorId};
use domain::outcome::Done;
use domain::rejection::Rejection;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::admission_service_server::AdmissionService;
use proto::channel::v1::{
    ClaimRequest, ClaimResponse, FailureReason, JoinManyRequest, JoinManyResponse, JoinRefused,
    JoinRequest, JoinResponse, LeaveRequest, LeaveResponse, ListPassKeysRequest,
    ListPassKeysResponse, PassKey, ProofRequest, ProofResponse, StatusManyRequest,
    StatusManyResponse, StatusRequest, StatusResponse, VisitorPhase, WatchPlaceRequest,
    WatchPlaceResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::ending::ending;
use super::input::{self, NotTaken, Stamp, ToRecord, Violations};
use super::meter::Counted;
use super::metrics::Method;
use super::place::{self, Copy, Place};
use super::{Entrance, Lane, Partners, Reader, deadline, status, unary};
use crate::access::enqueue::Gate;
use crate::access::pass::{self, Claims};
use crate::trace::CallSpan;
use board::Boards;
pub use entry::Obstacle;
pub use reader::Rooms;
pub use waits::{Waits, follow};

/// Visitors of one batch.
pub const VISITORS_MAX: usize = 1000;

/// Tokens of a batch looked at before others get their turn: some 50 us each.
const TOKENS_AT_ONCE: u32 = 20;

#[derive(Clone)]
pub struct Admission {
    rooms: Rooms,
    boards: Boards,
}

impl Admission {
    pub(super) fn new(rooms: Rooms) -> Admission {
        Admission {
            rooms,
            boards: Boards::default(),
        }
    }

    fn partners(&self) -> Result<&Partners, Status> {
        match &self.rooms.entrance {
            Entrance::Partners(partners) => Ok(partners),
            Entrance::Peers(_) => Err(Status::unimplemented("peers forward commands")),
        }
    }

    /// Asks the sale's owner for what a message says.
    async fn decide<M: ToRecord>(
        &self,
        message: &M,
        stamp: Stamp,
        until: Instant,
        traced: Option<Arc<CallSpan>>,
    ) -> Result<(u64, Done), Status> {
        let partners = self.partners()?;
        let mut record = Vec::with_capacity(64);
        input::take(message, stamp, partners.pass_keys.as_ref(), &mut record)
            .map_err(status::not_taken)?;
        let sale = SaleId(message.event_id());
        let answer = unary::ask(&partners.gateway, sale, record, until, traced).await;
        status::of_answer(answer, partners.wall.now_ms())
    }
}

impl From<Obstacle> for Status {
    fn from(obstacle: Obstacle) -> Status {
        match obstacle {
            Obstacle::Malformed(violations) => status::bad_request(violations),
            Obstacle::UnknownEvent => status::failed(FailureReason::UnknownEvent, 0),
            Obstacle::OverLimit(over) => status::over_limit(over),
            Obstacle::Forged => status::not_taken(NotTaken::PassInvalid),
            Obstacle::Challenge {
                challenge,
                hardness,
            } => status::challenge_required(&challenge, hardness),
        }
    }
}

/// The one visitor a request names.
fn one(bytes: &[u8]) -> Result<VisitorId, Status> {
    entry::one(bytes).map_err(status::bad_request)
}

/// The visitors a request names.
pub fn many(bytes: &[bytes::Bytes]) -> Result<Vec<VisitorId>, Status> {
    let mut violations = Violations::default();
    if !(1..=VISITORS_MAX).contains(&bytes.len()) {
        violations.add("visitors", format!("must be 1 to {VISITORS_MAX}"));
    }
    let visitors = bytes.iter().take(VISITORS_MAX).enumerate();
    let visitors = visitors
        .map(|(at, bytes)| violations.visitor(&format!("visitors[{at}]"), bytes))
        .collect();
    violations.none(visitors).map_err(status::bad_request)
}

fn copy_for(request: &StatusManyRequest) -> Copy {
    match request.linearizable {
        true => Copy::Proved,
        false => Copy::Any,
    }
}

/// What each of the visitors of a batch wants.
fn party_sizes(message: &JoinManyRequest) -> Result<impl Iterator<Item = u32>, Status> {
    let (sizes, visitors) = (&message.party_sizes, message.visitors.len());
    let mut violations = Violations::default();
    if !sizes.is_empty() && sizes.len() != visitors {
        violations.add("party_sizes", "must be none, or one for each visitor");
    }
    let known = sizes.iter().copied();
    let sizes = known.chain(std::iter::repeat(1)).take(visitors);
    violations.none(sizes).map_err(status::bad_request)
}

#[tonic::async_trait]
impl AdmissionService for Admission {
    type WatchPlaceStream = BoxStream<'static, Result<WatchPlaceResponse, Status>>;

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let partners = self.partners()?;
        let caller = partners.admitted(request.metadata())?;
        let until = deadline::of_call(request.metadata(), partners.config.timeout)?;
        let traced = super::traced(&request);
        let mut message = request.into_inner();
        partners.let_join(caller.partner, &mut message)?;
        let stamp = Stamp::of(&caller);
        let (log_index, _) = self.decide(&message, stamp, until, traced).await?;
        Ok(Response::new(JoinResponse { log_index }))
    }

    async fn join_many(
        &self,
        request: Request<JoinManyRequest>,
    ) -> Result<Response<JoinManyResponse>, Status> {
        let partners = self.partners()?;
        let caller = partners.caller(request.metadata())?;
        let until = deadline::of_call(request.metadata(), partners.config.timeout)?;
        let traced = super::traced(&request);
        let message = request.into_inner();
        let visitors = many(&message.visitors)?;
        partners
            .limit
            .check(caller.partner, visitors.len())
            .map_err(status::over_limit)?;
        let mut violations = Violations::default();
        if message.enqueue_tokens.len() > visitors.len() {
            violations.add("enqueue_tokens", "must be no more than the visitors");
        }
        violations.none(()).map_err(status::bad_request)?;
        let stamp = Stamp::of(&caller);
        let parties = party_sizes(&message)?;
        let sale = SaleId(message.event_id);
        let gate = Gate::of(partners.pass_keys.as_ref(), sale, caller.partner);
        let now_ms = partners.wall.now_ms();
        let mut told = JoinManyResponse::default();
        let (mut records, mut taken) = (Vec::new(), Vec::with_capacity(visitors.len()));
        let tokens = message.enqueue_tokens.iter().map(String::as_str);
        let tokens = tokens.chain(std::iter::repeat(""));
        let wishes = tokens.zip(parties);
        for ((at, visitor), (token, party_size)) in (0..).zip(&visitors).zip(wishes) {
            if !token.is_empty() && at % TOKENS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let class = message.priority_class;
            let Ok(priority_class) = gate.enter(*visitor, token, class, now_ms) else {
                told.refused.push(JoinRefused {
                    at,
                    reason: status::reason_name(Rejection::PassInvalid).to_owned(),
                    again: false,
                });
                continue;
            };
            let join = JoinRequest {
                event_id: message.event_id,
                visitor: reader::bytes(*visitor),
                priority_class,
                party_size,
                ..JoinRequest::default()
            };
            join.to_record(stamp, &mut records)
                .map_err(status::bad_request)?;
            taken.push(at);
        }
        if taken.is_empty() {
            return Ok(Response::new(told));
        }
        let (gateway, count) = (&partners.gateway, taken.len());
        let answers = unary::ask_all(gateway, sale, records, count, until, traced).await;
        for (at, answer) in taken.into_iter().zip(answers) {
            match refused(at, &answer) {
                None => told.joined += 1,
                Some(refused) => told.refused.push(refused),
            }
        }
        Ok(Response::new(told))
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let (reader, until) =
            place::read(&self.rooms.entrance, Lane::Reporting, request.metadata())?;
        let StatusRequest { event_id, visitor } = request.into_inner();
        let visitors = vec![one(&visitor)?];
        let places = self
            .rooms
            .places(reader, SaleId(event_id), visitors, until)
            .await?;
        Ok(Response::new(StatusResponse {
            place: places.into_iter().next(),
        }))
    }

    async fn status_many(
        &self,
        request: Request<StatusManyRequest>,
    ) -> Result<Response<StatusManyResponse>, Status> {
        let (reader, until) =
            place::read(&self.rooms.entrance, Lane::Reporting, request.metadata())?;
        let request = request.into_inner();
        let visitors = many(&request.visitors)?;
        let copy = copy_for(&request);
        let places = self
            .rooms
            .read(reader, SaleId(request.event_id), visitors, copy, until)
            .await?;
        Ok(Response::new(StatusManyResponse { places }))
    }

    async fn watch_place(
        &self,
        request: Request<WatchPlaceRequest>,
    ) -> Result<Response<Self::WatchPlaceStream>, Status> {
        let partners = self.partners()?;
        let caller = partners.caller(request.metadata())?;
        let ends_after = deadline::timeout(request.metadata())?;
        let (reader, until) =
            place::read(&self.rooms.entrance, Lane::Reporting, request.metadata())?;
        let WatchPlaceRequest { event_id, visitor } = request.into_inner();
        let (sale, visitor) = (SaleId(event_id), one(&visitor)?);
        let places = self
            .rooms
            .places(reader, sale, vec![visitor], until)
            .await?;
        let known = places.into_iter().next().unwrap_or_default();
        let mut told = self.boards.watch(&self.rooms, reader, sale, visitor, known);
        told.mark_changed();
        let ending = Box::pin(ending(partners, caller, ends_after));
        let counted = Counted::begin(&partners.metrics, Method::WATCH_PLACE);
        let watching = Watching {
            told,
            ending,
            counted,
            is_over: false,
        };
        Ok(Response::new(
            futures::stream::unfold(watching, Watching::next).boxed(),
        ))
    }

    async fn leave(
        &self,
        request: Request<LeaveRequest>,
    ) -> Result<Response<LeaveResponse>, Status> {
        let partners = self.partners()?;
        let caller = partners.admitted(request.metadata())?;
        let until = deadline::of_call(request.metadata(), partners.config.timeout)?;
        let traced = super::traced(&request);
        let message = request.into_inner();
        let stamp = Stamp::of(&caller);
        let (log_index, _) = self.decide(&message, stamp, until, traced).await?;
        Ok(Response::new(LeaveResponse { log_index }))
    }

    async fn claim(
        &self,
        request: Request<ClaimRequest>,
    ) -> Result<Response<ClaimResponse>, Status> {
        let partners = self.partners()?;
        let (reader, until) = place::read(&self.rooms.entrance, Lane::Selling, request.metadata())?;
        let ClaimRequest { event_id, visitor } = request.into_inner();
        let (event, visitor) = (SaleId(event_id), one(&visitor)?);
        let place = self
            .rooms
            .place_to_enter(reader, event, visitor, until)
            .await?;
        let now_ms = partners.wall.now_ms();
        if place.phase() != VisitorPhase::Admitted {
            return Err(status::rejected(not_admitted(&place), now_ms));
        }
        let claims = Claims {
            event,
            visitor,
            partner: reader.partner,
            channel: reader.channel,
            tickets: u16::try_from(place.tickets_max).unwrap_or(u16::MAX),
            from_ms: place.pass_from_ms,
            ends_ms: place.pass_ends_ms,
            number: place.number,
        };
        let pass = pass::sign(&partners.pass_keys.pass_keys(), &claims, now_ms)
            .ok_or_else(|| status::internal("there is no key to sign passes with"))?;
        Ok(Response::new(ClaimResponse {
            pass_token: pass,
            ends_ms: place.pass_ends_ms,
            tickets_left: place.tickets_left,
        }))
    }

    async fn proof(
        &self,
        request: Request<ProofRequest>,
    ) -> Result<Response<ProofResponse>, Status> {
        let (reader, until) =
            place::read(&self.rooms.entrance, Lane::Reporting, request.metadata())?;
        let message = request.into_inner();
        let (sale, visitor) = (SaleId(message.event_id), one(&message.visitor)?);
        let replica = match place::find(&self.rooms.entrance, sale, Copy::Any, until).await? {
            Place::Here(replica) => replica,
            Place::There(channel) => {
                let request = place::passed_on(message, reader, Some(until));
                let mut client = AdmissionServiceClient::new(channel);
                return place::told_in_time(until, client.proof(request)).await;
            }
        };
        let proof = place::in_time(until, replica.proof(visitor)).await?;
        let proof = proof
            .filter(|proof| proof.status.partner == reader.partner)
            .ok_or_else(|| status::rejected(Rejection::UnknownVisitor, 0))?;
        let hash = |hash: &[u8; 32]| bytes::Bytes::copy_from_slice(hash);
        let evidence = proof.evidence;
        Ok(Response::new(ProofResponse {
            number: proof.number,
            lane: proof.status.lane.into(),
            path: proof.path.iter().map(hash).collect(),
            lobby_root: hash(&evidence.lobby_root),
            lobby_len: evidence.lobby_len,
            commitment: hash(&evidence.commitment),
            seed: evidence
                .seed
                .map_or_else(Default::default, |seed| hash(&seed.0)),
            beacon: evidence.beacon.as_ref().map_or_else(Default::default, hash),
            party_size: proof.status.party.into(),
        }))
    }

    async fn list_pass_keys(
        &self,
        request: Request<ListPassKeysRequest>,
    ) -> Result<Response<ListPassKeysResponse>, Status> {
        let partners = self.partners()?;
        partners.admitted(request.metadata())?;
        let keys = partners.pass_keys.pass_keys();
        let keys = keys.into_iter().map(|key| PassKey {
            key_id: key.key_id,
            public_key: key.public.to_vec().into(),
            made_at_ms: key.made_at_ms,
        });
        Ok(Response::new(ListPassKeysResponse {
            keys: keys.collect(),
        }))
    }
}

/// Why there is no pass.
fn not_admitted(place: &proto::channel::v1::Place) -> Rejection {
    match place.phase() {
        VisitorPhase::Unknown => Rejection::UnknownVisitor,
        VisitorPhase::Served | VisitorPhase::Expired => Rejection::PassExpired,
        VisitorPhase::Removed => Rejection::VisitorRemoved {
            reason: place.removal_reason,
        },
        _ => Rejection::QueueRequired,
    }
}

fn refused(at: u32, answer: &Answer) -> Option<JoinRefused> {
    let (reason, again) = match answer {
        Answer::Done { .. } => return None,
        Answer::Rejected { rejection, .. } => (status::reason_name(*rejection), false),
        Answer::Failed { reason, .. } => {
            let again = !matches!(
                reason,
                FailureReason::UnknownEvent | FailureReason::BadRequest | FailureReason::Forbidden
            );
            (status::failure_name(*reason), again)
        }
        Answer::Unknown => ("UNKNOWN_OUTCOME", true),
    };
    Some(JoinRefused {
        at,
        reason: reason.to_owned(),
        again,
    })
}

/// A stream that tells a place until its last change.
struct Watching {
    told: tokio::sync::watch::Receiver<proto::channel::v1::Place>,
    ending: std::pin::Pin<Box<dyn Future<Output = Status> + Send>>,
    counted: Counted,
    is_over: bool,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<WatchPlaceResponse, Status>, Watching)> {
        if self.is_over {
            return None;
        }
        let next = tokio::select! {
            changed = self.told.changed() => match changed {
                Ok(()) => {
                    let place = *self.told.borrow_and_update();
                    self.is_over = told::is_last(&place);
                    Ok(WatchPlaceResponse { place: Some(place) })
                }
                // Its board was taken down: never while it is watched.
                Err(_) => Err(status::failed(FailureReason::NoLeader, 0)),
            },
            status = &mut self.ending => Err(status),
        };
        match &next {
            Ok(_) if self.is_over => self.counted.ended(tonic::Code::Ok),
            Ok(_) => {}
            Err(status) => {
                self.counted.ended(status.code());
                self.is_over = true;
            }
        }
        Some((next, self))
    }
}

/// What a session asks of the room.
impl Admission {
    pub(super) async fn session_status(
        &self,
        reader: Reader,
        message: StatusManyRequest,
        until: Instant,
    ) -> Result<StatusManyResponse, Status> {
        let visitors = many(&message.visitors)?;
        let (sale, copy) = (SaleId(message.event_id), copy_for(&message));
        let places = self.rooms.read(reader, sale, visitors, copy, until).await?;
        Ok(StatusManyResponse { places })
    }
}
