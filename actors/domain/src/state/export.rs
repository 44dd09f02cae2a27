//! From a sale to its state.

use crate::sale::Sale;
use crate::state::SaleState;

impl Sale {
    /// The whole state. Equal sales export equal states, whatever way they came there.
    pub fn export(&self) -> SaleState {
        self.image().state()
    }

    /// A hash over the full state: equal on all replicas at the same index, and after a restore.
    pub fn full_hash(&self) -> u64 {
        self.export().hash()
    }
}
