//! Golden bytes of the packed layouts, written out by hand from `session.proto`.

use super::*;

const HEAD: Head = Head {
    call_id: 0x0102_0304,
    event: 0x1112_1314_1516_1718,
    key: [0xaa; 16],
};

fn header(length: u16, kind: u8) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([kind, 0]);
    bytes.extend([0x04, 0x03, 0x02, 0x01]);
    bytes.extend([0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11]);
    bytes.extend([0xaa; 16]);
    bytes
}

fn written(call: &Call) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.call(HEAD, call);
    assert_eq!(writer.count(), 1);
    writer.take().to_vec()
}

#[test]
fn a_hold_with_every_kind_of_line() {
    let call = Call::PlaceHold {
        pass: String::new(),
        hold: [1; 16],
        buyer: [2; 16],
        ttl_s: 0x0a0b,
        lines: vec![
            Line::Seats(vec![(3, 0x0001_0002), (4, 5)]),
            Line::Best {
                quantity: 4,
                category: Some(2),
                or_cheaper: true,
                accessible: true,
                split: false,
                sections: vec![7, 0x0108],
            },
            Line::best(2),
            Line::General {
                section: 9,
                quantity: 6,
            },
        ],
    };
    let mut body = vec![1; 16];
    body.extend([2; 16]);
    body.extend([0x0b, 0x0a, 0, 0, 4]);
    body.extend([1, 2, 0, 3, 0, 2, 0, 1, 0, 4, 0, 5, 0, 0, 0]);
    body.extend([2, 4, 0, 2, 0, 5, 2, 7, 0, 8, 1]);
    body.extend([2, 2, 0, 255, 255, 0, 0]);
    body.extend([3, 9, 0, 6, 0]);
    let mut expected = header(32 + body.len() as u16, 1);
    expected.extend(body);
    assert_eq!(written(&call), expected);
}

#[test]
fn the_other_calls() {
    let hold = [1; 16];
    let order = [2; 16];
    let payment = "psp-7".to_owned();

    let mut confirm = header(32 + 38, 4);
    confirm.extend([1; 16]);
    confirm.extend([2; 16]);
    confirm.extend([5, b'p', b's', b'p', b'-', b'7']);
    assert_eq!(
        written(&Call::ConfirmHold {
            hold,
            order,
            payment
        }),
        confirm
    );

    let mut extend = header(32 + 20, 2);
    extend.extend([1; 16]);
    extend.extend([60, 0, 0, 0]);
    assert_eq!(written(&Call::ExtendHold { hold, ttl_s: 60 }), extend);

    let mut release = header(48, 3);
    release.extend([1; 16]);
    assert_eq!(written(&Call::ReleaseHold { hold }), release);

    let mut cancel = header(48, 5);
    cancel.extend([2; 16]);
    assert_eq!(written(&Call::CancelOrder { order }), cancel);
}

#[test]
fn the_short_ways_write_the_same_bytes() {
    let mut short = Writer::default();
    short.place_best(HEAD, &[1; 16], &[2; 16], 4, &[]);
    short.place_seat(HEAD, &[1; 16], &[2; 16], 3, 70_000);
    let mut long = Writer::default();
    long.place_hold(HEAD, &[1; 16], &[2; 16], 0, &[Line::best(4)]);
    long.place_hold(
        HEAD,
        &[1; 16],
        &[2; 16],
        0,
        &[Line::Seats(vec![(3, 70_000)])],
    );
    assert_eq!(short.take(), long.take());
    assert_eq!(short.count(), 0);
}

fn answer(status: u8, retry: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (24 + body.len() as u16).to_le_bytes().to_vec();
    bytes.extend([status, retry]);
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(100u64.to_le_bytes());
    bytes.extend(200u64.to_le_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn answers_of_every_kind() {
    let mut done = 77u64.to_le_bytes().to_vec();
    done.extend([2, 0]);
    done.extend([1, 0, 4, 0, 8, 0, 0, 0]);
    done.extend([2, 0, 1, 0, 0, 0, 1, 0]);
    let mut rejected = vec![17, 0, 3, 0, 5, 0, 0, 0];
    rejected.extend(2u64.to_le_bytes());
    rejected.extend(6u64.to_le_bytes());
    let mut bytes = answer(0, 0, &done);
    bytes.extend(answer(1, 2, &rejected));
    bytes.extend(answer(2, 0, &[3, 0, 50, 0, 0, 0]));
    bytes.extend(answer(3, 0, &[]));

    let read: Vec<_> = Answers::new(&bytes).map(Result::unwrap).collect();
    assert_eq!(read.len(), 4);
    assert!(
        read.iter()
            .all(|one| (one.call_id, one.revision, one.log_index) == (9, 100, 200))
    );
    let Outcome::Done { deadline_ms, runs } = read[0].outcome else {
        panic!("{:?}", read[0]);
    };
    assert_eq!(deadline_ms, 77);
    assert_eq!(runs.seats(), 5);
    let runs: Vec<_> = runs
        .iter()
        .map(|run| (run.section, run.count, run.first))
        .collect();
    assert_eq!(runs, [(1, 4, 8), (2, 1, 65_536)]);
    let Outcome::Rejected(why) = read[1].outcome else {
        panic!("{:?}", read[1]);
    };
    assert_eq!(
        why,
        Rejected {
            reason: 17,
            retry: 2,
            section: 3,
            seat: 5,
            a: 2,
            b: 6
        }
    );
    assert!(matches!(
        read[2].outcome,
        Outcome::Failed {
            reason: 3,
            retry_after_ms: 50
        }
    ));
    assert!(matches!(read[3].outcome, Outcome::Unknown));
}

#[test]
fn damage_is_named_and_never_panics() {
    let mut done = 0u64.to_le_bytes().to_vec();
    done.extend([1, 0, 1, 0, 4, 0, 8, 0, 0, 0]);
    let whole = answer(0, 0, &done);
    for length in 1..whole.len() {
        let read: Vec<_> = Answers::new(&whole[..length]).collect();
        assert!(matches!(read[..], [Err(Malformed { at: 0 })]), "{length}");
    }
    let mut lies = whole.clone();
    lies[0] = 3;
    assert!(Answers::new(&lies).next().unwrap().is_err());
    let mut unknown_status = whole;
    unknown_status[2] = 9;
    assert!(Answers::new(&unknown_status).next().unwrap().is_err());
}
