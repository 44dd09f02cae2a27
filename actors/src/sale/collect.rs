//! Collecting calls into batches: what waits when the owner settles becomes one proposal, bounded
//! in commands and bytes, a few under way at once, no linger.

use std::sync::Arc;

use bytes::Bytes;
use cluster::group::Proposed;
use domain::command::{Command, Request};
use domain::ids::{ChannelId, IdempotencyKey, PartnerId};
use domain::rejection::Rejection;
use prost::Message as _;
use proto::log::v1 as log;
use tokio::time::Instant;

use super::answering::{Piece, fail_calls, split_calls};
use super::in_flight::InFlight;
use super::message::Note;
use super::owner::{Owner, State, Waiting};
#[cfg(feature = "bugs")]
use crate::bugs::{Bug, planted};
use crate::calls::Calls;
use crate::codec::answer::{At, FailureReason, put_failed, put_rejected};
use crate::codec::command::decode_body;
use crate::codec::record::{self, Records, kind};
use crate::trace::{Stage, Traced, TracedBatch};

/// A batch that is being filled.
#[derive(Default)]
struct Batch {
    records: Vec<u8>,
    commands: usize,
    /// When the first of its calls came.
    since: Option<Instant>,
    pieces: Vec<Piece>,
    traced: Vec<Arc<Traced>>,
    frees: bool,
    takes: bool,
}

/// Commands that make a batch worth a place behind others under way.
const FULL_COMMANDS: usize = 128;

/// Commands that may make a refusal wrong that is decided before them.
fn frees(kind: u8) -> bool {
    !matches!(
        kind,
        kind::PLACE_HOLD
            | kind::PLACE_HOLD_WITH_PASS
            | kind::PLACE_HOLD_WITH_TOKEN
            | kind::EXTEND_HOLD
            | kind::CONFIRM_HOLD
    )
}

/// Commands of which a retry may come while they are under way.
fn takes(kind: u8) -> bool {
    matches!(
        kind,
        kind::PLACE_HOLD | kind::PLACE_HOLD_WITH_PASS | kind::PLACE_HOLD_WITH_TOKEN
    )
}

impl Owner {
    pub(super) fn close_batches(&mut self) {
        self.retry_stalled();
        // What comes before the clock is set waits: a wrong stamp would end holds early, for good.
        while self.term.is_some()
            && self.around.clock.is_set()
            && self.stalled.is_none()
            && self.may_propose()
        {
            let batch = self.fill_batch();
            if batch.commands == 0 {
                continue;
            }
            self.around.metrics.observe_batch(batch.commands);
            self.propose(batch);
        }
    }

    /// Whether what waits is to travel now: at once when nothing is under way, behind others only
    /// as a full batch. What comes meanwhile makes the next one fuller; a sale that sells little
    /// then costs its replicas one round for several commands.
    fn may_propose(&self) -> bool {
        match self.in_flight.len() {
            0 => !self.waiting.is_empty(),
            under_way => under_way < self.around.config.in_flight && self.fills_a_batch(),
        }
    }

    fn fills_a_batch(&self) -> bool {
        let full = FULL_COMMANDS.min(self.around.config.batch_commands);
        let mut commands = 0;
        self.waiting.iter().any(|waiting| {
            commands += waiting.calls.call_ids.len();
            commands >= full
        })
    }

    fn fill_batch(&mut self) -> Batch {
        let (commands_max, bytes_max) = (
            self.around.config.batch_commands,
            self.around.config.batch_bytes,
        );
        let now = Instant::now();
        let mut batch = Batch::default();
        while let Some(Waiting {
            calls,
            since,
            is_for_the_log,
        }) = self.waiting.pop_front()
        {
            if calls.deadline <= now {
                self.leave_queue(calls.call_ids.len());
                fail_calls(calls, FailureReason::DeadlinePassed, 0);
                continue;
            }
            let room = commands_max - batch.commands;
            if room == 0
                || (batch.commands > 0 && batch.records.len() + calls.records.len() > bytes_max)
            {
                self.waiting.push_front(Waiting {
                    calls,
                    since,
                    is_for_the_log,
                });
                break;
            }
            let calls = if calls.call_ids.len() > room {
                let (now, later) = split_calls(calls, room);
                self.waiting.push_front(Waiting {
                    calls: later,
                    since,
                    is_for_the_log,
                });
                now
            } else {
                calls
            };
            self.leave_queue(calls.call_ids.len());
            let calls = if is_for_the_log {
                Some(calls)
            } else {
                self.set_aside_for_refusal(calls, batch.frees, batch.takes)
            };
            if let Some(calls) = calls {
                batch.since = batch.since.or(since);
                self.add(calls, &mut batch);
            }
        }
        batch
    }

