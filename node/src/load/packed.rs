//! The packed layouts of `session.proto`, from the partner's side: calls are written, answers are
//! read. Nothing here is shared with the server.

use bytes::Bytes;

use super::call::{Call, Id, Line, Rejected, Run};

/// What every packed call starts with.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub call_id: u32,
    pub event: u64,
    pub key: Id,
}

/// Writes packed calls one after the other into one message.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    count: usize,
}

const FLAG_ACCESSIBLE: u8 = 1;
const FLAG_SPLIT: u8 = 2;
const FLAG_OR_CHEAPER: u8 = 4;
const ANY_CATEGORY: u16 = u16::MAX;

impl Writer {
    pub fn count(&self) -> usize {
        self.count
    }

    /// The message, leaving an empty writer with room for as much again.
    pub fn take(&mut self) -> Bytes {
        let room = self.buffer.capacity();
        self.count = 0;
        Bytes::from(std::mem::replace(
            &mut self.buffer,
            Vec::with_capacity(room),
        ))
    }

    /// Any call.
    pub fn call(&mut self, head: Head, call: &Call) {
        match call {
            Call::PlaceHold {
                pass,
                hold,
                buyer,
                ttl_s,
                lines,
            } if pass.is_empty() => self.place_hold(head, hold, buyer, *ttl_s, lines),
            Call::PlaceHold {
                pass,
                hold,
                buyer,
                ttl_s,
                lines,
            } => self.record(head, 6, |out| {
                out.extend_from_slice(&(pass.len() as u16).to_le_bytes());
                out.extend_from_slice(pass.as_bytes());
                place_head(out, hold, buyer, *ttl_s, lines.len() as u8);
                lines.iter().for_each(|line| write_line(out, line));
            }),
            Call::ExtendHold { hold, ttl_s } => self.record(head, 2, |out| {
                out.extend_from_slice(hold);
                out.extend_from_slice(&ttl_s.to_le_bytes());
            }),
            Call::ReleaseHold { hold } => {
                self.record(head, 3, |out| out.extend_from_slice(hold));
            }
            Call::ConfirmHold {
                hold,
                order,
                payment,
            } => self.confirm_hold(head, hold, order, payment.as_bytes()),
            Call::CancelOrder { order } => {
                self.record(head, 5, |out| out.extend_from_slice(order));
            }
        }
    }

    pub fn place_hold(&mut self, head: Head, hold: &Id, buyer: &Id, ttl_s: u32, lines: &[Line]) {
        self.record(head, 1, |out| {
            place_head(out, hold, buyer, ttl_s, lines.len() as u8);
            for line in lines {
                write_line(out, line);
            }
        });
    }

    /// A hold of `quantity` seats side by side wherever they are best, without a `Line` built.
    /// No sections are all sections.
    pub fn place_best(
        &mut self,
        head: Head,
        hold: &Id,
        buyer: &Id,
        quantity: u16,
        sections: &[u16],
    ) {
        self.record(head, 1, |out| {
            place_head(out, hold, buyer, 0, 1);
            write_best(out, quantity, ANY_CATEGORY, 0, sections);
        });
    }

    /// A hold of one chosen seat, without a `Line` built.
    pub fn place_seat(&mut self, head: Head, hold: &Id, buyer: &Id, section: u16, seat: u32) {
        self.record(head, 1, |out| {
            place_head(out, hold, buyer, 0, 1);
            out.push(1);
            out.extend_from_slice(&1u16.to_le_bytes());
            out.extend_from_slice(&section.to_le_bytes());
            out.extend_from_slice(&seat.to_le_bytes());
        });
    }

    pub fn confirm_hold(&mut self, head: Head, hold: &Id, order: &Id, payment: &[u8]) {
        self.record(head, 4, |out| {
            out.extend_from_slice(hold);
            out.extend_from_slice(order);
            out.push(payment.len() as u8);
            out.extend_from_slice(payment);
        });
    }

    /// A visitor comes to the waiting room; the head's key is not looked at.
    pub fn join(&mut self, head: Head, visitor: &Id, class: u8) {
        self.record(head, 60, |out| {
            out.extend_from_slice(visitor);
            out.push(class);
        });
    }

    /// Header and body; the length is filled in when the body is known.
    fn record(&mut self, head: Head, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        let mut header = [0u8; 32];
        header[2] = kind;
        header[4..8].copy_from_slice(&head.call_id.to_le_bytes());
        header[8..16].copy_from_slice(&head.event.to_le_bytes());
        header[16..].copy_from_slice(&head.key);
        self.buffer.extend_from_slice(&header);
        body(&mut self.buffer);
        let length = (self.buffer.len() - start) as u16;
        self.buffer[start..start + 2].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }
}

