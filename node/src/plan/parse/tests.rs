//! What is refused, and where it is said to be.

use super::*;

const HEAD: &str = r##"{"name":"P","categories":[{"name":"C","color":"#ffffff"}],
"size":{"width":10,"height":10},"zones":[{"name":"Z","position":{"x":0,"y":0},"areas":[],"rows":["##;
const TAIL: &str = "]}]}";
const SEAT: &str = r#"{"seat_guid":"a","seat_number":"1","position":{"x":0,"y":0},"category":"C"}"#;

fn row(seats: &str) -> String {
    format!(r#"{{"row_number":"1","position":{{"x":0,"y":0}},"seats":[{seats}]}}"#)
}

fn with_seat(seat: &str) -> String {
    format!("{HEAD}{}{TAIL}", row(seat))
}

fn fault(text: &str) -> String {
    let fault = parse(text.as_bytes(), 1_000).expect_err("a fault");
    fault.to_string()
}

#[test]
fn a_small_plan_reads() {
    let (plan, warnings) = parse(with_seat(SEAT).as_bytes(), 1).expect("a plan");
    assert_eq!(plan.seats().count(), 1);
    assert_eq!(warnings.listed, Vec::<String>::new());
}

#[test]
fn a_wrong_type_is_named_with_its_place_and_line() {
    let text = with_seat(&SEAT.replace(r#""C""#, "5"));
    let fault = fault(&text);
    let place = "zones[0].rows[0].seats[0].category: invalid type: integer `5`, expected a text";
    assert!(fault.starts_with(place), "{fault}");
    assert!(fault.contains("(line 2, column "), "{fault}");
}

#[test]
fn every_wrong_value_is_refused_at_its_place() {
    let at = "zones[0].rows[0].seats[0]";
    let cases = [
        (
            r#""x":0"#,
            r#""x":1e9"#,
            ".position.x: 1e9 is not within ±1000000",
        ),
        (
            r#""x":0"#,
            r#""x":1e999"#,
            ".position.x: number out of range",
        ),
        (r#""x":0"#, r#""x":NaN"#, ".position.x: expected value"),
        (r#""x":0"#, r#""x":Infinity"#, ".position.x: expected value"),
        (
            r#""x":0"#,
            r#""x":"0""#,
            ".position.x: invalid type: string \"0\", expected a number",
        ),
        (
            r#""x":0,"#,
            "",
            ".position: a position needs the field \"x\"",
        ),
        (
            r#""x":0"#,
            r#""x":0,"x":1"#,
            ".position.x: the field stands here twice",
        ),
        (
            r#","category":"C""#,
            "",
            ": a seat needs the field \"category\"",
        ),
        (
            r#""category":"C""#,
            r#""category":null"#,
            ".category: invalid type: null",
        ),
        (
            r#""1""#,
            r#""1\u0000""#,
            ".seat_number: the text has control characters",
        ),
        (
            r#""1""#,
            "{}",
            ".seat_number: invalid type: map, expected a text",
        ),
    ];
    for (good, bad, what) in cases {
        let fault = fault(&with_seat(&SEAT.replacen(good, bad, 1)));
        assert!(fault.starts_with(&format!("{at}{what}")), "{bad}: {fault}");
    }
}

#[test]
fn texts_are_as_long_as_a_line_and_no_longer() {
    let at = "zones[0].rows[0].seats[0]";
    for field in ["seat_guid", "seat_number", "category", "uuid"] {
        let with = |text: &str| {
            let seat = SEAT.replacen('{', "{\"uuid\":\"u\",", 1);
            let (head, tail) = seat.split_once(&format!("\"{field}\":\"")).expect("has it");
            let (_, tail) = tail.split_once('"').expect("ends");
            with_seat(&format!("{head}\"{field}\":\"{text}\"{tail}"))
        };
        assert!(parse(with(&"ü".repeat(200)).as_bytes(), 1).is_ok());
        let fault = fault(&with(&"ü".repeat(201)));
        let expected = format!("{at}.{field}: the text is longer than 200 characters (line 2");
        assert!(fault.starts_with(&expected), "{fault}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_line() {
    for text in ["", "[]", "null", "{", "\u{feff}{}", "{\"name\":\"\u{1}\"}"] {
        let fault = parse(text.as_bytes(), 1).expect_err("a fault");
        assert!(
            matches!(fault, PlanFault::Malformed { .. }),
            "{text:?}: {fault}"
        );
    }
    let cut = with_seat(SEAT);
    assert!(fault(&cut[..cut.len() - 3]).contains("EOF"));
    assert!(fault(&(with_seat(SEAT) + "x")).contains("trailing characters"));
    let latin1 = [b"{\"name\":\"".as_slice(), &[0xfc], b"\"}"].concat();
    let fault = parse(&latin1, 1).expect_err("a fault").to_string();
    assert!(fault.starts_with("name: invalid unicode"), "{fault}");
}

#[test]
fn a_plan_cut_anywhere_is_refused() {
    let whole = with_seat(SEAT);
    for end in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..end], 10).is_err(), "cut at {end}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(100_000);
    let unknown = with_seat(&SEAT.replacen('{', &format!("{{\"odd\":{deep},"), 1));
    assert!(fault(&unknown).contains("recursion limit exceeded"));
    assert!(fault(&deep).contains("invalid type"));
}

#[test]
fn one_seat_too_many_stops_the_read() {
    let seats = [SEAT; 3].join(",");
    // What follows the seat too many is never looked at: it is no JSON.
    let text = format!("{HEAD}{}", row(&format!("{seats},!")));
    let fault = parse(text.as_bytes(), 2).expect_err("too many");
    let expected = PlanFault::TooMany {
        place: "zones[0].rows[0].seats[2]".into(),
        what: "seats",
        max: 2,
    };
    assert_eq!(fault, expected);
}

#[test]
fn ten_million_seats_are_refused_before_they_are_read() {
    // 64 MiB of the shortest things that could be seats.
    let seats = "{},".repeat(10_000_000);
    let text = format!("{HEAD}{}", row(&seats));
    assert!(fault(&text).contains("seats[0]: a seat needs the field"));
    let many = format!("{SEAT},").repeat(250_000);
    let text = format!("{HEAD}{}", row(&many));
    let fault = parse(text.as_bytes(), 200_000)
        .expect_err("too many")
        .to_string();
    assert_eq!(
        fault,
        "zones[0].rows[0].seats[200000]: more than 200000 seats"
    );
    let long = vec![b' '; crate::plan::BYTES_MAX + 1];
    assert!(matches!(parse(&long, 1), Err(PlanFault::TooLong { .. })));
}

#[test]
fn unknown_fields_are_warned_about_and_left_out() {
    let odd = SEAT.replacen('{', r#"{"price":{"a":[1,2.5,"x",null,true]},"#, 1);
    let (plan, warnings) = parse(with_seat(&odd).as_bytes(), 10).expect("a plan");
    assert_eq!(plan.seats().count(), 1);
    let expected = "zones[0].rows[0].seats[0]: unknown field \"price\" is left out";
    assert_eq!(warnings.listed, [expected]);

    let many = [odd.as_str(); 100].join(",");
    let (_, warnings) = parse(with_seat(&many).as_bytes(), 100).expect("a plan");
    assert_eq!(warnings.listed.len() as u32 + warnings.left_out, 100);
    assert_eq!(warnings.left_out, 80);
}

#[test]
fn a_long_quotation_of_the_file_is_cut_short() {
    let text = with_seat(&SEAT.replace(r#""x":0"#, &format!("\"x\":\"{}\"", "ü".repeat(9_000))));
    assert!(fault(&text).chars().count() < 300);
}

#[test]
fn fields_that_may_be_empty_may_be_null() {
    let seat = SEAT.replacen(
        '{',
        r#"{"uuid":null,"radius":null,"start_direction":null,"#,
        1,
    );
    assert!(parse(with_seat(&seat).as_bytes(), 1).is_ok());
}
