//! Plain venues for loads and tests: equal sections of straight rows, as a seating plan in the
//! format of seats.pretix.eu.

use std::fmt::Write as _;

const SEATS_PER_ROW: u32 = 50;
const PITCH: u32 = 20;
/// Between two sections.
const GANGWAY: u32 = 4 * PITCH;

/// `sections` sections of `seats` seats each (a multiple of 50), one price.
pub fn plan(name: &str, sections: u32, seats: u32) -> Vec<u8> {
    let rows = seats / SEATS_PER_ROW;
    let section_width = SEATS_PER_ROW * PITCH + GANGWAY;
    let (width, height) = (sections * section_width, rows * PITCH + 2 * GANGWAY);
    let mut zones = String::new();
    for section in 0..sections {
        let x = section * section_width;
        let rows = list(rows, |row| self::row(section, row));
        // Writing to a string does not fail.
        let _ = write!(
            zones,
            "{}{{\"name\":\"Section {section}\",\"zone_id\":\"s{section}\",\
             \"position\":{{\"x\":{x},\"y\":{GANGWAY}}},\"areas\":[],\"rows\":[{rows}]}}",
            if section == 0 { "" } else { "," }
        );
    }
    format!(
        "{{\"name\":\"{name}\",\"categories\":[{{\"name\":\"Any\",\"color\":\"#336699\"}}],\
         \"size\":{{\"width\":{width},\"height\":{height}}},\"zones\":[{zones}]}}"
    )
    .into_bytes()
}

fn row(section: u32, row: u32) -> String {
    let seats = list(SEATS_PER_ROW, |seat| {
        format!(
            "{{\"seat_guid\":\"{section}-{row}-{seat}\",\"seat_number\":\"{seat}\",\
             \"position\":{{\"x\":{},\"y\":0}},\"category\":\"Any\"}}",
            seat * PITCH
        )
    });
    format!(
        "{{\"row_number\":\"{row}\",\"position\":{{\"x\":0,\"y\":{}}},\"seats\":[{seats}]}}",
        row * PITCH
    )
}

fn list(count: u32, one: impl Fn(u32) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_plain_venue_is_a_plan_without_faults() {
        let plan = super::plan("Plain", 3, 200);
        let imported = crate::plan::read(&plan, &crate::plan::Options::default()).unwrap();
        let sections = &imported.seat_map.sections;
        assert_eq!(sections.len(), 3);
        for section in sections {
            assert_eq!(section.rows.len(), 4);
            for row in &section.rows {
                assert_eq!(row.seats.len(), 50);
                let aisles = row.seats.iter().filter(|seat| seat.aisle_after).count();
                assert!(aisles <= 1, "only the row's end may count as an aisle");
            }
        }
    }
}
