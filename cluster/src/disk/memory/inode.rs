//! The bytes of one file in memory: what a running host sees, what is on the medium, and which
//! sectors differ.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::StdRng;

pub const SECTOR: usize = 512;

/// What a power cut did to the sectors that were not synced.
pub struct Cut {
    pub arrived: usize,
    pub lost: usize,
}

#[derive(Default)]
pub struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
}

impl Inode {
    pub fn durable(bytes: Vec<u8>) -> Self {
        Inode {
            cached: bytes.clone(),
            durable: bytes,
            dirty: BTreeSet::new(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.cached
    }

    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let from = (offset as usize).min(self.cached.len());
        let to = from.saturating_add(len).min(self.cached.len());
        self.cached[from..to].to_vec()
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let from = offset as usize;
        let to = from + bytes.len();
        if self.cached.len() < to {
            self.cached.resize(to, 0);
        }
        self.cached[from..to].copy_from_slice(bytes);
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    pub fn grow(&mut self, len: u64) {
        if self.len() < len {
            self.cached.resize(len as usize, 0);
        }
    }

    pub fn truncate(&mut self, len: u64) {
        self.cached.resize(len as usize, 0);
        let sectors = self.cached.len().div_ceil(SECTOR);
        self.dirty.retain(|sector| *sector < sectors);
    }

    pub fn flip(&mut self, byte: usize, bit: u8) {
        self.cached[byte] ^= 1 << bit;
        self.durable[byte] ^= 1 << bit;
    }

    pub fn misdirect(&mut self, meant: usize, found: usize, sectors: usize) {
        let bytes = |at: usize| at * SECTOR..(at + sectors) * SECTOR;
        for copy in [&mut self.cached, &mut self.durable] {
            let written = copy[bytes(meant)].to_vec();
            copy[bytes(meant)].fill(0);
            copy[bytes(found)].copy_from_slice(&written);
        }
    }

    pub fn make_durable(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.arrive(sector);
        }
    }

    /// After a failed sync: the pages count as clean, the host goes on to read them, and no later
    /// sync writes them.
    pub fn drop_dirty(&mut self) {
        self.dirty.clear();
    }

    /// A power cut: a length that was not synced is kept or lost; of the sectors that were not synced none,
    /// all, the first ones or any subset arrived.
    pub fn power_cut(&mut self, rng: &mut StdRng) -> Cut {
        if rng.random_bool(0.5) {
            self.durable.resize(self.cached.len(), 0);
        }
        let dirty: Vec<usize> = std::mem::take(&mut self.dirty).into_iter().collect();
        let unsynced = dirty.len();
        let arrived: Vec<usize> = match rng.random_range(0..4) {
            0 => Vec::new(),
            1 => dirty,
            2 => {
                let first = rng.random_range(0..=dirty.len());
                dirty[..first].to_vec()
            }
            _ => {
                let mut any = dirty;
                any.retain(|_| rng.random_bool(0.5));
                any
            }
        };
        let cut = Cut {
            arrived: arrived.len(),
            lost: unsynced - arrived.len(),
        };
        for sector in arrived {
            self.arrive(sector);
        }
        self.cached = self.durable.clone();
        cut
    }

    fn arrive(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let to = (from + SECTOR).min(self.cached.len());
        if from >= to {
            return;
        }
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        self.durable[from..to].copy_from_slice(&self.cached[from..to]);
    }
}
