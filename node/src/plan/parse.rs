//! JSON text to `Plan`, in one pass with bounded memory. Every fault carries its place in the file;
//! what the format does not know is skipped and warned about. Called by `plan::read` alone; what
//! the fields mean together is for `convert`.

mod fields;
mod object;
mod place;

use super::fault::PlanFault;
use super::model::Plan;
use super::report::Warnings;
use object::ObjectSeed;
use place::Place;
use serde::de::DeserializeSeed as _;

/// Longest explanation of what is wrong: it may quote the file.
const WHAT_CHARS_MAX: usize = 200;

pub(super) fn parse(bytes: &[u8], seats_max: u32) -> Result<(Plan, Warnings), PlanFault> {
    if bytes.len() > super::BYTES_MAX {
        return Err(PlanFault::TooLong {
            bytes: bytes.len(),
            max: super::BYTES_MAX,
        });
    }
    let place = Place::new(seats_max);
    // It refuses nesting deeper than 128, also in what is skipped, and numbers beyond f64.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let plan = ObjectSeed::<Plan>::new(&place)
        .deserialize(&mut json)
        .and_then(|plan| json.end().map(|()| plan))
        .map_err(|error| explain(error, &place))?;
    Ok((plan, place.into_warnings()))
}

fn explain(error: serde_json::Error, place: &Place) -> PlanFault {
    if let Some(fault) = place.take_fault() {
        return fault;
    }
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let mut what = match text.strip_suffix(&format!(" at line {line} column {column}")) {
        Some(what) => what.to_owned(),
        None => text,
    };
    if let Some((end, _)) = what.char_indices().nth(WHAT_CHARS_MAX) {
        what.truncate(end);
        what.push('…');
    }
    PlanFault::Malformed {
        place: place.text(),
        what,
        line,
        column,
    }
}

#[cfg(test)]
mod tests;
