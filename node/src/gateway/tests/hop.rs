//! What the gateway makes of the way to another node, open, silent or broken.

use tonic::transport::{Endpoint, Server};

use super::*;

/// A peer that serves `owner`'s sales, and the way to it. Ending the task cuts the connection.
fn peer(owner: &Arc<Script>) -> (PeerChannel, tokio::task::JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let service = Forwarding::service(owner.clone(), &Config::default(), tracer(0.0, 0).0);
    let served = tokio::spawn(async move {
        let once = tokio_stream::once(Ok::<_, std::io::Error>(far));
        let _ = Server::builder()
            .add_service(service)
            .serve_with_incoming(futures::StreamExt::chain(once, futures::stream::pending()))
            .await;
    });
    let near = Mutex::new(Some(near));
    let connector = tower::service_fn(move |_: tonic::codegen::http::Uri| {
        let near = near.lock().unwrap().take();
        async move {
            near.map(hyper_util::rt::TokioIo::new)
                .ok_or_else(|| std::io::Error::other("the peer is gone"))
        }
    });
    let channel = Endpoint::from_static("http://peer").connect_with_connector_lazy(connector);
    (boxed(channel), served)
}

#[tokio::test]
async fn calls_reach_the_owner_on_another_node() {
    let owner = Script::new([
        Step::Answers(vec![done(), rejected(Rejection::UnknownHold)]),
        Step::NoLeader,
        Step::Answers(vec![done()]),
    ]);
    let near = Script::new([Step::Elsewhere(2), Step::Elsewhere(2), Step::Elsewhere(2)]);
    let (channel, _served) = peer(&owner);
    *near.peer.lock().unwrap() = Some(channel);
    let gateway = gateway(&near);
    assert_eq!(
        ask(&gateway, &[1, 2], WAIT).await,
        [(1, done()), (2, rejected(Rejection::UnknownHold))]
    );
    // The owner lost its lead in between: the gateway looks again.
    assert_eq!(ask(&gateway, &[3], WAIT).await, [(3, done())]);
    assert_eq!(owner.seen(), [vec![1, 2], vec![3], vec![3]]);
}

#[tokio::test]
async fn what_is_full_is_told_apart() {
    let owner = Script::new([Step::Full]);
    let near = Script::new([
        Step::Full,
        Step::Elsewhere(2),
        Step::Elsewhere(3),
        Step::Answers(vec![done()]),
    ]);
    let (channel, _served) = peer(&owner);
    *near.peer.lock().unwrap() = Some(channel);
    let registry = prometheus::Registry::new();
    let metrics = GatewayMetrics::new(&registry).expect("registers");
    let config = Config {
        link_calls_max: 2,
        ..Config::default()
    };
    let gateway = Gateway::new(config, near, metrics);
    for (ids, bound, expected) in [
        (vec![1], "owner_queue", 1.0),
        (vec![2, 3], "owner_queue", 3.0),
        (vec![4, 5, 6], "link", 3.0),
    ] {
        for (_, answer) in ask(&gateway, &ids, WAIT).await {
            let reason = FailureReason::Busy;
            assert!(matches!(answer, Answer::Failed { reason: told, .. } if told == reason));
        }
        let series = format!("onsale_gateway_busy_calls_total{{bound=\"{bound}\"}}");
        assert_eq!(told(&registry, &series), expected, "{ids:?}");
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_leaves_the_outcome_unknown() {
    let owner = Script::new([Step::Silence]);
    let near = Script::new([Step::Elsewhere(2)]);
    let (channel, _served) = peer(&owner);
    *near.peer.lock().unwrap() = Some(channel);
    let wait = Duration::from_millis(50);
    assert_eq!(
        ask(&gateway(&near), &[1], wait).await,
        [(1, Answer::Unknown)]
    );
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_a_certain_failure() {
    let near = Script::new([Step::Elsewhere(2), Step::Answers(vec![done()])]);
    let refusing = tower::service_fn(|_: tonic::codegen::http::Uri| async {
        Err::<hyper_util::rt::TokioIo<tokio::io::DuplexStream>, _>(std::io::Error::other("down"))
    });
    let channel = Endpoint::from_static("http://peer").connect_with_connector_lazy(refusing);
    *near.peer.lock().unwrap() = Some(boxed(channel));
    assert_eq!(ask(&gateway(&near), &[1], WAIT).await, [(1, done())]);
    assert_eq!(near.seen().len(), 2);
}

/// Seed 199 of the simulation: after a partition the way to a peer swallowed everything, and calls
/// waited for as long as it took to give it up.
#[tokio::test(start_paused = true)]
async fn a_way_that_never_opens_keeps_nobody_beyond_the_deadline() {
    let near = Script::new(std::iter::repeat_with(|| Step::Elsewhere(2)).take(1000));
    let swallowing = tower::service_fn(|_: tonic::codegen::http::Uri| {
        std::future::pending::<
            Result<hyper_util::rt::TokioIo<tokio::io::DuplexStream>, std::io::Error>,
        >()
    });
    let channel = Endpoint::from_static("http://peer").connect_with_connector_lazy(swallowing);
    *near.peer.lock().unwrap() = Some(boxed(channel));
    let gateway = gateway(&near);
    let waits = [30, 700, 1_050, 1_900].map(Duration::from_millis);
    let asked = waits.map(async |wait| {
        let began = Instant::now();
        let answers = ask_some(&gateway, &[7], wait).await;
        assert!(
            matches!(answers[..], [(7, Answer::Failed { .. })]),
            "{answers:?}"
        );
        let late = began.elapsed().saturating_sub(wait);
        assert!(
            late <= Duration::from_millis(150),
            "{late:?} after {wait:?}"
        );
    });
    futures::future::join_all(asked).await;
    assert_eq!(gateway.calls_under_way(), 0);
}
