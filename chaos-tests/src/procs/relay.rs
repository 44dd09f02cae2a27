//! A wire with faults: a thread between two interfaces of the bridge's namespace that hands frames
//! on late, twice or out of sequence. The kernel's metadata of a frame (checksums not yet filled in,
//! segments not yet cut) goes along with it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What it does to frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Twist {
    pub delay: Duration,
    /// At random on top, without changing the sequence.
    pub jitter: Duration,
    /// Frames of a hundred that are sent twice.
    pub duplicated: u32,
    /// Frames of a hundred that overtake those before them.
    pub overtaking: u32,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub delayed: u64,
    pub duplicated: u64,
    pub overtook: u64,
}

pub struct Relay {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Tally>>,
}

/// A frame of a wire that cuts segments late may be as long as this.
const FRAME_BYTES_MAX: usize = 1 << 17;
/// More frames than this are not kept; what comes then is lost.
const FRAMES_MAX: usize = 50_000;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Relay {
    /// Between two interfaces of the namespace this thread is in.
    pub fn start(one: &str, other: &str, twist: Twist, seed: u64) -> io::Result<Relay> {
        let ends = [open(one)?, open(other)?];
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut wire = Wire {
                ends,
                twist,
                rng: StdRng::seed_from_u64(seed),
                waiting: BinaryHeap::new(),
                last: [Instant::now(); 2],
                number: 0,
                tally: Tally::default(),
            };
            while !stopped.load(Ordering::Relaxed) {
                wire.wait()?;
                wire.take_in()?;
                wire.send_due();
            }
            Ok(wire.tally)
        });
        Ok(Relay { stop, thread })
    }

    pub fn stop(self) -> io::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the relay panicked")))
    }
}

/// By the time it is due, then by the sequence in which it came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    due: Instant,
    number: u64,
    /// The end it leaves by.
    to: usize,
    bytes: Vec<u8>,
}

struct Wire {
    ends: [OwnedFd; 2],
    twist: Twist,
    rng: StdRng,
    waiting: BinaryHeap<Reverse<Frame>>,
    /// When the last frame to each end is due.
    last: [Instant; 2],
    number: u64,
    tally: Tally,
}

impl Wire {
    fn wait(&self) -> io::Result<()> {
        let next = self.waiting.peek().map(|Reverse(frame)| frame.due);
        let wait = next.map_or(LOOK_AGAIN, |due| {
            due.saturating_duration_since(Instant::now())
        });
        let wait = wait.min(LOOK_AGAIN);
        let limit = libc::timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut polled = self.ends.each_ref().map(|end| libc::pollfd {
            fd: end.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: the array and the time outlive the call; no signal mask is given.
        let count = unsafe { libc::ppoll(polled.as_mut_ptr(), 2, &limit, std::ptr::null()) };
        match count {
            -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
                Err(io::Error::last_os_error())
            }
            _ => Ok(()),
        }
    }

    fn take_in(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        for from in 0..2 {
            loop {
                // SAFETY: the buffer is as long as is said, and outlives the call.
                let read = unsafe {
                    libc::recv(
                        self.ends[from].as_raw_fd(),
                        buffer.as_mut_ptr().cast(),
                        buffer.len(),
                        libc::MSG_DONTWAIT,
                    )
                };
                let Ok(len) = usize::try_from(read) else {
                    match io::Error::last_os_error() {
                        error if error.kind() == io::ErrorKind::WouldBlock => break,
                        // The interface goes down with its node's namespace.
                        error if error.raw_os_error() == Some(libc::ENETDOWN) => break,
                        error => return Err(error),
                    }
                };
                self.take(1 - from, &buffer[..len]);
            }
        }
        Ok(())
    }

    fn take(&mut self, to: usize, bytes: &[u8]) {
        if self.waiting.len() > FRAMES_MAX {
            return;
        }
        let jitter_us = self.twist.jitter.as_micros() as u64;
        let jitter = Duration::from_micros(self.rng.random_range(0..=jitter_us));
        let now = Instant::now();
        if self.rng.random_range(0..100) < self.twist.overtaking {
            self.tally.overtook += u64::from(self.last[to] > now);
            self.queue(now, to, bytes);
            return;
        }
        let due = (now + self.twist.delay + jitter).max(self.last[to]);
        self.last[to] = due;
        self.tally.delayed += u64::from(due > now);
        self.queue(due, to, bytes);
        if self.rng.random_range(0..100) < self.twist.duplicated {
            self.tally.duplicated += 1;
            self.queue(due, to, bytes);
        }
    }

    fn queue(&mut self, due: Instant, to: usize, bytes: &[u8]) {
        self.number += 1;
        self.waiting.push(Reverse(Frame {
            due,
            number: self.number,
            to,
            bytes: bytes.to_vec(),
        }));
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(frame)) = self.waiting.peek() {
            if frame.due > now {
                return;
            }
            let Some(Reverse(frame)) = self.waiting.pop() else {
                return;
            };
            // A frame that cannot be sent is lost, as on any wire.
            // SAFETY: the frame is as long as is said, and outlives the call.
            let _ = unsafe {
                libc::send(
                    self.ends[frame.to].as_raw_fd(),
                    frame.bytes.as_ptr().cast(),
                    frame.bytes.len(),
                    libc::MSG_DONTWAIT,
                )
            };
        }
    }
}

/// A socket that sees all frames that arrive at the interface, with the kernel's metadata in front.
fn open(interface: &str) -> io::Result<OwnedFd> {
    let every = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: the call takes three integers.
    let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(every)) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    for option in [libc::PACKET_VNET_HDR, libc::PACKET_IGNORE_OUTGOING] {
        let on: libc::c_int = 1;
        // SAFETY: the value is an integer and its length is said.
        let failed = unsafe {
            libc::setsockopt(
                raw,
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: the name ends with a zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeros is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = every;
    address.sll_ifindex = index as i32;
    // SAFETY: the address is of the kind and the length that is said.
    let failed = unsafe {
        libc::bind(
            raw,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    match failed {
        0 => promiscuous(socket, index),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Frames for other addresses are taken in too.
fn promiscuous(socket: OwnedFd, index: u32) -> io::Result<OwnedFd> {
    let wish = libc::packet_mreq {
        mr_ifindex: index as i32,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: the value is of the kind and the length that is said.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const wish).cast(),
            size_of::<libc::packet_mreq>() as u32,
        )
    };
    match failed {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}
