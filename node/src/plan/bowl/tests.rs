//! The generator keeps its promises for every size, and the plans in `config/plans` are what it
//! writes. After changing a generator: `ONSALE_WRITE_PLANS=1 cargo test -p onsale plan::bowl`.

use std::path::Path;

use super::super::{BOWL, Options, THEATRE, read, theatre};
use super::*;

fn imported(plan: &Plan) -> crate::plan::Imported {
    read(&plan.to_json(), &Options::default()).expect("a generated plan reads")
}

#[test]
fn every_size_has_exactly_the_places_asked_for() {
    for seats in [1, 2, 7, 60, 200, 738, 999, 1_000, 4_321, 8_000, 20_000] {
        let report = imported(&bowl(seats)).report;
        assert_eq!(report.seats + report.standing, seats, "{report:?}");
        assert_eq!(report.warnings, Vec::<String>::new());
    }
}

#[test]
fn a_hundred_thousand_places_fit() {
    let report = imported(&bowl(100_000)).report;
    assert_eq!(report.seats + report.standing, 100_000);
    assert_eq!(report.standing, 5_000);
}

#[test]
fn a_stadium_has_what_stadiums_have() {
    let stadium = imported(&bowl(20_000));
    let report = &stadium.report;
    assert!(report.accessible >= 30, "{report:?}");
    assert_eq!(report.accessible, report.companion);
    assert!(report.restricted_view >= 50, "{report:?}");
    assert!(report.aisles >= 90, "{report:?}");
    assert_eq!(report.rows_put_in_sequence, 0);
    assert_eq!(report.categories, 6);
    assert!(report.standing >= 1_000, "{report:?}");
    let balcony = |section: &proto::channel::v1::Section| section.name.starts_with("Balcony");
    assert!(stadium.seat_map.sections.iter().any(balcony));
}

#[test]
fn no_two_seats_of_the_stadium_overlap() {
    let stadium = imported(&bowl(20_000)).seat_map;
    let seats = stadium
        .sections
        .iter()
        .flat_map(|s| &s.rows)
        .flat_map(|row| &row.seats);
    let mut at: Vec<(f64, f64)> = seats.map(|seat| (seat.x, seat.y)).collect();
    at.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (index, seat) in at.iter().enumerate() {
        for other in &at[index + 1..] {
            if other.0 - seat.0 > 4.0 {
                break;
            }
            let apart = (other.0 - seat.0).hypot(other.1 - seat.1);
            assert!(apart > 4.0, "{seat:?} and {other:?} are {apart} apart");
        }
    }
}

#[test]
fn the_plans_in_the_repository_are_what_the_generators_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/plans");
    let plans = [
        ("bowl.json", bowl(20_000), BOWL),
        ("theatre.json", theatre(), THEATRE),
    ];
    for (file, plan, embedded) in plans {
        let written = plan.to_json();
        assert!(written.len() < 3_000_000);
        if std::env::var_os("ONSALE_WRITE_PLANS").is_some() {
            std::fs::write(folder.join(file), &written).expect("the folder is writable");
        } else {
            assert!(
                written == embedded,
                "{file} is not what its generator writes"
            );
        }
    }
}

#[test]
fn the_theatre_has_a_stair_in_every_row_of_the_stalls() {
    let theatre = imported(&theatre());
    let report = &theatre.report;
    assert_eq!(report.aisles, 14 + 7);
    assert_eq!((report.accessible, report.companion), (2, 2));
    let first = &theatre.seat_map.sections[0].rows[0].seats;
    let numbers: Vec<&str> = first.iter().map(|seat| seat.number.as_str()).collect();
    assert_eq!(numbers[..2], ["19", "17"]);
    let stair = first.iter().position(|seat| seat.aisle_after);
    assert_eq!(stair.map(|at| numbers[at]), Some("1"));
}
