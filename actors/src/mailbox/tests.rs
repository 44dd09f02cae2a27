use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::timeout;

use super::*;

fn taken<M, N>(inbox: &mut Inbox<M, N>) -> Vec<M> {
    std::iter::from_fn(|| inbox.ring.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_full_ring_gives_the_message_back() {
    let (mailbox, mut inbox) = Mailbox::<u32, ()>::new(2);
    assert!(mailbox.try_send(1).is_ok());
    assert!(mailbox.try_send(2).is_ok());
    assert!(matches!(mailbox.try_send(3), Err(Refused(3))));
    assert_eq!(taken(&mut inbox), [1, 2]);
    assert!(mailbox.try_send(3).is_ok(), "there is room again");
}

#[tokio::test]
async fn who_waits_for_room_keeps_the_sequence() {
    let (mailbox, mut inbox) = Mailbox::<u32, ()>::new(1);
    assert!(mailbox.try_send(1).is_ok());
    let mailbox = Arc::new(mailbox);
    let waiting = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.send(2).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(inbox.ring.recv().await, Some(1));
    assert!(waiting.await.expect("no panic"));
    assert!(matches!(mailbox.try_send(3), Err(Refused(3))));
    assert_eq!(taken(&mut inbox), [2]);
}

#[tokio::test]
async fn the_doorbell_rings_once_for_all_that_waits() {
    let (mailbox, mut inbox) = Mailbox::<u32, &str>::new(8);
    assert!(mailbox.rung().now_or_never().is_none(), "nobody was here");
    assert!(mailbox.try_send(1).is_ok());
    mailbox.note("a tick");
    assert!(mailbox.send(2).await.is_ok());
    assert!(mailbox.rung().await);
    assert_eq!(taken(&mut inbox), [1, 2]);
    assert_eq!(inbox.notes.try_recv(), Ok("a tick"));
    assert!(mailbox.rung().now_or_never().is_none(), "answered already");
}

#[tokio::test]
async fn whoever_comes_after_the_end_gets_the_message_back() {
    let (mailbox, inbox) = Mailbox::<u32, ()>::new(1);
    drop(inbox);
    assert!(matches!(mailbox.try_send(1), Err(Refused(1))));
    assert!(matches!(mailbox.send(2).await, Err(Refused(2))));
    mailbox.note(());
    assert!(
        mailbox.rung().now_or_never().is_none(),
        "what nobody takes does not ring"
    );
}

#[tokio::test]
async fn stop_wakes_the_actor_and_tells_it_to_end() {
    let (mailbox, _inbox) = Mailbox::<u32, ()>::new(1);
    let mailbox = Arc::new(mailbox);
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
    let (mailbox, mut inbox) = Mailbox::<u32, ()>::new(4);
    let mailbox = Arc::new(mailbox);
    let sending = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move {
            for message in 0..MESSAGES {
                assert!(mailbox.send(message).await.is_ok());
            }
        }
    });
    let mut expected = 0;
    while expected < MESSAGES {
        let rung = timeout(Duration::from_secs(10), mailbox.rung()).await;
        assert!(rung.expect("a ring was missed"));
        for message in taken(&mut inbox) {
            assert_eq!(message, expected);
            expected += 1;
        }
    }
    sending.await.expect("no panic");
}
