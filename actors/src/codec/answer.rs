//! Packed answers (`onsale.channel.v1.SessionResponse.packed`): from the sale actor to the caller
//! without another form in between.

use domain::ids::Revision;
use domain::outcome::{Done, Outcome, SeatRun, SeatRuns};
use domain::rejection::{Rejection, Retry};
pub use proto::channel::v1::FailureReason;

use super::{Fields, rejection};

/// Where the answer was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    pub revision: Revision,
    pub log_index: u64,
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done {
        log_index: u64,
        done: Done,
    },
    Rejected {
        at: At,
        rejection: Rejection,
    },
    /// Certainly without effect.
    Failed {
        reason: FailureReason,
        retry_after_ms: u32,
    },
    /// May still happen.
    Unknown,
}

const DONE: u8 = 0;
const REJECTED: u8 = 1;
const FAILED: u8 = 2;
const UNKNOWN: u8 = 3;

const HEADER_LEN: usize = 24;

fn put_header(out: &mut Vec<u8>, len: usize, status: u8, retry: u8, call_id: u32, at: At) {
    let mut bytes = [0; HEADER_LEN];
    // An answer lists at most the runs of one hold; the domain bounds those far below this.
    let len = u16::try_from(HEADER_LEN + len).unwrap_or(u16::MAX);
    bytes[0..2].copy_from_slice(&len.to_le_bytes());
    bytes[2] = status;
    bytes[3] = retry;
    bytes[4..8].copy_from_slice(&call_id.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.revision.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&at.log_index.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Runs that fit an answer's length.
const RUNS_MAX: usize = (u16::MAX as usize - HEADER_LEN - 10) / 8;

pub fn put_done(call_id: u32, log_index: u64, done: &Done, out: &mut Vec<u8>) {
    let Done {
        revision,
        deadline_ms,
        seats,
    } = done;
    let runs = seats.as_slice();
    let runs = runs.get(..RUNS_MAX).unwrap_or(runs);
    put_header(
        out,
        10 + runs.len() * 8,
        DONE,
        0,
        call_id,
        At {
            revision: *revision,
            log_index,
        },
    );
    out.extend_from_slice(&deadline_ms.to_le_bytes());
    out.extend_from_slice(&(runs.len() as u16).to_le_bytes());
    for SeatRun {
        section,
        count,
        first,
    } in runs
    {
        out.extend_from_slice(&section.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&first.to_le_bytes());
    }
}

pub fn put_rejected(call_id: u32, at: At, rejected: Rejection, out: &mut Vec<u8>) {
    let retry = match rejected.retry() {
        Retry::Never => 0,
        Retry::Later => 1,
        Retry::WithOtherSeats => 2,
    };
    let rejection::Packed {
        reason,
        section,
        seat,
        a,
        b,
    } = rejection::pack(rejected);
    put_header(out, 24, REJECTED, retry, call_id, at);
    out.extend_from_slice(&reason.to_le_bytes());
    out.extend_from_slice(&section.to_le_bytes());
    out.extend_from_slice(&seat.to_le_bytes());
    out.extend_from_slice(&a.to_le_bytes());
    out.extend_from_slice(&b.to_le_bytes());
}

pub fn put_failed(call_id: u32, reason: FailureReason, retry_after_ms: u32, out: &mut Vec<u8>) {
    put_header(out, 6, FAILED, 0, call_id, At::default());
    out.extend_from_slice(&(reason as i32 as u16).to_le_bytes());
    out.extend_from_slice(&retry_after_ms.to_le_bytes());
}

pub fn put_unknown(call_id: u32, out: &mut Vec<u8>) {
    put_header(out, 0, UNKNOWN, 0, call_id, At::default());
}

/// Appends what the sale decided.
pub fn put_outcome(call_id: u32, at: At, outcome: &Outcome, out: &mut Vec<u8>) {
    match outcome {
        Outcome::Done(done) => put_done(call_id, at.log_index, done, out),
        Outcome::Rejected(rejected) => put_rejected(call_id, at, *rejected, out),
    }
}

/// Appends any answer.
pub fn encode(call_id: u32, answer: &Answer, out: &mut Vec<u8>) {
    match answer {
        Answer::Done { log_index, done } => put_done(call_id, *log_index, done, out),
        Answer::Rejected { at, rejection } => put_rejected(call_id, *at, *rejection, out),
        Answer::Failed {
            reason,
            retry_after_ms,
        } => put_failed(call_id, *reason, *retry_after_ms, out),
        Answer::Unknown => put_unknown(call_id, out),
    }
}

/// The answers in a run of bytes, with their call ids. Ends at the first that cannot be read.
pub fn decode(packed: &[u8]) -> impl Iterator<Item = (u32, Answer)> + '_ {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        let (answer, after) = rest.split_at_checked(len)?;
        rest = after;
        decode_one(answer)
    })
}