    /// Adds calls to a batch; those that are no command, or lack a pass, are answered at once.
    fn add(&mut self, calls: Calls, batch: &mut Batch) {
        let Calls {
            records,
            call_ids,
            deadline,
            answers,
            trace,
        } = calls;
        batch.traced.extend(trace);
        // True whoever leads, so no revision is told by which it would be judged.
        let at = At::default();
        let mut refused = Vec::new();
        let mut refused_count = 0;
        let mut good: Vec<u32> = Vec::new();
        let start = batch.records.len();
        for (place, (call_id, bytes)) in call_ids.iter().zip(Records::new(&records)).enumerate() {
            let refuses = match record::split(bytes) {
                Some((header, _)) if self.lacks_pass(header.kind) => {
                    put_rejected(call_id, at, Rejection::QueueRequired, &mut refused);
                    true
                }
                Some((header, body))
                    if decode_body(header.kind, body, &mut self.scratch).is_ok() =>
                {
                    batch.frees |= frees(header.kind);
                    batch.takes |= takes(header.kind);
                    false
                }
                _ => {
                    put_failed(call_id, FailureReason::BadRequest, 0, &mut refused);
                    true
                }
            };
            match refuses {
                true => {
                    if refused_count == 0 {
                        // So far all were good, and none was copied yet. Ids may repeat: count.
                        let before = bytes.as_ptr() as usize - records.as_ptr() as usize;
                        batch.records.extend_from_slice(&records[..before]);
                        good.extend(call_ids.iter().take(place));
                    }
                    refused_count += 1;
                }
                false if refused_count > 0 => {
                    good.push(call_id);
                    batch.records.extend_from_slice(bytes);
                }
                false => {}
            }
        }
        let good = if refused_count == 0 {
            batch.records.extend_from_slice(&records);
            call_ids
        } else {
            answers.answer(refused.into(), refused_count);
            good.into_iter().collect()
        };
        debug_assert_eq!(good.len(), Records::new(&batch.records[start..]).count());
        batch.commands += good.len();
        batch.pieces.push(Piece::new(answers, good, deadline));
    }

    fn propose(&mut self, batch: Batch) {
        let proposal = self.next_proposal;
        self.next_proposal += 1;
        let Batch {
            records,
            commands,
            pieces,
            traced,
            frees,
            takes,
            since,
        } = batch;
        #[cfg(feature = "bugs")]
        let records = {
            let mut records = records;
            if planted(Bug::DedupByNode) {
                crate::bugs::rekey(&mut records, self.around.proposer as u32);
            }
            records
        };
        let commands = log::Commands {
            count: commands as u32,
            records: records.into(),
        };
        let entry = self.entry(proposal, log::part::Body::Commands(commands));
        self.hand_over(
            InFlight {
                proposal,
                pieces,
                traced: TracedBatch::new(traced, &self.shared.traced),
                frees,
                takes,
                since,
            },
            entry,
        );
    }

    fn entry(&mut self, proposal: u64, body: log::part::Body) -> Bytes {
        let at_ms = self.time.stamp(self.around.clock.now_ms());
        let part = log::Part {
            sale_id: self.id.0,
            at_ms,
            proposer: self.around.proposer,
            proposal,
            body: Some(body),
        };
        log::Entry { parts: vec![part] }.encode_to_vec().into()
    }

    /// After a fault of the actor: an entry with nothing in it, whose delivery finds the queue closed and
    /// stops the group's replica here. Calls do not get to the sale any more, and a group at rest would
    /// have no other entry by which to find out.
    pub(super) fn tell_group(&mut self) {
        let Some(term) = self.term else { return };
        let entry = self.entry(0, log::part::Body::Commands(log::Commands::default()));
        // Where the queue is full there are entries enough, and digests among them.
        let _full = self.group.propose(term, entry, Box::new(|_| ()));
    }

    fn retry_stalled(&mut self) {
        if let Some((in_flight, entry)) = self.stalled.take() {
            self.hand_over(in_flight, entry);
        }
    }

    fn hand_over(&mut self, in_flight: InFlight, entry: Bytes) {
        let Some(term) = self.term else {
            for mut piece in in_flight.pieces {
                piece.answer_failed(FailureReason::NoLeader, 0);
            }
            return;
        };
        let (proposal, shared) = (in_flight.proposal, Arc::clone(&self.shared));
        let reply = Box::new(move |became: Proposed| {
            let failure = match became {
                // Its delivery answers.
                Proposed::Committed { .. } => return,
                Proposed::NotLeader { .. } => Some(FailureReason::NoLeader),
                Proposed::DiskFull => Some(FailureReason::DiskFull),
                Proposed::TooLarge { .. } => Some(FailureReason::BadRequest),
                Proposed::Unknown => None,
            };
            shared.mailbox.note(Note::Lost { proposal, failure });
        });
        match self.group.propose(term, entry.clone(), reply) {
            Ok(()) => {
                if let Some(traced) = &in_flight.traced {
                    traced.reach(Stage::Proposed);
                }
                self.in_flight.push(in_flight);
            }
            Err(_) => self.stalled = Some((in_flight, entry)),
        }
    }

    /// Proposes `ExpireHolds` when a hold is due and nothing is under way that would expire it.
    pub(super) fn expire_when_due(&mut self) {
        let State::Live { sale, .. } = &self.state else {
            return;
        };
        let due = sale
            .next_deadline_ms()
            .is_some_and(|deadline_ms| deadline_ms <= self.now_ms());
        if !due
            || !self.around.clock.is_set()
            || self.term.is_none()
            || self.expiring
            || self.in_flight.len() > 0
            || self.stalled.is_some()
        {
            return;
        }
        let request = Request {
            partner: PartnerId(0),
            channel: ChannelId(0),
            key: IdempotencyKey(0),
            hash: 0,
            command: Command::ExpireHolds,
        };
        let mut batch = Batch {
            commands: 1,
            frees: true,
            ..Batch::default()
        };
        if record::encode(&request, &mut batch.records).is_ok() {
            self.expiring = true;
            self.propose(batch);
        }
    }
}
