//! A node's configuration in TOML: taken, or refused with the line and the key.

use std::path::Path;

use onsale::config::{Config, ConfigError};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = Path::new("node.toml");
    match Config::parse(text, file) {
        Ok(config) => {
            if let Err(fault) = config.check() {
                assert!(!fault.key.is_empty() && !fault.why.is_empty());
            }
            // What TOML has no words for is no configuration that was read from it.
            let written = toml::to_string(&config).expect("was read from TOML");
            let again = Config::parse(&written, file).expect("our own text");
            assert_eq!(again, config);
        }
        Err(ConfigError::Malformed { line, why, .. }) => {
            assert!(line >= 1 && line <= text.lines().count() + 1, "line {line}");
            assert!(!why.is_empty());
        }
        Err(other) => panic!("nothing was read from a file: {other}"),
    }
}

pub const WORDS: &[&str] = &[
    "[node]",
    "[cluster]",
    "[[cluster.founders]]",
    "[raft]",
    "[log]",
    "[sale]",
    "[partner]",
    "[http]",
    "[index]",
    "id = ",
    "threads = ",
    "\"\"\"",
    "'''",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    "=",
    ".",
    "inf",
    "nan",
    "-1",
    "1979-05-27T07:32:00Z",
    "0x",
    "1e999",
    "9223372036854775808",
    "\n",
    "#",
    "log_filter = \"[{=}]=trace\"",
];

pub fn corpus() -> Vec<Vec<u8>> {
    [
        include_str!("../../../config/default.toml"),
        include_str!("../../../config/fast.toml"),
        include_str!("../../../config/three/1.toml"),
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
