//! Packed answers: the codec, the gateway's look at their heads and a partner's reader agree.

use actors::codec::answer::{self, Answer, At};
use actors::codec::rejection::{Packed, unpack};
use domain::ids::Revision;
use domain::outcome::{Done, SeatRun, SeatRuns};
use onsale::gateway::heads;
use onsale::load::packed::{Answers, Outcome};
use proto::channel::v1::FailureReason;

/// A run of answers.
pub fn run(data: &[u8]) {
    let decoded: Vec<(u32, Answer)> = answer::decode(data).collect();
    let mut written = Vec::new();
    for (call_id, answer) in &decoded {
        answer::encode(*call_id, answer, &mut written);
    }
    let again: Vec<(u32, Answer)> = answer::decode(&written).collect();
    assert_eq!(again, decoded);
    // The gateway looks at less of an answer, so it goes on where the codec does not.
    let seen: Vec<u32> = heads(data).map(|head| head.call_id).collect();
    let known: Vec<u32> = decoded.iter().map(|(call_id, _)| *call_id).collect();
    assert!(seen.starts_with(&known), "{seen:?} but {known:?}");
    // A partner reads reasons as numbers, so it too goes on.
    let read = Answers::new(data).map_while(Result::ok);
    for (packed, (call_id, answer)) in read.zip(&decoded) {
        assert_eq!(packed.call_id, *call_id);
        match (packed.outcome, answer) {
            (Outcome::Done { deadline_ms, runs }, Answer::Done { log_index, done }) => {
                assert_eq!(packed.log_index, *log_index);
                assert_eq!(packed.revision, done.revision.0);
                assert_eq!(deadline_ms, done.deadline_ms);
                assert_eq!(runs.iter().count(), done.seats.as_slice().len());
            }
            (Outcome::Rejected(_), Answer::Rejected { at, .. }) => {
                assert_eq!(packed.revision, at.revision.0);
            }
            (
                Outcome::Failed { retry_after_ms, .. },
                Answer::Failed {
                    retry_after_ms: told,
                    ..
                },
            ) => assert_eq!(retry_after_ms, *told),
            (Outcome::Unknown, Answer::Unknown) => {}
            (outcome, answer) => panic!("{outcome:?} is read where {answer:?} stands"),
        }
    }
}

pub fn corpus() -> Vec<Vec<u8>> {
    let run = |first| SeatRun {
        section: 1,
        count: 2,
        first,
    };
    let done = |runs: &[SeatRun]| Answer::Done {
        log_index: 5,
        done: Done {
            revision: Revision(4),
            deadline_ms: 3,
            seats: SeatRuns::from_slice(runs),
        },
    };
    let mut answers = vec![
        done(&[]),
        done(&[run(0)]),
        done(&[run(0), run(7)]),
        Answer::Failed {
            reason: FailureReason::Busy,
            retry_after_ms: 50,
        },
        Answer::Unknown,
    ];
    let at = At {
        revision: Revision(4),
        log_index: 5,
    };
    answers.extend((1..=34).filter_map(|reason| {
        let packed = Packed {
            reason,
            ..Packed::default()
        };
        unpack(packed).map(|rejection| Answer::Rejected { at, rejection })
    }));
    let mut all = Vec::new();
    let mut each = Vec::new();
    for (call_id, answer) in (0..).zip(&answers) {
        answer::encode(call_id, answer, &mut all);
        let mut one = Vec::new();
        answer::encode(call_id, answer, &mut one);
        each.push(one);
    }
    each.push(all);
    each
}
