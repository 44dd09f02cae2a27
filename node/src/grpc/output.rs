//! Domain values to partners' messages.

use bytes::Bytes;
use domain::outcome::{SeatRun, SeatRuns};

pub fn id(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

pub fn runs(runs: &SeatRuns) -> Vec<proto::channel::v1::SeatRun> {
    runs.as_slice()
        .iter()
        .map(|run| {
            let SeatRun {
                section,
                count,
                first,
            } = *run;
            proto::channel::v1::SeatRun {
                section: section.into(),
                first,
                count: count.into(),
            }
        })
        .collect()
}
