//! Every bad input in each form of call, against one node: refused by name, without effect, and
//! without harm to what comes after it on the same connection.

use std::time::Duration;

use bytes::Bytes;
use onsale::load::call::{Call, Id, Line};
use onsale::load::connect::MachineClock;
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::ask::{Ending, FORMS, Form, Partner, Session};
use crate::node::{Node, id_at};

const SEED: u64 = 7;

/// One bad call: the reason as a message, and packed where it differs, because what a message is
/// refused for at the door the sale itself refuses a packed call for.
struct Bad {
    what: &'static str,
    lines: Vec<Line>,
    reasons: [&'static str; 2],
}

fn bad(what: &'static str, lines: Vec<Line>, reasons: [&'static str; 2]) -> Bad {
    Bad {
        what,
        lines,
        reasons,
    }
}

fn general(section: u16, quantity: u16) -> Vec<Line> {
    vec![Line::General { section, quantity }]
}

fn bad_holds(node: &Node) -> Vec<Bad> {
    let (section, seats) = node.seated;
    let standing = node.standing;
    let chosen = |seats: &[(u16, u32)]| vec![Line::Seats(seats.to_vec())];
    // What is negative to a caller arrives as the largest number.
    let minus_one = u16::MAX;
    vec![
        bad("no lines", vec![], ["BAD_REQUEST", "EMPTY_HOLD"]),
        bad("no seats", chosen(&[]), ["BAD_REQUEST", "EMPTY_HOLD"]),
        bad(
            "zero seats",
            vec![Line::best(0)],
            ["BAD_REQUEST", "EMPTY_HOLD"],
        ),
        bad(
            "minus one seat",
            vec![Line::best(minus_one)],
            ["BAD_REQUEST", "TOO_MANY_SEATS"],
        ),
        bad(
            "zero places",
            general(standing, 0),
            ["BAD_REQUEST", "EMPTY_HOLD"],
        ),
        bad(
            "minus one place",
            general(standing, minus_one),
            ["BAD_REQUEST", "TOO_MANY_SEATS"],
        ),
        bad(
            "too many seats",
            vec![Line::best(101)],
            ["TOO_MANY_SEATS"; 2],
        ),
        bad(
            "an unknown section",
            chosen(&[(60_000, 0)]),
            ["UNKNOWN_SECTION"; 2],
        ),
        bad(
            "an unknown seat",
            chosen(&[(section, seats)]),
            ["UNKNOWN_SEAT"; 2],
        ),
        bad(
            "a seat beyond all",
            chosen(&[(section, u32::MAX)]),
            ["UNKNOWN_SEAT"; 2],
        ),
        bad(
            "a seat to stand on",
            chosen(&[(standing, 0)]),
            ["WRONG_SECTION_KIND"; 2],
        ),
        bad(
            "places of rows",
            general(section, 1),
            ["WRONG_SECTION_KIND"; 2],
        ),
        bad(
            "a seat twice",
            chosen(&[(section, 1), (section, 1)]),
            ["DUPLICATE_SEAT"; 2],
        ),
        bad(
            "a seat in two lines",
            [chosen(&[(section, 1)]), chosen(&[(section, 1)])].concat(),
            ["DUPLICATE_SEAT"; 2],
        ),
    ]
}

fn place(hold: Id, lines: Vec<Line>) -> Call {
    Call::PlaceHold {
        pass: String::new(),
        hold,
        buyer: hold,
        ttl_s: 60,
        lines,
    }
}

#[test]
fn bad_input_is_refused_by_name_in_every_form() {
    let mut node = Node::start(|_| {});
    let runtime = runtime();
    runtime.block_on(async {
        node.look_round().await;
        let mut keys = node.keys(SEED);
        let mut partner = Partner::connect(&node).await;
        let before = node.counts();
        for form in FORMS {
            for Bad {
                what,
                lines,
                reasons: [message, packed],
            } in bad_holds(&node)
            {
                let reason = if form == Form::Packed {
                    packed
                } else {
                    message
                };
                let key = keys.make();
                let ending = partner.ask(form, node.event, key, &place(key, lines)).await;
                assert_eq!(ending.reason(), reason, "{what}, {form:?}");
            }
            unknown_things(&node, &mut partner, form, &mut || keys.make()).await;
            bad_keys(&node, &mut partner, form, &mut || keys.make()).await;
            assert_eq!(node.counts(), before, "{form:?}: nothing is held");
        }
    });
}

