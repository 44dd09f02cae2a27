//! Good messages become the record they mean; each bad field is named.

use actors::codec::command::Scratch;
use proto::channel::v1::HoldLine as LineMessage;

use super::*;

const STAMP: Stamp = Stamp {
    partner: PartnerId(7),
    channel: ChannelId(3),
};

/// Of version 7.
fn uuid(byte: u8) -> bytes::Bytes {
    let mut bytes = vec![byte; 16];
    bytes[6] = 0x70 | byte & 0xf;
    bytes.into()
}

fn number(byte: u8) -> u128 {
    u128::from_be_bytes(uuid(byte)[..].try_into().expect("16 bytes"))
}

fn line(line: Line) -> LineMessage {
    LineMessage { line: Some(line) }
}

fn best(quantity: u32) -> BestAvailable {
    BestAvailable {
        quantity,
        ..BestAvailable::default()
    }
}

fn hold(lines: Vec<LineMessage>) -> PlaceHoldRequest {
    PlaceHoldRequest {
        pass_token: String::new(),
        event_id: 1,
        idempotency_key: uuid(1),
        hold_id: bytes::Bytes::new(),
        buyer: bytes::Bytes::from_static(b"b"),
        ttl_s: 60,
        lines,
    }
}

fn bad_fields(request: &impl ToRecord) -> Vec<String> {
    let mut out = Vec::new();
    let violations = request.to_record(STAMP, &mut out).expect_err("is bad");
    assert!(out.is_empty(), "nothing is left behind");
    violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[test]
fn a_key_of_another_version_is_named() {
    let mut request = hold(vec![line(Line::BestAvailable(best(1)))]);
    let mut key = vec![1; 16];
    key[6] = 0x41;
    request.idempotency_key = key.into();
    let violations = request.to_record(STAMP, &mut Vec::new()).expect_err("no");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].field, "idempotency_key");
    assert_eq!(
        violations[0].description,
        "must be a UUIDv7, is of version 4"
    );
}

#[test]
fn a_hold_becomes_its_record() {
    let request = hold(vec![
        line(Line::Seats(ChosenSeats {
            seats: vec![
                proto::channel::v1::SeatRef {
                    section: 2,
                    seat: 70_000,
                },
                proto::channel::v1::SeatRef {
                    section: 2,
                    seat: 1,
                },
            ],
        })),
        line(Line::BestAvailable(BestAvailable {
            quantity: 4,
            category: Some(1),
            or_cheaper: true,
            sections: vec![5, 6],
            accessible: false,
            allow_split: true,
        })),
        line(Line::GeneralAdmission(GeneralAdmission {
            section: 9,
            quantity: 3,
        })),
    ]);
    let mut out = Vec::new();
    request.to_record(STAMP, &mut out).expect("is good");
    let mut scratch = Scratch::default();
    let read = record::decode(&out, &mut scratch).expect("a record");
    let seat = |section, seat| SeatRef { section, seat };
    assert_eq!((read.partner, read.channel), (PartnerId(7), ChannelId(3)));
    let key = number(1);
    assert_eq!(read.key, IdempotencyKey(key));
    let mut buyer = [0; 16];
    buyer[0] = b'b';
    assert_eq!(
        read.command,
        Command::PlaceHold(PlaceHold {
            token: None,
            hold: HoldId(key),
            buyer: BuyerId(u128::from_be_bytes(buyer)),
            ttl_ms: 60_000,
            lines: &[
                HoldLine::Seats { count: 2 },
                HoldLine::BestAvailable {
                    quantity: 4,
                    category: CategoryChoice::AtMost(1),
                    section_count: 2,
                    accessible: false,
                    split: true,
                },
                HoldLine::General {
                    section: 9,
                    quantity: 3
                },
            ],
            seats: &[seat(2, 70_000), seat(2, 1)],
            sections: &[5, 6],
        })
    );
}

#[test]
fn each_bad_field_of_a_hold_is_named() {
    assert_eq!(bad_fields(&hold(vec![])), ["lines"]);
    let too_many = vec![line(Line::BestAvailable(best(1))); LINES_MAX + 1];
    assert_eq!(bad_fields(&hold(too_many)), ["lines"]);
    assert_eq!(
        bad_fields(&hold(vec![LineMessage { line: None }])),
        ["lines[0]"]
    );
    for quantity in [0, SEATS_MAX as u32 + 1, u32::MAX] {
        assert_eq!(
            bad_fields(&hold(vec![line(Line::BestAvailable(best(quantity)))])),
            ["lines[0].quantity"]
        );
    }
    let general = GeneralAdmission {
        section: 65_536,
        quantity: 0,
    };
    assert_eq!(
        bad_fields(&hold(vec![line(Line::GeneralAdmission(general))])),
        ["lines[0].section", "lines[0].quantity"]
    );
    let mut categories = best(1);
    categories.category = Some(65_535);
    categories.sections = vec![0; SECTIONS_MAX + 1];
    assert_eq!(
        bad_fields(&hold(vec![line(Line::BestAvailable(categories))])),
        ["lines[0].category", "lines[0].sections"]
    );
    let none = ChosenSeats { seats: vec![] };
    assert_eq!(
        bad_fields(&hold(vec![line(Line::Seats(none))])),
        ["lines[0].seats"]
    );
    let mut ids = hold(vec![line(Line::BestAvailable(best(1)))]);
    ids.idempotency_key = bytes::Bytes::new();
    ids.hold_id = vec![1; 15].into();
    ids.buyer = vec![1; 17].into();
    assert_eq!(bad_fields(&ids), ["idempotency_key", "hold_id", "buyer"]);
    ids.idempotency_key = vec![0; 16].into();
    ids.hold_id = uuid(2);
    ids.buyer = uuid(3);
    assert_eq!(bad_fields(&ids), ["idempotency_key"]);
}

#[test]
fn a_payment_reference_has_1_to_40_bytes() {
    let confirm = |payment_reference: &str| ConfirmHoldRequest {
        event_id: 1,
        idempotency_key: uuid(1),
        hold_id: uuid(2),
        order_id: bytes::Bytes::new(),
        payment_reference: payment_reference.into(),
    };
    assert_eq!(bad_fields(&confirm("")), ["payment_reference"]);
    assert_eq!(bad_fields(&confirm(&"x".repeat(41))), ["payment_reference"]);
    let mut out = Vec::new();
    confirm(&"x".repeat(40))
        .to_record(STAMP, &mut out)
        .expect("is good");
    let mut scratch = Scratch::default();
    let Command::ConfirmHold { hold, order, .. } = record::decode(&out, &mut scratch)
        .expect("a record")
        .command
    else {
        panic!("another command");
    };
    assert_eq!(hold, HoldId(number(2)));
    assert_eq!(order, OrderId(number(1)));
}
