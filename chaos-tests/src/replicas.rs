//! Replicas of one sale that must never differ.

use domain::Sale;
use domain::invariants;
use domain::outcome::Outcome;
use domain::rules::{ChannelRules, SaleRules};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::buyers::{Asked, Buyers};

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub commands: usize,
    pub done: usize,
    pub restores: usize,
    pub replays: usize,
    pub digest: u64,
}

/// Feeds `commands` commands drawn from `seed` to `replicas` replicas.
///
/// # Panics
///
/// When replicas differ or an invariant does not hold; the message names seed and command.
pub fn run(seed: u64, replicas: usize, commands: usize) -> Run {
    let mut faults = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut buyers = Buyers::new(seed);
    let venue = buyers.venue();
    let rules = SaleRules {
        buyer_limit: faults.random_range(0..20),
        channels: vec![ChannelRules {
            channel: domain::ids::ChannelId(1),
            floor: 2,
            cap: u32::MAX,
            hold_ttl_ms: 0,
        }],
        ..SaleRules::default()
    };
    let born = || {
        Sale::new(&venue, rules.clone(), seed)
            .unwrap_or_else(|fault| panic!("seed {seed}: {fault:?}"))
    };
    let mut sales: Vec<Sale> = (0..replicas).map(|_| born()).collect();
    let mut log: Vec<Asked> = Vec::new();
    let mut run = Run::default();
    let mut changes = Vec::new();
    for number in 0..commands {
        let asked = buyers.draw();
        let request = asked.request();
        let mut outcome: Option<Outcome> = None;
        for sale in &mut sales {
            changes.clear();
            let this = sale.apply(asked.at_ms, &request, &mut changes);
            match &outcome {
                None => outcome = Some(this),
                Some(first) => assert_eq!(first, &this, "seed {seed}, command {number}: {asked:?}"),
            }
        }
        run.done += usize::from(matches!(outcome, Some(Outcome::Done(_))));
        log.push(asked);
        let at = faults.random_range(0..replicas);
        match faults.random_range(0..100) {
            0 => {
                let state = sales[at].export();
                sales[at] = Sale::restore(state)
                    .unwrap_or_else(|fault| panic!("seed {seed}, command {number}: {fault:?}"));
                run.restores += 1;
            }
            1 if number < 500 => {
                sales[at] = born();
                log.iter().for_each(|asked| {
                    changes.clear();
                    sales[at].apply(asked.at_ms, &asked.request(), &mut changes);
                });
                run.replays += 1;
            }
            _ => {}
        }
        let digest = sales[0].digest();
        assert!(
            sales.iter().all(|sale| sale.digest() == digest),
            "seed {seed}, command {number}: digests differ"
        );
        if number % 50 == 0 {
            let violations = invariants::check(&sales[at]);
            assert!(
                violations.is_empty(),
                "seed {seed}, command {number}: {violations:?}"
            );
            let hash = sales[0].full_hash();
            assert!(
                sales.iter().all(|sale| sale.full_hash() == hash),
                "seed {seed}, command {number}: states differ"
            );
        }
    }
    run.commands = commands;
    run.digest = sales[0].digest();
    run
}
