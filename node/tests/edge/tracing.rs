//! Which share of calls is traced, changed while a real node runs, and what its log then says.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::node::Node;

#[track_caller]
fn said(node: &Node, arguments: &[&str]) -> String {
    let output = node.run_ctl(arguments);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {failed}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The lines of traced calls of this name.
fn traced(node: &Node, name: &str) -> Vec<Value> {
    let log = node.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let is_named = |line: &Value| {
        line["target"] == "onsale::trace" && line["fields"]["name"].as_str() == Some(name)
    };
    lines.filter(is_named).collect()
}

#[test]
fn sampling_is_changed_while_the_node_runs() {
    let node = Node::start(|config| config.node.log_format = "json".into());
    let event = node.event.to_string();
    assert!(said(&node, &["nodes", "sampling", "1"]).contains("traces 0 %"));
    said(&node, &["events", "pause", &event]);
    assert!(said(&node, &["nodes", "sampling", "1", "1"]).contains("traces 100 %"));
    said(&node, &["events", "resume", &event]);
    assert!(said(&node, &["nodes", "sampling", "1", "0.0"]).contains("traces 0 %"));
    said(&node, &["events", "pause", &event]);
    let refused = node.run_ctl(&["nodes", "sampling", "1", "7"]);
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("from 0 to 1"), "{why}");
    assert!(!node.run_ctl(&["nodes", "sampling", "9"]).status.success());

    let resume = "POST /v1/events/{event_id}/resume";
    let until = Instant::now() + Duration::from_secs(20);
    while traced(&node, resume).is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let lines = traced(&node, resume);
    assert_eq!(lines.len(), 1, "{}", node.log());
    let fields = &lines[0]["fields"];
    let stages = fields["stages"].as_str().expect("has stages");
    for stage in ["gateway@", "sale@", "collect@", "log@", "decide@", "reply@"] {
        assert!(stages.contains(stage), "{stages}");
    }
    // The same id stands where the operator's call is logged.
    let id = fields["trace_id"].as_str().expect("has an id");
    let is_call = |line: &&str| line.contains("operator call") && line.contains(id);
    assert_eq!(node.log().lines().filter(is_call).count(), 1);
    assert!(traced(&node, "POST /v1/events/{event_id}/pause").is_empty());
}
