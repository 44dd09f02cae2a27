//! So many a second, and what is beyond is counted: for whatever is told of single calls and would be a
//! flood when all of them are concerned.

use std::time::Duration;

use tokio::time::Instant;

/// What was given in the second that goes on.
#[derive(Debug)]
pub struct Ration {
    begun: Instant,
    given: u32,
    left_out: u64,
}

impl Ration {
    pub fn new(now: Instant) -> Ration {
        Ration {
            begun: now,
            given: 0,
            left_out: 0,
        }
    }

    /// Whether one more is within `limit`, and how many were left out before it.
    pub fn pass(&mut self, limit: u32, now: Instant) -> Option<u64> {
        self.admits(limit, now).then(|| self.take_left_out())
    }

    /// The same for whoever tells at another time how many were left out.
    pub fn admits(&mut self, limit: u32, now: Instant) -> bool {
        if now.duration_since(self.begun) >= Duration::from_secs(1) {
            (self.begun, self.given) = (now, 0);
        }
        let is_within = self.given < limit;
        if is_within {
            self.given += 1;
        } else {
            self.left_out += 1;
        }
        is_within
    }

    /// One that was given was not used.
    pub fn give_back(&mut self) {
        self.given = self.given.saturating_sub(1);
    }

    /// How many were left out since this was last asked, or the last one passed.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_a_second_pass_and_the_others_are_counted() {
        let mut ration = Ration::new(Instant::now());
        let passed = (0..25).filter(|_| ration.pass(10, Instant::now()) == Some(0));
        assert_eq!(passed.count(), 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ration.pass(10, Instant::now()), Some(15));
        assert_eq!(ration.pass(10, Instant::now()), Some(0));
    }
}
