//! Seating plans in JSON: taken in whole within the bounds, or refused with a place in the file.

use std::fmt::Write as _;

use domain::rules::SaleRules;
use domain::{Sale, invariants};
use onsale::plan::{self, Imported, Options, PlanFault};

const SEATS_MAX: u32 = 2_000;

/// The lowest bit of the first byte: make ids where they are missing. The rest is the plan.
pub fn run(data: &[u8]) {
    let Some((flags, text)) = data.split_first() else {
        return;
    };
    let options = Options {
        dedupe: flags & 1 == 1,
        seats_max: SEATS_MAX,
        ..Options::default()
    };
    match plan::read(text, &options) {
        Ok(imported) => sound(&imported),
        Err(fault) => {
            let told = fault.to_string();
            assert!(!told.is_empty() && told.len() < 64 << 10, "{told}");
            if let PlanFault::Malformed { line, .. } = fault {
                let lines = text.iter().filter(|byte| **byte == b'\n').count();
                assert!(line <= lines + 1);
            }
        }
    }
}

fn sound(imported: &Imported) {
    let report = &imported.report;
    assert!(report.seats <= SEATS_MAX);
    assert!(
        report.seats > 0 || report.standing > 0,
        "there is something to sell"
    );
    let sections = imported.seat_map.sections.len();
    assert_eq!(imported.venue.sections.len(), sections);
    let seats = imported
        .seat_map
        .sections
        .iter()
        .flat_map(|section| &section.rows);
    let seats: usize = seats.map(|row| row.seats.len()).sum();
    assert_eq!(seats, report.seats as usize);
    for seat in &imported.blocked {
        assert!(usize::from(seat.section) < sections);
    }
    if let Ok(sale) = Sale::new(&imported.venue, SaleRules::default(), 1) {
        assert_eq!(invariants::check(&sale), []);
    }
    let (etag, packed) = plan::layout_bytes(&imported.seat_map).expect("in memory");
    let (again, layout) = plan::layout_from_bytes(&packed).expect("packed by us");
    assert_eq!((again, &layout), (etag, &imported.seat_map));
    let _ = plan::write(&imported.seat_map);
}

pub const WORDS: &[&str] = &[
    "\"name\":",
    "\"categories\":",
    "\"zones\":",
    "\"rows\":",
    "\"areas\":",
    "\"seats\":",
    "\"position\":",
    "\"seat_guid\":",
    "\"uuid\":",
    "\"category\":",
    "\"text\":",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "true",
    "1e308",
    "-1e308",
    "1e-400",
    "999999999999999999999",
    "\\u0000",
    "\\ud800",
    "[standing 5: A]",
    " [wheelchair]",
    "\"shape\":\"polygon\"",
    "\"points\":[]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":",
];

/// A plan with all that the format has, our extensions included.
fn sample() -> String {
    let mut seats = String::new();
    for number in 0..6 {
        let comma = if number == 0 { "" } else { "," };
        let category = ["A", "A [wheelchair]", "B"][number % 3];
        // Writing to a string does not fail.
        let _ = write!(
            seats,
            "{comma}{{\"seat_guid\":\"g{number}\",\"uuid\":\"u{number}\",\"seat_number\":\"{number}\",\
             \"position\":{{\"x\":{},\"y\":0}},\"category\":\"{category}\"}}",
            number * 20
        );
    }
    format!(
        "{{\"name\":\"Hall\",\"categories\":[{{\"name\":\"A\",\"color\":\"#ff0000\"}},\
         {{\"name\":\"A [wheelchair]\"}},{{\"name\":\"B\",\"color\":null}}],\
         \"size\":{{\"width\":400,\"height\":3e2}},\"zones\":[{{\"name\":\"Stalls\",\"zone_id\":\"z\",\
         \"position\":{{\"x\":1.5,\"y\":2}},\"rows\":[{{\"row_number\":\"1\",\
         \"position\":{{\"x\":0,\"y\":0}},\"seats\":[{seats}]}}],\"areas\":[\
         {{\"shape\":\"polygon\",\"polygon\":{{\"points\":[{{\"x\":0,\"y\":0}},{{\"x\":9,\"y\":9}}]}},\
         \"rotation\":30,\"position\":{{\"x\":0,\"y\":0}},\"text\":{{\"text\":\"Floor [standing 50: B]\"}}}},\
         {{\"shape\":\"ellipse\",\"ellipse\":{{\"radius\":{{\"x\":9,\"y\":4}}}},\"position\":{{\"x\":5,\"y\":5}},\
         \"text\":{{\"text\":\"Stage\"}}}}]}}]}}"
    )
}

/// More seats than may be, in the fewest bytes.
fn too_many() -> String {
    let seat = "{\"seat_guid\":\"\",\"seat_number\":\"\",\"position\":{\"x\":0,\"y\":0},\"category\":\"\"},";
    let seats = seat.repeat(SEATS_MAX as usize / 4);
    format!(
        "{{\"name\":\"\",\"categories\":[],\"size\":{{\"width\":0,\"height\":0}},\"zones\":[{{\"name\":\"\",\
         \"position\":{{\"x\":0,\"y\":0}},\"rows\":[{{\"row_number\":\"\",\"position\":{{\"x\":0,\"y\":0}},\
         \"seats\":[{}]}}]}}]}}",
        seats.trim_end_matches(',')
    )
}

pub fn corpus() -> Vec<Vec<u8>> {
    let input = |flags: u8, text: &str| {
        let mut input = vec![flags];
        input.extend_from_slice(text.as_bytes());
        input
    };
    let deep = |open: &str| format!("{{\"name\":{}", open.repeat(20_000));
    vec![
        input(0, &sample()),
        input(1, &sample()),
        input(1, &too_many()),
        input(0, &deep("[")),
        input(0, &deep("{\"a\":")),
    ]
}
