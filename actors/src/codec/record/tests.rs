use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, SetRoom};
use domain::ids::{BuyerId, HoldId, OrderId, SeatRef, VisitorId};
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, Plan, Token};
use domain::rules::SaleRules;
use proptest::prelude::*;

use super::*;

fn round_trip(command: Command<'_>) {
    let request = Request {
        partner: PartnerId(7),
        channel: ChannelId(3),
        key: IdempotencyKey(0x0192_0000_0000_7000_8000_0000_0000_0001),
        hash: 0,
        command,
    };
    let mut bytes = Vec::new();
    encode(&request, &mut bytes).expect("encodes");
    encode(&request, &mut bytes).expect("encodes");
    let mut records = Records::new(&bytes);
    for record in records.by_ref() {
        let mut scratch = Scratch::default();
        let back = decode(record, &mut scratch).expect("decodes");
        assert_eq!(Request { hash: 0, ..back }, request);
    }
    assert!(records.rest().is_empty());
}

#[test]
fn every_command_comes_back_as_it_went() {
    let seats = [
        SeatRef {
            section: 1,
            seat: 2,
        },
        SeatRef {
            section: 3,
            seat: 4,
        },
    ];
    let lines = [
        HoldLine::Seats { count: 2 },
        HoldLine::BestAvailable {
            quantity: 4,
            category: CategoryChoice::AtMost(2),
            section_count: 2,
            accessible: false,
            split: true,
        },
        HoldLine::BestAvailable {
            quantity: 1,
            category: CategoryChoice::Any,
            section_count: 0,
            accessible: true,
            split: false,
        },
        HoldLine::General {
            section: 9,
            quantity: 5,
        },
    ];
    let place_hold = PlaceHold {
        token: None,
        hold: HoldId(1),
        buyer: BuyerId(2),
        ttl_ms: 60_000,
        lines: &lines,
        seats: &seats,
        sections: &[5, 6],
    };
    round_trip(Command::PlaceHold(place_hold));
    let token = Token {
        ends_ms: 1_700_000_000_000,
        tickets: 4,
    };
    let with_token = Command::PlaceHold(PlaceHold {
        token: Some(token),
        ..place_hold
    });
    round_trip(with_token.clone());
    // As the edge makes it of a hold and what it was shown.
    let request = |command| Request {
        partner: PartnerId(7),
        channel: ChannelId(3),
        key: IdempotencyKey(1),
        hash: 0,
        command,
    };
    let (mut made, mut expected) = (vec![9], vec![9]);
    encode(&request(Command::PlaceHold(place_hold)), &mut made).expect("encodes");
    put_token(&mut made, 1, token);
    encode(&request(with_token), &mut expected).expect("encodes");
    assert_eq!(made, expected);
    round_trip(Command::ExtendHold {
        hold: HoldId(1),
        ttl_ms: 5000,
    });
    round_trip(Command::ReleaseHold {
        hold: HoldId(u128::MAX),
    });
    let payment = PaymentReference::new(b"pay-1").expect("short");
    round_trip(Command::ConfirmHold {
        hold: HoldId(1),
        order: OrderId(2),
        payment,
    });
    round_trip(Command::CancelOrder { order: OrderId(2) });
    round_trip(Command::BlockSeats { seats: &seats });
    round_trip(Command::UnblockSeats { seats: &[] });
    round_trip(Command::SetRules(Box::new(SaleRules {
        buyer_limit: 4,
        ..SaleRules::default()
    })));
    let lane = |channel, class| LaneRules {
        channel,
        class,
        weight: 7,
    };
    round_trip(Command::OpenRoom(Box::new(Plan {
        lobby_at_ms: 1_000,
        open_at_ms: 2_000,
        seed: Seed([9; 32]),
        waits_for_beacon: true,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: vec![lane(Some(ChannelId(3)), Some(1)), lane(None, None)],
    })));
    round_trip(Command::MoveRoom {
        lobby_at_ms: 5,
        open_at_ms: u64::MAX,
    });
    round_trip(Command::SetRoom(SetRoom {
        is_paused: true,
        is_closed: false,
        ceilings: Ceilings::default(),
        weights: &[1, 2, 500],
    }));
    round_trip(Command::SetRoom(SetRoom {
        is_paused: false,
        is_closed: true,
        ceilings: Ceilings {
            per_minute: Some(0),
            at_the_desk: Some(9),
            hold_ms: 1,
        },
        weights: &[],
    }));
    round_trip(Command::SetBeacon { beacon: [3; 32] });
    let visitor = VisitorId(77);
    round_trip(Command::RemoveVisitor { visitor, reason: 3 });
    for party in [1, 2, 255] {
        round_trip(Command::JoinRoom {
            visitor,
            class: 2,
            party,
        });
    }
    round_trip(Command::LeaveRoom { visitor });
    round_trip(Command::ReleaseVisitors { up_to: 1 << 40 });
    for command in [
        Command::OpenSale,
        Command::PauseSale,
        Command::ResumeSale,
        Command::CloseSale,
        Command::ReopenSale,
        Command::ExpireHolds,
    ] {
        round_trip(command);
    }
}

/// The log is readable for ever: these bytes may never change their meaning.
#[test]
fn golden_confirm_hold() {
    let payment = PaymentReference::new(b"p").expect("short");
    let request = Request {
        partner: PartnerId(0x0102_0304),
        channel: ChannelId(0x0506),
        key: IdempotencyKey(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        hash: 0,
        command: Command::ConfirmHold {
            hold: HoldId(1),
            order: OrderId(2),
            payment,
        },
    };
    let mut bytes = Vec::new();
    encode(&request, &mut bytes).expect("encodes");
    let golden = "3c000400040302010605\
                  00112233445566778899aabbccddeeff\
                  00000000000000000000000000000001\
                  00000000000000000000000000000002\
                  0170";
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for record in Records::new(&bytes) {
            let mut scratch = Scratch::default();
            let _ = decode(record, &mut scratch);
        }
    }

    #[test]
    fn any_body_is_read_without_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut scratch = Scratch::default();
        let _ = decode_body(kind, &body, &mut scratch);
    }
}
