//! Plans as they are found outside: `seat_guid` repeated in every block, `uuid` unique. Small ones of
//! our own with the same defect, and a real stadium for who has it:
//!
//! ```text
//! ONSALE_TRIAL_PLANS=FOLDER cargo test -p onsale --test plan_real -- --ignored
//! ```

use onsale::plan::{self, Options, PlanFault};

/// Two blocks of one zone that count their rows and seats from the start again.
fn two_blocks() -> String {
    let mut rows = Vec::new();
    for block in 0..2 {
        for row in ["A", "B", "C"] {
            let seat = |n: u32| {
                let x = 25 * n;
                format!(
                    "{{\"seat_number\":\"{n}\",\"seat_guid\":\"Ground-{row}-{n}\",\
                     \"uuid\":\"00000000-0000-4000-8000-0000{block}{row}{n:06}\",\
                     \"position\":{{\"x\":{x},\"y\":0}},\"category\":\"Category I\"}}"
                )
            };
            let seats: Vec<String> = (1..=7 + block).map(seat).collect();
            rows.push(format!(
                "{{\"position\":{{\"x\":{},\"y\":25}},\"row_number\":\"{row}\",\
                 \"row_number_position\":\"start\",\"seats\":[{}]}}",
                1_000 * block,
                seats.join(",")
            ));
        }
    }
    format!(
        "{{\"name\":\"Ground\",\"size\":{{\"width\":2000,\"height\":500}},\
         \"categories\":[{{\"name\":\"Category I\",\"color\":\"#F44336\"}}],\
         \"zones\":[{{\"name\":\"Ground floor\",\"zone_id\":\"Ground\",\
         \"position\":{{\"x\":0,\"y\":0}},\"areas\":[],\"rows\":[{}]}}]}}",
        rows.join(",")
    )
}

fn with_dedupe() -> Options {
    Options {
        dedupe: true,
        ..Options::default()
    }
}

#[test]
fn blocks_that_count_from_the_start_again() {
    let text = two_blocks();
    let fault = plan::read(text.as_bytes(), &Options::default()).expect_err("duplicates");
    let PlanFault::Duplicates { ids, seats, .. } = fault else {
        panic!("{fault}");
    };
    assert_eq!((ids, seats), (21, 42));

    let imported = plan::read(text.as_bytes(), &with_dedupe()).expect("told apart by uuid");
    assert_eq!(imported.report.seats, 45);
    assert_eq!(imported.report.renamed_seats, 42);
    assert_eq!(imported.report.aisles, 0);
    let section = &imported.seat_map.sections[0];
    assert_eq!(
        section.rows.len(),
        6,
        "rows of one label in two blocks are two rows"
    );
    let again = plan::read(text.as_bytes(), &with_dedupe()).expect("the same again");
    assert_eq!(again.seat_map, imported.seat_map);
}

/// What a plan that names seats alike must do: be refused by default, be told apart by `uuid`, and
/// come back the same when it is written and read.
fn told_apart(bytes: &[u8], duplicates: (u32, u32)) -> plan::Imported {
    let fault = plan::read(bytes, &Options::default()).expect_err("duplicates");
    let PlanFault::Duplicates { ids, seats, .. } = fault else {
        panic!("{fault}");
    };
    assert_eq!((ids, seats), duplicates);
    let imported = plan::read(bytes, &with_dedupe()).expect("told apart by uuid");
    assert!(
        imported.report.warnings.is_empty(),
        "{:#?}",
        imported.report
    );
    assert_eq!(imported.report.rows_put_in_sequence, 0);
    let written = plan::write(&imported.seat_map);
    let again = plan::read(&written, &Options::default()).expect("our own plan");
    assert_eq!(again.seat_map, imported.seat_map);
    imported
}

/// Slanted blocks, fractions of units, rows listed from the back, a stage, a second zone that is
/// moved: what the real stadium has, on one screen.
#[test]
fn a_hall_with_slanted_blocks() {
    let imported = told_apart(include_bytes!("plans/hall.json"), (40, 108));
    let report = &imported.report;
    assert_eq!((report.sections, report.rows, report.seats), (2, 16, 120));
    assert_eq!(report.categories, 3);
    let stalls = &imported.seat_map.sections[0];
    for row in &stalls.rows {
        let inside = &row.seats[..row.seats.len() - 1];
        assert!(inside.iter().all(|seat| !seat.aisle_after), "{}", row.label);
    }
}

#[test]
#[ignore = "SKIPPED: needs ONSALE_TRIAL_PLANS, a folder with stadium.json"]
fn the_real_stadium() {
    let folder = std::env::var_os("ONSALE_TRIAL_PLANS").expect("ONSALE_TRIAL_PLANS is set");
    let path = std::path::Path::new(&folder).join("stadium.json");
    let bytes = std::fs::read(path).expect("stadium.json in the folder");
    let imported = told_apart(&bytes, (126, 546));
    let report = &imported.report;
    assert_eq!((report.sections, report.rows, report.seats), (2, 90, 738));
    assert_eq!(report.categories, 5);
}
