//! What was answered to whom: the table that makes a retry safe.
//!
//! (partner, key) leads to (request hash, outcome). Successes stay for 24 h of log time or
//! `max(65,536, 4 × seats)` entries, whichever ends first; rejections in a ring of 65,536 (of both
//! up to 64 more, because they are evicted 64 at once). What
//! leaves the table raises its partner's watermark to the time its key was made; a key that is not
//! newer than the watermark and not in the table is `KeyExpired`, because nobody knows any more
//! whether it was carried out. Rejections of the key itself (`KeyReused`, `KeyExpired`,
//! `KeyFromFuture`, `KeyMissing`) are not remembered: they say nothing about the request.
//!
//! Two queues of slots in insertion sequence and one index over both. The queues are state, the
//! index is a cache. Called by `Sale::apply` before and after each command, and by `hopeless`.

mod slot;

use core::hint::black_box;

use crate::bugs::{Bug, planted};
use crate::digest::{hash_id, mix};
use crate::ids::{IdempotencyKey, PartnerId};
use crate::outcome::Outcome;
use crate::pieces::Pieces;
use crate::rejection::Rejection;
use crate::state::{RememberedRejection, RememberedSuccess, Watermark};
use crate::tag_index::TagIndex;
use slot::{Key, RejectionSlot, SuccessSlot};

/// How long a success is remembered, log time.
pub const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;

/// How far a key may be ahead of log time.
pub const AHEAD_MAX_MS: u64 = 5 * 60 * 1000;

/// Rejections remembered, and the least number of successes.
pub const RING: usize = 65_536;

/// Full queues are let grow by this many and lose as many at once: each eviction reads a far place of
/// the index, and reads that need not wait for one another cost less.
pub const EVICTED_AT_ONCE: usize = 64;

/// What the table knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    Fresh,
    /// A retry: the outcome of the first attempt.
    Known(Outcome),
    Refused(Rejection),
}

#[derive(Clone, Debug)]
pub(crate) struct Idempotency {
    seed: u64,
    successes_max: usize,
    successes: Pieces<SuccessSlot>,
    /// The number of the oldest success; numbers count up and wrap.
    first_success: u32,
    rejections: Pieces<RejectionSlot>,
    first_rejection: u32,
    index: TagIndex,
    /// By partner: the latest time of a key that was evicted.
    watermarks: Vec<Watermark>,
}

/// What is remembered at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    successes: Pieces<SuccessSlot>,
    rejections: Pieces<RejectionSlot>,
    pub(crate) watermarks: Vec<Watermark>,
}

impl Remembered {
    pub(crate) fn len(&self) -> usize {
        self.successes.len().saturating_add(self.rejections.len())
    }

    pub(crate) fn successes(&self) -> Vec<RememberedSuccess> {
        self.successes.iter().map(SuccessSlot::export).collect()
    }

    pub(crate) fn rejections(&self) -> Vec<RememberedRejection> {
        self.rejections.iter().map(RejectionSlot::export).collect()
    }
}

/// A reference into the index: the slot's number, and which queue in the lowest bit.
const NUMBER_MASK: u32 = (1 << 30) - 1;

fn success_reference(number: u32) -> u32 {
    (number & NUMBER_MASK) << 1
}

fn rejection_reference(number: u32) -> u32 {
    (number & NUMBER_MASK) << 1 | 1
}

