//! A node is asked a million different things, and tells no more series than before: through its own
//! listeners, so that every label that a caller could reach is reached.

use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use onsale::http::timestamp;
use onsale::load::call::{Call, Line};
use onsale::load::packed::{Head, Writer};
use onsale::load::venue;
use onsale::local::api::{self, NewEvent};
use proto::channel::v1::JoinManyRequest;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::ask::Session;
use crate::metrics::{SERIES_MAX, lint, read};
use crate::node::Node;

/// Methods, paths, names of browsers and keys nobody has.
const HTTP_CALLS: usize = 60_000;
/// Services and methods nobody has.
const RPC_CALLS: usize = 20_000;
const VISITORS: usize = 20_000;
/// Holds by buyers and under keys that come once; most of events nobody has.
const HOLDS: usize = 900_000;
const _: () = assert!(HTTP_CALLS + RPC_CALLS + VISITORS + HOLDS >= 1_000_000);

/// Calls of one message.
const PACK: usize = 1_000;
/// One hold in so many is of the event there is, of a section that there mostly is not.
const KNOWN_EVERY: usize = 100;
/// More than have a series of their own.
const CHANNELS: u64 = 40;
/// Events of their own names and sections.
const EVENTS: u32 = 40;

/// Requests one after the other without waiting for an answer, which actix allows; how many were refused.
fn ask_http(address: &str) -> usize {
    let stream = TcpStream::connect(address).expect("connects");
    let mut reading = stream.try_clone().expect("is a stream");
    let reader = std::thread::spawn(move || {
        let mut answers = Vec::new();
        reading.read_to_end(&mut answers).expect("reads");
        String::from_utf8_lossy(&answers)
            .matches("HTTP/1.1 4")
            .count()
    });
    let mut out = BufWriter::new(stream);
    for number in 0..HTTP_CALLS {
        let (method, path) = match number % 5 {
            0 => ("GET".to_owned(), format!("/{number}/nowhere")),
            1 => ("GET".to_owned(), format!("/v1/events/{number}")),
            2 => (
                "GET".to_owned(),
                format!("/v1/orders/{number}?page={number}"),
            ),
            3 => (format!("ODD{number}"), "/v1/events".to_owned()),
            _ => (format!("ODD{number}"), format!("/v1/{number}")),
        };
        let last = match number + 1 == HTTP_CALLS {
            true => "connection: close\r\n",
            false => "",
        };
        write!(
            out,
            "{method} {path} HTTP/1.1\r\nhost: h{number}\r\nuser-agent: Browser/{number}\r\n\
             authorization: Bearer {number}\r\nx-forwarded-for: 10.{}.{}.{}\r\n{last}\r\n",
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255
        )
        .expect("is taken");
    }
    out.flush().expect("is taken");
    reader.join().expect("reads")
}

async fn ask_rpc(node: &Node) {
    let channel = node.channel().await;
    let calls = futures::stream::iter(0..RPC_CALLS).map(|number| {
        let mut calls = tonic::client::Grpc::new(channel.clone());
        let mut asked = node.with_key(());
        let agent = format!("Client/{number}").parse().expect("ASCII");
        asked.metadata_mut().insert("x-client", agent);
        async move {
            calls.ready().await.expect("is up");
            let path = format!("/odd.v{number}.Service/Method{number}");
            let path = PathAndQuery::try_from(path).expect("a path");
            let codec: ProstCodec<(), ()> = ProstCodec::default();
            let refused = calls.unary(asked, path, codec).await;
            assert!(refused.is_err());
        }
    });
    calls.buffer_unordered(64).collect::<Vec<()>>().await;
}

async fn hold(node: &Node) {
    let mut session = Session::open(node, node.channel().await)
        .await
        .expect("opens");
    let mut writer = Writer::default();
    let mut keys = node.keys(1);
    for number in 0..HOLDS {
        let known = number.is_multiple_of(KNOWN_EVERY);
        let event = match known {
            true => node.event,
            false => 1 << 40 | number as u64,
        };
        let line = Line::General {
            section: (number / KNOWN_EVERY) as u16,
            quantity: 1,
        };
        let key = keys.make();
        let call = Call::PlaceHold {
            pass: String::new(),
            hold: key,
            buyer: key,
            ttl_s: 0,
            lines: vec![line],
        };
        let call_id = number as u32;
        writer.call(
            Head {
                call_id,
                event,
                key,
            },
            &call,
        );
        if writer.count() == PACK {
            session.send(Vec::new(), writer.take()).await;
            session.receive(PACK).await;
        }
    }
}

/// Events of many names; the last one's visitors wait.
async fn open(node: &Node) -> u64 {
    let mut last = 0;
    for number in 0..EVENTS {
        let name = format!("Event {number}");
        let seats = [50, 100, 1_000][number as usize % 3];
        let plan = venue::plan(&name, 1 + number % 7, seats);
        let new = NewEvent {
            name: &name,
            venue: &name,
            test_mode: false,
            hold_ttl_s: 60,
            plan: &plan,
            dedupe: false,
        };
        last = node.api().create_event(&new).expect("is made").event_id;
    }
    last
}

async fn gather(node: &Node, event: u64) {
    let in_s = |seconds: u64| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let then = since.expect("after 1970") + Duration::from_secs(seconds);
        timestamp::show(then.as_millis() as i64)
    };
    let armed = node.ctl(&[
        "queue",
        "arm",
        &event.to_string(),
        "--lobby-at",
        &in_s(0),
        "--opens-at",
        &in_s(3_600),
    ]);
    armed.expect("has a room");
    let mut admission = AdmissionServiceClient::new(node.channel().await);
    for batch in 0..VISITORS / PACK {
        let numbers = batch * PACK..(batch + 1) * PACK;
        let visitors =
            numbers.map(|number| Bytes::copy_from_slice(&(1 + number as u128).to_be_bytes()));
        let asked = node.with_key(JoinManyRequest {
            event_id: event,
            visitors: visitors.collect(),
            ..JoinManyRequest::default()
        });
        let told = admission.join_many(asked).await.expect("come").into_inner();
        assert_eq!(told.joined as usize, PACK);
    }
}

/// Partners of many channels have seats of one event.
async fn sell_through_channels(node: &Node) {
    for number in 0..CHANNELS {
        let partner = node.api().partner(&format!("Shop {number}"));
        let partner = partner.expect("is made");
        node.hold_best(&partner.key, node.keys(number).make()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_different_inputs_are_few_series() {
    let node = Node::start(|_| {});
    let http = node.http_address();
    let web = tokio::task::spawn_blocking(move || ask_http(&http));
    let room = open(&node).await;
    gather(&node, room).await;
    sell_through_channels(&node).await;
    hold(&node).await;
    ask_rpc(&node).await;
    assert_eq!(web.await.expect("asks"), HTTP_CALLS);

    // All was taken in and counted.
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let is_told = || {
        node.metric("onsale_http_calls_total") >= HTTP_CALLS as f64
            && node.metric("onsale_rpc_requests_total") >= RPC_CALLS as f64
            && node.metric("onsale_session_calls_total") >= HOLDS as f64
            && node.metric("onsale_queue_visitors") >= VISITORS as f64
            && node.metric("onsale_sale_channel_seats") >= CHANNELS as f64
            && node.metric("onsale_sale_led") >= f64::from(EVENTS)
    };
    while !is_told() {
        assert!(std::time::Instant::now() < until, "all is counted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = read(&api::metrics(&node.http_address()).expect("has metrics"));
    lint(&told);
    eprintln!("{} series", told.series.len());
    assert!(told.series.len() <= SERIES_MAX, "{}", told.series.len());
}
