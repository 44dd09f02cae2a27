//! One id per seat. Names every id that stands on several seats; gives made ids when asked to.

use std::collections::HashMap;

use super::fault::PlanFault;
use super::model::{Plan, Point, Row, Seat, Zone};
use super::report::{Duplicate, LISTED_MAX, Renamed, Report};

/// The ids of all seats in the file's sequence; what was found goes into the report.
pub(super) fn identify(
    plan: &Plan,
    dedupe: bool,
    report: &mut Report,
) -> Result<Vec<String>, PlanFault> {
    let guids = count(seats(plan).map(|seat| seat.seat.seat_guid.as_str()));
    let uuids = count(seats(plan).filter_map(|seat| seat.seat.uuid.as_deref()));
    // One seat's uuid may be another's guid.
    let names = count(seats(plan).map(|seat| seat.name()));
    let duplicates = Duplicates::find(plan, &guids, &uuids, &names);
    if duplicates.ids > 0 && !dedupe {
        return Err(PlanFault::Duplicates {
            ids: duplicates.ids,
            seats: duplicates.seats,
            sample: duplicates.sample,
        });
    }
    report.duplicate_ids = duplicates.ids;
    report.duplicate_seats = duplicates.seats;
    report.duplicates = duplicates.sample;

    let alone = |ids: &Counts<'_>, id: &str| ids.get(id) == Some(&1);
    let own: Vec<Option<&str>> = seats(plan)
        .map(|seat| {
            let uuid = seat.seat.uuid.as_deref();
            let uuid = uuid.filter(|id| alone(&uuids, id));
            let guid = Some(seat.seat.seat_guid.as_str());
            uuid.or_else(|| guid.filter(|id| alone(&guids, id)))
        })
        .collect();
    let taken = count(own.iter().flatten().copied());
    let mut made: HashMap<String, u32> = HashMap::new();
    let mut ids = Vec::with_capacity(own.len());
    for (seat, own) in seats(plan).zip(&own) {
        let id = match own.filter(|id| alone(&taken, id)) {
            Some(id) => id.to_owned(),
            None => make(&seat, &taken, &mut made),
        };
        let guid = &seat.seat.seat_guid;
        // Being known by its uuid is the rule, and only worth telling when the guid is not usable.
        if id != *guid && !alone(&guids, guid) {
            report.renamed_seats += 1;
            if report.renamed.len() < LISTED_MAX {
                report.renamed.push(Renamed {
                    place: seat.place(),
                    from: guid.clone(),
                    to: id.clone(),
                });
            }
        }
        ids.push(id);
    }
    Ok(ids)
}

/// A seat with what is around it.
struct Placed<'p> {
    zone: (usize, &'p Zone),
    row: (usize, &'p Row),
    index: usize,
    seat: &'p Seat,
}

impl<'p> Placed<'p> {
    fn place(&self) -> String {
        seat_place(self.zone.0, self.row.0, self.index)
    }

    /// What the seat is known by when nothing is shared.
    fn name(&self) -> &'p str {
        let guid = self.seat.seat_guid.as_str();
        self.seat.uuid.as_deref().unwrap_or(guid)
    }

    fn position(&self) -> Point {
        let row = self.zone.1.position.plus(self.row.1.position);
        row.plus(self.seat.position).rounded()
    }
}

pub(super) fn seat_place(zone: usize, row: usize, seat: usize) -> String {
    format!("zones[{zone}].rows[{row}].seats[{seat}]")
}

fn seats(plan: &Plan) -> impl Iterator<Item = Placed<'_>> {
    plan.zones.iter().enumerate().flat_map(|zone| {
        zone.1.rows.iter().enumerate().flat_map(move |row| {
            let placed = move |(index, seat)| Placed {
                zone,
                row,
                index,
                seat,
            };
            row.1.seats.iter().enumerate().map(placed)
        })
    })
}

/// On how many seats an id stands.
type Counts<'p> = HashMap<&'p str, u32>;

fn count<'p>(ids: impl Iterator<Item = &'p str>) -> Counts<'p> {
    let mut counts = HashMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

#[derive(Default)]
struct Duplicates {
    ids: u32,
    seats: u32,
    sample: Vec<Duplicate>,
}

impl Duplicates {
    fn find(plan: &Plan, guids: &Counts<'_>, uuids: &Counts<'_>, names: &Counts<'_>) -> Duplicates {
        let several = |ids: &Counts<'_>| ids.values().filter(|count| **count > 1).count();
        // A name that is shared and is neither a shared guid nor a shared uuid is both.
        let crossed = |(name, count): &(&&str, &u32)| {
            let known = |ids: &Counts<'_>| ids.get(**name).is_some_and(|count| *count > 1);
            **count > 1 && !known(guids) && !known(uuids)
        };
        let crossed = names.iter().filter(crossed).count();
        let mut found = Duplicates {
            ids: (several(guids) + several(uuids) + crossed) as u32,
            ..Duplicates::default()
        };
        if found.ids == 0 {
            return found;
        }
        // In the file's sequence, so that the same file is always explained in the same words.
        let mut listed: HashMap<(&str, &str), usize> = HashMap::new();
        for seat in seats(plan) {
            let guid = ("seat_guid", Some(seat.seat.seat_guid.as_str()), guids);
            let uuid = ("uuid", seat.seat.uuid.as_deref(), uuids);
            let name = ("uuid and seat_guid", Some(seat.name()), names);
            let mut shares = false;
            for (field, id, counts) in [guid, uuid, name] {
                let Some(id) = id else { continue };
                let count = counts.get(id).copied().unwrap_or_default();
                if count < 2 || shares && field == name.0 {
                    continue;
                }
                shares = true;
                if let Some(at) = listed.get(&(field, id)) {
                    let places = &mut found.sample[*at].places;
                    if places.len() < 2 {
                        places.push(seat.place());
                    }
                } else if found.sample.len() < LISTED_MAX {
                    listed.insert((field, id), found.sample.len());
                    found.sample.push(Duplicate {
                        field,
                        id: id.to_owned(),
                        seats: count,
                        places: vec![seat.place()],
                    });
                }
            }
            found.seats += u32::from(shares);
        }
        found
    }
}

/// An id from where the seat is and what it is called; only seats that agree in all of that are
/// told apart by their sequence in the file.
fn make(seat: &Placed<'_>, taken: &Counts<'_>, made: &mut HashMap<String, u32>) -> String {
    let Point { x, y } = seat.position();
    let guid = &seat.seat.seat_guid;
    let around = format!(
        "{}\n{}\n{}\n{}\n{guid}\n{x}\n{y}",
        seat.zone.1.name,
        seat.zone.1.zone_id.as_deref().unwrap_or_default(),
        seat.row.1.row_number,
        seat.seat.seat_number,
    );
    let hash = xxhash_rust::xxh3::xxh3_64(around.as_bytes());
    let base = format!("{guid}~{hash:016x}");
    let nth = made.entry(base.clone()).or_default();
    loop {
        *nth += 1;
        let id = match *nth {
            1 => base.clone(),
            nth => format!("{base}~{nth}"),
        };
        if !taken.contains_key(id.as_str()) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests;
