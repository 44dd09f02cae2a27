//! What a node tells Prometheus: well-named, explained, and little, whatever it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use onsale::local::api;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use super::node::Node;

/// Of one node, labels counted out.
const SERIES_MAX: usize = 2_000;
/// Paths, methods, ids and keys nobody has, each but once.
const ODD_CALLS: usize = 3_000;
const LOOK_LIMIT: Duration = Duration::from_secs(30);

const LABELS: [&str; 22] = [
    "ahead", "bound", "cause", "channel", "code", "ending", "entry", "event", "fate", "form",
    "group", "le", "method", "model", "phase", "reason", "route", "size", "state", "status", "to",
    "why",
];

/// The metrics of a text in Prometheus' format.
struct Told {
    kinds: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    /// As they stand there, without values.
    series: BTreeSet<String>,
}

fn read(text: &str) -> Told {
    let mut told = Told {
        kinds: BTreeMap::new(),
        helps: BTreeMap::new(),
        series: BTreeSet::new(),
    };
    for line in text.lines() {
        let of = |line: &str| {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), rest.to_owned())
        };
        if let Some(help) = line.strip_prefix("# HELP ") {
            told.helps.extend([of(help)]);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            told.kinds.extend([of(kind)]);
        } else if let Some((series, _value)) = line.rsplit_once(' ') {
            assert!(told.series.insert(series.to_owned()), "twice: {series}");
        }
    }
    told
}

fn labels(series: &str) -> impl Iterator<Item = &str> {
    let inside = series.split_once('{').map_or("", |(_, labels)| labels);
    let pairs = inside.trim_end_matches('}').split("\",");
    pairs.filter_map(|pair| pair.split_once('=').map(|(label, _)| label))
}

/// What `promtool check metrics` asks for, and our own habits.
fn lint(told: &Told) {
    for (name, kind) in &told.kinds {
        let help = told.helps.get(name).map_or("", String::as_str);
        assert!(help.len() > 10, "{name} is not explained: {help:?}");
        assert!(
            name.starts_with("onsale_") || name.starts_with("process_"),
            "{name}"
        );
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "{name}");
        assert_eq!(
            kind == "counter",
            name.ends_with("_total"),
            "{name}: {kind}"
        );
        for unit in ["_ms", "_us", "_ns", "_minutes", "_kib", "_mib", "_percent"] {
            assert!(!name.contains(unit), "{name} is in no base unit");
        }
    }
    for label in told.series.iter().flat_map(|series| labels(series)) {
        assert!(LABELS.contains(&label), "a new label: {label}");
    }
}

async fn ask_oddly(node: &Node) {
    let http = node.http_address();
    let web = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        for number in 0..ODD_CALLS {
            let path = match number % 3 {
                0 => format!("/{number}/nowhere"),
                1 => format!("/v1/events/{number}"),
                _ => format!("/v1/orders/{number}?page={number}"),
            };
            let _refused = agent
                .get(format!("http://{http}{path}"))
                .header("authorization", format!("Bearer {number}"))
                .call();
        }
    });
    let mut calls = tonic::client::Grpc::new(node.channel().await);
    for number in 0..ODD_CALLS {
        calls.ready().await.expect("is up");
        let path = format!("/odd.v{number}.Service/Method{number}");
        let path = PathAndQuery::try_from(path).expect("a path");
        let codec: ProstCodec<(), ()> = ProstCodec::default();
        let refused = calls.unary(node.with_key(()), path, codec).await;
        assert!(refused.is_err());
    }
    web.await.expect("asks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_well_named_and_few_whatever_is_asked() {
    let node = Node::start(|_| {});
    ask_oddly(&node).await;
    let told = read(&api::metrics(&node.http_address()).expect("has metrics"));
    lint(&told);
    assert!(told.series.len() <= SERIES_MAX, "{}", told.series.len());
    // A node looks at its sales every other second.
    let until = Instant::now() + LOOK_LIMIT;
    while node.metric("onsale_sale_seats") == 0.0 {
        assert!(Instant::now() < until, "the event's seats are counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(node.metric("onsale_sale_oversold_seats"), 0.0);
    assert_eq!(node.metric("onsale_node_ready"), 1.0);
    assert!(node.metric("process_resident_memory_bytes") > 1e6);
}
