//! A fault switch for tests: makes the sale's logic panic on a chosen command, so that freezing
//! can be tried on the real path. Off unless a test sets it; no configuration reaches it.

use domain::ids::IdempotencyKey;

#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The command with this key panics as if in its check half.
    pub panic_in_check: Option<IdempotencyKey>,
    /// The command with this key panics as if in its change half.
    pub panic_in_change: Option<IdempotencyKey>,
    /// The command with this key is passed over, as on a node whose memory lied: on one replica
    /// alone its state is another's no more.
    pub passed_over: Option<IdempotencyKey>,
}

impl Faults {
    pub(crate) fn strike(&self, key: IdempotencyKey) {
        self.strike_check_half(key);
        assert!(
            self.panic_in_change != Some(key),
            "fault switch: change half"
        );
    }

    pub(crate) fn strike_check_half(&self, key: IdempotencyKey) {
        assert!(self.panic_in_check != Some(key), "fault switch: check half");
    }

    pub(crate) fn passes_over(&self, key: IdempotencyKey) -> bool {
        self.passed_over == Some(key)
    }

    pub(crate) fn strikes_change_half(&self, key: IdempotencyKey) -> bool {
        self.panic_in_change == Some(key)
    }
}
