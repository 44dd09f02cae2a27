//! W3C Trace Context as it comes and goes: headers of callers, and its packed form between nodes. What
//! is not well formed is none, as the standard wants it.

use std::sync::Arc;

use actors::trace::Context;
use bytes::Bytes;

pub const TRACE_HEADER: &str = "traceparent";
pub const STATE_HEADER: &str = "tracestate";

/// A longer one need not be passed on.
const STATE_LEN_MAX: usize = 512;
const TRACE_ID_LEN: usize = 16;
const SPAN_ID_LEN: usize = 8;
const SAMPLED: u8 = 1;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub trace_id: u128,
    pub span_id: u64,
    /// The caller records this trace, and wishes that others do.
    pub is_sampled: bool,
}

impl Parent {
    /// With the caller's `tracestate`, if it is one that must be passed on.
    pub fn context(self, state: Option<&str>) -> Context {
        let is_fit = |state: &&str| state.len() <= STATE_LEN_MAX && state.is_ascii();
        Context {
            trace_id: self.trace_id,
            span_id: self.span_id,
            state: Arc::from(state.filter(is_fit).unwrap_or("")),
        }
    }
}

/// `version-trace-parent-flags`; versions after 00 may say more behind it.
pub fn read(header: &str) -> Option<Parent> {
    let mut fields = header.split('-');
    let mut number = |digits: usize| {
        let field = fields.next().filter(|field| field.len() == digits)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_sound = field.bytes().all(is_hex);
        u128::from_str_radix(field, 16).ok().filter(|_| is_sound)
    };
    let version = number(2).filter(|version| *version != 0xff)?;
    let trace_id = number(2 * TRACE_ID_LEN).filter(|id| *id != 0)?;
    let span_id = number(2 * SPAN_ID_LEN).filter(|id| *id != 0)?;
    let flags = number(2)?;
    if version == 0 && fields.next().is_some() {
        return None;
    }
    Some(Parent {
        trace_id,
        span_id: span_id as u64,
        is_sampled: flags as u8 & SAMPLED != 0,
    })
}

/// Of a span that is recorded.
pub fn write(trace_id: u128, span_id: u64) -> String {
    format!("00-{trace_id:032x}-{span_id:016x}-01")
}

/// As it goes to another node (`onsale.cluster.v1.ForwardBatch.trace`).
pub fn pack(context: &Context) -> Bytes {
    let Context {
        trace_id,
        span_id,
        state,
    } = context;
    let mut packed = Vec::with_capacity(TRACE_ID_LEN + SPAN_ID_LEN + state.len());
    packed.extend_from_slice(&trace_id.to_be_bytes());
    packed.extend_from_slice(&span_id.to_be_bytes());
    packed.extend_from_slice(state.as_bytes());
    packed.into()
}

pub fn unpack(packed: &[u8]) -> Option<Context> {
    let (trace_id, rest) = packed.split_first_chunk()?;
    let (span_id, state) = rest.split_first_chunk()?;
    let parent = Parent {
        trace_id: u128::from_be_bytes(*trace_id),
        span_id: u64::from_be_bytes(*span_id),
        is_sampled: true,
    };
    Some(parent.context(std::str::from_utf8(state).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_sound_header_is_read_and_written_alike() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        let parent = read(&header).expect("sound");
        assert!(parent.is_sampled);
        assert_eq!(write(parent.trace_id, parent.span_id), header);
        let unsampled = read(&format!("00-{TRACE}-{SPAN}-00")).expect("sound");
        assert!(!unsampled.is_sampled);
        // Other flags are others' business, and a later version may say more.
        let later = read(&format!("cc-{TRACE}-{SPAN}-03-what-the-future-holds"));
        assert!(later.expect("sound").is_sampled);
    }

    #[test]
    fn what_is_not_sound_is_none() {
        let zeros = "0".repeat(32);
        for odd in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            "somebody@example.org".into(),
        ] {
            assert_eq!(read(&odd), None, "{odd}");
        }
    }

    #[test]
    fn what_goes_to_another_node_comes_back() {
        let parent = read(&format!("00-{TRACE}-{SPAN}-01")).expect("sound");
        for state in [None, Some("vendor=1,other=a:b"), Some("")] {
            let context = parent.context(state);
            let packed = pack(&context);
            assert_eq!(unpack(&packed), Some(context.clone()));
            assert_eq!(unpack(&packed[..20]), None);
            assert_eq!(&*context.state, state.unwrap_or(""));
        }
        let long = "v=1,".repeat(200);
        assert_eq!(&*parent.context(Some(&long)).state, "");
    }
}
