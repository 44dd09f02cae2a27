//! Wall clocks that are wrong, on one node at a time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{Active, Stage};
use crate::procs::Trouble;
use crate::procs::fault::Kind;

const TWO_HOURS_S: i64 = 7_200;
const FLIPS: u32 = 10;
const LIMIT: Duration = Duration::from_secs(2);

impl Stage {
    pub(super) fn turn_clock(&mut self, active: &Active) -> Result<(), Trouble> {
        let at = active.nodes[0];
        match active.kind {
            Kind::ClockForward => self.cluster.set_wrong(at, &format!("+{TWO_HOURS_S}")),
            Kind::ClockBackward => self.cluster.set_wrong(at, &format!("-{TWO_HOURS_S}")),
            _ => {
                for flip in 0..FLIPS {
                    let sign = if flip % 2 == 0 { '+' } else { '-' };
                    self.cluster.set_wrong(at, &format!("{sign}600"))?;
                    self.pass(Duration::from_millis(100))?;
                }
                Ok(())
            }
        }
    }

    /// It happened if the node itself tells another time than this process has.
    pub(super) fn right_clock(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let told = date_of(&self.cluster.nodes[at].http_address);
        let here = httpdate_now();
        self.cluster.set_wrong(at, "+0")?;
        // Hours and minutes differ if the clock is minutes wrong.
        let is_wrong = told.is_ok_and(|told| minutes(&told).abs_diff(minutes(&here)) > 3);
        Ok(is_wrong.into())
    }
}

/// The `date` a node puts on its answers.
fn date_of(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let date = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("date").then(|| value.to_owned())
    });
    date.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// `… HH:MM:SS GMT` of now.
fn httpdate_now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs()) % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("now {hours:02}:{minutes:02}:{:02} GMT", seconds % 60)
}

/// Minutes of the day.
fn minutes(date: &str) -> u32 {
    let clock = date.split(' ').find(|word| word.contains(':'));
    let mut parts = clock
        .unwrap_or("")
        .split(':')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    parts.next().unwrap_or(0) * 60 + parts.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_of_the_day_are_read_from_a_date() {
        assert_eq!(minutes("Thu, 26 Nov 2026 03:19:04 GMT"), 199);
        assert!(minutes(&httpdate_now()) < 1440);
    }
}
