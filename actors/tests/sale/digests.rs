//! What replicas of a group compare, and what a snapshot proves of itself.

use actors::Config;
use actors::codec::answer::Answer;
use actors::codec::snapshot;
use actors::faults::Faults;
use domain::command::{Command, HoldLine};
use domain::ids::{HoldId, IdempotencyKey, SaleId, SeatRef};
use domain::rules::SaleRules;
use prost::Message as _;
use proto::log::v1 as log;

use crate::solo::*;

const ODD: IdempotencyKey = IdempotencyKey((NOW_MS as u128) << 80 | 7 << 76 | 0xdead);

async fn digest(solo: &Solo) -> u64 {
    let digest = solo.machine.digest().await.expect("queues");
    digest.await.expect("answers")
}

/// Two sales and a command of a chosen key: what every replica is delivered.
async fn replica(config: Config, faults: Faults) -> Solo {
    let solo = Solo::start(config, faults).await;
    let idle = solo.open_sale(2, 1, &SaleRules::default()).await;
    let sale = solo.open_sale(1, 2, &SaleRules::default()).await;
    solo.ask(&idle, hold_one(1)).await;
    solo.ask(&sale, hold_one(2)).await;
    solo.ask_with_key(&sale, ODD, hold_one(3)).await;
    solo
}

async fn go_on(solo: &Solo) {
    let sale = solo.sales.get(SaleId(1)).expect("is here");
    solo.ask(&sale, hold_one(4)).await;
}

#[tokio::test]
async fn replicas_that_applied_the_same_stand_at_the_same_digest() {
    let here = replica(Config::default(), Faults::default()).await;
    let there = replica(Config::default(), Faults::default()).await;
    assert_eq!(digest(&here).await, digest(&there).await);
    assert_eq!(digest(&here).await, digest(&here).await, "asked twice");
    let before = digest(&here).await;
    go_on(&here).await;
    go_on(&there).await;
    assert_ne!(digest(&here).await, before);
    assert_eq!(digest(&here).await, digest(&there).await);

    let snapshot = here.machine.snapshot().await.expect("queues");
    let snapshot = snapshot.await.expect("answers")();
    let restored = Solo::start(Config::default(), Faults::default()).await;
    restored.open_sale(3, 1, &SaleRules::default()).await;
    assert_ne!(digest(&restored).await, digest(&here).await);
    restored.machine.restore(snapshot).await.expect("restores");
    assert_eq!(digest(&restored).await, digest(&here).await);
}

#[tokio::test]
async fn a_replica_that_passed_a_command_over_stands_elsewhere_for_good() {
    let faults = Faults {
        passed_over: Some(ODD),
        ..Faults::default()
    };
    let here = replica(Config::default(), Faults::default()).await;
    let there = replica(Config::default(), faults).await;
    assert_ne!(digest(&here).await, digest(&there).await);
    go_on(&here).await;
    go_on(&there).await;
    assert_ne!(digest(&here).await, digest(&there).await);
}

#[tokio::test]
async fn a_sale_frozen_on_all_replicas_is_no_difference_and_frozen_on_one_is() {
    let faults = Faults {
        panic_in_change: Some(ODD),
        ..Faults::default()
    };
    let here = replica(Config::default(), faults).await;
    // This one exports its state anew after every batch: what it last kept is another state.
    let eager = Config {
        journal_bytes: 1,
        ..Config::default()
    };
    let there = replica(eager, faults).await;
    let sound = replica(Config::default(), Faults::default()).await;
    let sale = here.sales.get(SaleId(1)).expect("is here");
    assert!(sale.summary().await.expect("reads").frozen.is_some());
    assert_eq!(digest(&here).await, digest(&there).await);
    assert_ne!(digest(&here).await, digest(&sound).await);

    for node in [&here, &there] {
        let sale = node.sales.get(SaleId(1)).expect("is here");
        node.sales.release(&sale).await;
        go_on(node).await;
        assert!(sale.summary().await.expect("reads").frozen.is_none());
    }
    assert_eq!(digest(&here).await, digest(&there).await);
}

/// A sale in which every field of the durable message has something to say.
async fn eventful() -> (Solo, log::GroupSnapshot) {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 3, &SaleRules::default()).await;
    for hold in 1..=6 {
        solo.ask(&sale, hold_one(hold)).await;
    }
    let release = Command::ReleaseHold { hold: HoldId(1) };
    let seats = [SeatRef {
        section: 0,
        seat: 29,
    }];
    let block = Command::BlockSeats { seats: &seats };
    let too_many: [HoldLine; 1] = [best(200)];
    for command in [release, confirm(2), block, hold_lines(9, &too_many)] {
        let answer = solo.ask(&sale, command).await;
        let decided = matches!(answer, Answer::Done { .. } | Answer::Rejected { .. });
        assert!(decided, "{answer:?}");
    }
    let snapshot = solo.machine.snapshot().await.expect("queues");
    let snapshot = snapshot.await.expect("answers")();
    let decoded = log::GroupSnapshot::decode(snapshot).expect("decodes");
    (solo, decoded)
}

#[tokio::test]
async fn a_flipped_bit_in_a_state_is_refused_by_the_hash_over_it() {
    let (_solo, group) = eventful().await;
    let contents = group.sales[0].contents.as_ref().expect("has contents");
    let sound = snapshot::restore(contents).expect("is sound");
    let bytes = contents.encode_to_vec();
    let mut refused = 0;
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            let Ok(contents) = log::SaleContents::decode(&flipped[..]) else {
                refused += 1;
                continue;
            };
            match snapshot::restore(&contents) {
                Err(_) => refused += 1,
                // A flag may be written as any number but 0: such a bit says nothing.
                Ok(sale) => assert!(
                    sale.export() == sound.export(),
                    "bit {bit} of byte {position} of {} went through",
                    bytes.len()
                ),
            }
        }
    }
    assert!(
        refused > bytes.len() * 7,
        "{refused} of {}",
        bytes.len() * 8
    );
}

#[tokio::test]
async fn a_snapshot_that_is_refused_leaves_the_replica_as_it_was() {
    let (solo, mut group) = eventful().await;
    let before = digest(&solo).await;
    let contents = group.sales[0].contents.as_mut().expect("has contents");
    contents.full_hash ^= 1;
    let damaged = group.encode_to_vec();
    let refused = solo.machine.restore(damaged.into()).await;
    assert!(
        refused
            .expect_err("is refused")
            .to_string()
            .contains("hash")
    );
    assert_eq!(digest(&solo).await, before);
}
