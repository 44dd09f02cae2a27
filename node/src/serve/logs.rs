//! The node's logs: to standard error, as text or JSON. What is told can be changed while the node
//! runs; after a restart it is what the configuration says. One place of the program tells so many
//! lines a second (`limit`).

mod limit;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use crate::config::NodeConfig;
use limit::{Left, Limit};

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

pub struct Logs {
    /// As it was given.
    filter: Mutex<String>,
    reload: Reload,
    left: Arc<Left>,
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
        let limit = Limit::new(config.log_lines_per_s);
        let left = limit.left();
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
                    (Box::new(reload), Box::new(lines.finish().with(limit)))
                }
                _ => {
                    let lines = lines.with_filter_reloading();
                    let handle = lines.reload_handle();
                    let reload = move |filter| handle.reload(filter);
                    (Box::new(reload), Box::new(lines.finish().with(limit)))
                }
            };
        let filter = Mutex::new(config.log_filter.clone());
        let logs = Logs {
            filter,
            reload,
            left,
        };
        Ok((logs, subscriber))
    }

    /// Tells from time to time what was left out; to be spawned.
    pub fn tell_what_was_left_out(&self) -> impl Future<Output = ()> + Send + 'static {
        limit::tell(Arc::clone(&self.left))
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

    #[tokio::test(start_paused = true)]
    async fn one_place_tells_so_many_lines_a_second() {
        let config = NodeConfig {
            log_filter: "info".into(),
            log_lines_per_s: 5,
            ..NodeConfig::default()
        };
        let paper = Paper::default();
        let page = paper.clone();
        let writer = BoxMakeWriter::new(move || page.clone());
        let (logs, subscriber) = Logs::to(writer, false, &config).expect("a good filter");
        let _here = tracing::subscriber::set_default(subscriber);
        for number in 0..100 {
            tracing::info!(number, "often");
            tracing::debug!("not asked for");
        }
        tracing::info!("elsewhere");
        for _ in 0..100 {
            tracing::info!(target: crate::trace::LOG_TARGET, "traced");
        }
        let telling = tokio::spawn(logs.tell_what_was_left_out());
        tokio::time::sleep(limit::TELL_EVERY * 2).await;
        telling.abort();
        tracing::info!(number = 100, "once more");
        let told = String::from_utf8(paper.0.lock().unwrap().clone()).expect("text");
        let lines = |of: &str| told.lines().filter(|line| line.contains(of)).count();
        assert_eq!(lines("often"), 5, "{told}");
        assert_eq!(lines("elsewhere"), 1, "{told}");
        // Bounded where calls are chosen, and by nothing here.
        assert_eq!(lines("traced"), 100, "{told}");
        assert_eq!(lines("lines_left_out=95"), 1, "{told}");
        assert_eq!(lines("once more"), 1, "{told}");
    }
}
