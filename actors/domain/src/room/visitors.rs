//! Everybody who came, in the sequence of coming, and an index by id. Chunks instead of one array, so
//! that growing never takes twice the room; an exported list shares those that do not change after.

use std::sync::Arc;

use crate::digest::hash_id;
use crate::ids::{PartnerId, VisitorId};
use crate::room::Arrival;
use crate::tag_index::{REFERENCE_MAX, TagIndex};

/// Visitors of a chunk.
const CHUNK_BITS: u32 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitorPhase {
    Waiting,
    Admitted,
    Served,
    Expired,
    Left,
    Removed,
}

/// 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    /// A u128 would want more than its share of bytes.
    id: [u64; 2],
    pub(super) partner: PartnerId,
    /// In the sequence of coming to the lane.
    pub(super) rank: u32,
    /// Seconds after the lobby opened.
    joined_s: u32,
    pub(super) lane: u8,
    phase: VisitorPhase,
    /// Tickets wanted together.
    pub(super) party: u8,
    /// See `VisitorState`.
    passed_with: u8,
}

impl Visitor {
    pub(super) fn new(arrival: &Arrival, lane: u8, rank: u32) -> Visitor {
        let id = arrival.visitor.0;
        Visitor {
            id: [(id >> 64) as u64, id as u64],
            partner: arrival.partner,
            rank,
            joined_s: 0,
            lane,
            phase: VisitorPhase::Waiting,
            party: arrival.party.max(1),
            passed_with: 0,
        }
    }

    pub(super) fn id(&self) -> VisitorId {
        let [high, low] = self.id;
        VisitorId(u128::from(high) << 64 | u128::from(low))
    }

    pub(super) fn phase(&self) -> VisitorPhase {
        self.phase
    }

    /// How much was left when others were let in before them; `None` when nobody was.
    pub(super) fn passed_with(&self) -> Option<u8> {
        (self.passed_with > 0).then_some(self.passed_with)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Visitors {
    hash_seed: u64,
    lobby_at_ms: u64,
    list: VisitorList,
    /// Of an id that came more than once the last time.
    index: TagIndex,
}

impl Visitors {
    pub(super) fn new(hash_seed: u64, lobby_at_ms: u64) -> Visitors {
        Visitors {
            hash_seed,
            lobby_at_ms,
            list: VisitorList::default(),
            index: TagIndex::default(),
        }
    }

    /// `None` when the room is full, at four thousand million.
    pub(super) fn next_number(&self) -> Option<u32> {
        (self.list.len < REFERENCE_MAX).then_some(self.list.len)
    }

    pub(super) fn push(&mut self, visitor: Visitor, now_ms: u64) {
        let seconds = now_ms
            .saturating_sub(self.lobby_at_ms)
            .checked_div(1000)
            .unwrap_or(0);
        self.push_after(visitor, u32::try_from(seconds).unwrap_or(u32::MAX));
    }

    /// So many seconds after the lobby opened.
    pub(super) fn push_after(&mut self, mut visitor: Visitor, joined_s: u32) {
        visitor.joined_s = joined_s;
        let hash = hash_id(self.hash_seed, visitor.id().0);
        if let Some((before, _)) = self.find(visitor.id()) {
            self.index.remove(hash, before);
        }
        self.index.insert(hash, self.list.len);
        self.list.push(visitor);
    }

    /// All of them, as they are now.
    pub(super) fn list(&self) -> VisitorList {
        self.list.clone()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Visitor> {
        let (chunk, at) = split(number);
        self.list.chunks.get(chunk)?.get(at)
    }

    pub(super) fn find(&self, id: VisitorId) -> Option<(u32, &Visitor)> {
        let number = self.index.find(hash_id(self.hash_seed, id.0), |number| {
            self.get(number).is_some_and(|visitor| visitor.id() == id)
        })?;
        Some((number, self.get(number)?))
    }

    pub(super) fn set_phase(&mut self, number: u32, phase: VisitorPhase) {
        self.change(number, |visitor| visitor.phase = phase);
    }

    pub(super) fn set_passed_with(&mut self, number: u32, left: u8) {
        self.change(number, |visitor| visitor.passed_with = left);
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Visitor)) {
        let (chunk, at) = split(number);
        if let Some(chunk) = self.list.chunks.get_mut(chunk)
            && let Some(visitor) = Arc::make_mut(chunk).get_mut(at)
        {
            change(visitor);
        }
    }
}

fn split(number: u32) -> (usize, usize) {
    let at = number & ((1 << CHUNK_BITS) - 1);
    ((number >> CHUNK_BITS) as usize, at as usize)
}

/// Everybody who came, in the sequence of coming. Clones share their chunks until one changes.
#[derive(Clone, Default)]
pub struct VisitorList {
    chunks: Vec<Arc<Vec<Visitor>>>,
    len: u32,
}

/// A visitor as it is kept for a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitorState {
    pub visitor: VisitorId,
    pub partner: PartnerId,
    /// Seconds after the lobby opened.
    pub joined_s: u32,
    pub lane: u8,
    pub phase: VisitorPhase,
    /// Tickets wanted together, at least 1.
    pub party: u8,
    /// How much was left, less than the party, when others were let in before them; 0: nobody was.
    pub passed_with: u8,
}

impl VisitorList {
    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = VisitorState> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .map(|visitor| VisitorState {
                visitor: visitor.id(),
                partner: visitor.partner,
                joined_s: visitor.joined_s,
                lane: visitor.lane,
                phase: visitor.phase,
                party: visitor.party,
                passed_with: visitor.passed_with,
            })
    }

    fn push(&mut self, visitor: Visitor) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < 1 << CHUNK_BITS => Arc::make_mut(chunk).push(visitor),
            _ => {
                let mut chunk = Vec::with_capacity(1 << CHUNK_BITS);
                chunk.push(visitor);
                self.chunks.push(Arc::new(chunk));
            }
        }
        self.len = self.len.saturating_add(1);
    }
}

impl FromIterator<VisitorState> for VisitorList {
    fn from_iter<I: IntoIterator<Item = VisitorState>>(states: I) -> Self {
        let mut list = VisitorList::default();
        for state in states {
            let VisitorState {
                visitor: VisitorId(id),
                partner,
                joined_s,
                lane,
                phase,
                party,
                passed_with,
            } = state;
            list.push(Visitor {
                id: [(id >> 64) as u64, id as u64],
                partner,
                // Found anew by whoever restores it.
                rank: 0,
                joined_s,
                lane,
                phase,
                party,
                passed_with,
            });
        }
        list
    }
}

impl PartialEq for VisitorList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for VisitorList {}

impl core::fmt::Debug for VisitorList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
