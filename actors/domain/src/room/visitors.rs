//! Everybody who came, in the sequence of coming, and an index by id. Chunks instead of one array, so
//! that growing never takes twice the room; an exported list shares those that do not change after.

use std::sync::Arc;

use crate::digest::hash_id;
use crate::ids::{PartnerId, VisitorId};
use crate::room::Arrival;
use crate::room::index::Index;

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

/// 24 bytes. The number is the place in the list, and who came in which second is told of many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    /// A u128 would want more than its share of bytes.
    id: [u32; 4],
    pub(super) partner: PartnerId,
    pub(super) lane: u8,
    phase: VisitorPhase,
    /// Tickets wanted together.
    pub(super) party: u8,
    /// See `VisitorState`.
    passed_with: u8,
}

const _: () = assert!(size_of::<Visitor>() == 24);

impl Visitor {
    pub(super) fn new(arrival: &Arrival, lane: u8) -> Visitor {
        Visitor {
            id: words_of(arrival.visitor),
            partner: arrival.partner,
            lane,
            phase: VisitorPhase::Waiting,
            party: arrival.party.max(1),
            passed_with: 0,
        }
    }

    pub(super) fn id(&self) -> VisitorId {
        let [a, b, c, d] = self.id.map(u128::from);
        VisitorId(a << 96 | b << 64 | c << 32 | d)
    }

    pub(super) fn phase(&self) -> VisitorPhase {
        self.phase
    }

    /// How much was left when others were let in before them; `None` when nobody was.
    pub(super) fn passed_with(&self) -> Option<u8> {
        (self.passed_with > 0).then_some(self.passed_with)
    }
}

fn words_of(VisitorId(id): VisitorId) -> [u32; 4] {
    [id >> 96, id >> 64, id >> 32, id].map(|word| word as u32)
}

/// The last number that is given.
const NUMBER_MAX: u32 = u32::MAX - 1;

#[derive(Clone, Debug)]
pub(super) struct Visitors {
    hash_seed: u64,
    list: VisitorList,
    /// Of an id that came more than once the last time.
    index: Index,
}

impl Visitors {
    pub(super) fn new(hash_seed: u64) -> Visitors {
        Visitors {
            hash_seed,
            list: VisitorList::default(),
            index: Index::default(),
        }
    }

    /// `None` when the room is full, at four thousand million.
    pub(super) fn next_number(&self) -> Option<u32> {
        (self.list.len <= NUMBER_MAX).then_some(self.list.len)
    }

    /// Adds a visitor who came so many seconds after the lobby opened; `before`: the number under which
    /// the same id came the last time.
    pub(super) fn push(&mut self, visitor: Visitor, joined_s: u32, before: Option<u32>) {
        let (seed, number) = (self.hash_seed, self.list.len);
        let hash = hash_id(seed, visitor.id().0);
        match before {
            Some(before) => self.index.replace(hash, before, number),
            None => {
                let list = &self.list;
                self.index.insert(hash, number, |number| {
                    let known = list.get(number);
                    known.map_or(0, |known| hash_id(seed, known.id().0))
                });
            }
        }
        self.list.push(visitor, joined_s);
    }

    /// All of them, as they are now.
    pub(super) fn list(&self) -> VisitorList {
        self.list.clone()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Visitor> {
        self.list.get(number)
    }

    pub(super) fn find(&self, id: VisitorId) -> Option<(u32, &Visitor)> {
        let words = words_of(id);
        let number = self.index.find(hash_id(self.hash_seed, id.0), |number| {
            self.get(number).is_some_and(|visitor| visitor.id == words)
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
    /// Whenever the second changed.
    seconds: Arc<Vec<Second>>,
}

/// From this number on visitors came so many seconds after the lobby opened.
#[derive(Clone, Copy, Debug)]
struct Second {
    first: u32,
    joined_s: u32,
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
            .zip(self.seconds())
            .map(|(visitor, joined_s)| VisitorState {
                visitor: visitor.id(),
                partner: visitor.partner,
                joined_s,
                lane: visitor.lane,
                phase: visitor.phase,
                party: visitor.party,
                passed_with: visitor.passed_with,
            })
    }

    /// By number.
    fn seconds(&self) -> impl Iterator<Item = u32> {
        let ends = self.seconds.iter().skip(1).map(|next| next.first);
        let runs = self.seconds.iter().zip(ends.chain([self.len]));
        runs.flat_map(|(run, end)| {
            core::iter::repeat_n(run.joined_s, end.saturating_sub(run.first) as usize)
        })
    }

    fn get(&self, number: u32) -> Option<&Visitor> {
        let (chunk, at) = split(number);
        self.chunks.get(chunk)?.get(at)
    }

    fn push(&mut self, visitor: Visitor, joined_s: u32) {
        if self
            .seconds
            .last()
            .is_none_or(|last| last.joined_s != joined_s)
        {
            let first = self.len;
            Arc::make_mut(&mut self.seconds).push(Second { first, joined_s });
        }
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
                visitor,
                partner,
                joined_s,
                lane,
                phase,
                party,
                passed_with,
            } = state;
            let visitor = Visitor {
                id: words_of(visitor),
                partner,
                lane,
                phase,
                party,
                passed_with,
            };
            list.push(visitor, joined_s);
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
