//! Small changes to inputs: what a disk, a network or a careless writer does to bytes, and numbers
//! at the edges of their types.

use rand::RngExt as _;

use crate::layer1::Draw;

/// No input grows beyond this.
const LEN_MAX: usize = 64 << 10;

const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes `input` one to several times. `others` are inputs to take parts from.
pub fn mutate(input: &mut Vec<u8>, draw: &mut Draw, others: &[Vec<u8>], words: &[&str]) {
    let times = 1 << draw.random_range(0..4);
    for _ in 0..draw.random_range(1..=times) {
        change(input, draw, others, words);
    }
    input.truncate(LEN_MAX);
}

fn change(input: &mut Vec<u8>, draw: &mut Draw, others: &[Vec<u8>], words: &[&str]) {
    let len = input.len();
    let at = draw.random_range(0..=len);
    match draw.random_range(0..12) {
        0 | 1 if at < len => input[at] ^= 1 << draw.random_range(0..8),
        2 if at < len => input[at] = draw.random(),
        3 | 4 => number(input, at, draw),
        5 => {
            let end = (at + part(len, draw)).min(len);
            input.drain(at..end);
        }
        6 => {
            let end = (at + part(len, draw)).min(len);
            let copy = input[at..end].to_vec();
            let to = draw.random_range(0..=len);
            insert(input, to, &copy);
        }
        7 => {
            let new: Vec<u8> = (0..draw.random_range(1..9))
                .map(|_| draw.random())
                .collect();
            insert(input, at, &new);
        }
        8 => input.truncate(at),
        9 if !others.is_empty() => {
            let other = &others[draw.random_range(0..others.len())];
            let from = draw.random_range(0..=other.len());
            let end = (from + part(other.len(), draw)).min(other.len());
            let piece = &other[from..end];
            if draw.random_bool(0.5) {
                insert(input, at, piece);
            } else {
                overwrite(input, at, piece);
            }
        }
        10 if !words.is_empty() => {
            let word = words[draw.random_range(0..words.len())].as_bytes();
            if draw.random_bool(0.5) {
                insert(input, at, word);
            } else {
                overwrite(input, at, word);
            }
        }
        11 => {
            let end = (at + part(len, draw)).min(len);
            let value = if draw.random_bool(0.5) {
                0
            } else {
                draw.random()
            };
            input[at..end].fill(value);
        }
        _ => insert(input, at, &[0]),
    }
}

/// Overwrites a little-endian number, or the digits of a written one.
fn number(input: &mut Vec<u8>, at: usize, draw: &mut Draw) {
    let edge = EDGES[draw.random_range(0..EDGES.len())];
    let edge = edge.wrapping_add(draw.random_range(0..3)).wrapping_sub(1);
    let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    if digits > 0 && draw.random_bool(0.7) {
        input.splice(at..at + digits, edge.to_string().into_bytes());
        return;
    }
    let len = 1 << draw.random_range(0..4);
    overwrite(input, at, &edge.to_le_bytes()[..len]);
}

/// Mostly a few bytes, sometimes up to all.
fn part(len: usize, draw: &mut Draw) -> usize {
    match draw.random_range(0..4) {
        0 => draw.random_range(0..=len),
        1 => draw.random_range(0..=len.min(64)),
        _ => draw.random_range(0..=len.min(8)),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, new: &[u8]) {
    if input.len() + new.len() <= LEN_MAX {
        input.splice(at..at, new.iter().copied());
    }
}

fn overwrite(input: &mut [u8], at: usize, new: &[u8]) {
    let end = (at + new.len()).min(input.len());
    input[at..end].copy_from_slice(&new[..end - at]);
}
