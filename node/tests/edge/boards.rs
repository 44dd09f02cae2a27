//! The boards, alarms and pages of `grafana/` beside what a node tells: what of `grafana/check` needs no sale.
//! With one, and a Prometheus: `tests/boards.rs`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use onsale::local::api;

use super::node::Node;

const LOOK_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_and_alarms_name_what_a_node_tells_and_all_of_it() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("SKIPPED: there is no python3");
        return;
    }
    let node = Node::start(|_| {});
    let partner = node.api().partner("Shop").expect("is made");
    node.hold_best(&partner.key, node.keys(1).make()).await;
    // A node looks at its sales every other second.
    let until = Instant::now() + LOOK_LIMIT;
    while node.metric("onsale_sale_channel_seats") == 0.0 {
        assert!(Instant::now() < until, "the channel's seats are counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let metrics = tempfile::NamedTempFile::new().expect("a file is made");
    let told = api::metrics(&node.http_address()).expect("has metrics");
    std::fs::write(metrics.path(), told).expect("is written");
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/check");
    let done = Command::new(check)
        .args(["--static", "--onsale", env!("CARGO_BIN_EXE_onsale")])
        .arg("--metrics")
        .arg(metrics.path())
        .output()
        .expect("the check starts");
    // What it had to leave out it says with SKIPPED.
    println!("{}", String::from_utf8_lossy(&done.stdout));
    let faults = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{faults}");
}
