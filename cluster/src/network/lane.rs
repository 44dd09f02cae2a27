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
