//! How many entries of a group are under way at once. Full entries fill the pipeline; small ones
//! wait for each other, because an entry costs nearly the same whether it carries ten commands or
//! a thousand, and what waits meanwhile makes the next one fuller. Nothing lingers by the clock: a
//! lone proposal finds a free slot.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Small entries under way at once: one on its way while the next one's disk writes begin.
const SMALL_AT_ONCE: usize = 2;
/// An entry of so many bytes is full enough not to wait: some 200 commands.
const SMALL_BYTES: usize = 16 << 10;

pub(super) struct Slots {
    all: Arc<Semaphore>,
    small: Arc<Semaphore>,
}

/// One entry under way; dropped with its outcome.
pub(super) struct Slot {
    _of_all: OwnedSemaphorePermit,
    of_small: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub fn new(all: usize) -> Slots {
        Slots {
            all: Arc::new(Semaphore::new(all)),
            small: Arc::new(Semaphore::new(SMALL_AT_ONCE)),
        }
    }

    /// Waits until an entry may be started, if it is full; `None` when nothing starts any more.
    pub async fn free(&self) -> Option<Slot> {
        let permit = self.all.clone().acquire_owned().await.ok()?;
        Some(Slot {
            _of_all: permit,
            of_small: None,
        })
    }

    pub fn is_full(&self, bytes: usize) -> bool {
        bytes >= SMALL_BYTES
    }

    /// Waits until `slot` may be used for a small entry.
    pub async fn small(&self, slot: &mut Slot) {
        slot.of_small = self.small.clone().acquire_owned().await.ok();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn small_entries_wait_for_each_other_and_full_ones_do_not() {
        let slots = Slots::new(4);
        let mut under_way = Vec::new();
        for _ in 0..SMALL_AT_ONCE {
            let mut slot = slots.free().await.unwrap();
            slots.small(&mut slot).now_or_never().expect("a free slot");
            under_way.push(slot);
        }
        let mut third = slots.free().now_or_never().flatten().expect("room");
        assert!(slots.small(&mut third).now_or_never().is_none());
        let _fourth = slots.free().now_or_never().flatten().expect("room");
        assert!(slots.free().now_or_never().is_none());
        under_way.pop();
        assert!(slots.small(&mut third).now_or_never().is_some());
    }
}
