//! Why a plan is refused, always with the place in the file.

use super::report::Duplicate;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanFault {
    #[error("the file is {bytes} bytes long; at most {max} are read")]
    TooLong { bytes: usize, max: usize },
    /// Not JSON, or JSON of the wrong shape.
    #[error("{place}: {what} (line {line}, column {column})")]
    Malformed {
        /// As in `zones[2].rows[5].seats[3].category`; `plan` is the top.
        place: String,
        what: String,
        line: usize,
        column: usize,
    },
    #[error("{place}: more than {max} {what}")]
    TooMany {
        place: String,
        what: &'static str,
        max: u32,
    },
    /// Well-formed and still wrong.
    #[error("{place}: {what}")]
    Invalid { place: String, what: String },
    #[error(
        "{seats} seats share {ids} ids, so an id does not tell which seat is meant: {}; \
         import with dedupe to tell them apart by uuid or by made ids",
        name_duplicates(.ids, .sample)
    )]
    Duplicates {
        /// Ids (`seat_guid` or `uuid`) that stand on more than one seat.
        ids: u32,
        /// Seats they stand on.
        seats: u32,
        /// The first of them.
        sample: Vec<Duplicate>,
    },
    #[error("the plan has neither seats nor standing areas")]
    Empty,
}

/// A line that a terminal can still show; `ctl plan check --dedupe` lists the others.
const NAMED_MAX: usize = 20;

fn name_duplicates(ids: &u32, sample: &[Duplicate]) -> String {
    let named = sample.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(Duplicate::to_string).collect();
    let rest = (*ids as usize).saturating_sub(named.len());
    match rest {
        0 => named.join("; "),
        rest => format!("{}; and {rest} more", named.join("; ")),
    }
}
