//! The domain stays pure and readable: checked over its sources, beside `clippy.toml`.

// It reads the sources that it judges.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// Path and text of every source file.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(&path).expect("text"),
            )
        })
        .collect()
}

#[test]
fn nothing_but_hashes_is_depended_on() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("the manifest");
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next());
    let names: Vec<&str> = dependencies
        .expect("dependencies")
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(names, ["sha2", "siphasher", "xxhash-rust"]);
}

#[test]
fn no_source_names_what_is_impure() {
    let banned = [
        ("std::time", "time comes only from the log"),
        ("std::fs", "no I/O"),
        ("std::net", "no I/O"),
        ("std::io", "no I/O"),
        ("std::thread", "one command at a time"),
        ("std::env", "what is decided depends on the log alone"),
        ("HashMap", "its sequence differs between replicas"),
        ("HashSet", "its sequence differs between replicas"),
        ("f32", "floats round differently"),
        ("f64", "floats round differently"),
        ("async ", "the domain never waits"),
        ("unsafe ", "forbidden"),
        (".unwrap()", "apply is total"),
        (".expect(", "apply is total"),
        ("panic!", "apply is total"),
    ];
    for (path, text) in files() {
        // Tests inside a file may do as they like.
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (word, reason) in banned {
                assert!(!line.contains(word), "{path}: {word}: {reason}: {line}");
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is_and_stays_small() {
    for (path, text) in files() {
        assert!(text.starts_with("//!"), "{path} does not say what it is");
        let lines = text.lines().count();
        assert!(lines < 600, "{path} has {lines} lines: split it");
    }
}

#[test]
fn every_command_has_a_file_of_its_own() {
    let paths: Vec<String> = files().into_iter().map(|(path, _)| path).collect();
    let commands = [
        "open_sale",
        "pause_sale",
        "resume_sale",
        "close_sale",
        "reopen_sale",
        "set_rules",
        "block_seats",
        "unblock_seats",
        "place_hold",
        "extend_hold",
        "release_hold",
        "confirm_hold",
        "cancel_order",
        "expire_holds",
    ];
    for command in commands {
        let file = format!("src/sale/{command}.rs");
        assert!(paths.iter().any(|path| path.ends_with(&file)), "{file}");
    }
}
