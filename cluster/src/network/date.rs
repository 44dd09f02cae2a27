//! The `date` header of answers, from the injected clock: hyper would put the machine's own time
//! there, and no two runs of a simulation would be alike.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

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

/// RFC 9110's preferred form.
fn http_date(unix_ms: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = unix_ms / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        WEEKDAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

/// Days since 1970 to year, month, day (Howard Hinnant, "chrono-compatible low-level date
/// algorithms"; only days from 1970 on).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

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
    }
}
