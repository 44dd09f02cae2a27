//! Ports for nodes that are not yet running.

use std::io;
use std::net::TcpListener;

use rand::{RngExt as _, rngs::StdRng};

/// Below the range from which the kernel gives ports to outgoing connections: a node that is down
/// for a moment finds its ports still free when it comes back.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// Three ports that are free now.
pub fn free() -> io::Result<[u16; 3]> {
    let mut rng: StdRng = rand::make_rng();
    let mut found = Vec::with_capacity(3);
    // Held until all three are found, so that they differ.
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..1000 {
        let port = rng.random_range(RANGE);
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
