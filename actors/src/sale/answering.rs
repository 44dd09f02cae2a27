//! Callers of a batch, in the sequence of their commands, and the answers they get.

use std::sync::Arc;

use domain::outcome::Outcome;
use tokio::time::Instant;

use crate::calls::{Answers, CallIds, Calls};
use crate::codec::answer::{At, FailureReason, put_failed, put_outcome, put_unknown};
use crate::codec::record::Records;

/// Commands of one caller that stand side by side in a batch.
pub(crate) struct Piece {
    pub call_ids: CallIds,
    pub deadline: Instant,
    /// `None` once answered.
    answers: Option<Arc<dyn Answers>>,
}

/// Bytes of an answer that lists one run of seats.
const ANSWER_LEN: usize = 42;

impl Piece {
    pub fn new(answers: Arc<dyn Answers>, call_ids: CallIds, deadline: Instant) -> Piece {
        Piece {
            call_ids,
            deadline,
            answers: Some(answers),
        }
    }

    pub fn answer_unknown(&mut self) {
        self.answer_all(put_unknown);
    }

    pub fn answer_failed(&mut self, reason: FailureReason, retry_after_ms: u32) {
        self.answer_all(|call_id, out| put_failed(call_id, reason, retry_after_ms, out));
    }

    fn answer_all(&mut self, put: impl Fn(u32, &mut Vec<u8>)) {
        let Some(answers) = self.answers.take() else {
            return;
        };
        let mut packed = Vec::with_capacity(self.call_ids.len() * ANSWER_LEN);
        self.call_ids
            .iter()
            .for_each(|call_id| put(call_id, &mut packed));
        if !self.call_ids.is_empty() {
            answers.answer(packed.into(), self.call_ids.len() as u32);
        }
    }
}

impl Drop for Piece {
    /// Whatever ends its batch: its callers are told, once.
    fn drop(&mut self) {
        self.answer_unknown();
    }
}

/// Answers calls that were not put into a batch.
pub(crate) fn fail_calls(calls: Calls, reason: FailureReason, retry_after_ms: u32) {
    let Calls {
        records: _,
        call_ids,
        deadline,
        answers,
        trace: _,
    } = calls;
    Piece::new(answers, call_ids, deadline).answer_failed(reason, retry_after_ms);
}

/// Gives the outcomes of a delivered batch to its callers, piece by piece.
pub(crate) struct Answering {
    pieces: std::vec::IntoIter<Piece>,
    current: Option<Piece>,
    answered: usize,
    packed: Vec<u8>,
}

impl Answering {
    pub fn new(pieces: Vec<Piece>) -> Answering {
        let mut answering = Answering {
            pieces: pieces.into_iter(),
            current: None,
            answered: 0,
            packed: Vec::new(),
        };
        answering.advance();
        answering
    }

    /// Whether anybody on this node is told what becomes of the batch.
    pub fn has_callers(&self) -> bool {
        self.current.is_some()
    }

    fn advance(&mut self) {
        self.current = self
            .pieces
            .by_ref()
            .find(|piece| !piece.call_ids.is_empty());
        self.answered = 0;
        let room = self
            .current
            .as_ref()
            .map_or(0, |piece| piece.call_ids.len() * ANSWER_LEN);
        self.packed = Vec::with_capacity(room);
    }

    pub fn put(&mut self, at: At, outcome: &Outcome) {
        self.put_with(|call_id, packed| put_outcome(call_id, at, outcome, packed));
    }

    pub fn put_failed(&mut self, reason: FailureReason) {
        self.put_with(|call_id, packed| put_failed(call_id, reason, 0, packed));
    }

    fn put_with(&mut self, put: impl FnOnce(u32, &mut Vec<u8>)) {
        let Some(piece) = &mut self.current else {
            return;
        };
        if let Some(call_id) = piece.call_ids.get(self.answered) {
            put(call_id, &mut self.packed);
        }
        self.answered += 1;
        if self.answered == piece.call_ids.len() {
            if let Some(answers) = piece.answers.take() {
                answers.answer(
                    std::mem::take(&mut self.packed).into(),
                    self.answered as u32,
                );
            }
            self.advance();
        }
    }
}

/// A part of `calls`: `count` of its commands from the front, and the rest.
pub(crate) fn split_calls(calls: Calls, count: usize) -> (Calls, Calls) {
    let Calls {
        mut records,
        mut call_ids,
        deadline,
        answers,
        trace,
    } = calls;
    let len: usize = Records::new(&records).take(count).map(<[u8]>::len).sum();
    let rest_records = records.split_off(len);
    let rest_ids = call_ids.split_off(count);
    let rest = Calls {
        records: rest_records,
        call_ids: rest_ids,
        deadline,
        answers: Arc::clone(&answers),
        trace: trace.clone(),
    };
    (
        Calls {
            records,
            call_ids,
            deadline,
            answers,
            trace,
        },
        rest,
    )
}
