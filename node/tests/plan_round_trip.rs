//! Whatever layout the reader can make, the writer's plan reads back as the same layout, and the
//! stored form of it too. On failure proptest prints the plan and the seed that repeats it.

use std::fmt::Write as _;

use onsale::plan::{self, Options};
use proptest::prelude::*;

/// A row: where it starts, its steps to the right and down, and its seats' categories.
type Row = (i32, i32, Vec<(i8, i8, usize)>);

const CATEGORIES: [&str; 7] = [
    "Best",
    "Good",
    "Good [wheelchair]",
    "Good [companion, restricted view]",
    "Cheap",
    "Cheap [companion]",
    "Block [left]",
];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let seat = (-30..60_i8, -20..20_i8, 0..CATEGORIES.len());
    let row = (
        0..9_000_i32,
        0..9_000_i32,
        prop::collection::vec(seat, 0..12),
    );
    prop::collection::vec(row, 0..6)
}

fn plan_text(zones: &[(Vec<Row>, Option<u32>)]) -> String {
    let categories: Vec<String> = CATEGORIES
        .iter()
        .map(|name| format!("{{\"name\":\"{name}\",\"color\":\"#12ab9f\"}}"))
        .collect();
    let mut text = format!(
        "{{\"name\":\"Plän \\\"1\\\"\",\"categories\":[{}],\"size\":{{\"width\":900.5,\"height\":9e2}},",
        categories.join(",")
    );
    let mut guid = 0;
    let mut zone_texts = Vec::new();
    for (zone, (rows, standing)) in zones.iter().enumerate() {
        let mut row_texts = Vec::new();
        for (index, (x, y, seats)) in rows.iter().enumerate() {
            let (mut at, mut seat_texts) = ((0.1, 0.3), Vec::new());
            for (right, down, category) in seats {
                at = (
                    at.0 + f64::from(*right) / 3.0,
                    at.1 + f64::from(*down) / 7.0,
                );
                guid += 1;
                seat_texts.push(format!(
                    "{{\"seat_guid\":\"g{guid}\",\"seat_number\":\"{guid}\",\"category\":\"{}\",\
                     \"position\":{{\"x\":{},\"y\":{}}}}}",
                    CATEGORIES[*category], at.0, at.1
                ));
            }
            row_texts.push(format!(
                "{{\"row_number\":\"{index}\",\"position\":{{\"x\":{},\"y\":{}}},\"seats\":[{}]}}",
                f64::from(*x) / 10.0,
                f64::from(*y) / 10.0,
                seat_texts.join(",")
            ));
        }
        let area = standing.map(|capacity| {
            format!(
                "{{\"shape\":\"ellipse\",\"ellipse\":{{\"radius\":{{\"x\":9.3,\"y\":4}}}},\
                 \"rotation\":31,\"position\":{{\"x\":1,\"y\":2}},\
                 \"text\":{{\"text\":\"Floor {zone} [standing {capacity}: Block [left]]\"}}}}"
            )
        });
        zone_texts.push(format!(
            "{{\"name\":\"Zone {zone}\",\"position\":{{\"x\":-3.7,\"y\":0.2}},\"rows\":[{}],\"areas\":[{}]}}",
            row_texts.join(","),
            area.unwrap_or_default()
        ));
    }
    let _ = write!(text, "\"zones\":[{}]}}", zone_texts.join(","));
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_layout_survives_being_written_and_read(
        zones in prop::collection::vec((rows(), prop::option::of(1..5_000_u32)), 1..4),
    ) {
        let text = plan_text(&zones);
        let places = |(rows, standing): &(Vec<Row>, Option<u32>)| {
            rows.iter().map(|row| row.2.len()).sum::<usize>() + standing.unwrap_or(0) as usize
        };
        let places: usize = zones.iter().map(places).sum();
        let read = plan::read(text.as_bytes(), &Options::default());
        if places == 0 {
            prop_assert_eq!(read.expect_err("nothing to sell"), plan::PlanFault::Empty);
            return Ok(());
        }
        let first = read.expect("a good plan");
        prop_assert_eq!((first.report.seats + first.report.standing) as usize, places);

        let written = plan::write(&first.seat_map);
        let second = plan::read(&written, &Options::default()).expect("our own plan");
        prop_assert_eq!(&second.seat_map, &first.seat_map);
        // Only the focal point is not in the layout; it is the middle of the size in both.
        prop_assert_eq!(&second.venue, &first.venue);
        prop_assert_eq!(&plan::write(&second.seat_map), &written);

        let (etag, packed) = plan::layout_bytes(&first.seat_map).expect("in memory");
        let (again, layout) = plan::layout_from_bytes(&packed).expect("packed by us");
        prop_assert_eq!(again, etag);
        prop_assert_eq!(layout, first.seat_map);
    }
}

#[test]
fn the_shipped_plans_survive_being_written_and_read() {
    for shipped in [plan::BOWL, plan::THEATRE] {
        let first = plan::read(shipped, &Options::default()).expect("a shipped plan");
        let written = plan::write(&first.seat_map);
        let second = plan::read(&written, &Options::default()).expect("our own plan");
        assert_eq!(second.seat_map, first.seat_map);
    }
}
