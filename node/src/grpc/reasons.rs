//! Gives a reason to what tonic refuses by itself, before a service sees it: bytes that are no message or
//! too many, a method that nobody has. Every other status has one already and passes untouched, as do
//! answers that went well.
//!
//! What tonic's own clock ends is not seen here: it stands outside all layers. Whoever set that time has
//! gone by then, and a service that is asked answers before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tonic::Status;
use tonic::codegen::http;
use tower::{Layer, Service};

use super::status;

#[derive(Clone, Copy)]
pub struct Reasons {
    /// What one message may have.
    pub bytes_max: usize,
}

impl<S> Layer<S> for Reasons {
    type Service = Reasoned<S>;

    fn layer(&self, inner: S) -> Reasoned<S> {
        Reasoned {
            inner,
            reasons: *self,
        }
    }
}

#[derive(Clone)]
pub struct Reasoned<S> {
    inner: S,
    reasons: Reasons,
}

impl<S, Q, B> Service<Q> for Reasoned<S>
where
    S: Service<Q, Response = http::Response<B>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Reasoning<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        Reasoning {
            answering: self.inner.call(request),
            reasons: self.reasons,
        }
    }
}

pub struct Reasoning<F> {
    answering: F,
    reasons: Reasons,
}

impl<F, B, E> Future for Reasoning<F>
where
    F: Future<Output = Result<http::Response<B>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut answer = ready!(Pin::new(&mut self.answering).poll(cx));
        // An answer that went well has its status behind its body, and none here.
        if let Ok(answer) = &mut answer
            && let Some(told) = Status::from_header_map(answer.headers())
            && let Some(reasoned) = status::of_transport(&told, self.reasons.bytes_max)
        {
            // Fails only on words that no header may have; these are our own.
            let _set = reasoned.add_header(answer.headers_mut());
        }
        Poll::Ready(answer)
    }
}
