//! Packed calls of a session: split by sale, or refused, each exactly once; and what partners read of
//! the refusals.

use std::sync::Arc;

use actors::codec::record::{self, Records};
use onsale::grpc::records::{ForSale, NoPassKeys, Splitter, count};
use onsale::load::call::{Call, Line};
use onsale::load::packed::{Answers, Head, Writer};

use super::feed::Feed;
use super::partner_requests::STAMP;

/// Two bytes say how many calls there is room for; the rest is two messages on one stream.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let room = usize::from(feed.u16() % 64);
    let first = usize::from(feed.u16());
    let mut splitter = Splitter::new(STAMP, Arc::new(NoPassKeys));
    let packed = feed.take(first);
    message(&mut splitter, packed, room);
    message(&mut splitter, feed.rest(), room);
}

fn message(splitter: &mut Splitter, packed: &[u8], room: usize) {
    let taken = splitter.packed(packed, room, 50);
    let mut split = 0;
    for ForSale {
        sale: _,
        records,
        call_ids,
    } in splitter.take_sales()
    {
        let mut whole = Records::new(&records);
        let mut found = 0;
        for record in whole.by_ref() {
            found += 1;
            let (header, _) = record::split(record).expect("a header");
            assert!(record::kind::is_partners(header.kind));
            assert_eq!(
                (header.partner, header.channel),
                (STAMP.partner, STAMP.channel)
            );
            assert_eq!(record[3], 0);
        }
        assert!(whole.rest().is_empty());
        assert_eq!(found, call_ids.len());
        split += found;
    }
    assert!(split <= room);
    if let Ok(taken) = taken {
        assert_eq!(taken, split);
    }
    let refused = splitter.take_refused().map_or(0, |(answers, count)| {
        let read = Answers::new(&answers)
            .filter(|answer| answer.is_ok())
            .count();
        assert_eq!(read, count as usize);
        read
    });
    assert!(split + refused <= count(packed), "an answer to no call");
}

pub fn corpus() -> Vec<Vec<u8>> {
    let mut writer = Writer::default();
    let id = |byte: u8| [byte; 16];
    let calls = [
        Call::PlaceHold {
            pass: "of.no.key".into(),
            hold: id(4),
            buyer: id(2),
            ttl_s: 60,
            lines: vec![Line::best(2)],
        },
        Call::PlaceHold {
            pass: String::new(),
            hold: id(1),
            buyer: id(2),
            ttl_s: 60,
            lines: vec![
                Line::best(2),
                Line::Seats(vec![(0, 1), (0, 2)]),
                Line::General {
                    section: 1,
                    quantity: 3,
                },
            ],
        },
        Call::ExtendHold {
            hold: id(1),
            ttl_s: 90,
        },
        Call::ReleaseHold { hold: id(1) },
        Call::ConfirmHold {
            hold: id(1),
            order: id(3),
            payment: "pay".to_owned(),
        },
        Call::CancelOrder { order: id(3) },
    ];
    for (call_id, call) in (0..).zip(&calls) {
        for event in 1..4 {
            let key = id(9);
            writer.call(
                Head {
                    call_id,
                    event,
                    key,
                },
                call,
            );
        }
    }
    let packed = writer.take();
    let input = |room: u16, first: u16| {
        let mut input = room.to_le_bytes().to_vec();
        input.extend(first.to_le_bytes());
        input.extend_from_slice(&packed);
        input
    };
    vec![input(63, 0), input(63, u16::MAX), input(4, 0)]
}
