//! Sections from zones: the rows of a zone are one, each standing area is one more.

use domain::ids::SeatRef;
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan};
use proto::channel::v1;

use super::super::fault::PlanFault;
use super::super::identity::seat_place;
use super::super::model::{Area, Point, Row, Seat, Zone};
use super::super::report::{Report, Warnings};
use super::super::{Options, adjacency, convention};
use super::categories::{Categories, Meaning};
use super::{PLACES_MAX, invalid};

/// No sum of positions is further from zero.
const REACH_MAX: f64 = 1_000_000.0;
const SECTIONS_MAX: usize = 65_535;
const ROW_SEATS_MAX: usize = 65_535;

pub(super) struct Sections<'a, 'p> {
    pub options: &'a Options,
    pub focal: Point,
    pub categories: &'a Categories<'p>,
    /// Of the seats that are not yet taken, in the file's sequence.
    pub ids: std::vec::IntoIter<String>,
    pub report: &'a mut Report,
    pub warnings: &'a mut Warnings,
    pub made: Vec<(v1::Section, SectionPlan)>,
    pub blocked: Vec<SeatRef>,
}

/// A row on its way: positions in the plan's coordinates, seats in the sequence they stand in.
struct Standing<'p> {
    label: &'p str,
    seats: Vec<(Point, &'p Seat, String, Meaning)>,
    spacings: Vec<f64>,
}

impl Sections<'_, '_> {
    pub fn take(&mut self, index: usize, zone: &Zone) -> Result<(), PlanFault> {
        let mut rows = Vec::with_capacity(zone.rows.len());
        for (row_index, row) in zone.rows.iter().enumerate() {
            if !row.seats.is_empty() {
                rows.push(self.row((index, zone), (row_index, row))?);
            }
        }
        if !rows.is_empty() {
            self.seated(index, zone, rows)?;
        }
        for (area_index, area) in zone.areas.iter().enumerate() {
            let text = area.text.as_ref().map_or("", |text| text.text.as_str());
            if let Some(standing) = convention::standing(text) {
                let place = format!("zones[{index}].areas[{area_index}].text.text");
                self.standing(place, zone, area, standing)?;
            }
        }
        Ok(())
    }

