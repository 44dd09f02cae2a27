//! A sale as it is at one moment, to be told later: what takes long of an export is done with it, by
//! another thread if one likes, while the sale goes on.
//!
//! Called by who keeps a state: snapshots, journals, the index.

use crate::ended::EndedHold;
use crate::hold::{Hold, KeptHold};
use crate::id_table::Slab;
use crate::idempotency::Remembered;
use crate::ids::Revision;
use crate::order::Order;
use crate::rejection::Phase;
use crate::room::state::RoomState;
use crate::rules::SaleRules;
use crate::sale::Sale;
use crate::seats::SectionPlanes;
use crate::state::SaleState;
use crate::venue::Venue;

/// Shares with the sale, and with other images of it, whatever did not change in between.
#[derive(Clone, Debug)]
pub struct SaleImage {
    venue: Venue,
    rules: SaleRules,
    hash_seed: u64,
    phase: Phase,
    now_ms: u64,
    revision: Revision,
    digest: u64,
    planes: Vec<SectionPlanes>,
    holds: Slab<KeptHold>,
    orders: Slab<Order>,
    ended: Vec<EndedHold>,
    remembered: Remembered,
    room: Option<RoomState>,
}

/// Visitors take little: so many, as a power of two, count as one row.
const VISITORS_A_ROW_BITS: u32 = 6;

impl Sale {
    pub fn image(&self) -> SaleImage {
        let sections = 0..self.seats.layout.sections.len() as u16;
        SaleImage {
            venue: self.venue.clone(),
            rules: self.rules.clone(),
            hash_seed: self.hash_seed,
            phase: self.phase,
            now_ms: self.now_ms,
            revision: self.revision,
            digest: self.digest,
            planes: sections
                .filter_map(|section| self.seats.planes(section))
                .collect(),
            holds: self.holds.slab(),
            orders: self.orders.slab(),
            ended: self.ended.iter().collect(),
            remembered: self.memory.remembered(),
            room: self.room.as_ref().map(|room| room.export()),
        }
    }
}

impl SaleImage {
    pub fn rules(&self) -> &SaleRules {
        &self.rules
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Log time of the last command, Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How large it is: holds, orders, keys, and visitors, of which some count as one.
    pub fn rows(&self) -> usize {
        let visitors = self.room.as_ref().map_or(0, |room| room.visitors.len());
        self.holds
            .len()
            .saturating_add(self.orders.len())
            .saturating_add(self.ended.len())
            .saturating_add(self.remembered.len())
            .saturating_add(visitors >> VISITORS_A_ROW_BITS)
    }

    /// In the sequence in which they expire: by (deadline, id).
    pub fn holds(&self) -> Vec<Hold> {
        let kept = self.holds.iter().flatten();
        let mut holds: Vec<&Hold> = kept.map(|(_, kept)| &kept.hold).collect();
        holds.sort_unstable_by_key(|hold| (hold.deadline_ms, hold.id));
        holds.into_iter().cloned().collect()
    }

    /// In the sequence in which they were placed.
    pub fn orders(&self) -> Vec<Order> {
        let kept = self.orders.iter().flatten();
        kept.map(|(_, order)| order.clone()).collect()
    }

    /// The whole state, written out. Equal sales have equal states, whatever way they came there.
    pub fn state(&self) -> SaleState {
        SaleState {
            venue: self.venue.clone(),
            rules: self.rules.clone(),
            hash_seed: self.hash_seed,
            phase: self.phase,
            now_ms: self.now_ms,
            revision: self.revision,
            digest: self.digest,
            planes: self.planes.clone(),
            holds: self.holds(),
            orders: self.orders(),
            ended: self.ended.clone(),
            successes: self.remembered.successes(),
            rejections: self.remembered.rejections(),
            watermarks: self.remembered.watermarks.clone(),
            room: self.room.clone(),
        }
    }
}
