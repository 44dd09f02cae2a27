//! The `date` header of answers, from the injected clock: hyper would put the machine's own time
//! there, and no two runs of a simulation would be alike.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use tonic::codegen::http;
use tonic::codegen::http::header::{DATE, HeaderValue};
use tower::{Layer, Service};

use crate::components::WallClock;

#[derive(Clone)]
pub struct DateLayer {
    wall: Arc<dyn WallClock>,
}

impl DateLayer {
    pub fn new(wall: Arc<dyn WallClock>) -> Self {
        DateLayer { wall }
    }
}

impl<S> Layer<S> for DateLayer {
    type Service = Dated<S>;

    fn layer(&self, inner: S) -> Dated<S> {
        Dated {
            inner,
            wall: self.wall.clone(),
        }
    }
}

#[derive(Clone)]
pub struct Dated<S> {
    inner: S,
    wall: Arc<dyn WallClock>,
}

impl<S, Q, B> Service<Q> for Dated<S>
where
    S: Service<Q, Response = http::Response<B>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Dating<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        Dating {
            answering: self.inner.call(request),
            wall: self.wall.clone(),
        }
    }
}

pub struct Dating<F> {
    answering: F,
    wall: Arc<dyn WallClock>,
}

impl<F, B, E> Future for Dating<F>
where
    F: Future<Output = Result<http::Response<B>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut answer = ready!(std::pin::Pin::new(&mut self.answering).poll(cx));
        if let Ok(answer) = &mut answer
            && let Ok(date) = HeaderValue::from_str(&http_date(self.wall.now_ms()))
        {
            answer.headers_mut().insert(DATE, date);
        }
        Poll::Ready(answer)
    }
}

/// RFC 9110's preferred form; the last second of the year 9999 stands for all later ones.
fn http_date(unix_ms: u64) -> String {
    let since = Duration::from_millis(unix_ms.min(LAST_MS));
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// A year has four digits there.
const LAST_MS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            http_date(1_709_164_800_000),
            "Thu, 29 Feb 2024 00:00:00 GMT"
        );
        assert_eq!(
            http_date(1_735_689_599_999),
            "Tue, 31 Dec 2024 23:59:59 GMT"
        );
        assert_eq!(http_date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
