//! The venue, to and from its durable message.

use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use proto::log::v1 as log;

use super::Fields;

pub fn to_proto(venue: &Venue) -> log::Venue {
    let Venue { sections } = venue;
    log::Venue {
        sections: sections.iter().map(section_to_proto).collect(),
    }
}

fn section_to_proto(section: &SectionPlan) -> log::VenueSection {
    match section {
        SectionPlan::General { capacity, category } => log::VenueSection {
            capacity: *capacity,
            category: u32::from(*category),
            ..Default::default()
        },
        SectionPlan::Seated {
            focal_x,
            focal_y,
            rows,
        } => {
            let mut seats = Vec::new();
            for SeatPlan {
                x,
                y,
                category,
                attributes,
                aisle_after,
            } in rows.iter().flat_map(|row| &row.seats)
            {
                seats.extend_from_slice(&x.to_le_bytes());
                seats.extend_from_slice(&y.to_le_bytes());
                seats.extend_from_slice(&category.to_le_bytes());
                seats.push(attributes.0);
                seats.push(u8::from(*aisle_after));
            }
            log::VenueSection {
                capacity: 0,
                category: 0,
                focal_x: *focal_x,
                focal_y: *focal_y,
                rows: rows.iter().map(|row| row.seats.len() as u32).collect(),
                seats: seats.into(),
            }
        }
    }
}

/// `None` when the bytes do not fit the rows.
pub fn from_proto(venue: &log::Venue) -> Option<Venue> {
    let log::Venue { sections } = venue;
    Some(Venue {
        sections: sections
            .iter()
            .map(section_from_proto)
            .collect::<Option<_>>()?,
    })
}

fn section_from_proto(section: &log::VenueSection) -> Option<SectionPlan> {
    let log::VenueSection {
        capacity,
        category,
        focal_x,
        focal_y,
        rows,
        seats,
    } = section;
    if rows.is_empty() {
        return Some(SectionPlan::General {
            capacity: *capacity,
            category: u16::try_from(*category).ok()?,
        });
    }
    let mut fields = Fields(seats);
    let rows = rows
        .iter()
        .map(|count| {
            let seats = (0..*count)
                .map(|_| seat_from_fields(&mut fields))
                .collect::<Option<Vec<_>>>()?;
            Some(RowPlan { seats })
        })
        .collect::<Option<Vec<_>>>()?;
    fields.is_empty().then_some(SectionPlan::Seated {
        focal_x: *focal_x,
        focal_y: *focal_y,
        rows,
    })
}

fn seat_from_fields(fields: &mut Fields<'_>) -> Option<SeatPlan> {
    Some(SeatPlan {
        x: fields.i32()?,
        y: fields.i32()?,
        category: fields.u16()?,
        attributes: Attributes(fields.u8()?),
        aisle_after: fields.u8()? != 0,
    })
}
