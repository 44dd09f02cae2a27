//! Applying what the log committed, on every replica alike, and answering the callers on the one
//! that proposed it.
//!
//! A panic of the sale's logic is caught here. In the check half nothing has changed: the command
//! is rejected as `Bug`. In the change half the sale is frozen at that command.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use domain::change::Change;
use domain::outcome::Outcome;
use domain::rejection::Rejection;
use domain::{Sale, SaleImage};

use super::answering::{Answering, Piece};
use super::journal::JournalEntry;
use super::message::{Delivery, DeliveryBody};
use super::owner::{Owner, State};
use super::room::buyer_of;
use super::view::Frost;
use crate::bugs::{Bug, planted};
use crate::codec::answer::{At, FailureReason};
use crate::codec::command::Scratch;
use crate::codec::record::{self, Records};
use crate::faults::Faults;
use crate::metrics::OutcomeCount;

/// What one command led to.
pub(super) enum Applied {
    Decided(Outcome),
    /// The change half panicked: the sale may not be touched again.
    Broken(String),
}

/// Changes of a round that are told at once.
const CHANGES_MAX: usize = 4096;
/// Room for so many is kept.
const CHANGES_KEPT: usize = 64;

impl Owner {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let Delivery {
            index,
            at_ms,
            proposer,
            proposal,
            body,
            committed_at,
        } = delivery;
        self.applied_index = index;
        match body {
            DeliveryBody::Commands { count, records } => {
                let pieces = if proposer == self.around.proposer {
                    self.expiring = false;
                    self.in_flight.take(proposal).map(|in_flight| {
                        if let Some(since) = in_flight.since {
                            self.turnstile.serve(count, since.elapsed());
                        }
                        if let Some(traced) = &in_flight.traced {
                            traced.commit(committed_at, index, count);
                        }
                        in_flight.pieces
                    })
                } else {
                    None
                };
                self.around.metrics.observe_delivered(count);
                self.apply_records(index, at_ms, records, pieces.unwrap_or_default());
            }
            DeliveryBody::Release => self.release(),
        }
        self.time.see(at_ms);
        self.shared.applied.fetch_add(1, Ordering::Relaxed);
        if self.changes.len() >= CHANGES_MAX {
            self.tell_changes();
        }
    }

    /// Hands what has changed since the last time to watchers and the index.
    pub(super) fn tell_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        if self.term.is_some() {
            self.around
                .metrics
                .observe_changes(self.size, &self.changes);
        }
        self.change_log.push(&self.changes);
        self.around.feed.offer(self.id, &self.changes);
        // What one long round took, as after a restart, is given back by the next short one.
        let told = self.changes.len().max(CHANGES_KEPT);
        self.changes.clear();
        if self.changes.capacity() > 4 * told {
            self.changes.shrink_to(told);
        }
    }

    fn apply_records(&mut self, index: u64, at_ms: u64, records: Bytes, pieces: Vec<Piece>) {
        let at_ms = match planted(Bug::ExpiryByOwnClock) {
            true => self.around.clock.now_ms().max(at_ms),
            false => at_ms,
        };
        let mut answering = Answering::new(pieces);
        let mut broken: Option<(u32, String)> = None;
        let mut count = OutcomeCount::default();
        if let State::Live { sale, journal } = &mut self.state {
            warm(sale, &records);
            journal.warm();
            self.change_log.warm();
            let watches = self.term.is_some() && sale.room().is_some();
            // Counted once in the cluster, where somebody is told.
            let tells = answering.has_callers();
            for (number, bytes) in (0..).zip(Records::new(&records)) {
                let before = sale.revision();
                match apply_one(
                    sale,
                    at_ms,
                    bytes,
                    &mut self.scratch,
                    &mut self.changes,
                    &self.around.faults,
                ) {
                    Applied::Decided(outcome) => {
                        count.add(&outcome);
                        if tells && let Outcome::Rejected(rejection) = outcome {
                            self.around.metrics.observe_refusal(self.size, rejection);
                        }
                        if watches && let Some(buyer) = buyer_of(bytes) {
                            self.turnstile.pass(sale, before, buyer, &outcome);
                        }
                        answering.put(
                            At {
                                revision: sale.revision(),
                                log_index: index,
                            },
                            &outcome,
                        );
                    }
                    Applied::Broken(why) => {
                        broken = Some((number, why));
                        break;
                    }
                }
            }
            match &broken {
                None => {
                    journal.add(at_ms, &records);
                    journal.cut_when_long(sale);
                }
                Some((number, _)) => {
                    let good: usize = Records::new(&records)
                        .take(*number as usize)
                        .map(<[u8]>::len)
                        .sum();
                    journal.add(at_ms, &records[..good]);
                }
            }
        }
        self.around
            .metrics
            .observe_outcomes(count.done, count.rejected);
        if let Some((command, why)) = broken {
            self.freeze(Frost {
                log_index: index,
                command,
                why,
            });
        }
        if matches!(self.state, State::Frozen(_)) {
            for _ in Records::new(&records) {
                // Those before the panic were answered; the rest was certainly not carried out.
                answering.put_failed(FailureReason::SaleFrozen);
            }
        }
    }

    fn freeze(&mut self, frost: Frost) {
        if planted(Bug::PanicPassesBy) {
            return;
        }
        tracing::error!(
            sale = self.id.0,
            index = frost.log_index,
            why = frost.why,
            "sale frozen"
        );
        let State::Live { journal, .. } = &mut self.state else {
            return;
        };
        let frozen = journal.freeze(frost);
        self.set_state(State::Frozen(Box::new(frozen)));
        self.fail_waiting(FailureReason::SaleFrozen);
    }

    /// Takes a frozen sale up again: its last good state and the journal, without the command that
    /// broke it. Every replica comes to the same state.
    fn release(&mut self) {
        self.tell_changes();
        let State::Frozen(frozen) = &self.state else {
            return;
        };
        let journal = match planted(Bug::JournalForgotten) {
            true => &[][..],
            false => &frozen.journal,
        };
        let replayed = replay(&frozen.checkpoint, journal, &self.around.faults);
        match replayed {
            Ok(sale) => {
                tracing::warn!(sale = self.id.0, "frozen sale released");
                self.set_state(State::live(sale, self.around.config.journal_bytes));
                self.change_log.restart(self.revision());
            }
            Err(why) => tracing::error!(sale = self.id.0, why, "frozen sale cannot be released"),
        }
    }
}

