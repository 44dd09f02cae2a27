//! A sale's part of its group's snapshot, to and from bytes.

use std::sync::Arc;

use domain::ids::SaleId;
use proto::log::v1 as log;

use crate::codec::snapshot::{Unreadable, restore, to_proto};
use crate::sale::{Body, Creation, Frost, Frozen, JournalEntry, SalePart};

/// One sale as it stands in a snapshot; also what an audit reads.
pub fn encode_sale(
    sale: SaleId,
    layout: bytes::Bytes,
    exported: &crate::sale::Exported,
) -> log::SaleSnapshot {
    log::SaleSnapshot {
        sale_id: sale.0,
        applied_index: exported.applied_index,
        layout,
        contents: Some(to_proto(&exported.state)),
        frozen: None,
    }
}

pub(super) fn part_to_proto(part: &SalePart) -> log::SaleSnapshot {
    let SalePart {
        sale,
        applied_index,
        creation,
        body,
    } = part;
    let (contents, frozen) = match body {
        Body::Live(image) => (to_proto(&image.state()), None),
        Body::Frozen(Frozen {
            frost,
            checkpoint,
            journal,
        }) => {
            let Frost {
                log_index,
                command,
                why,
            } = frost;
            let journal = journal
                .iter()
                .map(|JournalEntry { at_ms, records }| log::JournalEntry {
                    at_ms: *at_ms,
                    records: records.clone(),
                })
                .collect();
            let frozen = log::FrozenSale {
                log_index: *log_index,
                command: *command,
                why: why.clone(),
                journal,
            };
            (to_proto(&checkpoint.state()), Some(frozen))
        }
    };
    log::SaleSnapshot {
        sale_id: sale.0,
        applied_index: *applied_index,
        layout: creation.layout.clone(),
        contents: Some(contents),
        frozen,
    }
}

/// Reads a part and proves it by restoring it once.
pub(super) fn part_from_proto(snapshot: log::SaleSnapshot) -> Result<SalePart, Unreadable> {
    let log::SaleSnapshot {
        sale_id,
        applied_index,
        layout,
        contents,
        frozen,
    } = snapshot;
    let contents = contents.ok_or(Unreadable::Field("contents"))?;
    let sale = restore(&contents)?;
    let image = Arc::new(sale.image());
    let body = match frozen {
        None => Body::Live(image),
        Some(log::FrozenSale {
            log_index,
            command,
            why,
            journal,
        }) => Body::Frozen(Frozen {
            frost: Frost {
                log_index,
                command,
                why,
            },
            checkpoint: image,
            journal: journal
                .into_iter()
                .map(|log::JournalEntry { at_ms, records }| JournalEntry { at_ms, records })
                .collect(),
        }),
    };
    Ok(SalePart {
        sale: SaleId(sale_id),
        applied_index,
        creation: Arc::new(Creation { layout }),
        body,
    })
}
