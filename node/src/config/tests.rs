//! The files under `config/` say what the code says, and a bad file is refused on one line.

use std::path::Path;

use super::{Config, Founder};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config"))
}

fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    std::fs::write(&file, text).unwrap();
    let line = Config::read(&file).unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    let prefix = format!("{}: ", file.display());
    line.strip_prefix(&prefix)
        .expect("names the file")
        .to_owned()
}

#[test]
fn default_toml_lists_every_key_and_equals_the_default() {
    let file = folder().join("default.toml");
    assert_eq!(Config::read(&file).unwrap(), Config::default());

    let listed: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let known = toml::Table::try_from(Config::default()).unwrap();
    for (table, keys) in &known {
        for key in keys.as_table().unwrap().keys() {
            let set = listed.get(table).and_then(|keys| keys.get(key));
            assert!(set.is_some(), "{table}.{key} is not in default.toml");
        }
    }
}

#[test]
fn a_configuration_survives_being_written_and_read() {
    let mut config = Config::default();
    config.node.id = 7;
    config.cluster.secret = "a \"quoted\" secret".into();
    config.cluster.founders = vec![Founder {
        id: 7,
        peer_address: "127.0.0.1:7300".into(),
        partner_address: "127.0.0.1:7100".into(),
        http_address: "127.0.0.1:7200".into(),
    }];
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    assert_eq!(config.check(), Ok(()));
}

#[test]
fn fast_toml_differs_from_the_default_in_its_timeouts_alone() {
    let mut fast = Config::read(&folder().join("fast.toml")).unwrap();
    assert_eq!(
        (
            fast.raft.heartbeat_ms,
            fast.raft.election_min_ms,
            fast.raft.election_max_ms
        ),
        (40, 150, 250)
    );
    let default = Config::default();
    fast.raft.heartbeat_ms = default.raft.heartbeat_ms;
    fast.raft.election_min_ms = default.raft.election_min_ms;
    fast.raft.election_max_ms = default.raft.election_max_ms;
    assert_eq!(fast, default);
}

#[test]
fn the_three_files_describe_one_cluster() {
    let nodes: Vec<Config> = ["1", "2", "3"]
        .iter()
        .map(|name| Config::read(&folder().join(format!("three/{name}.toml"))).unwrap())
        .collect();
    for (position, node) in nodes.iter().enumerate() {
        assert_eq!(node.node.id, position as u64 + 1);
        assert_eq!(node.cluster, nodes[0].cluster);
    }
}

#[test]
fn a_bad_file_is_refused_with_the_place_and_the_reason() {
    assert_eq!(
        refusal("[raft]\nheartbeat_ms = \"soon\"\n"),
        "line 2: raft.heartbeat_ms: invalid type: string \"soon\", expected u64"
    );
    assert!(
        refusal("[raft]\n\nheart_beat_ms = 5\n")
            .starts_with("line 3: raft.heart_beat_ms: unknown field")
    );
    assert!(refusal("[raft]\nheartbeat_ms = \n").starts_with("line 2: raft.heartbeat_ms: "));
    assert!(refusal("[rafts]\nheartbeat_ms = 5\n").starts_with("line 1: rafts: unknown field"));
    assert!(refusal("\u{0}\u{1}").starts_with("line 1: "));
}

#[test]
fn a_value_out_of_range_is_refused_by_its_key() {
    let cases = [
        ("[node]\nid = 0", "node.id: must be 1 to 4294967295, is 0"),
        (
            "[raft]\nheartbeat_ms = 400",
            "raft.election_min_ms: must be more than three heartbeats (3 x 400 ms), is 1000",
        ),
        (
            "[raft]\nelection_max_ms = 1000",
            "raft.election_max_ms: must be more than raft.election_min_ms (1000), is 1000",
        ),
        (
            "[log]\nsync_max_ms = 99",
            "log.sync_max_ms: must be 100 to 120000, is 99",
        ),
        (
            "[node]\npeer_address = \"7300\"",
            "node.peer_address: must be host:port with a port from 1 to 65535, is \"7300\"",
        ),
        (
            "[node]\npeer_address = \"127.0.0.1:7100\"",
            "node.partner_address: 127.0.0.1:7100 is already taken by node.peer_address",
        ),
        (
            "[node]\nlog_format = \"xml\"",
            "node.log_format: must be text or json, is \"xml\"",
        ),
        (
            "[cluster]\nreplicas = 2",
            "cluster.replicas: must be 1, 3, 5 or 7, is 2",
        ),
        (
            "[sale]\nbatch_commands = 0",
            "sale.batch_commands: must be 1 to 10000, is 0",
        ),
        (
            "[http]\noperator_key = \"short\"",
            "http.operator_key: must be 8 or more printable ASCII characters without spaces, \
             or empty",
        ),
        (
            "[trace]\nratio = 1.5",
            "trace.ratio: must be 0 to 1, is 1.5",
        ),
        (
            "[trace]\nratio = nan",
            "trace.ratio: must be 0 to 1, is NaN",
        ),
        (
            "[trace]\notlp_endpoint = \"collector:4317\"",
            "trace.otlp_endpoint: must be http://host:port, is \"collector:4317\"",
        ),
        (
            "[trace]\notlp_endpoint = \"http://collector\"",
            "trace.otlp_endpoint: must be host:port with a port from 1 to 65535, is \"collector\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn a_collector_is_named_to_a_build_that_knows_it() {
    let text = "[trace]\notlp_endpoint = \"http://127.0.0.1:4317\"";
    let config = Config::parse(text, Path::new("node.toml")).unwrap();
    let refused = config.check().map_err(|fault| fault.to_string());
    match cfg!(feature = "otlp") {
        true => assert_eq!(refused, Ok(())),
        false => assert_eq!(
            refused.unwrap_err(),
            "trace.otlp_endpoint: this build has no export: build it with --features otlp"
        ),
    }
}

#[test]
fn what_is_no_toml_is_refused_by_its_line() {
    let line = refusal("this is no TOML");
    assert!(
        line.starts_with("line 1: ") && !line.contains(": :"),
        "{line}"
    );
}

#[test]
fn founders_must_agree_with_the_node() {
    let founder = |id: u64, base: u16| {
        format!(
            "[[cluster.founders]]\nid = {id}\npeer_address = \"10.0.0.1:{}\"\n\
             partner_address = \"10.0.0.1:{}\"\nhttp_address = \"10.0.0.1:{}\"\n",
            base,
            base + 1,
            base + 2
        )
    };
    assert_eq!(
        refusal(&founder(2, 1000)),
        "cluster.founders: this node (node.id = 1) is not among them"
    );
    assert_eq!(
        refusal(&founder(1, 1000)),
        "cluster.founders: node 1 is listed with other addresses than [node] says"
    );
    assert_eq!(
        refusal(&(founder(2, 1000) + &founder(2, 2000))),
        "cluster.founders: node 2 is listed twice"
    );
    let node = "[node]\npeer_address = \"10.0.0.1:1000\"\npartner_address = \"10.0.0.1:1001\"\n\
                http_address = \"10.0.0.1:1002\"\n";
    let both = node.to_owned() + &founder(1, 1000) + &founder(2, 2000);
    assert!(refusal(&both).starts_with("cluster.secret: must be set"));
}
