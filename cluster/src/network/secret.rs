//! The secret peers show each other in every request's metadata, and the check of it.

use std::task::{Context, Poll};

use subtle::ConstantTimeEq;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tower::{Layer, Service};

const HEADER: &str = "x-onsale-peer";

/// Puts the secret on outgoing requests.
#[derive(Clone)]
pub struct PeerSecret {
    value: MetadataValue<Ascii>,
}

/// A secret that cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[error("the peer secret has characters that cannot be sent")]
pub struct BadSecret;

impl PeerSecret {
    pub(crate) fn new(secret: &str) -> Result<Self, BadSecret> {
        let mut value: MetadataValue<Ascii> = secret.parse().map_err(|_| BadSecret)?;
        value.set_sensitive(true);
        Ok(PeerSecret { value })
    }
}

impl Interceptor for PeerSecret {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(HEADER, self.value.clone());
        Ok(request)
    }
}

/// Refuses every request on the peer listener that does not show the secret, whatever service it
/// is for.
#[derive(Clone)]
pub(crate) struct SecretLayer {
    secret: PeerSecret,
}

impl SecretLayer {
    pub(crate) fn new(secret: PeerSecret) -> Self {
        SecretLayer { secret }
    }
}

impl<S> Layer<S> for SecretLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            secret: self.secret.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    secret: PeerSecret,
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future =
        futures::future::Either<std::future::Ready<Result<Self::Response, Self::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let shown = request.headers().get(HEADER).map(|value| value.as_bytes());
        let expected = self.secret.value.as_encoded_bytes();
        let right = shown.is_some_and(|shown| bool::from(shown.ct_eq(expected)));
        if right {
            return futures::future::Either::Right(self.inner.call(request));
        }
        let refusal = Status::unauthenticated("not a peer").into_http();
        futures::future::Either::Left(std::future::ready(Ok(refusal)))
    }
}
