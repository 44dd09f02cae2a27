//! One command: move `now`, expire what is due, recall the key, decide, remember, digest.

use crate::bugs::{Bug, planted};
use crate::change::Change;
use crate::command::{Command, Request};
use crate::digest::mix;
use crate::digest_words::rejection_words;
use crate::idempotency::Recall;
use crate::ids::{IdempotencyKey, PartnerId};
use crate::outcome::{Done, Outcome, SeatRuns};
use crate::rejection::Rejection;
use crate::sale::Sale;

/// The last log time, as far as a UUIDv7 counts (the year 10889): later ones count as this, so that
/// no deadline can overflow.
pub const TIME_MAX_MS: u64 = (1 << 48) - 1;

impl Sale {
    /// Decides one command at the log time `at_ms` and appends what changed to `changes`. Total:
    /// it answers anything. Log time never goes back: an earlier `at_ms` counts as the latest.
    pub fn apply(
        &mut self,
        at_ms: u64,
        request: &Request<'_>,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        self.now_ms = match planted(Bug::StampIsTime) {
            true => at_ms,
            false => self.now_ms.max(at_ms.min(TIME_MAX_MS)),
        };
        if !planted(Bug::OnlySweepsExpire) || request.command == Command::ExpireHolds {
            self.expire_due(changes);
        }
        self.pass_room_time(changes);
        let outcome = self.answer(request, changes);
        self.update_digest(request, &outcome);
        self.changing = false;
        outcome
    }

    /// Reads a little of all that a command needs and drops it: of a sale that sells now and then
    /// nothing is in the processor's caches, and these reads overlap, while a command's wait for one
    /// another. Worth its while once for the commands that come together.
    pub fn warm(&self) {
        self.memory.warm();
        self.seats.warm();
        self.holds.warm();
        self.orders.warm();
        self.deadlines.warm();
        self.usage.warm();
        self.ended.warm();
    }

    /// As `warm`, for one command among those that come together.
    pub fn warm_key(&self, partner: PartnerId, key: IdempotencyKey) {
        self.memory.warm_key(partner, key);
    }

    /// Whether the last command was cut off (by a panic) while it was changing the sale. Then the
    /// sale must be frozen; else nothing but `now` and what was due has changed, and the command
    /// may be rejected as `Bug`.
    pub fn is_changing(&self) -> bool {
        self.changing
    }

    /// A rolling digest over all commands and outcomes so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    fn answer(&mut self, request: &Request<'_>, changes: &mut Vec<Change>) -> Outcome {
        if !is_remembered(&request.command) {
            return match self.decide(request, changes) {
                Ok(done) => Outcome::Done(done),
                Err(rejection) => Outcome::Rejected(rejection),
            };
        }
        self.memory.forget_old(self.now_ms);
        match self
            .memory
            .recall(request.partner, request.key, request.hash, self.now_ms)
        {
            Recall::Known(outcome) => return outcome,
            Recall::Refused(rejection) => return Outcome::Rejected(rejection),
            Recall::Fresh => {}
        }
        let outcome = match self.decide(request, changes) {
            Ok(done) => Outcome::Done(done),
            Err(rejection) => Outcome::Rejected(rejection),
        };
        self.changing = true;
        self.memory.remember(
            request.partner,
            request.key,
            request.hash,
            self.now_ms,
            &outcome,
        );
        outcome
    }

    fn decide(
        &mut self,
        request: &Request<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        match &request.command {
            Command::OpenSale => self.open_sale(changes),
            Command::PauseSale => self.pause_sale(changes),
            Command::ResumeSale => self.resume_sale(changes),
            Command::CloseSale => self.close_sale(changes),
            Command::ReopenSale => self.reopen_sale(changes),
            Command::SetRules(rules) => self.set_rules(rules, changes),
            Command::BlockSeats { seats } => self.block_seats(seats, changes),
            Command::UnblockSeats { seats } => self.unblock_seats(seats, changes),
            Command::PlaceHold(ask) => self.place_hold(request, ask, changes),
            Command::ExtendHold { hold, ttl_ms } => {
                self.extend_hold(request, *hold, *ttl_ms, changes)
            }
            Command::ReleaseHold { hold } => self.release_hold(request, *hold, changes),
            Command::ConfirmHold {
                hold,
                order,
                payment,
            } => self.confirm_hold(request, *hold, *order, *payment, changes),
            Command::CancelOrder { order } => self.cancel_order(request, *order, changes),
            Command::ExpireHolds => Ok(self.done(0, SeatRuns::default())),
            Command::OpenRoom(plan) => self.open_room(plan),
            Command::MoveRoom {
                lobby_at_ms,
                open_at_ms,
            } => self.move_room(*lobby_at_ms, *open_at_ms),
            Command::SetRoom(set) => self.set_room(set),
            Command::SetBeacon { beacon } => self.set_beacon(*beacon, changes),
            Command::RemoveVisitor { visitor, reason } => self.remove_visitor(*visitor, *reason),
            Command::JoinRoom {
                visitor,
                class,
                party,
            } => self.join_room(request, *visitor, *class, *party),
            Command::LeaveRoom { visitor } => self.leave_room(request, *visitor),
            Command::ReleaseVisitors { up_to } => self.release_visitors(*up_to),
        }
    }

    /// What a command answers that was carried out.
    pub(crate) fn done(&self, deadline_ms: u64, seats: SeatRuns) -> Done {
        Done {
            revision: self.revision,
            deadline_ms,
            seats,
        }
    }

    fn update_digest(&mut self, request: &Request<'_>, outcome: &Outcome) {
        let key = request.key.0;
        let asked = mix(
            request.hash ^ u64::from(request.partner.0),
            key as u64 ^ (key >> 64) as u64,
        );
        let mut digest = mix(self.digest ^ asked, self.now_ms);
        match outcome {
            Outcome::Done(Done {
                revision,
                deadline_ms,
                seats,
            }) => {
                digest = mix(digest ^ revision.0, *deadline_ms);
                for run in seats.as_slice() {
                    digest = mix(digest, run.word());
                }
            }
            Outcome::Rejected(rejection) => {
                let [kind, first, second] = rejection_words(*rejection);
                digest = mix(mix(digest ^ kind, first), second ^ self.revision.0);
            }
        }
        self.digest = digest;
    }
}

/// What the leader proposes by itself says how far it is to go, and who comes or goes twice has come or
/// gone: a million visitors must not push what buyers were told out of the table.
fn is_remembered(command: &Command<'_>) -> bool {
    !matches!(
        command,
        Command::ExpireHolds
            | Command::ReleaseVisitors { .. }
            | Command::JoinRoom { .. }
            | Command::LeaveRoom { .. }
    )
}
