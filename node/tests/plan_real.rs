//! Plans as they are found outside: `seat_guid` repeated in every block, `uuid` unique. A small one
//! with the same defect always; the real one when `ONSALE_TRIAL_PLANS` names its folder.

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

#[test]
fn the_real_stadium() {
    let Some(folder) = std::env::var_os("ONSALE_TRIAL_PLANS") else {
        println!("SKIPPED: ONSALE_TRIAL_PLANS does not name a folder with stadium.json");
        return;
    };
    let path = std::path::Path::new(&folder).join("stadium.json");
    let bytes = std::fs::read(path).expect("stadium.json in the folder");
    let fault = plan::read(&bytes, &Options::default()).expect_err("duplicates");
    let PlanFault::Duplicates { ids, seats, .. } = fault else {
        panic!("{fault}");
    };
    assert_eq!((ids, seats), (126, 546));

    let imported = plan::read(&bytes, &with_dedupe()).expect("told apart by uuid");
    let report = &imported.report;
    println!("{report:#?}");
    assert_eq!((report.sections, report.rows, report.seats), (2, 90, 738));
    assert_eq!((report.categories, report.warnings.len()), (5, 0));
    assert_eq!(report.rows_put_in_sequence, 0);
    let written = plan::write(&imported.seat_map);
    let again = plan::read(&written, &Options::default()).expect("our own plan");
    assert_eq!(again.seat_map, imported.seat_map);
}
