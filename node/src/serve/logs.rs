//! The node's logs: to standard error, as text or JSON. What is told can be changed while the node
//! runs; after a restart it is what the configuration says.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use crate::config::NodeConfig;

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

pub struct Logs {
    /// As it was given.
    filter: Mutex<String>,
    reload: Reload,
}

impl Logs {
    /// Standard output stays the node's few lines.
    pub fn start(config: &NodeConfig) -> anyhow::Result<Logs> {
        let is_terminal = std::io::stderr().is_terminal();
        let writer = BoxMakeWriter::new(std::io::stderr);
        let (logs, subscriber) = Logs::to(writer, is_terminal, config)?;
        subscriber.try_init().context("cannot start the logs")?;
        Ok(logs)
    }

    fn to(
        writer: BoxMakeWriter,
        is_terminal: bool,
        config: &NodeConfig,
    ) -> anyhow::Result<(Logs, Box<dyn Subscriber + Send + Sync>)> {
        let filter = EnvFilter::try_new(&config.log_filter).context("node.log_filter")?;
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(is_terminal)
            .with_writer(writer);
        let (reload, subscriber): (Reload, Box<dyn Subscriber + Send + Sync>) =
            match config.log_format.as_str() {
                "json" => {
                    let lines = lines.json().with_filter_reloading();
                    let handle = lines.reload_handle();
                    let reload = move |filter| handle.reload(filter);
                    (Box::new(reload), Box::new(lines.finish()))
                }
                _ => {
                    let lines = lines.with_filter_reloading();
                    let handle = lines.reload_handle();
                    let reload = move |filter| handle.reload(filter);
                    (Box::new(reload), Box::new(lines.finish()))
                }
            };
        let filter = Mutex::new(config.log_filter.clone());
        Ok((Logs { filter, reload }, subscriber))
    }

    pub fn filter(&self) -> String {
        self.lock().clone()
    }

    /// From here on this is told; what is no filter changes nothing.
    pub fn set_filter(&self, text: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        let mut known = self.lock();
        (self.reload)(filter).map_err(|error| error.to_string())?;
        text.clone_into(&mut known);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_told_changes_while_the_node_runs() {
        for log_format in ["text", "json"] {
            let config = NodeConfig {
                log_filter: "warn".into(),
                log_format: log_format.into(),
                ..NodeConfig::default()
            };
            let paper = Paper::default();
            let page = paper.clone();
            let writer = BoxMakeWriter::new(move || page.clone());
            let (logs, subscriber) = Logs::to(writer, false, &config).expect("a good filter");
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!("one");
                logs.set_filter("info").expect("a filter");
                tracing::info!("two");
                let refused = logs.set_filter("onsale=loud").expect_err("no level");
                assert!(refused.contains("level"), "{refused}");
                tracing::info!("three");
            });
            let told = String::from_utf8(paper.0.lock().unwrap().clone()).expect("text");
            assert!(!told.contains("one"), "{told}");
            assert!(told.contains("two") && told.contains("three"), "{told}");
            assert_eq!(logs.filter(), "info");
        }
    }
}
