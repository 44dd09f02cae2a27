//! Every expression of every board and alarm, executed by a real Prometheus over a sale of three minutes, where
//! one is installed. With `GRAFANA_CHECK=apart`, as the gate has it, somebody else runs `grafana/check`.

use std::path::Path;
use std::process::Command;

/// Why there is nothing to do here.
fn lacks() -> Option<&'static str> {
    let starts = |program| Command::new(program).arg("--version").output().is_ok();
    if std::env::var_os("GRAFANA_CHECK").is_some_and(|how| how == "apart") {
        Some("grafana/check is run apart")
    } else if !starts("python3") {
        Some("there is no python3")
    } else if !starts("prometheus") {
        Some("there is no Prometheus")
    } else {
        None
    }
}

#[test]
fn every_expression_is_executed_beside_a_sale() {
    if let Some(lack) = lacks() {
        println!("SKIPPED: {lack}");
        return;
    }
    let done = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/check"))
        .args(["--onsale", env!("CARGO_BIN_EXE_onsale")])
        .output()
        .expect("the check starts");
    println!("{}", String::from_utf8_lossy(&done.stdout));
    let faults = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{faults}");
}
