//! Refusing without a log entry what is hopeless on the applied state: sold out, not on sale.
//!
//! Such a refusal is linearizable only if leadership is proved after the call arrived and the
//! decision is made on everything committed before. So hopeless calls are set aside, one shared
//! round proves leadership, and they are decided again when its proof comes through the queue
//! behind all deliveries. A command under way that could free seats, or a hold under way that
//! could be this call's first attempt, sends them into the log instead. No record is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::command::Command;
use domain::rejection::{Phase, Rejection};

use super::answering::Piece;
use super::message::Message;
use super::owner::{Owner, State, Waiting};
use crate::bugs::{Bug, planted};
use crate::calls::Calls;
use crate::codec::answer::{At, put_rejected};
use crate::codec::command::Scratch;
use crate::codec::record::{self, Records};
use crate::faults::Faults;
use crate::trace::Stage;

#[derive(Default)]
pub(super) struct Refusals {
    /// Wait for the round that is under way.
    proving: Vec<Calls>,
    /// Came after that round began: wait for the next.
    arrived: Vec<Calls>,
    round_runs: bool,
}

impl Refusals {
    /// The last of those that wait.
    pub fn pop(&mut self) -> Option<Calls> {
        self.arrived.pop().or_else(|| self.proving.pop())
    }
}

impl Owner {
    /// Sets calls aside that would all be refused; gives back what must go through the log.
    pub(super) fn set_aside_for_refusal(
        &mut self,
        calls: Calls,
        frees: bool,
        takes: bool,
    ) -> Option<Calls> {
        if frees || takes || self.in_flight.any_frees_or_takes() || !self.looks_hopeless() {
            return Some(calls);
        }
        if planted(Bug::RefusedUnproved) {
            let mut packed = Vec::new();
            if self.refuse_all(&calls, Some(&mut packed)) {
                let count = calls.call_ids.len() as u32;
                calls.answers.answer(packed.into(), count);
                return None;
            }
        }
        if self.refuse_all(&calls, None) {
            calls.reach(Stage::SetAside);
            self.refusals.arrived.push(calls);
            None
        } else {
            Some(calls)
        }
    }

    /// A cheap look, so that a sale with seats left pays nothing.
    fn looks_hopeless(&self) -> bool {
        match &self.state {
            State::Live { sale, .. } => sale.phase() != Phase::Open || sale.counts().free == 0,
            State::Frozen(_) => false,
        }
    }

    /// Whether every call is hopeless; appends the refusals to `packed`.
    fn refuse_all(&mut self, calls: &Calls, mut packed: Option<&mut Vec<u8>>) -> bool {
        let now_ms = self.now_ms();
        let State::Live { sale, .. } = &mut self.state else {
            return false;
        };
        let at = At {
            revision: sale.revision(),
            log_index: self.applied_index,
        };
        let mut told = Vec::new();
        for (call_id, bytes) in calls.call_ids.iter().zip(Records::new(&calls.records)) {
            let (scratch, faults) = (&mut self.scratch, &self.around.faults);
            let Some(rejection) = hopeless(sale, bytes, now_ms, scratch, faults) else {
                return false;
            };
            if let Some(packed) = packed.as_deref_mut() {
                told.push(rejection);
                put_rejected(call_id, at, rejection, packed);
            }
        }
        for rejection in told {
            self.around.metrics.observe_refusal(self.size, rejection);
        }
        true
    }

    /// Starts a round when calls wait for one and none runs.
    pub(super) fn prove_refusals(&mut self) {
        if self.refusals.round_runs || self.refusals.arrived.is_empty() {
            return;
        }
        self.refusals.proving = std::mem::take(&mut self.refusals.arrived);
        self.refusals.round_runs = true;
        let (group, shared) = (Arc::clone(&self.group), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let proof = group.read_barrier().await;
            // Through the ring, so that it comes behind every delivery before it.
            let _ = shared.mailbox.send(Message::Proved(proof)).await;
        });
    }

    pub(super) fn on_proved(&mut self, proved: bool) {
        self.refusals.round_runs = false;
        // The last first: what returns to the log is put before all that waits there, so it goes in the
        // sequence in which it came.
        while let Some(calls) = self.refusals.proving.pop() {
            let mut packed = Vec::with_capacity(calls.call_ids.len() * 48);
            let may_refuse = proved && self.term.is_some() && !self.in_flight.any_frees_or_takes();
            if may_refuse && self.refuse_all(&calls, Some(&mut packed)) {
                self.around
                    .metrics
                    .observe_refused_without_entry(calls.call_ids.len());
                calls
                    .answers
                    .answer(packed.into(), calls.call_ids.len() as u32);
            } else {
                self.return_to_log(calls);
            }
        }
    }

    /// The log decides after all.
    fn return_to_log(&mut self, calls: Calls) {
        if self.term.is_some() {
            self.rejoin_queue(calls);
        } else {
            let Calls {
                records: _,
                call_ids,
                deadline,
                answers,
                trace: _,
            } = calls;
            let mut piece = Piece::new(answers, call_ids, deadline);
            piece.answer_failed(crate::codec::answer::FailureReason::NoLeader, 0);
        }
    }

    fn rejoin_queue(&mut self, calls: Calls) {
        self.shared
            .queued
            .fetch_add(calls.call_ids.len(), std::sync::atomic::Ordering::AcqRel);
        self.waiting.push_front(Waiting {
            calls,
            since: None,
            is_for_the_log: true,
        });
    }
}

/// Why a record would be refused on the present state, if that is certain. Should the sale's logic
/// panic, it is not: the log decides, where such a command is rejected as a bug.
fn hopeless(
    sale: &mut domain::Sale,
    bytes: &[u8],
    now_ms: u64,
    scratch: &mut Scratch,
    faults: &Faults,
) -> Option<Rejection> {
    let request = record::decode(bytes, scratch).ok()?;
    let Command::PlaceHold(_) = request.command else {
        return None;
    };
    let looked = catch_unwind(AssertUnwindSafe(|| {
        faults.strike_check_half(request.key);
        sale.hopeless(&request, now_ms)
    }));
    looked.ok().flatten()
}
