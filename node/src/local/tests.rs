//! Local clusters without a server behind them: a stand-in program shows that children end with
//! their parent's handle, and that a node that ends at once is reported with its last words.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_mode(0o755);
    std::fs::set_permissions(&path, permissions).unwrap();
    path
}

fn settings(executable: PathBuf) -> Settings {
    Settings {
        executable,
        nodes: 3,
        profile: Profile::Fast,
        data: None,
        base: Config::default(),
    }
}

#[test]
fn a_node_that_ends_at_once_is_reported_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), "echo disk on fire >&2; exit 3");
    let Err(error) = Local::start(settings(program)) else {
        panic!("it started");
    };
    let text = format!("{error:#}");
    assert!(text.contains("node 1 ended with exit status: 3"), "{text}");
    assert!(text.contains("disk on fire"), "{text}");
}

#[test]
fn configurations_name_all_founders_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut settings = settings(script(folder.path(), "exit 3"));
    settings.data = Some(data.clone());
    assert!(Local::start(settings.clone()).is_err());
    let config = Config::read(&data.join("node-2.toml")).unwrap();
    assert_eq!(config.node.id, 2);
    assert_eq!(config.raft.election_max_ms, 250);
    assert_eq!(config.cluster.founders.len(), 3);
    assert_eq!(
        config.cluster.founders[1].peer_address,
        config.node.peer_address
    );
    assert_eq!(config.http.operator_key.len(), 32);
    // A folder in use is not taken over.
    let Err(error) = Local::start(settings) else {
        panic!("it started");
    };
    assert!(error.to_string().contains("is not empty"), "{error}");
}

#[test]
fn a_process_is_killed_terminated_and_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(
        folder.path(),
        "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done",
    );
    let log = folder.path().join("log");
    // Says "up" once the trap is set.
    let start = || {
        std::fs::write(&log, "").unwrap();
        let process = Process::start(&program, Path::new("none"), &log).unwrap();
        while std::fs::read_to_string(&log).unwrap() != "up\n" {
            std::thread::yield_now();
        }
        process
    };
    let mut process = start();
    assert!(process.usage().unwrap().resident_bytes > 0);
    assert!(process.ended().unwrap().is_none());
    process.kill();
    let process = start();
    let status = process.terminate(Duration::from_secs(10)).unwrap();
    assert!(status.is_some_and(|status| status.success()));
}

#[test]
fn a_process_outlives_the_thread_that_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), "while :; do sleep 0.01; done");
    let log = folder.path().join("log");
    let asking =
        std::thread::spawn(move || Process::start(&program, Path::new("none"), &log).unwrap());
    let mut process = asking.join().unwrap();
    // The signal would come with the thread's end; give it the time to be seen.
    std::thread::sleep(Duration::from_millis(100));
    assert!(process.ended().unwrap().is_none());
    process.kill();
}