/// Commands whose keys are worth a look ahead.
const WARMED_MAX: usize = 16;

/// See `Sale::warm`.
fn warm(sale: &Sale, records: &[u8]) {
    sale.warm();
    for bytes in Records::new(records).take(WARMED_MAX) {
        if let Some((header, _)) = record::split(bytes) {
            sale.warm_key(header.partner, header.key);
        }
    }
}

/// Applies one record. Records were checked before they were proposed; one that is no command all
/// the same is rejected as `Bug` on every replica alike.
fn apply_one(
    sale: &mut Sale,
    at_ms: u64,
    bytes: &[u8],
    scratch: &mut Scratch,
    changes: &mut Vec<Change>,
    faults: &Faults,
) -> Applied {
    let Ok(request) = record::decode(bytes, scratch) else {
        return Applied::Decided(Outcome::Rejected(Rejection::Bug));
    };
    if faults.passes_over(request.key) {
        return Applied::Decided(Outcome::Rejected(Rejection::Bug));
    }
    let changes_before = changes.len();
    let result = catch_unwind(AssertUnwindSafe(|| {
        faults.strike(request.key);
        sale.apply(at_ms, &request, changes)
    }));
    match result {
        Ok(outcome) => Applied::Decided(outcome),
        Err(panic) => {
            let why = panic_message(panic.as_ref());
            if sale.is_changing() || faults.strikes_change_half(request.key) {
                changes.truncate(changes_before);
                Applied::Broken(why)
            } else {
                tracing::error!(why, "a command was rejected as a bug");
                Applied::Decided(Outcome::Rejected(Rejection::Bug))
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic without a message".to_owned(),
    }
}

/// The state after a checkpoint and a journal.
fn replay(
    checkpoint: &SaleImage,
    journal: &[JournalEntry],
    faults: &Faults,
) -> Result<Sale, String> {
    let mut sale = Sale::restore(checkpoint.state()).map_err(|fault| format!("{fault:?}"))?;
    let mut scratch = Scratch::default();
    let mut changes = Vec::new();
    for JournalEntry { at_ms, records } in journal {
        for bytes in Records::new(records) {
            changes.clear();
            // Every one of these was applied before without a panic.
            match apply_one(&mut sale, *at_ms, bytes, &mut scratch, &mut changes, faults) {
                Applied::Decided(_) => {}
                Applied::Broken(why) => return Err(why),
            }
        }
    }
    Ok(sale)
}
