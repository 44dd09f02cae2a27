//! From a sale to its state.

use crate::sale::Sale;
use crate::state::SaleState;

impl Sale {
    /// The whole state. Equal sales export equal states, whatever way they came there.
    pub fn export(&self) -> SaleState {
        let (successes, rejections, watermarks) = self.memory.export();
        let sections = 0..self.seats.layout.sections.len() as u16;
        SaleState {
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
            holds: self.holds().cloned().collect(),
            orders: self.orders().cloned().collect(),
            ended: self.ended.iter().collect(),
            successes,
            rejections,
            watermarks,
            room: self.room.as_ref().map(|room| room.export()),
        }
    }

    /// A hash over the full state: equal on all replicas at the same index, and after a restore.
    pub fn full_hash(&self) -> u64 {
        self.export().hash()
    }
}
