use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::timeout;

use super::*;

fn taken<N>(mailbox: &Mailbox<u32, N>) -> (Vec<u32>, Vec<N>) {
    let mut inbox = Inbox::default();
    mailbox.take(&mut inbox);
    (inbox.ring.into(), inbox.notes.into())
}

#[test]
fn a_full_ring_gives_the_message_back() {
    let mailbox = Mailbox::<u32, ()>::new(2);
    assert!(mailbox.try_send(1).is_ok());
    assert!(mailbox.try_send(2).is_ok());
    assert!(matches!(mailbox.try_send(3), Err(NoRoom::Full(3))));
    assert_eq!(taken(&mailbox).0, [1, 2]);
    assert!(mailbox.try_send(3).is_ok(), "there is room again");
}

#[test]
fn who_waits_for_room_keeps_the_sequence() {
    let mailbox = Mailbox::<u32, ()>::new(1);
    assert!(mailbox.try_send(1).is_ok());
    let mut waiting = Box::pin(mailbox.send(2));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(taken(&mailbox).0, [1]);
    assert!(matches!(waiting.now_or_never(), Some(Ok(()))));
    assert!(matches!(mailbox.try_send(3), Err(NoRoom::Full(3))));
    assert_eq!(taken(&mailbox).0, [2]);
}

#[tokio::test]
async fn the_doorbell_rings_once_for_all_that_waits() {
    let mailbox = Mailbox::<u32, &str>::new(8);
    assert!(mailbox.rung().now_or_never().is_none(), "nobody was here");
    assert!(mailbox.try_send(1).is_ok());
    mailbox.note("a tick");
    assert!(mailbox.send(2).await.is_ok());
    assert!(mailbox.rung().await);
    assert_eq!(taken(&mailbox), (vec![1, 2], vec!["a tick"]));
    assert!(mailbox.rung().now_or_never().is_none(), "answered already");
    assert_eq!(taken(&mailbox), (vec![], vec![]));
}

/// Whether leaving a message of this weight rings.
fn left(mailbox: &Mailbox<u32, ()>, message: u32, weight: usize) -> bool {
    let queued = mailbox.leave(message, weight).now_or_never();
    assert!(matches!(queued, Some(Ok(()))), "there is room");
    rings(mailbox)
}

fn rings(mailbox: &Mailbox<u32, ()>) -> bool {
    mailbox.rung().now_or_never().is_some()
}

#[test]
fn what_is_left_rings_once_and_is_then_reminded_of() {
    let mailbox = Mailbox::new(512);
    assert!(left(&mailbox, 1, 1), "the first for a while");
    assert_eq!(taken(&mailbox).0, [1]);
    assert!(!left(&mailbox, 2, 1));
    assert!(!left(&mailbox, 3, 1));
    mailbox.remind();
    assert!(rings(&mailbox));
    assert_eq!(taken(&mailbox).0, [2, 3]);
    assert!(!left(&mailbox, 4, 1), "it was busy since the reminder");
    mailbox.remind();
    assert!(rings(&mailbox));
    assert_eq!(taken(&mailbox).0, [4]);
    mailbox.remind();
    assert!(!rings(&mailbox), "nothing was left");
    assert!(left(&mailbox, 5, 1), "the first for a while");
}

#[test]
fn what_is_left_rings_when_it_is_heavy() {
    let mailbox = Mailbox::new(512);
    assert!(left(&mailbox, 1, 1));
    assert!(!left(&mailbox, 2, LEFT_MAX - 1));
    assert!(left(&mailbox, 3, 1));
    assert!(!left(&mailbox, 4, LEFT_MAX - 1), "weighed anew");
    assert!(left(&mailbox, 5, LEFT_MAX));
    assert_eq!(taken(&mailbox).0, [1, 2, 3, 4, 5]);
}

#[test]
fn a_message_that_rings_takes_along_what_was_left_before_it() {
    let mailbox = Mailbox::new(512);
    assert!(left(&mailbox, 1, 1));
    assert_eq!(taken(&mailbox).0, [1]);
    assert!(!left(&mailbox, 2, 1));
    assert!(mailbox.try_send(3).is_ok());
    assert!(rings(&mailbox));
    assert_eq!(taken(&mailbox).0, [2, 3]);
}

#[test]
fn whoever_comes_after_the_end_gets_the_message_back() {
    let mailbox = Mailbox::<u32, ()>::new(1);
    assert!(mailbox.try_send(1).is_ok());
    let mut waiting = Box::pin(mailbox.send(2));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(mailbox.close().ring, [1]);
    assert!(matches!(waiting.now_or_never(), Some(Err(Refused(2)))));
    assert!(matches!(mailbox.try_send(3), Err(NoRoom::Closed(3))));
    mailbox.note(());
    assert_eq!(taken(&mailbox), (vec![], vec![]));
}

#[tokio::test]
async fn stop_wakes_the_actor_and_tells_it_to_end() {
    let mailbox = Arc::new(Mailbox::<u32, ()>::new(1));
    let waiting = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.rung().await }
    });
    tokio::task::yield_now().await;
    mailbox.stop();
    assert!(!waiting.await.expect("no panic"));
}

/// A message that comes while the actor turns to sleep must wake it: many races, real threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ring_is_missed() {
    const MESSAGES: u32 = 50_000;
    let mailbox = Arc::new(Mailbox::<u32, ()>::new(4));
    let sending = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move {
            for message in 0..MESSAGES {
                assert!(mailbox.send(message).await.is_ok());
            }
        }
    });
    let mut expected = 0;
    let mut inbox = Inbox::default();
    while expected < MESSAGES {
        let rung = timeout(Duration::from_secs(10), mailbox.rung()).await;
        assert!(rung.expect("a ring was missed"));
        mailbox.take(&mut inbox);
        for message in inbox.ring.drain(..) {
            assert_eq!(message, expected);
            expected += 1;
        }
    }
    sending.await.expect("no panic");
}
