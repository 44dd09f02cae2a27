//! Packed calls become the records they mean, whatever else is in the message.

use actors::codec::answer::{self, Answer};
use actors::codec::command::Scratch;
use actors::codec::record::Records;
use domain::command::Command;
use domain::ids::{ChannelId, HoldId, IdempotencyKey, PartnerId};
use proptest::prelude::*;

use super::*;
use crate::access::pass::NoPassKeys;

const STAMP: Stamp = Stamp {
    partner: PartnerId(7),
    channel: ChannelId(3),
};

fn call(kind: u8, call_id: u32, sale: u64, body: &[u8]) -> Vec<u8> {
    let mut call = Vec::new();
    call.extend(((CALL_HEADER_LEN + body.len()) as u16).to_le_bytes());
    call.extend([kind, 0]);
    call.extend(call_id.to_le_bytes());
    call.extend(sale.to_le_bytes());
    call.extend([call_id as u8; 16]);
    call.extend(body);
    call
}

fn release(call_id: u32, sale: u64) -> Vec<u8> {
    call(kind::RELEASE_HOLD, call_id, sale, &[9; 16])
}

fn refused(splitter: &mut Splitter) -> Vec<(u32, FailureReason)> {
    let Some((packed, count)) = splitter.take_refused() else {
        return vec![];
    };
    let refused: Vec<_> = answer::decode(&packed)
        .map(|(call_id, answer)| match answer {
            Answer::Failed { reason, .. } => (call_id, reason),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refused.len(), count as usize);
    refused
}

#[test]
fn calls_of_many_sales_are_kept_apart_and_in_sequence() {
    let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
    for round in 0..3 {
        let sales = 1 + round * FEW as u64;
        let packed: Vec<u8> = (0..60)
            .flat_map(|call_id| release(call_id, u64::from(call_id) % sales))
            .collect();
        assert_eq!(splitter.packed(&packed, 100, 50), Ok(60));
        assert_eq!(refused(&mut splitter), []);
        let mut seen = 0;
        for ForSale {
            sale,
            records,
            call_ids,
        } in splitter.take_sales()
        {
            assert!(call_ids.iter().is_sorted());
            let mut scratch = Scratch::default();
            let mut all = Records::new(&records);
            for call_id in call_ids.iter() {
                assert_eq!(u64::from(call_id) % sales, sale.0);
                let read = record::decode(all.next().unwrap(), &mut scratch).expect("a record");
                assert_eq!((read.partner, read.channel), (STAMP.partner, STAMP.channel));
                let key = u128::from_be_bytes([call_id as u8; 16]);
                assert_eq!(read.key, IdempotencyKey(key));
                let hold = HoldId(u128::from_be_bytes([9; 16]));
                assert_eq!(read.command, Command::ReleaseHold { hold });
                seen += 1;
            }
            assert!(all.next().is_none() && all.rest().is_empty());
        }
        assert_eq!(seen, 60);
    }
}

#[test]
fn a_malformed_call_is_answered_and_the_next_goes_on() {
    let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
    let mut reserved = release(3, 1);
    reserved[3] = 1;
    let packed = [
        release(1, 1),
        call(kind::OPEN_SALE, 2, 1, &[]),
        reserved,
        call(kind::RELEASE_HOLD, 4, 1, &[9; 15]),
        call(kind::PLACE_HOLD, 5, 1, &[9; 36]),
        call(kind::CONFIRM_HOLD, 6, 1, &[0; 33]),
        call(63, 7, 1, &[]),
        call(0, 8, 1, &[]),
        release(9, 1),
    ]
    .concat();
    assert_eq!(splitter.packed(&packed, 100, 50), Ok(2));
    let expected: Vec<_> = (2..=8).map(|id| (id, FailureReason::BadRequest)).collect();
    assert_eq!(refused(&mut splitter), expected);
    let sales = splitter.take_sales();
    assert_eq!(sales.len(), 1);
    assert!(sales[0].call_ids.iter().eq([1, 9]));
}

#[test]
fn a_hold_longer_than_one_may_be_is_refused_before_it_is_queued() {
    let pass = |len: u16, body: Vec<u8>| [&len.to_le_bytes()[..], &body].concat();
    for (body, is_refused) in [
        (vec![0; HOLD_BODY_MAX], false),
        (vec![0; HOLD_BODY_MAX + 1], true),
        (vec![0; 65_000], true),
        (vec![0; HOLD_FIXED_LEN - 1], true),
    ] {
        let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
        let taken = usize::from(!is_refused);
        let hold = call(kind::PLACE_HOLD, 1, 1, &body);
        assert_eq!(splitter.packed(&hold, 100, 50), Ok(taken), "{}", body.len());
        let with_pass = pass(0, body);
        let hold = call(kind::PLACE_HOLD_WITH_PASS, 1, 1, &with_pass);
        assert_eq!(is_sound(&hold), !is_refused, "{}", with_pass.len());
    }
    let longer_than_the_call = call(kind::PLACE_HOLD_WITH_PASS, 1, 1, &pass(60, vec![0; 50]));
    assert!(!is_sound(&longer_than_the_call));
}

#[test]
fn a_wrong_length_ends_the_message_with_an_answer() {
    for wrong in [0_u16, 31, 49, u16::MAX] {
        let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
        let mut packed = [release(1, 1), release(2, 1)].concat();
        packed[48..50].copy_from_slice(&wrong.to_le_bytes());
        assert_eq!(splitter.packed(&packed, 100, 50), Ok(1));
        assert_eq!(refused(&mut splitter), [(2, FailureReason::BadRequest)]);
    }
    let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
    assert_eq!(splitter.packed(&release(1, 1)[..7], 100, 50), Err(CutOff));
}

#[test]
fn calls_beyond_the_room_are_busy() {
    let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
    let packed: Vec<u8> = (0..5).flat_map(|call_id| release(call_id, 1)).collect();
    assert_eq!(splitter.packed(&packed, 3, 50), Ok(3));
    assert_eq!(
        refused(&mut splitter),
        [(3, FailureReason::Busy), (4, FailureReason::Busy)]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_split_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        room in 0..8_usize,
    ) {
        let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
        let taken = splitter.packed(&bytes, room, 50).unwrap_or(0);
        prop_assert!(taken <= room);
        let whole = splitter.take_sales().iter().all(|split| {
            Records::new(&split.records).count() == split.call_ids.len()
        });
        prop_assert!(whole);
    }

    /// Real calls with one byte changed anywhere: every record that comes out is whole, and every
    /// call is either taken or answered unless a length broke the frame.
    #[test]
    fn a_changed_byte_never_breaks_a_record(at in 0..(48 * 4_usize), to in any::<u8>()) {
        let mut packed: Vec<u8> = (0..4).flat_map(|call_id| release(call_id, 1)).collect();
        packed[at] = to;
        let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
        let Ok(taken) = splitter.packed(&packed, 100, 50) else { return Ok(()) };
        let records: usize = splitter
            .take_sales()
            .iter()
            .map(|split| {
                assert_eq!(Records::new(&split.records).count(), split.call_ids.len());
                split.call_ids.len()
            })
            .sum();
        prop_assert_eq!(records, taken);
        let refused = splitter.take_refused().map_or(0, |(_, count)| count as usize);
        prop_assert!(at % 48 < 2 || taken + refused == 4);
    }
}
