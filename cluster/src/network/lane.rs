//! One lane to one peer: the open connection, or the next one when it is gone. Attempts that fail
//! are spaced out; in between callers are refused at once instead of queueing.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::connection::{Connection, LaneFailure};
use super::peers::Dialing;

pub(crate) struct Lane {
    address: String,
    dialing: Arc<Dialing>,
    open: Mutex<Option<Arc<Connection>>>,
    /// Held while dialling, so that callers share one attempt.
    attempts: tokio::sync::Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    not_before: Option<Instant>,
}

impl Lane {
    pub(crate) fn new(address: String, dialing: Arc<Dialing>) -> Self {
        Lane {
            address,
            dialing,
            open: Mutex::new(None),
            attempts: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, LaneFailure> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let mut attempts = self.attempts.lock().await;
        if let Some(open) = self.open() {
            return Ok(open);
        }
        if attempts.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(LaneFailure::Unreachable("waiting to dial again".into()));
        }
        let dialing = &self.dialing;
        let opened = Connection::open(
            &dialing.dialer,
            dialing.secret.clone(),
            &self.address,
            dialing.limit,
        )
        .await;
        match opened {
            Ok(connection) => {
                *attempts = Attempts::default();
                *self.slot() = Some(connection.clone());
                Ok(connection)
            }
            Err(failure) => {
                attempts.failed = attempts.failed.saturating_add(1);
                attempts.not_before = Some(Instant::now() + dialing.backoff(attempts.failed));
                Err(failure)
            }
        }
    }

    /// As `connection`, but a failure is told no sooner than the next attempt may be made: for a
    /// caller that asks again at once. Openraft does, because it waits for its back-off only when
    /// it makes a request, and a stream that was never opened asks for none.
    pub(crate) async fn connection_or_delay(&self) -> Result<Arc<Connection>, LaneFailure> {
        let failure = match self.connection().await {
            Ok(open) => return Ok(open),
            Err(failure) => failure,
        };
        let not_before = self.attempts.lock().await.not_before;
        if let Some(at) = not_before {
            tokio::time::sleep_until(at).await;
        }
        Err(failure)
    }

    /// Gives up the open connection, if any.
    pub(crate) fn close(&self) {
        if let Some(open) = self.slot().take() {
            open.close();
        }
    }

    fn open(&self) -> Option<Arc<Connection>> {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|open| open.is_closed()) {
            *slot = None;
        }
        slot.clone()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use futures::stream::BoxStream;

    use super::*;
    use crate::components::{Io, Net};
    use crate::network::dialer::Dialer;
    use crate::network::peers::Peers;
    use crate::network::secret::PeerSecret;

    /// A network on which nobody is.
    #[derive(Default)]
    struct Nobody {
        dialled: AtomicUsize,
    }

    #[async_trait]
    impl Net for Nobody {
        async fn dial(&self, _: &str) -> io::Result<Box<dyn Io>> {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            Err(io::ErrorKind::ConnectionRefused.into())
        }

        async fn listen(&self, _: &str) -> io::Result<BoxStream<'static, io::Result<Box<dyn Io>>>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_again_at_once_is_slowed_down() {
        let net = Arc::new(Nobody::default());
        let limit = Duration::from_secs(1);
        let dialer = Dialer::new(net.clone(), limit);
        let peers = Peers::new(dialer, PeerSecret::new("secret").unwrap(), limit, 1);
        let lane = Lane::new("nowhere:1".into(), peers.dialing.clone());
        let started = Instant::now();
        for _ in 0..40 {
            assert!(lane.connection_or_delay().await.is_err());
        }
        assert!(started.elapsed() > Duration::from_secs(10));
        assert!(net.dialled.load(Ordering::SeqCst) >= 20);
    }
}