fn decode_one(bytes: &[u8]) -> Option<(u32, Answer)> {
    let mut fields = Fields(bytes);
    let _len = fields.u16()?;
    let status = fields.u8()?;
    let _retry = fields.u8()?;
    let call_id = fields.u32()?;
    let at = At {
        revision: Revision(fields.u64()?),
        log_index: fields.u64()?,
    };
    let answer = match status {
        DONE => {
            let deadline_ms = fields.u64()?;
            let count = fields.u16()?;
            let runs = (0..count)
                .map(|_| {
                    Some(SeatRun {
                        section: fields.u16()?,
                        count: fields.u16()?,
                        first: fields.u32()?,
                    })
                })
                .collect::<Option<Vec<_>>>()?;
            let seats = SeatRuns::from_slice(&runs);
            Answer::Done {
                log_index: at.log_index,
                done: Done {
                    revision: at.revision,
                    deadline_ms,
                    seats,
                },
            }
        }
        REJECTED => {
            let packed = rejection::Packed {
                reason: fields.u16()?,
                section: fields.u16()?,
                seat: fields.u32()?,
                a: fields.u64()?,
                b: fields.u64()?,
            };
            Answer::Rejected {
                at,
                rejection: rejection::unpack(packed)?,
            }
        }
        FAILED => Answer::Failed {
            reason: FailureReason::try_from(i32::from(fields.u16()?)).ok()?,
            retry_after_ms: fields.u32()?,
        },
        UNKNOWN => Answer::Unknown,
        _ => return None,
    };
    Some((call_id, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_as_they_went() {
        let run = SeatRun {
            section: 3,
            count: 4,
            first: 17,
        };
        let at = At {
            revision: Revision(9),
            log_index: 11,
        };
        let answers = [
            Answer::Done {
                log_index: 11,
                done: Done {
                    revision: Revision(9),
                    deadline_ms: 5,
                    seats: SeatRuns::from_slice(&[run]),
                },
            },
            Answer::Done {
                log_index: 12,
                done: Done {
                    revision: Revision(10),
                    deadline_ms: 0,
                    seats: SeatRuns::from_slice(&[run, run]),
                },
            },
            Answer::Rejected {
                at,
                rejection: Rejection::SoldOut {
                    free: 1,
                    held: 2,
                    next_deadline_ms: 3,
                },
            },
            Answer::Failed {
                reason: FailureReason::Busy,
                retry_after_ms: 50,
            },
            Answer::Unknown,
        ];
        let mut packed = Vec::new();
        for (call_id, answer) in answers.iter().enumerate() {
            encode(call_id as u32, answer, &mut packed);
        }
        let back: Vec<_> = decode(&packed).collect();
        assert_eq!(back.len(), answers.len());
        for (call_id, (id, answer)) in back.iter().enumerate() {
            assert_eq!(*id, call_id as u32);
            assert_eq!(answer, &answers[call_id]);
        }
    }
}