async fn unknown_things(
    node: &Node,
    partner: &mut Partner,
    form: Form,
    key: &mut impl FnMut() -> Id,
) {
    let nothing = key();
    let payment = "edge".to_owned();
    for (event, call, reason) in [
        (1, place(nothing, vec![Line::best(1)]), "UNKNOWN_EVENT"),
        (0, place(nothing, vec![Line::best(1)]), "UNKNOWN_EVENT"),
        (
            node.event,
            Call::ReleaseHold { hold: nothing },
            "UNKNOWN_HOLD",
        ),
        (
            node.event,
            Call::ExtendHold {
                hold: nothing,
                ttl_s: 9,
            },
            "UNKNOWN_HOLD",
        ),
        (
            node.event,
            Call::ConfirmHold {
                hold: nothing,
                order: nothing,
                payment,
            },
            "UNKNOWN_HOLD",
        ),
        (
            node.event,
            Call::CancelOrder { order: nothing },
            "UNKNOWN_ORDER",
        ),
    ] {
        let ending = partner.ask(form, event, key(), &call).await;
        assert_eq!(ending.reason(), reason, "{call:?}, {form:?}");
    }
}

/// Keys that are missing, from another time, or used for something else.
async fn bad_keys(node: &Node, partner: &mut Partner, form: Form, key: &mut impl FnMut() -> Id) {
    use cluster::components::WallClock as _;
    let now_ms = MachineClock.now_ms();
    let hour_ms = 3_600_000;
    let missing = if form == Form::Packed {
        "KEY_MISSING"
    } else {
        "BAD_REQUEST"
    };
    for (bad, reason) in [
        ([0; 16], missing),
        (id_at(now_ms + hour_ms), "KEY_FROM_FUTURE"),
    ] {
        let call = place(key(), vec![Line::best(1)]);
        let ending = partner.ask(form, node.event, bad, &call).await;
        assert_eq!(ending.reason(), reason, "{form:?}");
    }
    // The same key and request: the same answer. The same key for another request: refused.
    let (hold, first) = (key(), key());
    let call = place(hold, vec![Line::best(2)]);
    for _ in 0..2 {
        let ending = partner.ask(form, node.event, first, &call).await;
        assert_eq!(ending, Ending::Done, "{form:?}");
    }
    let other = place(hold, vec![Line::best(3)]);
    let ending = partner.ask(form, node.event, first, &other).await;
    assert_eq!(ending.reason(), "KEY_REUSED", "{form:?}");
    let ending = partner.ask(form, node.event, key(), &other).await;
    assert_eq!(ending.reason(), "HOLD_ID_IN_USE", "{form:?}");
    let release = Call::ReleaseHold { hold };
    let ending = partner.ask(form, node.event, key(), &release).await;
    assert_eq!(ending, Ending::Done, "{form:?}");
}

#[test]
fn what_cannot_be_read_ends_its_own_stream_only() {
    let node = Node::start(|config| config.partner.message_kib = 16);
    runtime().block_on(async {
        let mut keys = node.keys(SEED);
        let mut partner = Partner::connect(&node).await;
        let channel = partner.channel.clone();

        // Field 2 is bytes in all these messages, and a number here.
        for method in ["SalesService/PlaceHold", "SessionService/Session"] {
            let status = raw(&node, &channel, method).await;
            assert_eq!(told(&status), (Code::InvalidArgument, "BAD_REQUEST".into()));
        }

        let large = Bytes::from(vec![0; 64 << 10]);
        let mut sales = SalesServiceClient::new(channel.clone());
        let request = PlaceHoldRequest {
            pass_token: String::new(),
            event_id: node.event,
            buyer: large.clone(),
            ..PlaceHoldRequest::default()
        };
        let status = sales
            .place_hold(node.with_key(request.clone()))
            .await
            .unwrap_err();
        assert_eq!(told(&status), (Code::InvalidArgument, "TOO_LARGE".into()));
        let nested = SessionCall {
            call_id: 1,
            call: Some(session_call::Call::PlaceHold(request)),
        };
        for (calls, packed) in [(vec![], large), (vec![nested], Bytes::new())] {
            let mut session = Session::open(&node, channel.clone()).await.expect("opens");
            session.send(calls, packed).await;
            let status = session.end().await;
            assert_eq!(told(&status), (Code::InvalidArgument, "TOO_LARGE".into()));
        }

        // Others on the same connection, open before, go on.
        for form in FORMS {
            let key = keys.make();
            let call = place(key, vec![Line::best(1)]);
            let ending = partner.ask(form, node.event, key, &call).await;
            assert_eq!(ending, Ending::Done, "{form:?}");
        }
    });
}

fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info();
    (status.code(), info.expect("has a reason").reason)
}

/// Sends a message whose second field has the wrong type.
async fn raw(node: &Node, channel: &Channel, method: &str) -> Status {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Wrong {
        #[prost(float, tag = "2")]
        number: f32,
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("connected");
    let path = format!("/onsale.channel.v1.{method}")
        .parse()
        .expect("a path");
    let wrong = node.with_key(futures::stream::iter([Wrong { number: 1.0 }]));
    if method.starts_with("Session") {
        let codec = tonic_prost::ProstCodec::<Wrong, SessionResponse>::default();
        let answers = client.streaming(wrong, path, codec).await.expect("opens");
        answers.into_inner().message().await.unwrap_err()
    } else {
        let codec = tonic_prost::ProstCodec::<Wrong, PlaceHoldResponse>::default();
        client
            .client_streaming(wrong, path, codec)
            .await
            .unwrap_err()
    }
}

#[test]
fn a_deadline_already_past_is_not_tried() {
    let node = Node::start(|_| {});
    runtime().block_on(async {
        let mut keys = node.keys(SEED);
        let mut partner = Partner::connect(&node).await;
        let before = node.counts();
        let key = keys.make();
        let call = place(key, vec![Line::best(1)]);
        let late = |mut request: Request<PlaceHoldRequest>| {
            let timeout = "0n".parse().expect("ASCII");
            request.metadata_mut().insert("grpc-timeout", timeout);
            request
        };
        let nested = crate::ask::nested(1, node.event, key, &call).call;
        let Some(session_call::Call::PlaceHold(message)) = nested else {
            panic!("a hold");
        };
        let mut sales = SalesServiceClient::new(partner.channel.clone());
        let request = late(node.with_key(message));
        let status = sales.place_hold(request).await.unwrap_err();
        // The transport may notice first.
        assert!(
            matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
            "{status:?}"
        );

        // A session whose time is over takes no calls.
        let outgoing = futures::stream::pending::<SessionRequest>();
        let mut request = node.with_key(outgoing);
        let timeout = "1m".parse().expect("ASCII");
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut sessions = SessionServiceClient::new(partner.channel.clone());
        let status = match sessions.session(request).await {
            Ok(answers) => answers.into_inner().message().await.unwrap_err(),
            Err(status) => status,
        };
        assert!(
            matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
            "{status:?}"
        );
        assert_eq!(node.counts(), before, "nothing is held");

        // With time, the same key is the first attempt.
        let ending = partner.ask(Form::Packed, node.event, key, &call).await;
        assert_eq!(ending, Ending::Done);
    });
}

#[test]
fn without_a_valid_key_no_service_answers() {
    let node = Node::start(|_| {});
    runtime().block_on(async {
        let channel = node.channel().await;
        let wrong = "Bearer onsale_01010101_00000000000000000000000000000000";
        for (key, reason) in [
            (None, "API_KEY_MISSING"),
            (Some("Bearer "), "API_KEY_INVALID"),
            (Some("Bearer nonsense"), "API_KEY_INVALID"),
            (Some("Basic b25zYWxl"), "API_KEY_INVALID"),
            (Some(wrong), "API_KEY_INVALID"),
        ] {
            for (service, status) in all_services(&channel, node.event, key).await {
                assert_eq!(status.code(), Code::Unauthenticated, "{service}, {key:?}");
                let info = status.get_details_error_info().expect("has");
                assert_eq!(info.reason, reason, "{service}, {key:?}");
            }
        }
    });
}

/// What each service says to this key.
async fn all_services(
    channel: &Channel,
    event_id: u64,
    key: Option<&str>,
) -> Vec<(&'static str, Status)> {
    fn with<T>(message: T, key: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(key) = key {
            let value = key.parse().expect("ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        request
    }
    let mut catalogue = CatalogueServiceClient::new(channel.clone());
    let mut seats = SeatsServiceClient::new(channel.clone());
    let mut sales = SalesServiceClient::new(channel.clone());
    let mut sessions = SessionServiceClient::new(channel.clone());
    let list = with(ListEventsRequest::default(), key);
    let event = with(GetEventRequest { event_id }, key);
    let map = with(
        GetSeatMapRequest {
            event_id,
            ..Default::default()
        },
        key,
    );
    let now = with(
        GetSeatsRequest {
            event_id,
            ..Default::default()
        },
        key,
    );
    let watch = with(
        WatchSeatsRequest {
            event_id,
            ..Default::default()
        },
        key,
    );
    let hold = with(
        PlaceHoldRequest {
            pass_token: String::new(),
            event_id,
            ..Default::default()
        },
        key,
    );
    let order = with(
        GetOrderRequest {
            event_id,
            ..Default::default()
        },
        key,
    );
    let session = with(futures::stream::pending(), key);
    vec![
        (
            "list events",
            catalogue.list_events(list).await.unwrap_err(),
        ),
        ("get event", catalogue.get_event(event).await.unwrap_err()),
        (
            "get seat map",
            catalogue.get_seat_map(map).await.unwrap_err(),
        ),
        ("get seats", seats.get_seats(now).await.unwrap_err()),
        ("watch seats", seats.watch_seats(watch).await.unwrap_err()),
        ("place hold", sales.place_hold(hold).await.unwrap_err()),
        ("get order", sales.get_order(order).await.unwrap_err()),
        ("session", sessions.session(session).await.unwrap_err()),
    ]
}

#[test]
fn a_partner_over_its_quota_is_refused_in_every_form() {
    const QUOTA: u16 = 6;
    let node = Node::start(|_| {});
    node.cap_channel(QUOTA.into());
    runtime().block_on(async {
        let mut keys = node.keys(SEED);
        let mut partner = Partner::connect(&node).await;
        let key = keys.make();
        let most = place(key, vec![Line::best(QUOTA)]);
        let ending = partner.ask(Form::Unary, node.event, key, &most).await;
        assert_eq!(ending, Ending::Done);
        for form in FORMS {
            let key = keys.make();
            let more = place(key, vec![Line::best(1)]);
            let ending = partner.ask(form, node.event, key, &more).await;
            assert_eq!(ending.reason(), "CHANNEL_QUOTA", "{form:?}");
        }
        let (_, held, _) = node.counts();
        assert_eq!(held, u64::from(QUOTA));
    });
}

#[test]
fn a_partner_over_its_rate_is_told_when_to_come_back_in_every_form() {
    // One call in the blink of an eye, and a second for the next.
    let node = Node::start(|config| config.partner.calls_per_s = 1);
    runtime().block_on(async {
        let mut keys = node.keys(SEED);
        let mut partner = Partner::connect(&node).await;
        for form in FORMS {
            let mut refused = None;
            for _ in 0..1000 {
                let key = keys.make();
                let call = place(key, vec![Line::best(1)]);
                match partner.ask(form, node.event, key, &call).await {
                    Ending::Done => {}
                    ending => {
                        refused = Some(ending);
                        break;
                    }
                }
            }
            let refused = refused.expect("is over its rate");
            assert!(
                matches!(refused.reason(), "RATE_LIMITED" | "BUSY"),
                "{refused:?}, {form:?}"
            );
            let delay = refused.delay().expect("says when");
            assert!(delay <= Duration::from_secs(1), "{delay:?}");
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
