//! What a node tells Prometheus: well-named and explained. That it is little, whatever the node is asked:
//! `series`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use onsale::local::api;

use super::node::Node;

/// Of one node, labels counted out.
pub const SERIES_MAX: usize = 2_000;
const LOOK_LIMIT: Duration = Duration::from_secs(30);

const LABELS: [&str; 25] = [
    "ahead", "bound", "cause", "channel", "code", "command", "ending", "entry", "event", "fate",
    "form", "group", "le", "method", "model", "outcome", "phase", "reason", "route", "size",
    "state", "status", "to", "version", "why",
];

/// The metrics of a text in Prometheus' format.
pub struct Told {
    kinds: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    /// As they stand there, without values.
    pub series: BTreeSet<String>,
}

pub fn read(text: &str) -> Told {
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
pub fn lint(told: &Told) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_well_named_and_tell_of_a_sale() {
    let node = Node::start(|_| {});
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
    assert!(node.metric("onsale_sale_round_seconds_count") > 0.0);
    assert!(node.metric("onsale_raft_snapshot_timestamp_seconds") > 1.7e9);
    assert_eq!(node.metric("onsale_build_info"), 1.0);
    assert!(node.metric("onsale_node_cpus") >= 1.0);
    assert!(told.series.contains(&format!(
        "onsale_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    )));
}

#[test]
fn connections_of_operators_are_counted_while_they_are_open() {
    let node = Node::start(|_| {});
    // That of whoever asks is one of them.
    let settled = |count: f64| {
        let until = Instant::now() + LOOK_LIMIT;
        while node.metric("onsale_http_connections") != count {
            assert!(Instant::now() < until, "there are {count}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    settled(1.0);
    let others = [0, 1].map(|_| TcpStream::connect(node.http_address()).expect("connects"));
    settled(3.0);
    drop(others);
    settled(1.0);
}
