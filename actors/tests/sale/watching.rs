use actors::Config;
use actors::codec::answer::Answer;
use actors::faults::Faults;
use actors::feed::Fed;
use actors::sale::WatchFailure;
use domain::ids::Revision;
use domain::rules::SaleRules;

use crate::solo::*;

#[tokio::test]
async fn a_watcher_sees_every_change_once_and_in_sequence() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    let mut feed = sale.watch(Revision(0)).await.expect("watches");
    let mut seen = 0;
    for hold in 1..=20 {
        assert!(matches!(
            solo.ask(&sale, hold_one(hold)).await,
            Answer::Done { .. }
        ));
        if hold % 5 == 0 {
            for change in feed.next().await.expect("watches").iter().copied() {
                seen += 1;
                assert_eq!(change.revision, Revision(seen), "no gap");
            }
        }
    }
    assert_eq!(
        Revision(seen),
        sale.summary().await.expect("reads").revision
    );
}

#[tokio::test]
async fn a_reader_too_far_behind_is_told() {
    let solo = Solo::start(
        Config {
            changes_kept: 8,
            ..Config::default()
        },
        Faults::default(),
    )
    .await;
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    let mut feed = sale.watch(Revision(0)).await.expect("watches");
    for hold in 1..=20 {
        assert!(matches!(
            solo.ask(&sale, hold_one(hold)).await,
            Answer::Done { .. }
        ));
    }
    assert_eq!(feed.next().await.err(), Some(WatchFailure::Compacted));
    assert_eq!(
        sale.watch(Revision(1)).await.err(),
        Some(WatchFailure::Compacted)
    );
    assert_eq!(
        sale.watch(Revision(1_000_000)).await.err(),
        Some(WatchFailure::FromTheFuture)
    );
    let now = sale.summary().await.expect("reads").revision;
    assert!(sale.watch(now).await.is_ok());
}

#[tokio::test]
async fn the_node_feed_has_all_changes_or_says_where_it_has_not() {
    let solo = Solo::start(Config::default(), Faults::default()).await;
    let mut feed = solo.sales.feed().expect("first reader");
    assert!(solo.sales.feed().is_none(), "one reader");
    let sale = solo.open_sale(1, 10, &SaleRules::default()).await;
    assert!(matches!(
        solo.ask(&sale, hold_one(1)).await,
        Answer::Done { .. }
    ));
    let mut last = Revision(0);
    while last < sale.summary().await.expect("reads").revision {
        match feed.recv().await.expect("feeds") {
            Fed::Changes { changes, .. } => last = changes.last().expect("not empty").revision,
            Fed::Gap { .. } => panic!("nothing was left out"),
        }
    }
}