    fn row<'p>(
        &mut self,
        zone: (usize, &Zone),
        row: (usize, &'p Row),
    ) -> Result<Standing<'p>, PlanFault> {
        let seats = &row.1.seats;
        if seats.len() > ROW_SEATS_MAX {
            let place = format!("zones[{}].rows[{}].seats", zone.0, row.0);
            let what = format!("{} seats in a row, more than {ROW_SEATS_MAX}", seats.len());
            return Err(invalid(place, what));
        }
        let origin = zone.1.position.plus(row.1.position);
        let mut placed = Vec::with_capacity(seats.len());
        for (index, seat) in seats.iter().enumerate() {
            let place = || seat_place(zone.0, row.0, index);
            let id = self.ids.next().unwrap_or_default();
            if id.is_empty() {
                return Err(invalid(place() + ".seat_guid", "the seat has no id"));
            }
            let Some(meaning) = self.categories.meaning(&seat.category) else {
                let what = format!("the category {:?} is not declared", &*seat.category);
                return Err(invalid(place() + ".category", what));
            };
            let at = origin.plus(seat.position).rounded();
            if at.x.abs() > REACH_MAX || at.y.abs() > REACH_MAX {
                let what = format!("the seat is at {}, {}: too far out", at.x, at.y);
                return Err(invalid(place() + ".position", what));
            }
            placed.push(Some((at, seat, id, meaning)));
        }
        let points: Vec<Point> = placed.iter().flatten().map(|seat| seat.0).collect();
        let sequence = adjacency::sequence(&points);
        if !sequence.is_sorted() {
            self.report.rows_put_in_sequence += 1;
        }
        let in_sequence: Vec<Point> = sequence.iter().map(|index| points[*index]).collect();
        let spacings = adjacency::spacings(&in_sequence);
        if spacings.contains(&0.0) {
            self.warnings.add(|| {
                let (zone, row) = (zone.0, row.0);
                format!("zones[{zone}].rows[{row}]: two seats stand on one point")
            });
        }
        Ok(Standing {
            label: &row.1.row_number,
            seats: sequence
                .iter()
                .filter_map(|index| placed[*index].take())
                .collect(),
            spacings,
        })
    }

    fn seated(
        &mut self,
        index: usize,
        zone: &Zone,
        rows: Vec<Standing<'_>>,
    ) -> Result<(), PlanFault> {
        let section = self.next_section(&format!("zones[{index}]"))?;
        let pitch = adjacency::pitch(rows.iter().flat_map(|row| row.spacings.iter().copied()));
        let mut layout_rows = Vec::with_capacity(rows.len());
        let mut plan_rows = Vec::with_capacity(rows.len());
        let mut number = 0;
        for row in rows {
            let aisles = adjacency::aisles(&row.spacings, pitch);
            self.report.rows += 1;
            self.report.seats += row.seats.len() as u32;
            self.report.aisles += aisles.iter().filter(|aisle| **aisle).count() as u32;
            // The row's end parts neighbours as an aisle does.
            let breaks = aisles.into_iter().chain([true]);
            let mut layout_row = Vec::with_capacity(row.seats.len());
            let mut plan_row = Vec::with_capacity(row.seats.len());
            for ((at, seat, id, meaning), aisle_after) in row.seats.into_iter().zip(breaks) {
                self.count(meaning.attributes);
                if meaning.blocked {
                    self.blocked.push(SeatRef {
                        section,
                        seat: number,
                    });
                }
                number += 1;
                layout_row.push(layout_seat(at, seat, id, meaning, aisle_after));
                plan_row.push(plan_seat(at, meaning, aisle_after));
            }
            layout_rows.push(v1::Row {
                label: row.label.to_owned(),
                seats: layout_row,
            });
            plan_rows.push(RowPlan { seats: plan_row });
        }
        let named = self.options.section_focals.get(&zone.name);
        let focal = named.copied().unwrap_or(self.focal);
        self.made.push((
            v1::Section {
                name: zone.name.clone(),
                rows: layout_rows,
                ..v1::Section::default()
            },
            SectionPlan::Seated {
                focal_x: tenths(focal.x),
                focal_y: tenths(focal.y),
                rows: plan_rows,
            },
        ));
        Ok(())
    }

    fn standing(
        &mut self,
        place: String,
        zone: &Zone,
        area: &Area,
        standing: convention::Standing<'_>,
    ) -> Result<(), PlanFault> {
        self.next_section(&place)?;
        let Some(capacity) = standing.capacity.filter(|c| (1..=PLACES_MAX).contains(c)) else {
            let what = format!("the capacity is not a number from 1 to {PLACES_MAX}");
            return Err(invalid(place, what));
        };
        let category = match standing.category {
            Some(name) => self
                .categories
                .meaning(name)
                .map(|meaning| meaning.category),
            None => self.categories.cheapest(),
        };
        let Some(category) = category else {
            let name = standing.category.unwrap_or_default();
            return Err(invalid(
                place,
                format!("the category {name:?} is not declared"),
            ));
        };
        self.report.standing = self.report.standing.saturating_add(capacity);
        let name = match standing.name.is_empty() {
            true => zone.name.clone(),
            false => standing.name.to_owned(),
        };
        let outline = area.outline().into_iter();
        let outline = outline.map(|point| zone.position.plus(point).rounded());
        self.made.push((
            v1::Section {
                name,
                rows: Vec::new(),
                capacity,
                category,
                outline: outline.flat_map(|point| [point.x, point.y]).collect(),
            },
            SectionPlan::General {
                capacity,
                category: category as u16,
            },
        ));
        Ok(())
    }

    fn next_section(&self, place: &str) -> Result<u16, PlanFault> {
        match self.made.len() < SECTIONS_MAX {
            true => Ok(self.made.len() as u16),
            false => Err(invalid(place, format!("more than {SECTIONS_MAX} sections"))),
        }
    }

    fn count(&mut self, attributes: Attributes) {
        let has = |attribute| u32::from(attributes.contains(attribute));
        self.report.accessible += has(Attributes::ACCESSIBLE);
        self.report.companion += has(Attributes::COMPANION);
        self.report.restricted_view += has(Attributes::RESTRICTED_VIEW);
    }
}

fn layout_seat(at: Point, seat: &Seat, guid: String, meaning: Meaning, aisle: bool) -> v1::Seat {
    let has = |attribute| meaning.attributes.contains(attribute);
    v1::Seat {
        guid,
        number: seat.seat_number.clone(),
        x: at.x,
        y: at.y,
        category: meaning.category,
        accessible: has(Attributes::ACCESSIBLE),
        companion: has(Attributes::COMPANION),
        restricted_view: has(Attributes::RESTRICTED_VIEW),
        aisle_after: aisle,
    }
}

fn plan_seat(at: Point, meaning: Meaning, aisle_after: bool) -> SeatPlan {
    SeatPlan {
        x: tenths(at.x),
        y: tenths(at.y),
        category: meaning.category as u16,
        attributes: meaning.attributes,
        aisle_after,
    }
}

/// Saturates; what comes here is within `REACH_MAX` or the caller's own focal point.
fn tenths(value: f64) -> i32 {
    (value * 10.0).round() as i32
}
