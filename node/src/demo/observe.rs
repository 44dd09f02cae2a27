//! `demo --observe`: Prometheus beside the demo's nodes, with the project's own alarms and their pages, where
//! Grafana's provisioning (`grafana/provisioning`) looks for it. A demo sells without it too.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

/// Where Grafana's provisioning looks.
const PORT: u16 = 9090;
const PROGRAM: &str = "prometheus";
/// In which it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

const ALARMS: [(&str, &str); 5] = [
    (
        "cluster.yaml",
        include_str!("../../../grafana/alerts/cluster.yaml"),
    ),
    (
        "node.yaml",
        include_str!("../../../grafana/alerts/node.yaml"),
    ),
    (
        "queue.yaml",
        include_str!("../../../grafana/alerts/queue.yaml"),
    ),
    (
        "sale.yaml",
        include_str!("../../../grafana/alerts/sale.yaml"),
    ),
    ("slo.yaml", include_str!("../../../grafana/alerts/slo.yaml")),
];

macro_rules! pages {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../grafana/runbooks/", $name))),)*]
    };
}

/// What an alarm links: Prometheus serves them.
const PAGES: &[(&str, &str)] = pages![
    "README.md",
    "actor-failed.md",
    "apply-lag.md",
    "calls-shed.md",
    "disk-filling.md",
    "disk-full.md",
    "figures-stand-still.md",
    "files-running-out.md",
    "fsync-slow.md",
    "group-without-leader.md",
    "index-down.md",
    "index-lag.md",
    "leadership-restless.md",
    "node-down.md",
    "node-not-ready.md",
    "nodes-unknown.md",
    "nothing-sold.md",
    "outflow-below-target.md",
    "peer-silent.md",
    "queue-stalled.md",
    "replica-behind.md",
    "replicas-differ.md",
    "room-held-up.md",
    "sale-frozen.md",
    "sale-silent.md",
    "scrapes-rare.md",
    "seats-oversold.md",
    "sell-errors-burn.md",
    "slow-answers-burn.md",
    "watchdog.md",
];

/// Ends when it is dropped.
pub struct Observer {
    process: Child,
    pub address: String,
}

impl Observer {
    /// Scrapes the nodes at these HTTP addresses, with its files in `folder`; `None`: it is not
    /// installed.
    pub fn start(folder: &Path, nodes: &[String]) -> anyhow::Result<Option<Observer>> {
        std::fs::create_dir_all(folder)?;
        for (name, rules) in ALARMS {
            std::fs::write(folder.join(name), rules)?;
        }
        let pages = folder.join("runbooks");
        std::fs::create_dir_all(&pages)?;
        for (name, page) in PAGES {
            std::fs::write(pages.join(name), page)?;
        }
        let configuration = folder.join("prometheus.yml");
        // JSON is YAML.
        let text = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "5s" },
            "rule_files": ALARMS.map(|(name, _)| name),
            "scrape_configs": [{ "job_name": "onsale", "static_configs": [{ "targets": nodes }] }],
        });
        std::fs::write(&configuration, serde_json::to_vec_pretty(&text)?)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let words = File::create(folder.join("prometheus.log"))?;
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--web.external-url=http://{address}"))
            .arg(format!("--web.user-assets={}", pages.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words);
        // SAFETY: asks the kernel for a signal; allocates nothing between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // A demo that is killed does not leave it behind.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        match command.spawn() {
            Ok(process) => {
                let mut observer = Observer { process, address };
                observer.wait_until_up(folder)?;
                Ok(Some(observer))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot start Prometheus"),
        }
    }

    /// A Prometheus that ends at once would leave a night that nobody watched.
    fn wait_until_up(&mut self, folder: &Path) -> anyhow::Result<()> {
        let until = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(&self.address).is_err() {
            let words = folder.join("prometheus.log");
            if let Some(status) = self.process.try_wait()? {
                bail!(
                    "Prometheus has ended at once, {status}: {}",
                    words.display()
                );
            }
            if Instant::now() > until {
                bail!("Prometheus does not listen: {}", words.display());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether it is where Grafana's provisioning looks.
    pub fn is_where_grafana_looks(&self) -> bool {
        self.address.ends_with(&format!(":{PORT}"))
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    let known = TcpListener::bind(("127.0.0.1", PORT));
    let found = known.or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let listener = found.context("no port is free for Prometheus")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of alarms, and every page that they link, is among those that are shown.
    #[test]
    fn all_alarms_and_pages_are_taken_along() {
        let there = |folder: &str, ending: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../grafana/").to_owned() + folder;
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder is there")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|name| name.ends_with(ending))
                .collect();
            files.sort_unstable();
            files
        };
        assert_eq!(there("alerts", ".yaml"), ALARMS.map(|(name, _)| name));
        let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(there("runbooks", ".md"), pages);
    }

    /// With any program that ends before it listens.
    #[test]
    fn one_that_ends_at_once_is_noticed() {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let process = Command::new("false").spawn().expect("is on every system");
        let mut observer = Observer {
            process,
            address: port.expect("is bound").to_string(),
        };
        let ended = observer.wait_until_up(Path::new("here"));
        let why = ended.expect_err("nobody listens").to_string();
        assert!(why.contains("exit status: 1"), "{why}");
        assert!(why.contains("here/prometheus.log"), "{why}");
    }
}
