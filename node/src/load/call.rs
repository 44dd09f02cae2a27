//! What a partner asks and what it is told, in the client's own words: neither the generated
//! messages nor the domain's types.

/// A UUID in network order.
pub type Id = [u8; 16];

/// One line of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Section and seat.
    Seats(Vec<(u16, u32)>),
    Best {
        quantity: u16,
        /// `None` is any.
        category: Option<u16>,
        or_cheaper: bool,
        accessible: bool,
        split: bool,
        /// Empty is any.
        sections: Vec<u16>,
    },
    General {
        section: u16,
        quantity: u16,
    },
}

impl Line {
    /// Any seats of any category, the best there are.
    pub fn best(quantity: u16) -> Line {
        Line::Best {
            quantity,
            category: None,
            or_cheaper: false,
            accessible: false,
            split: false,
            sections: Vec::new(),
        }
    }
}

/// A mutating call. The idempotency key is chosen by who sends it, once for all attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    PlaceHold {
        /// Of a buyer who came through a waiting room; else empty.
        pass: String,
        hold: Id,
        buyer: Id,
        /// 0 is the sale's hold time.
        ttl_s: u32,
        lines: Vec<Line>,
    },
    ExtendHold {
        hold: Id,
        ttl_s: u32,
    },
    ReleaseHold {
        hold: Id,
    },
    ConfirmHold {
        hold: Id,
        order: Id,
        payment: String,
    },
    CancelOrder {
        order: Id,
    },
}

/// `count` seats of one section from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub section: u16,
    pub count: u16,
    pub first: u32,
}

/// A refusal decided by the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// A `RejectionReason`.
    pub reason: u16,
    /// 0 never, 1 later, 2 with other seats.
    pub retry: u8,
    pub section: u16,
    pub seat: u32,
    pub a: u64,
    pub b: u64,
}

/// What a call led to, for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done {
        revision: u64,
        log_index: u64,
        /// Of a hold, Unix milliseconds of log time; else 0.
        deadline_ms: u64,
        seats: Vec<Run>,
    },
    Rejected {
        revision: u64,
        why: Rejected,
    },
}
