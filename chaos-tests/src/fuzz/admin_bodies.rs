//! JSON bodies and queries of the cluster API: turned into the words of `api`, or into a problem.

use bytes::Bytes;
use domain::ids::IdempotencyKey;
use onsale::http::bodies::{
    self, AddKey, AddPartner, ArmQueue, Beacon, CreateEvent, CreateEventQuery, DecidePrices, Join,
    MoveQueue, ProposePrices, QueueSettings, RemoveVisitor, Rules, SEATS_MAX, SearchQuery,
    SeatList, Transfer, Trust,
};
use onsale::http::problem::Problem;
use onsale::http::timestamp;
use serde::Deserialize;

/// By name; the place is the first byte of an input.
pub const BODIES: &[&str] = &[
    "CreateEvent",
    "CreateEventQuery",
    "Rules",
    "SeatList",
    "AddPartner",
    "AddKey",
    "Join",
    "Transfer",
    "SearchQuery",
    "",
    "ArmQueue",
    "QueueSettings",
    "MoveQueue",
    "Beacon",
    "RemoveVisitor",
    "Trust",
    "ProposePrices",
    "DecidePrices",
];

/// The first byte says which body the rest is; one stands for texts that are no bodies.
pub fn run(data: &[u8]) {
    let Some((kind, json)) = data.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(json);
    let key = IdempotencyKey(7);
    match usize::from(*kind) % BODIES.len() {
        0 => told(read::<CreateEvent<'_>>(&body), |event| {
            let event = event.into_event(key, &body, false)?;
            let plan = event.plan.as_ptr() as usize;
            let whole = body.as_ptr() as usize;
            assert!(
                (whole..=whole + body.len()).contains(&plan),
                "the plan is not copied"
            );
            named(&event.name);
            Ok(())
        }),
        1 => told(read::<CreateEventQuery>(&body), |query| {
            named(&query.into_event(key, &body)?.name);
            Ok(())
        }),
        2 => told(read::<Rules>(&body), |rules| {
            let rules = rules.into_domain(true)?;
            assert!(rules.channels.is_sorted_by_key(|channel| channel.channel));
            Ok(())
        }),
        3 => told(read::<SeatList>(&body), |list| {
            let seats = list.into_domain()?;
            assert!((1..=SEATS_MAX).contains(&seats.len()));
            Ok(())
        }),
        4 => told(read::<AddPartner>(&body), |partner| partner.check()),
        5 => told(read::<AddKey>(&body), |key| key.check()),
        6 => told(read::<Join>(&body), |join| join.into_node().map(drop)),
        7 => told(read::<Transfer>(&body), |_| Ok(())),
        8 => told(read::<SearchQuery>(&body), |query| {
            let search = query.into_search(&["held", "paid"])?;
            assert!((1..=1_000).contains(&search.page_size));
            Ok(())
        }),
        10 => told(read::<ArmQueue>(&body), |room| {
            let room = room.into_domain()?;
            assert!(room.open_at_ms >= room.lobby_at_ms && !room.lanes.is_empty());
            Ok(())
        }),
        11 => told(read::<QueueSettings>(&body), |_| Ok(())),
        12 => told(read::<MoveQueue>(&body), |times| {
            let (lobby_at_ms, open_at_ms) = times.into_domain()?;
            assert!(open_at_ms >= lobby_at_ms);
            Ok(())
        }),
        13 => told(read::<Beacon>(&body), |beacon| {
            beacon.into_domain().map(drop)
        }),
        14 => told(read::<RemoveVisitor>(&body), |visitor| {
            visitor.into_domain().map(drop)
        }),
        15 => told(read::<Trust>(&body), |trust| trust.into_domain().map(drop)),
        16 => told(read::<ProposePrices>(&body), |prices| {
            let categories = prices.into_categories()?;
            categories.iter().for_each(|category| named(&category.name));
            Ok(())
        }),
        17 => told(read::<DecidePrices>(&body), |decision| {
            decision.into_decision().map(drop)
        }),
        _ => text(&body),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Whatever is refused is refused as the caller's mistake, with a reason.
fn told<T>(body: Option<T>, take: impl FnOnce(T) -> Result<(), Problem>) {
    if let Some(Err(problem)) = body.map(take) {
        assert!((400..500).contains(&problem.status), "{problem:?}");
        assert!(!problem.detail.is_empty());
    }
}

fn named(name: &str) {
    assert!(!name.trim().is_empty() && name.chars().count() <= 200);
    assert!(!name.chars().any(char::is_control));
}

/// Ids, keys and moments, as they stand in paths, headers and queries.
fn text(body: &Bytes) {
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let _ = bodies::id("id", text);
    let _ = onsale::access::key::parse(text);
    if let Some(ms) = timestamp::read(text) {
        assert_eq!(timestamp::read(&timestamp::show(ms)), Some(ms), "{text}");
    }
}

pub const WORDS: &[&str] = &[
    "\"name\":",
    "\"plan\":",
    "\"rules\":",
    "\"channels\":",
    "\"seats\":",
    "\"hold_ttl_s\":",
    "null",
    "true",
    "{",
    "}",
    "[",
    "]",
    ",",
    "-1",
    "4294967296",
    "18446744073709551616",
    "1e400",
    "\\u0000",
    "\\ud83d",
    "9999-12-31T23:59:59Z",
    "0000-01-01",
    "+23:59",
    "-23:59",
    ".999999999",
];

pub fn corpus() -> Vec<Vec<u8>> {
    let inputs: [(u8, &str); 20] = [
        (
            0,
            r#"{"name":"Concert","venue":"Hall","organiser":"us","starts_at":"2026-09-01T19:30:00Z","test_mode":true,
                "rules":{"hold_ttl_s":600,"buyer_limit":4,"channels":[{"channel":2,"floor":5,"cap":9}]},
                "plan":{"zones":[]},"dedupe":true}"#,
        ),
        (
            1,
            r#"{"name":"Concert","hold_ttl_s":600,"buyer_limit":4,"dedupe":true}"#,
        ),
        (
            2,
            r#"{"hold_ttl_s":600,"hold_life_max_s":7200,"buyer_limit":4,"hold_seats_max":8,
                "channels":[{"channel":2,"floor":5,"cap":9,"hold_ttl_s":60},{"channel":1}]}"#,
        ),
        (
            3,
            r#"{"seats":[{"section":1,"seat":4},{"section":2,"seat":0,"count":50}]}"#,
        ),
        (4, r#"{"partner_id":4,"name":"shop","channel":2}"#),
        (5, r#"{"partner_id":4}"#),
        (
            6,
            r#"{"node_id":4,"peer_address":"a:1","partner_address":"a:2","http_address":"a:3"}"#,
        ),
        (7, r#"{"to":3}"#),
        (
            8,
            r#"{"event":1,"partner":2,"buyer":"00000000-0000-0000-0000-000000000001","state":"held",
                "from":"2026-09-01","to":"2026-09-02T00:00+02:00","page":"x","page_size":10}"#,
        ),
        (
            10,
            r#"{"lobby_at":"2026-09-01T09:00:00Z","opens_at":"2026-09-01T10:00:00Z","beacon":true,"per_minute":600,
                "at_the_desk":50,"lanes":[{"channel":2,"class":1,"weight":3},{"weight":1}]}"#,
        ),
        (
            11,
            r#"{"paused":false,"closed":true,"per_minute":null,"at_the_desk":9,"hold_ms":500,"weights":[3,1]}"#,
        ),
        (
            12,
            r#"{"lobby_at":"2026-09-01T09:00:00Z","opens_at":"2026-09-01T10:00:00Z"}"#,
        ),
        (
            13,
            r#"{"beacon":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}"#,
        ),
        (
            14,
            r#"{"visitor":"00000000-0000-0000-0000-000000000001","reason":7}"#,
        ),
        (
            15,
            r#"{"partner_id":4,"public_key":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "purpose":"enqueue"}"#,
        ),
        (
            16,
            r#"{"categories":[{"name":"Stalls","price":5000,"floor":4000,"cap":9000,"step":500}]}"#,
        ),
        (
            17,
            r#"{"proposal_id":"0192f000-0000-7000-8000-000000000001","approve":true}"#,
        ),
        (9, "2026-09-01T19:30:00.123+02:00"),
        (9, "onsale_00010203_000102030405060708090a0b0c0d0e0f"),
        (9, "0192f000-0000-7000-8000-000000000001"),
    ];
    inputs
        .iter()
        .map(|(kind, text)| {
            let mut input = vec![*kind];
            input.extend_from_slice(text.as_bytes());
            input
        })
        .collect()
}
