//! How a lobby becomes a sequence, and what proves that nobody chose it.
//!
//! Before the lobby closes the hash of the seed is published; after it the seed, so that nobody
//! could fit it to who had come, and everybody can compute all places anew. An operator who could
//! have known the seed is kept from choosing who comes when by a beacon: a value from outside that
//! nobody knew when the lobby closed.
//!
//! ```text
//!   commitment = SHA-256("onsale lobby seed" ‖ seed)
//!   shuffled_by = seed, or SHA-256("onsale lobby beacon" ‖ seed ‖ beacon)
//!   key of a lane = the first 16 bytes, as two little-endian u64, of
//!                   SHA-256("onsale lobby lane" ‖ shuffled_by ‖ lane u8 ‖ len u32, little-endian)
//!   leaf = SHA-256(0 ‖ number u32 ‖ visitor 16 bytes ‖ lane u8 ‖ party u8), all numbers big-endian
//! ```

use sha2::{Digest as _, Sha256};

use crate::ids::VisitorId;
use crate::room::merkle::{self, Hash};
use crate::room::permutation::Key;
use crate::room::{Reason, Removal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub Hash);

impl Seed {
    /// What is published before the lobby closes.
    pub fn commitment(&self) -> Hash {
        Sha256::new()
            .chain_update(b"onsale lobby seed")
            .chain_update(self.0)
            .finalize()
            .into()
    }

    pub fn mixed_with(&self, beacon: Option<&Hash>) -> Seed {
        match beacon {
            None => *self,
            Some(beacon) => Seed(
                Sha256::new()
                    .chain_update(b"onsale lobby beacon")
                    .chain_update(self.0)
                    .chain_update(beacon)
                    .finalize()
                    .into(),
            ),
        }
    }

    /// The key of a lane's permutation of `len` visitors.
    pub fn key(&self, lane: u8, len: u32) -> Key {
        let hash: Hash = Sha256::new()
            .chain_update(b"onsale lobby lane")
            .chain_update(self.0)
            .chain_update([lane])
            .chain_update(len.to_le_bytes())
            .finalize()
            .into();
        let words: Vec<u64> = hash
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        match words.as_slice() {
            [first, second, ..] => Key(*first, *second),
            _ => Key(0, 0),
        }
    }
}

/// A visitor's line in the list of the lobby.
pub fn leaf(number: u32, visitor: VisitorId, lane: u8, party: u8) -> Hash {
    let mut line = [0; 22];
    let (head, rest) = line.split_at_mut(4);
    head.copy_from_slice(&number.to_be_bytes());
    let (middle, last) = rest.split_at_mut(16);
    middle.copy_from_slice(&visitor.0.to_be_bytes());
    last.copy_from_slice(&[lane, party]);
    merkle::leaf_hash(&line)
}

/// What is published of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub commitment: Hash,
    /// Over all who came before the lobby closed.
    pub lobby_root: Hash,
    pub lobby_len: u64,
    /// Of the lobby, by lane.
    pub lane_lens: Vec<u32>,
    /// Once the lobby has closed.
    pub seed: Option<Seed>,
    pub beacon: Option<Hash>,
    /// In the sequence in which they happened.
    pub removals: Vec<Removal>,
}

/// One line of the list of all who came, as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub visitor: VisitorId,
    pub lane: u8,
    /// As the room tells it.
    pub place: u32,
    /// Tickets wanted together.
    pub party: u8,
    /// So much was left, too little for the party, when others were let in before it.
    pub passed_with: Option<u8>,
    /// How many were let in before; `None` for who was not.
    pub released_as: Option<u64>,
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    SeedHidden,
    /// The seed is not the one that was promised.
    Commitment,
    /// The list is not the one that was closed.
    Root,
    LobbyLen,
    LaneLen {
        lane: u8,
    },
    /// The visitor stands elsewhere.
    Place {
        number: u32,
        expected: u32,
    },
    /// Let in before somebody of the same lane who stood before them and was not taken away.
    Overtaken {
        number: u32,
    },
    /// Passed over although enough was left for their party.
    PassedOver {
        number: u32,
    },
    /// Somebody of the list was taken away twice, or never was there.
    Removal {
        number: u32,
    },
}

