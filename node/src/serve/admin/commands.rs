//! Operators' commands: one record each, through the gateway to the sale's owner, like partners'.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::calls::{Answers, Calls};
use actors::codec::answer::{self, Answer as Decided};
use actors::codec::record;
use bytes::Bytes;
use domain::command::{Command, Request, SetRoom};
use domain::ids::{ChannelId, IdempotencyKey, PartnerId, SaleId};
use domain::room::Plan;
use domain::room::pace::Ceilings;
use domain::rules::SaleRules;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Admin;
use super::refusals::floors_beyond;
use crate::http::api::{Answer, EventCommand, NewRoom};
use crate::http::bodies::QueueSettings;
use crate::http::problem::{Problem, Reason};
use crate::http::views;
use crate::trace;

/// How long a command is tried, and how long its answer is then still waited for.
const TRY_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// Commands of operators are no partner's.
const OPERATOR: PartnerId = PartnerId(0);
const NO_CHANNEL: ChannelId = ChannelId(0);

impl Admin {
    pub(super) async fn carry_out(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        command: EventCommand,
    ) -> Answer<views::Applied> {
        // A new event may be known to its owner before this node's map has it, never the reverse.
        let test_mode = self.entry(event_id)?.test_mode;
        let decided = match command {
            EventCommand::Open => {
                self.must_be_finished(event_id).await?;
                self.decide(event_id, key, Command::OpenSale).await
            }
            EventCommand::Pause => self.decide(event_id, key, Command::PauseSale).await,
            EventCommand::Resume => self.decide(event_id, key, Command::ResumeSale).await,
            EventCommand::Close => self.decide(event_id, key, Command::CloseSale).await,
            EventCommand::Reopen => self.decide(event_id, key, Command::ReopenSale).await,
            EventCommand::Block(seats) => {
                let block = Command::BlockSeats { seats: &seats };
                self.decide(event_id, key, block).await
            }
            EventCommand::Unblock(seats) => {
                let unblock = Command::UnblockSeats { seats: &seats };
                self.decide(event_id, key, unblock).await
            }
            EventCommand::SetRules(rules) => {
                let rules = SaleRules { test_mode, ..rules };
                self.must_have_floors(event_id, &rules).await?;
                let set = Command::SetRules(Box::new(rules));
                self.decide(event_id, key, set).await
            }
            EventCommand::OpenRoom(room) => {
                let NewRoom {
                    lobby_at_ms,
                    open_at_ms,
                    waits_for_beacon,
                    pass_life_ms,
                    pass_tickets,
                    ceilings,
                    lanes,
                } = *room;
                let plan = Plan {
                    lobby_at_ms,
                    open_at_ms,
                    seed: self.seed(event_id, key).await?,
                    waits_for_beacon,
                    pass_life_ms,
                    pass_tickets,
                    ceilings,
                    lanes,
                };
                let open = Command::OpenRoom(Box::new(plan));
                self.decide(event_id, key, open).await
            }
            EventCommand::MoveRoom {
                lobby_at_ms,
                open_at_ms,
            } => {
                let moved = Command::MoveRoom {
                    lobby_at_ms,
                    open_at_ms,
                };
                self.decide(event_id, key, moved).await
            }
            EventCommand::SetRoom(settings) => {
                let QueueSettings {
                    paused,
                    closed,
                    per_minute,
                    at_the_desk,
                    hold_ms,
                    weights,
                } = settings;
                let set = Command::SetRoom(SetRoom {
                    is_paused: paused,
                    is_closed: closed,
                    ceilings: Ceilings {
                        per_minute,
                        at_the_desk,
                        hold_ms,
                    },
                    weights: &weights,
                });
                self.decide(event_id, key, set).await
            }
            EventCommand::SetBeacon(beacon) => {
                let set = Command::SetBeacon { beacon };
                self.decide(event_id, key, set).await
            }
            EventCommand::RemoveVisitor { visitor, reason } => {
                let remove = Command::RemoveVisitor { visitor, reason };
                self.decide(event_id, key, remove).await
            }
        };
        Ok(decided?)
    }

    /// The sale says no to floors beyond its seats, too, but not how many there are of what.
    async fn must_have_floors(&self, event_id: u64, rules: &SaleRules) -> Answer<()> {
        let summary = self.replica(event_id)?.summary().await;
        let counts = summary.map_err(|failure| self.read_failed(failure))?.counts;
        let seats = [counts.free, counts.held, counts.sold, counts.blocked];
        match floors_beyond(rules, seats.into_iter().map(u64::from).sum()) {
            Some(problem) => Err(problem.into()),
            None => Ok(()),
        }
    }

    pub(super) async fn decide(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        command: Command<'_>,
    ) -> Result<views::Applied, Problem> {
        let request = Request {
            partner: OPERATOR,
            channel: NO_CHANNEL,
            key,
            hash: 0,
            command,
        };
        let mut records = Vec::new();
        record::encode(&request, &mut records)
            .map_err(|_| Problem::new(Reason::TooLarge, "the command names too much at once"))?;
        let (told, answered) = oneshot::channel();
        let deadline = Instant::now() + TRY_LIMIT;
        let calls = Calls {
            records: records.into(),
            call_ids: [0].into_iter().collect(),
            deadline,
            answers: Arc::new(Waiting(Mutex::new(Some(told)))),
            trace: None,
        };
        let (gateway, traced) = (&self.parts.gateway, trace::current());
        gateway.submit_traced(SaleId(event_id), calls, traced);
        // Every call is answered; should that ever fail, the truth is that nobody knows.
        let decided = match timeout_at(deadline + ANSWER_GRACE, answered).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(_)) | Err(_) => Decided::Unknown,
        };
        match decided {
            Decided::Done { log_index, done } => Ok(views::Applied {
                event_id,
                revision: done.revision.0,
                log_index,
                idempotency_key: views::id_text(key.0),
            }),
            Decided::Rejected { at: _, rejection } => Err(Problem::rejected(rejection)),
            Decided::Failed {
                reason,
                retry_after_ms,
            } => Err(Problem::failed(reason, retry_after_ms)),
            Decided::Unknown => Err(Problem::unknown_outcome()),
        }
    }
}

/// The one caller of a call.
struct Waiting(Mutex<Option<oneshot::Sender<Decided>>>);

impl Answers for Waiting {
    fn answer(&self, packed: Bytes, _count: u32) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let decided = answer::decode(&packed).next().map(|(_, decided)| decided);
        if let Some(waiting) = waiting {
            // Who asked may have gone.
            let _gone = waiting.send(decided.unwrap_or(Decided::Unknown));
        }
    }
}
