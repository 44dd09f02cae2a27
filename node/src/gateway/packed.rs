//! What the gateway reads and writes of packed answers: their heads. The layout is written down
//! at `onsale.channel.v1.SessionResponse`.

use actors::calls::CallIds;
use actors::codec::answer;
use bytes::Bytes;
use proto::channel::v1::{FailureReason, RejectionReason};

const STATUS_REJECTED: u8 = 1;
const STATUS_FAILED: u8 = 2;
const STATUS_UNKNOWN: u8 = 3;
const HEAD_LEN: usize = 24;

/// How an answer ended, as far as a retry depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Done,
    /// Rejected by the sale.
    Rejected,
    /// Rejected because the key was forgotten: says nothing about an attempt before this one.
    KeyExpired,
    /// Certainly without effect.
    Failed(u16),
    /// May still happen.
    Unknown,
}

pub const NO_LEADER: u16 = FailureReason::NoLeader as u16;
pub const BUSY: u16 = FailureReason::Busy as u16;

/// One packed answer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub call_id: u32,
    pub ending: Ending,
    pub bytes: &'a [u8],
}

/// The answers in a run of bytes; ends at the first that is cut off.
pub fn heads(packed: &[u8]) -> impl Iterator<Item = Head<'_>> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        let (bytes, after) = rest.split_at_checked(len)?;
        rest = after;
        let head = bytes.first_chunk::<HEAD_LEN>()?;
        let reason = || {
            let bytes = bytes.get(HEAD_LEN..HEAD_LEN + 2)?;
            Some(u16::from_le_bytes(bytes.try_into().ok()?))
        };
        let ending = match head[2] {
            STATUS_REJECTED => match reason()? == RejectionReason::KeyExpired as u16 {
                true => Ending::KeyExpired,
                false => Ending::Rejected,
            },
            STATUS_FAILED => Ending::Failed(reason()?),
            STATUS_UNKNOWN => Ending::Unknown,
            _ => Ending::Done,
        };
        Some(Head {
            call_id: u32::from_le_bytes([head[4], head[5], head[6], head[7]]),
            ending,
            bytes,
        })
    })
}

/// The same failure for all these calls, and how many they are.
pub fn failed(call_ids: &CallIds, reason: FailureReason, retry_after_ms: u32) -> (Bytes, u32) {
    let mut packed = Vec::with_capacity(call_ids.len() * (HEAD_LEN + 6));
    for call_id in call_ids.iter() {
        answer::put_failed(call_id, reason, retry_after_ms, &mut packed);
    }
    (packed.into(), call_ids.len() as u32)
}

/// "May still happen" for all these calls, and how many they are.
pub fn unknown(call_ids: &CallIds) -> (Bytes, u32) {
    let mut packed = Vec::with_capacity(call_ids.len() * HEAD_LEN);
    for call_id in call_ids.iter() {
        answer::put_unknown(call_id, &mut packed);
    }
    (packed.into(), call_ids.len() as u32)
}

#[cfg(test)]
mod tests {
    use actors::codec::answer::{Answer, At};
    use domain::outcome::Done;
    use domain::rejection::Rejection;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heads_agree_with_the_codec() {
        let at = At::default();
        let rejected = |rejection| Answer::Rejected { at, rejection };
        let failed = |reason| Answer::Failed {
            reason,
            retry_after_ms: 9,
        };
        let done = Answer::Done {
            log_index: 1,
            done: Done::default(),
        };
        let cases = [
            (done, Ending::Done),
            (rejected(Rejection::UnknownHold), Ending::Rejected),
            (rejected(Rejection::KeyExpired), Ending::KeyExpired),
            (failed(FailureReason::NoLeader), Ending::Failed(NO_LEADER)),
            (failed(FailureReason::Busy), Ending::Failed(BUSY)),
            (Answer::Unknown, Ending::Unknown),
        ];
        let mut packed = Vec::new();
        for (call_id, (answer, _)) in cases.iter().enumerate() {
            answer::encode(call_id as u32, answer, &mut packed);
        }
        let read: Vec<_> = heads(&packed)
            .map(|head| (head.call_id, head.ending))
            .collect();
        let expected: Vec<_> = (0..).zip(cases.iter().map(|(_, ending)| *ending)).collect();
        assert_eq!(read, expected);
        assert_eq!(
            heads(&packed).map(|head| head.bytes.len()).sum::<usize>(),
            packed.len()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            heads(&bytes).for_each(drop);
        }
    }
}