/// Computes a sequence anew from what was published and compares: lines in the sequence of coming.
pub fn verify(evidence: &Evidence, lines: &[Line]) -> Result<(), Misfit> {
    let seed = evidence.seed.ok_or(Misfit::SeedHidden)?;
    if seed.commitment() != evidence.commitment {
        return Err(Misfit::Commitment);
    }
    verify_lobby(evidence, lines)?;
    let lanes = sequences(&seed.mixed_with(evidence.beacon.as_ref()), evidence, lines)?;
    let gone = verify_removals(evidence, lines)?;
    for lane in lanes {
        verify_releases(&lane, lines, &gone)?;
    }
    Ok(())
}

fn verify_lobby(evidence: &Evidence, lines: &[Line]) -> Result<(), Misfit> {
    let mut tree = merkle::Tree::default();
    let lobby = usize::try_from(evidence.lobby_len).map_err(|_| Misfit::LobbyLen)?;
    let lobby = lines.get(..lobby).ok_or(Misfit::LobbyLen)?;
    for (number, line) in (0_u32..).zip(lobby) {
        tree.push(leaf(number, line.visitor, line.lane, line.party));
    }
    match tree.root() == evidence.lobby_root {
        true => Ok(()),
        false => Err(Misfit::Root),
    }
}

/// The visitors of each lane by place.
fn sequences(
    shuffled_by: &Seed,
    evidence: &Evidence,
    lines: &[Line],
) -> Result<Vec<Vec<u32>>, Misfit> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); evidence.lane_lens.len()];
    let mut lobby_lens = vec![0_u32; evidence.lane_lens.len()];
    for (number, line) in (0_u32..).zip(lines) {
        let lane = usize::from(line.lane);
        let (Some(members), Some(lobby_len)) = (members.get_mut(lane), lobby_lens.get_mut(lane))
        else {
            return Err(Misfit::LaneLen { lane: line.lane });
        };
        members.push(number);
        if u64::from(number) < evidence.lobby_len {
            *lobby_len = lobby_len.saturating_add(1);
        }
    }
    let mut lanes = Vec::with_capacity(members.len());
    for ((lane, members), (counted, told)) in (0_u8..)
        .zip(&members)
        .zip(lobby_lens.iter().zip(&evidence.lane_lens))
    {
        if counted != told {
            return Err(Misfit::LaneLen { lane });
        }
        let permutation =
            crate::room::permutation::Permutation::new(shuffled_by.key(lane, *told), *told);
        let mut sequence = vec![u32::MAX; members.len()];
        for (rank, number) in (0_u32..).zip(members) {
            let expected = permutation.place(rank);
            let told = lines.get(*number as usize).map(|line| line.place);
            if told != Some(expected) {
                let number = *number;
                return Err(Misfit::Place { number, expected });
            }
            if let Some(place) = sequence.get_mut(expected as usize) {
                *place = *number;
            }
        }
        lanes.push(sequence);
    }
    Ok(lanes)
}

/// Who was taken away, by number.
fn verify_removals(evidence: &Evidence, lines: &[Line]) -> Result<Vec<bool>, Misfit> {
    let mut gone = vec![false; lines.len()];
    for Removal { number, reason, .. } in &evidence.removals {
        let known = match reason {
            Reason::Left | Reason::Rule(_) => gone.get_mut(*number as usize),
        };
        match known {
            Some(gone) if !*gone => *gone = true,
            _ => return Err(Misfit::Removal { number: *number }),
        }
    }
    Ok(gone)
}

/// Nobody was let in before somebody who stood before them and still waited, but for parties that were
/// passed over because too little was left for them.
fn verify_releases(sequence: &[u32], lines: &[Line], gone: &[bool]) -> Result<(), Misfit> {
    let mut last: Option<u64> = None;
    let mut waits = false;
    for number in sequence {
        let line = lines.get(*number as usize);
        match line.and_then(|line| Some((line.passed_with?, line.party))) {
            Some((left, party)) if left < party => continue,
            Some(_) => return Err(Misfit::PassedOver { number: *number }),
            None => {}
        }
        match line.and_then(|line| line.released_as) {
            Some(at) if waits || last.is_some_and(|last| last >= at) => {
                return Err(Misfit::Overtaken { number: *number });
            }
            Some(at) => last = Some(at),
            None => waits |= !gone.get(*number as usize).copied().unwrap_or(false),
        }
    }
    Ok(())
}
