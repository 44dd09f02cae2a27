//! Every request message of partners: decoded, turned into a command record where it is a command,
//! and read back as the owner reads it.

use std::fmt::Debug;

use actors::codec::command::Scratch;
use actors::codec::record::{self, Header, Records};
use domain::command::Request;
use domain::ids::{ChannelId, PartnerId};
use onsale::grpc::records::{Stamp, ToRecord};
use prost::Message;
use proto::channel::v1 as pb;
use proto::channel::v1::hold_line::Line;
use proto::channel::v1::session_call::Call;

pub const STAMP: Stamp = Stamp {
    partner: PartnerId(3),
    channel: ChannelId(4),
};

/// Every request message, and what is done with it; its place is the first byte of an input.
macro_rules! messages {
    ($($number:literal $message:ident => $read:expr;)*) => {
        /// By name, as in the service definitions.
        pub const MESSAGES: &[&str] = &[$(stringify!($message)),*];

        /// The first byte says which message the rest is.
        pub fn run(data: &[u8]) {
            let Some((kind, bytes)) = data.split_first() else {
                return;
            };
            match usize::from(*kind) % MESSAGES.len() {
                $($number => {
                    let read: fn(&[u8]) = $read;
                    read(bytes);
                })*
                _ => {}
            }
        }
    };
}

messages! {
    0 PlaceHoldRequest => command::<pb::PlaceHoldRequest>;
    1 ExtendHoldRequest => command::<pb::ExtendHoldRequest>;
    2 ReleaseHoldRequest => command::<pb::ReleaseHoldRequest>;
    3 ConfirmHoldRequest => command::<pb::ConfirmHoldRequest>;
    4 CancelOrderRequest => command::<pb::CancelOrderRequest>;
    5 SessionRequest => session;
    6 GetHoldRequest => query::<pb::GetHoldRequest>;
    7 GetOrderRequest => query::<pb::GetOrderRequest>;
    8 GetSeatsRequest => query::<pb::GetSeatsRequest>;
    9 WatchSeatsRequest => query::<pb::WatchSeatsRequest>;
    10 ListEventsRequest => query::<pb::ListEventsRequest>;
    11 GetEventRequest => query::<pb::GetEventRequest>;
    12 GetSeatMapRequest => query::<pb::GetSeatMapRequest>;
    13 JoinRequest => command::<pb::JoinRequest>;
    14 JoinManyRequest => query::<pb::JoinManyRequest>;
    15 StatusRequest => query::<pb::StatusRequest>;
    16 StatusManyRequest => query::<pb::StatusManyRequest>;
    17 WatchPlaceRequest => query::<pb::WatchPlaceRequest>;
    18 LeaveRequest => command::<pb::LeaveRequest>;
    19 ClaimRequest => query::<pb::ClaimRequest>;
    20 ProofRequest => query::<pb::ProofRequest>;
    21 ListPassKeysRequest => query::<pb::ListPassKeysRequest>;
}

/// What is decoded is written so that it decodes to the same.
fn message<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(&message.encode_to_vec()[..]);
    assert_eq!(again.as_ref(), Ok(&message));
    Some(message)
}

fn query<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) {
    message::<M>(bytes);
}

fn command<M: Message + Default + PartialEq + Debug + ToRecord>(bytes: &[u8]) {
    if let Some(message) = message::<M>(bytes) {
        to_record(&message);
    }
}

fn session(bytes: &[u8]) {
    let Some(request) = message::<pb::SessionRequest>(bytes) else {
        return;
    };
    for call in request.calls {
        match call.call {
            Some(Call::PlaceHold(request)) => to_record(&request),
            Some(Call::ExtendHold(request)) => to_record(&request),
            Some(Call::ReleaseHold(request)) => to_record(&request),
            Some(Call::ConfirmHold(request)) => to_record(&request),
            Some(Call::CancelOrder(request)) => to_record(&request),
            Some(Call::Join(request)) => to_record(&request),
            Some(Call::Leave(request)) => to_record(&request),
            Some(Call::Status(_)) | None => {}
        }
    }
}

/// Either refused, each bad field named and nothing written, or one whole record that is the
/// partner's own.
fn to_record(request: &dyn ToRecord) {
    const BEFORE: &[u8] = b"what stood there";
    let mut out = BEFORE.to_vec();
    match request.to_record(STAMP, &mut out) {
        Err(violations) => {
            assert!(!violations.is_empty(), "refused without a reason");
            assert_eq!(out, BEFORE, "refused and written");
        }
        Ok(()) => {
            let bytes = &out[BEFORE.len()..];
            let mut records = Records::new(bytes);
            let only = records.next().expect("a record");
            assert_eq!(only, bytes, "one record and nothing else");
            check(only);
        }
    }
}

