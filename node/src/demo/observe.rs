//! `demo --observe`: Prometheus beside the demo's nodes, with the project's own alarms, where Grafana's
//! provisioning (`grafana/provisioning`) looks for it. A demo sells without it too.

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde_json::json;

/// Where Grafana's provisioning looks.
const PORT: u16 = 9090;
const PROGRAM: &str = "prometheus";

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
            Ok(process) => Ok(Some(Observer { process, address })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot start Prometheus"),
        }
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

    /// Every file of alarms is among those that are shown.
    #[test]
    fn all_alarms_are_taken_along() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../grafana/alerts");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the alarms are there")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        files.sort_unstable();
        assert_eq!(files, ALARMS.map(|(name, _)| name));
    }
}