impl Idempotency {
    pub(crate) fn new(seed: u64, seats: u32) -> Idempotency {
        Idempotency {
            seed,
            successes_max: (seats as usize).saturating_mul(4).max(RING),
            successes: Pieces::default(),
            first_success: 0,
            rejections: Pieces::default(),
            first_rejection: 0,
            index: TagIndex::default(),
            watermarks: Vec::new(),
        }
    }

    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        black_box(self.successes.first().map(|slot| slot.at_ms));
        black_box(self.successes.last().map(|slot| slot.at_ms));
    }

    /// As `warm`, for a key that is about to be recalled.
    #[inline]
    pub(crate) fn warm_key(&self, partner: PartnerId, key: IdempotencyKey) {
        self.index.warm(self.hash(Key::new(partner, key)));
    }

    fn hash(&self, key: Key) -> u64 {
        hash_id(self.seed, key.id()) ^ mix(self.seed, u64::from(key.partner.0))
    }

    fn success(&self, reference: u32) -> Option<&SuccessSlot> {
        let at = (reference >> 1).wrapping_sub(self.first_success) & NUMBER_MASK;
        self.successes.get(at as usize)
    }

    fn rejection(&self, reference: u32) -> Option<&RejectionSlot> {
        let at = (reference >> 1).wrapping_sub(self.first_rejection) & NUMBER_MASK;
        self.rejections.get(at as usize)
    }

    fn find(&self, key: Key, hash: u64) -> Option<u32> {
        self.index.find(hash, |reference| match reference & 1 {
            0 => self.success(reference).is_some_and(|slot| slot.key == key),
            _ => self
                .rejection(reference)
                .is_some_and(|slot| slot.key == key),
        })
    }

    /// What to make of a request with this key and hash at `now_ms`.
    #[inline]
    pub(crate) fn recall(
        &self,
        partner: PartnerId,
        key: IdempotencyKey,
        hash: u64,
        now_ms: u64,
    ) -> Recall {
        if key.0 == 0 {
            return Recall::Refused(Rejection::KeyMissing);
        }
        let slot_key = Key::new(partner, key);
        if let Some(reference) = self.find(slot_key, self.hash(slot_key)) {
            let known = match reference & 1 {
                0 => self
                    .success(reference)
                    .map(|slot| (slot.request_hash, Outcome::Done(slot.done()))),
                _ => self
                    .rejection(reference)
                    .map(|slot| (slot.request_hash, Outcome::Rejected(slot.rejection))),
            };
            if let Some((known_hash, outcome)) = known {
                return match known_hash == hash || planted(Bug::BodyNotCompared) {
                    true => Recall::Known(outcome),
                    false => Recall::Refused(Rejection::KeyReused),
                };
            }
        }
        if key.made_at_ms() > now_ms.saturating_add(AHEAD_MAX_MS) {
            return Recall::Refused(Rejection::KeyFromFuture);
        }
        match self.watermark(partner) {
            Some(watermark_ms) if key.made_at_ms() <= watermark_ms => {
                Recall::Refused(Rejection::KeyExpired)
            }
            _ => Recall::Fresh,
        }
    }

    /// Remembers the outcome of a fresh key.
    #[inline]
    pub(crate) fn remember(
        &mut self,
        partner: PartnerId,
        key: IdempotencyKey,
        request_hash: u64,
        now_ms: u64,
        outcome: &Outcome,
    ) {
        if planted(Bug::KeyForgotten) && matches!(outcome, Outcome::Done(_)) {
            return;
        }
        let key = Key::new(partner, key);
        let hash = self.hash(key);
        let reference = match outcome {
            Outcome::Done(done) => {
                if self.successes.len() >= self.successes_most() {
                    self.evict_successes();
                }
                let number = self.first_success.wrapping_add(self.successes.len() as u32);
                self.successes
                    .push(SuccessSlot::new(key, request_hash, now_ms, done));
                success_reference(number)
            }
            Outcome::Rejected(rejection) => {
                if self.rejections.len() >= RING.saturating_add(EVICTED_AT_ONCE) {
                    self.evict_rejections();
                }
                let number = self
                    .first_rejection
                    .wrapping_add(self.rejections.len() as u32);
                self.rejections.push(RejectionSlot {
                    key,
                    request_hash,
                    rejection: *rejection,
                });
                rejection_reference(number)
            }
        };
        self.index.insert(hash, reference);
    }

    /// Forgets the successes that are 24 h old.
    #[inline]
    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        while self.has_old(now_ms) {
            self.evict_success();
        }
    }

    /// Whether something is to be forgotten, which may make other keys ones that nobody knows of.
    pub(crate) fn has_old(&self, now_ms: u64) -> bool {
        let oldest = self.successes.first();
        oldest.is_some_and(|oldest| oldest.at_ms.saturating_add(REMEMBERED_MS) <= now_ms)
    }

    fn evict_successes(&mut self) {
        for slot in self.successes.iter().take(EVICTED_AT_ONCE) {
            self.index.warm(self.hash(slot.key));
        }
        for _ in 0..EVICTED_AT_ONCE {
            self.evict_success();
        }
    }

    fn evict_rejections(&mut self) {
        for slot in self.rejections.iter().take(EVICTED_AT_ONCE) {
            self.index.warm(self.hash(slot.key));
        }
        for _ in 0..EVICTED_AT_ONCE {
            self.evict_rejection();
        }
    }

    fn evict_success(&mut self) {
        if let Some(key) = self.successes.first().map(|slot| slot.key) {
            self.successes.drop_first();
            self.index
                .remove(self.hash(key), success_reference(self.first_success));
            self.first_success = self.first_success.wrapping_add(1);
            self.raise_watermark(key);
        }
    }

    fn evict_rejection(&mut self) {
        if let Some(key) = self.rejections.first().map(|slot| slot.key) {
            self.rejections.drop_first();
            self.index
                .remove(self.hash(key), rejection_reference(self.first_rejection));
            self.first_rejection = self.first_rejection.wrapping_add(1);
            self.raise_watermark(key);
        }
    }

    fn watermark(&self, partner: PartnerId) -> Option<u64> {
        let at = self
            .watermarks
            .binary_search_by_key(&partner, |mark| mark.partner)
            .ok()?;
        self.watermarks.get(at).map(|mark| mark.made_at_ms)
    }

    fn raise_watermark(&mut self, key: Key) {
        if planted(Bug::WatermarkForgotten) {
            return;
        }
        let made_at_ms = IdempotencyKey(key.id()).made_at_ms();
        match self
            .watermarks
            .binary_search_by_key(&key.partner, |mark| mark.partner)
        {
            Ok(at) => {
                if let Some(mark) = self.watermarks.get_mut(at) {
                    mark.made_at_ms = mark.made_at_ms.max(made_at_ms);
                }
            }
            Err(at) => self.watermarks.insert(
                at,
                Watermark {
                    partner: key.partner,
                    made_at_ms,
                },
            ),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.successes.len().saturating_add(self.rejections.len())
    }

    pub(crate) fn index_len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_found(&self, partner: PartnerId, key: IdempotencyKey) -> bool {
        let key = Key::new(partner, key);
        self.find(key, self.hash(key)).is_some()
    }

    /// The most successes that are ever kept.
    pub(crate) fn successes_most(&self) -> usize {
        self.successes_max.saturating_add(EVICTED_AT_ONCE)
    }

    /// All that is remembered now.
    pub(crate) fn remembered(&self) -> Remembered {
        Remembered {
            successes: self.successes.clone(),
            rejections: self.rejections.clone(),
            watermarks: self.watermarks.clone(),
        }
    }

    /// Fills an empty table. `false` if what is given cannot have been a table.
    pub(crate) fn restore(
        &mut self,
        successes: &[RememberedSuccess],
        rejections: &[RememberedRejection],
        watermarks: Vec<Watermark>,
        now_ms: u64,
    ) -> bool {
        // The next success is remembered at `now_ms`, so none before it may be later.
        let in_sequence = watermarks.is_sorted_by(|a, b| a.partner < b.partner)
            && successes.is_sorted_by_key(|success| success.at_ms)
            && successes.last().is_none_or(|last| last.at_ms <= now_ms);
        if !in_sequence
            || successes.len() > self.successes_most()
            || rejections.len() > RING.saturating_add(EVICTED_AT_ONCE)
        {
            return false;
        }
        for success in successes {
            if success.key.0 == 0 || self.is_found(success.partner, success.key) {
                return false;
            }
            let deadline_fits = success.done.deadline_ms == 0
                || success
                    .done
                    .deadline_ms
                    .checked_sub(success.at_ms)
                    .is_some_and(|ttl| ttl > 0 && ttl <= u64::from(u32::MAX));
            if !deadline_fits {
                return false;
            }
            let outcome = Outcome::Done(success.done.clone());
            self.remember(
                success.partner,
                success.key,
                success.request_hash,
                success.at_ms,
                &outcome,
            );
        }
        for rejection in rejections {
            if rejection.key.0 == 0 || self.is_found(rejection.partner, rejection.key) {
                return false;
            }
            let outcome = Outcome::Rejected(rejection.rejection);
            self.remember(
                rejection.partner,
                rejection.key,
                rejection.request_hash,
                0,
                &outcome,
            );
        }
        self.watermarks = watermarks;
        true
    }
}