/// A record made from a partner's request decodes, and encodes to the same bytes.
fn check(record: &[u8]) {
    let (header, _) = record::split(record).expect("a header");
    let Header {
        kind,
        partner,
        channel,
        key,
    } = header;
    assert!(record::kind::is_partners(kind), "kind {kind}");
    assert_eq!((partner, channel), (STAMP.partner, STAMP.channel));
    let needs_key = !matches!(kind, record::kind::JOIN_ROOM | record::kind::LEAVE_ROOM);
    assert_eq!(key.0 != 0, needs_key, "what is remembered has a key");
    let mut scratch = Scratch::default();
    let request: Request<'_> = record::decode(record, &mut scratch).expect("a command");
    let mut again = Vec::new();
    record::encode(&request, &mut again).expect("fits");
    assert_eq!(again, record);
}

pub fn corpus() -> Vec<Vec<u8>> {
    let id = |byte: u8| bytes::Bytes::from(vec![byte; 16]);
    let line = |line| pb::HoldLine { line: Some(line) };
    let place = pb::PlaceHoldRequest {
        pass_token: String::new(),
        event_id: 1,
        idempotency_key: id(1),
        hold_id: id(2),
        buyer: id(3),
        ttl_s: 600,
        lines: vec![
            line(Line::Seats(pb::ChosenSeats {
                seats: vec![pb::SeatRef {
                    section: 1,
                    seat: 2,
                }],
            })),
            line(Line::BestAvailable(pb::BestAvailable {
                quantity: 4,
                category: Some(2),
                or_cheaper: true,
                sections: vec![0, 7],
                accessible: true,
                allow_split: true,
            })),
            line(Line::GeneralAdmission(pb::GeneralAdmission {
                section: 3,
                quantity: 9,
            })),
        ],
    };
    let extend = pb::ExtendHoldRequest {
        event_id: 1,
        idempotency_key: id(1),
        hold_id: id(2),
        ttl_s: 60,
    };
    let release = pb::ReleaseHoldRequest {
        event_id: 1,
        idempotency_key: id(1),
        hold_id: id(2),
    };
    let confirm = pb::ConfirmHoldRequest {
        event_id: 1,
        idempotency_key: id(1),
        hold_id: id(2),
        order_id: id(4),
        payment_reference: "pay".to_owned(),
    };
    let cancel = pb::CancelOrderRequest {
        event_id: 1,
        idempotency_key: id(1),
        order_id: id(4),
    };
    let calls = [
        Call::PlaceHold(place.clone()),
        Call::ExtendHold(extend.clone()),
        Call::ReleaseHold(release.clone()),
        Call::ConfirmHold(confirm.clone()),
        Call::CancelOrder(cancel.clone()),
    ];
    let session = pb::SessionRequest {
        calls: (7..)
            .zip(calls)
            .map(|(call_id, call)| pb::SessionCall {
                call_id,
                call: Some(call),
            })
            .collect(),
        packed: bytes::Bytes::new(),
    };
    let get_hold = pb::GetHoldRequest {
        event_id: 1,
        hold_id: id(2),
    };
    let join = pb::JoinRequest {
        event_id: 1,
        visitor: id(5),
        priority_class: 2,
        address_hash: id(6),
        proof_of_work: vec![7; 9].into(),
        party_size: 3,
        ..pb::JoinRequest::default()
    };
    let join_many = pb::JoinManyRequest {
        event_id: 1,
        visitors: vec![id(5), id(6)],
        party_sizes: vec![1, 2],
        ..pb::JoinManyRequest::default()
    };
    let leave = pb::LeaveRequest {
        event_id: 1,
        visitor: id(5),
    };
    let status_many = pb::StatusManyRequest {
        event_id: 1,
        visitors: vec![id(5), id(6)],
        linearizable: true,
    };
    let list = pb::ListEventsRequest {
        page_size: 10,
        page_token: "1f".to_owned(),
    };
    let seat_map = pb::GetSeatMapRequest {
        event_id: 1,
        if_none_match: "etag".to_owned(),
    };
    vec![
        tagged(0, &place),
        tagged(1, &extend),
        tagged(2, &release),
        tagged(3, &confirm),
        tagged(4, &cancel),
        tagged(5, &session),
        tagged(6, &get_hold),
        tagged(10, &list),
        tagged(12, &seat_map),
        tagged(13, &join),
        tagged(14, &join_many),
        tagged(16, &status_many),
        tagged(18, &leave),
    ]
}

/// A message behind the byte that says which it is.
pub fn tagged(kind: u8, message: &impl Message) -> Vec<u8> {
    let mut input = vec![kind];
    input.extend(message.encode_to_vec());
    input
}
