//! Whatever is wrong with a command line ends as one clear line and a status that is not zero.

use std::process::{Command, Output};

fn onsale(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(arguments)
        .env_remove("ONSALE_URL")
        .env_remove("ONSALE_KEY")
        .output()
        .expect("the program starts")
}

/// The one line it says.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = onsale(arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success(), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} writes to stdout");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{arguments:?}:\n{said}");
    let line = lines[0].strip_prefix("onsale: ");
    line.unwrap_or_else(|| panic!("{arguments:?}: {said}"))
        .to_owned()
}

#[track_caller]
fn refused_with(arguments: &[&str], words: &[&str]) {
    let line = refused(arguments);
    for word in words {
        assert!(line.contains(word), "{arguments:?}: {line}");
    }
}

#[test]
fn bad_flags_end_with_one_clear_line() {
    for (arguments, words) in [
        (&[][..], &["subcommand"][..]),
        (&["sell"], &["sell"]),
        (&["demo", "--sets", "5"], &["--sets"]),
        (&["demo", "--seats"], &["--seats"]),
        (&["demo", "--seats", "many"], &["--seats", "many"]),
        (&["demo", "--dedupe"], &["--plan"]),
        (
            &["demo", "--plan", "a", "--seats", "500"],
            &["--plan", "--seats"],
        ),
        (
            &["demo", "--profile", "slow"],
            &["--profile", "default", "fast"],
        ),
        (&["bench", "--workload", "cold"], &["--workload", "uniform"]),
        (&["bench", "--mode", "telex"], &["--mode"]),
        (&["serve", "now"], &["now"]),
        (&["serve", "--config"], &["--config"]),
        (&["ctl"], &["subcommand"]),
        (&["ctl", "events"], &["subcommand"]),
        (&["ctl", "events", "create"], &["--name", "--plan"]),
        (&["ctl", "events", "show", "mine"], &["mine"]),
        (&["ctl", "events", "block", "7", "1-2"], &["SECTION:SEAT"]),
        (&["ctl", "keys", "add"], &["--partner"]),
        (&["ctl", "nodes", "join", "4"], &["--peer-address"]),
    ] {
        refused_with(arguments, words);
    }
}

#[test]
fn values_out_of_range_are_refused_and_not_bent() {
    for (arguments, words) in [
        (
            &["demo", "--seats", "0"][..],
            &["--seats", "0", "100000"][..],
        ),
        (
            &["demo", "--seats", "1000000"],
            &["--seats", "1000000", "100000"],
        ),
        (&["demo", "--seats=-5"], &["--seats", "-5"]),
        (&["demo", "--kills", "1001"], &["--kills", "1000"]),
        (&["demo", "--seconds", "0"], &["--seconds"]),
        (&["bench", "--pack", "0"], &["--pack", "1..=1000"]),
        (&["bench", "--concurrency", "0"], &["--concurrency"]),
        (&["bench", "--concurrency", "20000"], &["20000", "10000"]),
        (&["bench", "--seconds", "99999"], &["--seconds"]),
        (&["bench", "--nodes", "8"], &["--nodes"]),
        (&["bench", "--overload", "1"], &["--overload"]),
        (
            &["ctl", "orders", "list", "--page-size", "0"],
            &["1..=1000"],
        ),
        (
            &["ctl", "orders", "list", "--page-size", "1001"],
            &["1..=1000"],
        ),
    ] {
        refused_with(arguments, words);
    }
}

#[test]
fn bad_files_end_with_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("is written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let plan = file("plan.json", "{\"name\": \"Half a plan\",\n\"zones\": [");
    let key = file("key.toml", "[node]\nid = 1\ncolour = \"red\"\n");
    let kind = file("kind.toml", "[node]\nid = \"one\"\n");
    let range = file("range.toml", "[sale]\nqueue_commands = 1\n");
    let text = file("text.toml", "this is\nno TOML\n");
    for (arguments, words) in [
        (
            &["demo", "--plan", "/no/such/plan.json"][..],
            &["/no/such/plan.json"][..],
        ),
        (&["demo", "--plan", &plan], &["plan.json"]),
        (
            &["demo", "--json", "/no/such/folder/x.json"],
            &["/no/such/folder"],
        ),
        (
            &["bench", "--json", "/no/such/folder/x.json"],
            &["/no/such/folder"],
        ),
        (
            &["serve", "--config", "/no/such/node.toml"],
            &["/no/such/node.toml"],
        ),
        (&["serve", "--config", &key], &["key.toml", "colour"]),
        (&["serve", "--config", &kind], &["kind.toml", "node.id"]),
        (&["serve", "--config", &range], &["sale.queue_commands"]),
        (&["serve", "--config", &text], &["text.toml"]),
        (
            &["ctl", "plan", "check", "/no/such/plan.json"],
            &["/no/such/plan.json"],
        ),
        (&["ctl", "plan", "check", &plan], &["plan.json"]),
        (
            &[
                "ctl",
                "events",
                "create",
                "--name",
                "X",
                "--plan",
                "/no/such/plan.json",
            ],
            &["/no/such/plan.json"],
        ),
    ] {
        refused_with(arguments, words);
    }
    let said = refused(&["serve", "--config", "/no/such/node.toml"]);
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
}

#[test]
fn rules_that_change_nothing_are_not_sent() {
    let url = ["--url", "http://127.0.0.1:1", "--key", "notaskedfor"];
    let arguments = ["ctl", "events", "rules", "7"];
    refused_with(&[&arguments[..], &url[..]].concat(), &["--help"]);
}

#[test]
fn a_node_that_does_not_answer_is_one_clear_line() {
    // Port 1 of loopback: nobody listens there.
    refused_with(
        &[
            "ctl",
            "--url",
            "http://127.0.0.1:1",
            "--key",
            "notaskedfor",
            "events",
            "list",
        ],
        &["127.0.0.1:1"],
    );
    refused(&[
        "ctl",
        "--url",
        "no address",
        "--key",
        "notaskedfor",
        "events",
        "list",
    ]);
    refused_with(&["ctl", "events", "list"], &["--key"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["demo", "--help"],
        &["ctl", "events", "create", "--help"],
    ] {
        let output = onsale(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}