fn place_head(out: &mut Vec<u8>, hold: &Id, buyer: &Id, ttl_s: u32, lines: u8) {
    out.extend_from_slice(hold);
    out.extend_from_slice(buyer);
    out.extend_from_slice(&ttl_s.to_le_bytes());
    out.push(lines);
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    match line {
        Line::Seats(seats) => {
            out.push(1);
            out.extend_from_slice(&(seats.len() as u16).to_le_bytes());
            for (section, seat) in seats {
                out.extend_from_slice(&section.to_le_bytes());
                out.extend_from_slice(&seat.to_le_bytes());
            }
        }
        Line::Best {
            quantity,
            category,
            or_cheaper,
            accessible,
            split,
            sections,
        } => {
            let mut flags = 0;
            for (set, flag) in [
                (*accessible, FLAG_ACCESSIBLE),
                (*split, FLAG_SPLIT),
                (*or_cheaper, FLAG_OR_CHEAPER),
            ] {
                if set {
                    flags |= flag;
                }
            }
            write_best(
                out,
                *quantity,
                category.unwrap_or(ANY_CATEGORY),
                flags,
                sections,
            );
        }
        Line::General { section, quantity } => {
            out.push(3);
            out.extend_from_slice(&section.to_le_bytes());
            out.extend_from_slice(&quantity.to_le_bytes());
        }
    }
}

fn write_best(out: &mut Vec<u8>, quantity: u16, category: u16, flags: u8, sections: &[u16]) {
    out.push(2);
    out.extend_from_slice(&quantity.to_le_bytes());
    out.extend_from_slice(&category.to_le_bytes());
    out.push(flags);
    out.push(sections.len() as u8);
    for section in sections {
        out.extend_from_slice(&section.to_le_bytes());
    }
}

/// One packed answer, still in its message.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    pub call_id: u32,
    pub revision: u64,
    pub log_index: u64,
    pub outcome: Outcome<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    Done { deadline_ms: u64, runs: Runs<'a> },
    Rejected(Rejected),
    Failed { reason: u16, retry_after_ms: u32 },
    Unknown,
}

/// The runs of a done answer, decoded when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a>(&'a [u8]);

impl Runs<'_> {
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.chunks_exact(8).map(|run| Run {
            section: u16_at(run, 0),
            count: u16_at(run, 2),
            first: u32_at(run, 4),
        })
    }

    /// Seats in all.
    pub fn seats(&self) -> u32 {
        self.iter().map(|run| u32::from(run.count)).sum()
    }
}

/// The server sent bytes that are no answers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("packed answers are malformed at byte {at}")]
pub struct Malformed {
    pub at: usize,
}

/// Reads packed answers one after the other.
#[derive(Debug)]
pub struct Answers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Answers<'a> {
    pub fn new(bytes: &'a [u8]) -> Answers<'a> {
        Answers { bytes, at: 0 }
    }

    fn read(&mut self) -> Option<Packed<'a>> {
        let rest = &self.bytes[self.at..];
        let length = usize::from(u16_at(rest.get(..24)?, 0));
        let body = rest.get(..length)?.get(24..)?;
        let outcome = match rest[2] {
            0 => {
                let count = usize::from(u16_at(body.get(..10)?, 8));
                Outcome::Done {
                    deadline_ms: u64_at(body, 0),
                    runs: Runs(body.get(10..10 + count * 8)?),
                }
            }
            1 => {
                let body = body.get(..24)?;
                Outcome::Rejected(Rejected {
                    reason: u16_at(body, 0),
                    retry: rest[3],
                    section: u16_at(body, 2),
                    seat: u32_at(body, 4),
                    a: u64_at(body, 8),
                    b: u64_at(body, 16),
                })
            }
            2 => {
                let body = body.get(..6)?;
                Outcome::Failed {
                    reason: u16_at(body, 0),
                    retry_after_ms: u32_at(body, 2),
                }
            }
            3 => Outcome::Unknown,
            _ => return None,
        };
        self.at += length;
        Some(Packed {
            call_id: u32_at(rest, 4),
            revision: u64_at(rest, 8),
            log_index: u64_at(rest, 16),
            outcome,
        })
    }
}

impl<'a> Iterator for Answers<'a> {
    type Item = Result<Packed<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at;
        Some(match self.read() {
            Some(answer) => Ok(answer),
            None => {
                self.at = self.bytes.len();
                Err(Malformed { at })
            }
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests;
