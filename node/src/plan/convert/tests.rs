//! What a plan's fields mean together. Reading and writing a layout is in `tests/plan_round_trip.rs`.

use domain::venue::{Attributes, SectionPlan};

use super::super::{Options, PlanFault, read};

const PLAN: &str = r##"{"name":"House","size":{"width":200,"height":100},
"categories":[{"name":"A","color":"#FF0000"},{"name":"A [wheelchair]","color":"#ff0000"},
  {"name":"B","color":"blue"},{"name":"Not available","color":"#000000"}],
"zones":[
 {"name":"Stalls","position":{"x":10,"y":20},"areas":[],"rows":[
  {"row_number":"1","position":{"x":1,"y":2},"seats":[
   {"seat_guid":"1","seat_number":"1","category":"A","position":{"x":0,"y":0.5}},
   {"seat_guid":"3","seat_number":"3","category":"A [wheelchair]","position":{"x":20,"y":0.5}},
   {"seat_guid":"2","seat_number":"2","category":"B","position":{"x":10,"y":0.5}},
   {"seat_guid":"4","seat_number":"4","category":"Not available","position":{"x":40,"y":0.5}},
   {"seat_guid":"5","seat_number":"5","category":"B","position":{"x":50,"y":0.5}}]},
  {"row_number":"2","position":{"x":500,"y":2},"seats":[]}]},
 {"name":"Floor","position":{"x":0,"y":50},"rows":[],"areas":[
  {"shape":"rectangle","position":{"x":5,"y":5},"rectangle":{"width":10,"height":20},
   "text":{"text":"Pit [standing 70: B]"}},
  {"shape":"rectangle","position":{"x":90,"y":0},"rectangle":{"width":20,"height":10},
   "text":{"text":"Main stage","position":{"x":0,"y":0}}},
  {"shape":"star","position":{"x":0,"y":0}}]}]}"##;

fn with(good: &str, bad: &str) -> Result<super::Imported, PlanFault> {
    assert!(PLAN.contains(good));
    read(PLAN.replacen(good, bad, 1).as_bytes(), &Options::default())
}

#[test]
fn a_plan_becomes_sections_rows_and_seats() {
    let imported = read(PLAN.as_bytes(), &Options::default()).expect("a good plan");
    let SectionPlan::Seated {
        focal_x,
        focal_y,
        rows,
    } = &imported.venue.sections[0]
    else {
        panic!("the stalls have seats");
    };
    // The middle of the stage, in tenths.
    assert_eq!((*focal_x, *focal_y), (1000, 550));
    assert_eq!(rows.len(), 1);
    let seats = &rows[0].seats;
    assert_eq!((seats[0].x, seats[0].y), (110, 225));
    let aisles: Vec<bool> = seats.iter().map(|seat| seat.aisle_after).collect();
    assert_eq!(aisles, [false, false, true, false, true]);
    let categories: Vec<u16> = seats.iter().map(|seat| seat.category).collect();
    assert_eq!(categories, [0, 1, 0, 2, 1]);
    assert_eq!(seats[2].attributes, Attributes::ACCESSIBLE);
    let pit = SectionPlan::General {
        capacity: 70,
        category: 1,
    };
    assert_eq!(imported.venue.sections[1], pit);
    assert_eq!(imported.blocked.len(), 1);
    assert_eq!(imported.blocked[0].seat, 3);
}

#[test]
fn the_layout_says_the_same_with_names() {
    let map = read(PLAN.as_bytes(), &Options::default())
        .expect("a good plan")
        .seat_map;
    let names: Vec<&str> = map
        .sections
        .iter()
        .map(|section| section.name.as_str())
        .collect();
    assert_eq!(names, ["Stalls", "Pit"]);
    let numbers: Vec<&str> = map.sections[0].rows[0]
        .seats
        .iter()
        .map(|s| &*s.number)
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
    let categories: Vec<&str> = map.categories.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(categories, ["A", "B", "Not available"]);
    assert_eq!(map.categories[1].color, "#888888");
    assert_eq!(
        map.sections[1].outline,
        [5.0, 55.0, 15.0, 55.0, 15.0, 75.0, 5.0, 75.0]
    );
    assert_eq!((map.width, map.height), (200.0, 100.0));
}

#[test]
fn the_report_counts_and_warns() {
    let report = read(PLAN.as_bytes(), &Options::default())
        .expect("a good plan")
        .report;
    assert_eq!((report.seats, report.standing, report.aisles), (5, 70, 1));
    assert_eq!(
        (
            report.rows_put_in_sequence,
            report.blocked,
            report.accessible
        ),
        (1, 1, 1)
    );
    let warnings = report.warnings.join("\n");
    assert!(
        warnings.contains("zones[1].areas[2]: an area of shape \"star\""),
        "{warnings}"
    );
    assert!(
        warnings.contains("categories[2].color: \"blue\""),
        "{warnings}"
    );
}

#[test]
fn what_does_not_fit_together_is_refused_at_its_place() {
    let undeclared = with(r#""category":"B""#, r#""category":"X""#).expect_err("no X");
    let text = undeclared.to_string();
    assert_eq!(
        text,
        "zones[0].rows[0].seats[2].category: the category \"X\" is not declared"
    );
    let capacity = with("standing 70", "standing many")
        .expect_err("no number")
        .to_string();
    assert!(
        capacity.starts_with("zones[1].areas[0].text.text: the capacity"),
        "{capacity}"
    );
    let capacity = with("standing 70", "standing 10000001")
        .expect_err("too many")
        .to_string();
    assert!(capacity.contains("10000000"), "{capacity}");
    let category = with("70: B", "70: X").expect_err("no X").to_string();
    assert!(category.contains("\"X\" is not declared"), "{category}");
    let twice = with(r#"{"name":"B""#, r#"{"name":"A""#)
        .expect_err("twice")
        .to_string();
    assert_eq!(twice, "categories[2]: the category \"A\" is declared twice");
    let far = with(r#""x":10,"y":20"#, r#""x":999999,"y":20"#)
        .expect_err("far")
        .to_string();
    assert!(
        far.starts_with("zones[0].rows[0].seats[1].position: the seat is at"),
        "{far}"
    );
    let nameless = with(r#""seat_guid":"1""#, r#""seat_guid":"""#)
        .expect_err("no id")
        .to_string();
    assert_eq!(
        nameless,
        "zones[0].rows[0].seats[0].seat_guid: the seat has no id"
    );
}

#[test]
fn an_empty_plan_is_refused() {
    let empty = r#"{"name":"","categories":[],"zones":[],"size":{"width":1,"height":1}}"#;
    let fault = read(empty.as_bytes(), &Options::default()).expect_err("nothing to sell");
    assert_eq!(fault, PlanFault::Empty);
}

#[test]
fn the_caller_may_say_where_to_look() {
    let mut options = Options {
        focal: Some(super::Point { x: 1.0, y: 2.0 }),
        ..Options::default()
    };
    let focal = |options: &Options| {
        let imported = read(PLAN.as_bytes(), options).expect("a good plan");
        match imported.venue.sections[0] {
            SectionPlan::Seated {
                focal_x, focal_y, ..
            } => (focal_x, focal_y),
            SectionPlan::General { .. } => panic!("the stalls have seats"),
        }
    };
    assert_eq!(focal(&options), (10, 20));
    options
        .section_focals
        .insert("Stalls".into(), super::Point { x: 3.0, y: 4.0 });
    assert_eq!(focal(&options), (30, 40));
}
