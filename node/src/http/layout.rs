//! A seat map as JSON: whole, or only what a drawing needs.

use proto::channel::v1::{SeatMap, Section as ProtoSection};

use super::views::{Category, Layout, Row, Seat, Section};

/// `positions` leaves labels and attributes out and packs the rest as numbers.
pub fn view(event_id: u64, map: SeatMap, positions: bool) -> Layout {
    let SeatMap {
        name,
        categories,
        sections,
        width,
        height,
    } = map;
    Layout {
        event_id,
        name,
        width,
        height,
        categories: categories
            .into_iter()
            .map(|category| Category {
                name: category.name,
                color: category.color,
            })
            .collect(),
        sections: sections
            .into_iter()
            .map(|section| section_view(section, positions))
            .collect(),
    }
}

fn section_view(section: ProtoSection, positions: bool) -> Section {
    let ProtoSection {
        name,
        rows,
        capacity,
        category,
        outline,
    } = section;
    let mut view = Section {
        name,
        capacity,
        category,
        outline,
        ..Section::default()
    };
    if positions {
        let tenths = |value: f64| (value * 10.0).round() as i64;
        view.positions = rows
            .iter()
            .flat_map(|row| &row.seats)
            .flat_map(|seat| [tenths(seat.x), tenths(seat.y), i64::from(seat.category)])
            .collect();
        return view;
    }
    view.rows = rows
        .into_iter()
        .map(|row| Row {
            label: row.label,
            seats: row
                .seats
                .into_iter()
                .map(|seat| Seat {
                    guid: seat.guid,
                    number: seat.number,
                    x: seat.x,
                    y: seat.y,
                    category: seat.category,
                    accessible: seat.accessible,
                    companion: seat.companion,
                    restricted_view: seat.restricted_view,
                    aisle_after: seat.aisle_after,
                })
                .collect(),
        })
        .collect();
    view
}
