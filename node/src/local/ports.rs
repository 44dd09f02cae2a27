//! Ports for nodes that are not yet running.

use std::io;
use std::net::TcpListener;

use rand::{RngExt as _, rngs::StdRng};

/// Below the range from which the kernel gives ports to outgoing connections: a node that is down
/// for a moment finds its ports still free when it comes back.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// Three ports that are free now and not those of a node that is yet to start.
pub fn free(is_taken: impl Fn(u16) -> bool) -> io::Result<[u16; 3]> {
    let mut rng: StdRng = rand::make_rng();
    let mut found = Vec::with_capacity(3);
    // Held until all three are found, so that they differ.
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..1000 {
        let port = rng.random_range(RANGE);
        if is_taken(port) {
            continue;
        }
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => found.push((port, listener)),
            Err(error) => last = error,
        }
        if let [(first, _), (second, _), (third, _)] = &found[..] {
            return Ok([*first, *second, *third]);
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let [first, second, third] = free(|port| port % 2 == 0).unwrap();
        assert!(first != second && second != third && third != first);
        assert!([first, second, third].iter().all(|port| port % 2 == 1));
    }
}
