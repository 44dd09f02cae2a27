//! What a benchmark can show without nodes: arguments, venues, the words of its report.

use clap::Parser as _;

use super::measure::Figures;
use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Args {
    Line::parse_from(format!("bench {line}").split_whitespace()).args
}

#[test]
fn what_cannot_be_measured_is_refused_first() {
    assert!(args("--workload hot --concurrency 4096").check().is_ok());
    let error = args("--workload hot --concurrency 20000")
        .check()
        .unwrap_err();
    assert!(error.to_string().contains("--concurrency 20000"), "{error}");
    let error = args("--workload uniform --concurrency 40000 --sessions 2").check();
    assert!(error.unwrap_err().to_string().contains("--sessions"));
    let error = args("--concurrency 2000 --overload 10")
        .check()
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("--overload 10") && error.contains("--concurrency 20000"),
        "{error}"
    );
    assert!(args("--concurrency 1000 --overload 10").check().is_ok());
    let error = args("--json /no/such/folder/x.json").check().unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
    assert!(Line::try_parse_from(["bench", "--pack", "0"]).is_err());
}

#[test]
fn venues_are_plans_with_the_seats_they_promise() {
    for (workload, sections, seats) in [
        (Workload::Uniform, 100, 1000),
        (Workload::Hot, 1, 20_000),
        (Workload::Group4, 5, 20_000),
        (Workload::Many, 1, 100),
    ] {
        let plan: serde_json::Value = serde_json::from_slice(&workload.plan()).unwrap();
        let zones = plan["zones"].as_array().unwrap();
        assert_eq!(zones.len(), sections);
        for zone in zones {
            let rows = zone["rows"].as_array().unwrap();
            let of_row = |row: &serde_json::Value| row["seats"].as_array().unwrap().len();
            assert_eq!(rows.iter().map(of_row).sum::<usize>(), seats);
        }
    }
}

#[test]
fn the_report_has_the_keys_that_are_compared() {
    let figures = Figures {
        measured: Duration::from_secs(2),
        ops: 1000,
        server_cpu: vec![Duration::from_millis(3), Duration::from_millis(1)],
        client_cpu: Duration::from_millis(1),
        commands: 6000.0,
        entries: 6.0,
        fsyncs: 9.0,
        p50_ms: 1.25,
        p99_ms: 2.5,
        max_ms: 3.0,
        ..Figures::default()
    };
    let report = Report::new(&args("--workload hot --pack 10"), figures);
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    for key in "workload mode pack concurrency ops ops_per_s p50_ms p99_ms refused \
                commands_per_entry fsyncs server_cpu_us_per_op client_cpu_us_per_op nodes"
        .split_whitespace()
    {
        assert!(!json[key].is_null(), "{key}");
    }
    assert_eq!(json["ops_per_s"], 500.0);
    assert_eq!(json["server_cpu_us_per_op"], 4.0);
    assert_eq!(
        report.text(),
        "hot by stream, 10 a message, 4096 outstanding, 3 nodes: 500 operations/s (hold and \
         confirm)\n  latency p50 1.25 ms, p99 2.50 ms, most 3.0 ms\n  CPU per operation: nodes \
         4.00 us, load 1.00 us\n  1000 commands an entry, 9 syncs, 2.0 s measured\n"
    );
    let mut compared = report.clone();
    compared.compare(Report {
        ops_per_s: 450.0,
        concurrency: 10_240,
        failed: 77,
        ..report.clone()
    });
    let json: serde_json::Value = serde_json::from_str(&compared.json()).unwrap();
    assert_eq!(json["overload"]["goodput"], 0.9);
    assert!(compared.text().contains("goodput 90 %; 77 calls refused"));
    let faster = Report {
        ops_per_s: 900.0,
        ..report.clone()
    };
    let slower = Report {
        ops_per_s: 100.0,
        ..report.clone()
    };
    let median = Report::median(vec![faster, slower, report]);
    assert_eq!(median.ops_per_s, 500.0);
    assert_eq!(median.runs_ops_per_s, [900.0, 100.0, 500.0]);
}
