//! The peer listener is for peers.

use cluster::components::Net;
use hyper_util::rt::TokioIo;
use proto::cluster::v1::GetClockRequest;
use proto::cluster::v1::peer_service_client::PeerServiceClient;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tower::service_fn;

use crate::stage::{SECRET, Stage, address};

#[test]
fn a_stranger_is_refused_and_a_peer_is_not() {
    let stage = Stage::new(1, |config| config.replicas = 1);
    let net = stage.wires.net("stranger");
    let answers = |secret: &'static str| {
        let net = net.clone();
        stage.on(1, async move {
            let connector = service_fn(move |_| {
                let net = net.clone();
                async move { Net::dial(net.as_ref(), &address(1)).await.map(TokioIo::new) }
            });
            let endpoint = Endpoint::from_static("http://peer");
            let channel = endpoint
                .connect_with_connector(connector)
                .await
                .expect("connected");
            let mut request = Request::new(GetClockRequest {});
            if !secret.is_empty() {
                let value = secret.parse().expect("a header");
                request.metadata_mut().insert("x-onsale-peer", value);
            }
            PeerServiceClient::new(channel).get_clock(request).await
        })
    };
    for wrong in ["", "x", "between peerz"] {
        let refused = answers(wrong).expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    assert!(answers(SECRET).is_ok());
}
