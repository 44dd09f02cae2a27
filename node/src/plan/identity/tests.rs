//! What is refused, what is renamed, and that made ids stay.

use std::sync::Arc;

use super::*;

/// A zone with one row of `(guid, uuid)` per inner list.
fn plan(rows: &[&[(&str, Option<&str>)]]) -> Plan {
    let seat = |row: usize, index: usize, (guid, uuid): (&str, Option<&str>)| Seat {
        seat_guid: guid.into(),
        seat_number: index.to_string(),
        position: Point {
            x: index as f64,
            y: row as f64,
        },
        category: Arc::from("C"),
        uuid: uuid.map(str::to_owned),
        radius: None,
        start_direction: None,
    };
    let rows = rows.iter().enumerate().map(|(row, seats)| Row {
        row_number: "A".into(),
        seats: seats
            .iter()
            .enumerate()
            .map(|(n, ids)| seat(row, n, *ids))
            .collect(),
        ..Row::default()
    });
    Plan {
        zones: vec![Zone {
            name: "Z".into(),
            rows: rows.collect(),
            ..Zone::default()
        }],
        ..Plan::default()
    }
}

fn dedupe(plan: &Plan) -> (Vec<String>, Report) {
    let mut report = Report::default();
    let ids = identify(plan, true, &mut report).expect("with dedupe nothing is refused");
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), ids.len(), "{ids:?}");
    (ids, report)
}

#[test]
fn a_uuid_is_the_id_where_there_is_one() {
    let plan = plan(&[&[("a", Some("u1")), ("b", None)]]);
    let ids = identify(&plan, false, &mut Report::default()).expect("no duplicates");
    assert_eq!(ids, ["u1", "b"]);
}

#[test]
fn a_shared_guid_is_refused_by_name_even_when_uuids_differ() {
    let plan = plan(&[&[("a", Some("u1")), ("b", None)], &[("a", Some("u2"))]]);
    let fault = identify(&plan, false, &mut Report::default()).expect_err("a duplicate");
    let text = fault.to_string();
    assert!(text.starts_with("2 seats share 1 ids"), "{text}");
    let named = "seat_guid \"a\" on 2 seats (zones[0].rows[0].seats[0], zones[0].rows[1].seats[0])";
    assert!(text.contains(named), "{text}");

    let (ids, report) = dedupe(&plan);
    assert_eq!(ids, ["u1", "b", "u2"]);
    assert_eq!((report.duplicate_ids, report.renamed_seats), (1, 2));
}

#[test]
fn seats_without_an_id_of_their_own_get_one_from_their_place() {
    let plan = plan(&[
        &[("a", None), ("a", Some("u")), ("c", Some("u"))],
        &[("a", None)],
    ]);
    let (ids, report) = dedupe(&plan);
    assert!(ids[0].starts_with("a~") && ids[1].starts_with("a~") && ids[3].starts_with("a~"));
    assert_eq!(ids[2], "c");
    assert_eq!(report.renamed_seats, 3);
    assert_eq!(report.renamed[0].place, "zones[0].rows[0].seats[0]");
}

#[test]
fn made_ids_do_not_depend_on_the_files_sequence() {
    let mut plan = plan(&[&[("a", None), ("a", None), ("b", None), ("a", None)]]);
    let (mut ids, _) = dedupe(&plan);
    plan.zones[0].rows[0].seats.reverse();
    let (mut reversed, _) = dedupe(&plan);
    ids.sort();
    reversed.sort();
    assert_eq!(ids, reversed);
}

#[test]
fn seats_that_agree_in_everything_are_told_apart_by_sequence() {
    let mut plan = plan(&[&[("a", None), ("a", None)]]);
    let first = plan.zones[0].rows[0].seats[0].clone();
    plan.zones[0].rows[0].seats[1] = first;
    let (ids, _) = dedupe(&plan);
    assert_eq!(ids[1], format!("{}~2", ids[0]));
}

#[test]
fn a_uuid_that_is_anothers_guid_is_nobodys_id() {
    let plan = plan(&[&[("a", Some("b")), ("b", None)]]);
    let mut report = Report::default();
    assert!(identify(&plan, false, &mut report).is_err());
    dedupe(&plan);
}

#[test]
fn many_duplicates_are_counted_and_the_first_are_named() {
    let guids: Vec<String> = (0..50).map(|n| format!("g{n}")).collect();
    let row: Vec<(&str, Option<&str>)> = guids.iter().map(|g| (g.as_str(), None)).collect();
    let plan = plan(&[&row, &row, &row]);
    let fault = identify(&plan, false, &mut Report::default()).expect_err("duplicates");
    let text = fault.to_string();
    assert!(text.starts_with("150 seats share 50 ids"), "{text}");
    assert!(
        text.contains("\"g0\" on 3 seats (") && text.contains("; and 30 more"),
        "{text}"
    );
}
