//! Who is right, from what the replicas of one group said: pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing to compare yet.
    Unknown,
    /// Own digest is the majority's at this log index.
    Agrees { index: u64 },
    /// Another's digest differs here, and a majority for neither is known.
    Disputed { index: u64 },
    /// A majority of the voters has another digest.
    Differs { index: u64 },
}

/// A digest covers everything before it, so the newest index that a majority agrees on decides;
/// what differs above it is a dispute until more is known.
pub(super) fn verdict(
    node: NodeId,
    voters: &BTreeSet<NodeId>,
    own: &BTreeMap<u64, u64>,
    peers: &BTreeMap<NodeId, &BTreeMap<u64, u64>>,
) -> Verdict {
    let majority = voters.len() / 2 + 1;
    let mut disputed = None;
    for (index, digest) in own.iter().rev() {
        let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
        for voter in voters {
            let said = match *voter == node {
                true => Some(digest),
                false => peers.get(voter).and_then(|digests| digests.get(index)),
            };
            if let Some(said) = said {
                *votes.entry(*said).or_default() += 1;
            }
        }
        let agreed = votes.iter().find(|(_, count)| **count >= majority);
        match agreed {
            Some((agreed, _)) if agreed != digest => return Verdict::Differs { index: *index },
            Some(_) => {
                let agrees = Verdict::Agrees { index: *index };
                return disputed.unwrap_or(agrees);
            }
            None if votes.keys().any(|said| said != digest) => {
                disputed.get_or_insert(Verdict::Disputed { index: *index });
            }
            None => {}
        }
    }
    disputed.unwrap_or(Verdict::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(pairs: &[(u64, u64)]) -> BTreeMap<u64, u64> {
        pairs.iter().copied().collect()
    }

    /// The verdict of node 1 among voters 1, 2 and 3.
    fn of_three(own: &[(u64, u64)], second: &[(u64, u64)], third: &[(u64, u64)]) -> Verdict {
        let (own, second, third) = (digests(own), digests(second), digests(third));
        let peers = BTreeMap::from([(2, &second), (3, &third)]);
        verdict(1, &BTreeSet::from([1, 2, 3]), &own, &peers)
    }

    #[test]
    fn the_newest_index_of_a_majority_decides() {
        let index = 8;
        let agrees = of_three(&[(4, 1), (8, 2)], &[(4, 1), (8, 2)], &[(4, 1)]);
        assert_eq!(agrees, Verdict::Agrees { index });
        let differs = of_three(&[(4, 1), (8, 9)], &[(4, 1), (8, 2)], &[(8, 2)]);
        assert_eq!(differs, Verdict::Differs { index });
        let other_differs = of_three(&[(8, 2)], &[(8, 2)], &[(8, 9)]);
        assert_eq!(other_differs, Verdict::Agrees { index });
    }

    #[test]
    fn a_slow_replica_settles_at_an_older_index_who_is_wrong() {
        let own = [(4, 9), (8, 9)];
        let verdict = of_three(&own, &[(4, 1), (8, 2)], &[(4, 1)]);
        assert_eq!(verdict, Verdict::Differs { index: 4 });
    }

    #[test]
    fn without_a_majority_nobody_is_trusted_and_nobody_stops() {
        let disputed = Verdict::Disputed { index: 8 };
        assert_eq!(of_three(&[(8, 1)], &[(8, 2)], &[]), disputed);
        assert_eq!(of_three(&[(8, 1)], &[(8, 2)], &[(8, 3)]), disputed);
        let before = of_three(&[(4, 1), (8, 1)], &[(4, 1), (8, 2)], &[(4, 1)]);
        assert_eq!(before, disputed, "an older agreement does not settle it");
    }

    #[test]
    fn nothing_in_common_is_no_verdict() {
        assert_eq!(of_three(&[(8, 1)], &[(4, 2)], &[]), Verdict::Unknown);
        assert_eq!(of_three(&[], &[(4, 2)], &[(4, 2)]), Verdict::Unknown);
    }

    #[test]
    fn a_learner_listens_to_the_voters_and_has_no_voice() {
        let (own, other) = (digests(&[(8, 9)]), digests(&[(8, 1)]));
        let voters = BTreeSet::from([2, 3]);
        let both = BTreeMap::from([(2, &other), (3, &other)]);
        let differs = Verdict::Differs { index: 8 };
        assert_eq!(verdict(1, &voters, &own, &both), differs);
        let learner = digests(&[(8, 9)]);
        let with_learner = BTreeMap::from([(3, &other), (4, &learner)]);
        let alone = verdict(2, &voters, &other, &with_learner);
        assert_eq!(alone, Verdict::Agrees { index: 8 });
    }
}
