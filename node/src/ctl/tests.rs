//! What a shell sees: arguments read, tables drawn, faults on one line.

use anyhow::anyhow;
use clap::Parser;

use super::args::{Args, Events, Noun};
use super::operations::escape;
use super::tables;
use super::trouble::{self, TroubleList, Troubled};
use crate::http::bodies::{Channel, Rules, Span};
use crate::http::views::{
    EventEntry, EventList, EventSummary, GroupList, GroupView, MemberView, OrderPage, Queue,
    SeatCounts,
};

#[derive(Parser)]
struct Ctl {
    #[command(flatten)]
    args: Args,
}

fn read(line: &str) -> Result<Args, clap::Error> {
    Ctl::try_parse_from(std::iter::once("ctl").chain(line.split_whitespace())).map(|ctl| ctl.args)
}

fn entry() -> EventEntry {
    EventEntry {
        event_id: 42,
        name: "Aida".into(),
        venue: "Arena".into(),
        organiser: String::new(),
        starts_at: None,
        test_mode: true,
        state: "opened".into(),
        group: 3,
        leader: Some(2),
    }
}

#[test]
fn seats_and_quotas_are_read_from_the_line() {
    let args = read("events block 42 0:15 2:20-29 --json").unwrap();
    assert!(args.json);
    let Noun::Events {
        verb: Events::Block { event, seats },
    } = args.noun
    else {
        panic!("another command");
    };
    let span = |section, seat, count| Span {
        section,
        seat,
        count,
    };
    assert_eq!((event, seats), (42, vec![span(0, 15, 1), span(2, 20, 10)]));
}

#[test]
fn a_channels_hold_time_stays_unless_it_is_given() {
    let channel = |channel, floor, cap, hold_ttl_s| Channel {
        channel,
        floor,
        cap,
        hold_ttl_s,
    };
    let before = Rules {
        channels: vec![channel(2, 1, None, 90), channel(4, 1, None, 0)],
        ..Rules::default()
    };
    let line =
        "events rules 42 --channel 2:100:500 --channel 3:5 --channel 4:6:7:8 --channel 5:0::9";
    let Noun::Events {
        verb: Events::Rules(rules),
    } = read(line).unwrap().noun
    else {
        panic!("another command");
    };
    assert_eq!(
        super::events::changed(before.clone(), rules.rules).channels,
        vec![
            channel(2, 100, Some(500), 90),
            channel(3, 5, None, 0),
            channel(4, 6, Some(7), 8),
            channel(5, 0, None, 9),
        ]
    );
    let unchanged = super::events::changed(before.clone(), Default::default());
    assert_eq!(unchanged.channels, before.channels);
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    for line in [
        "events block 42",
        "events block 42 15",
        "events block 42 0:9-3",
        "events block 42 0:x",
        "events show Aida",
        "events rules 42 --channel 2",
        "events rules 42 --channel 2:1:",
        "events rules 42 --channel 2:1:2:",
        "events rules 42 --channel 2:1:2:3:4",
        "keys add",
        "keys add --operator --partner 3",
        "nodes join 4",
        "groups transfer 1",
        "seats list",
        "events propose-prices 42",
        "events propose-prices 42 --category stalls:1:2:3",
        "events decide-prices 42 x",
        "events decide-prices 42 x --approve --refuse",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn events_are_a_table() {
    let list = EventList {
        events: vec![entry()],
    };
    let lines: Vec<String> = tables::events(&list).lines().map(str::to_owned).collect();
    let cells = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        cells(&lines[0]),
        "event name venue starts at state group leader"
    );
    assert_eq!(cells(&lines[1]), "42 Aida (test) Arena opened 3 2");
}

fn queue() -> Queue {
    Queue {
        event_id: 42,
        phase: "open".into(),
        paused: false,
        closed: false,
        lobby_at: String::new(),
        opens_at: String::new(),
        commitment: String::new(),
        beacon: false,
        joined: 20,
        waiting: 9,
        released: 11,
        at_the_desk: 2,
        served: 9,
        no_shows: 0,
        left: 0,
        removed: 0,
        abandonment: None,
        inflow_per_s: 0.0,
        outflow_per_s: 0.0,
        outflow_target_per_s: 0.0,
        capacity_per_s: None,
        conversion: None,
        free: 60,
        held: 10,
        sold: 30,
        sell_out_in_s: None,
        pass_life_s: 600,
        pass_tickets: 8,
        per_minute: None,
        at_the_desk_max: None,
        hold_ms: 250,
        lanes: Vec::new(),
    }
}

fn summary() -> EventSummary {
    EventSummary {
        entry: entry(),
        phase: "open".into(),
        seats: SeatCounts {
            total: 100,
            free: 60,
            held: 10,
            sold: 30,
            blocked: 0,
        },
        holds: 5,
        orders: 12,
        rules: Rules {
            channels: vec![Channel {
                channel: 2,
                floor: 100,
                cap: Some(500),
                hold_ttl_s: 0,
            }],
            ..Rules::default()
        },
        revision: 9,
        applied_index: 11,
        digest: "ab".into(),
        frozen: Some("command 3 of entry 11".into()),
    }
}

#[test]
fn an_event_in_trouble_says_what_it_is() {
    let sound = || EventSummary {
        frozen: None,
        ..summary()
    };
    let why = |entry: &EventEntry, summary, queue| trouble::why(entry, summary, queue).join("; ");
    assert_eq!(why(&entry(), Ok(sound()), Ok(None)), "");
    let frozen = why(&entry(), Ok(summary()), Err(anyhow!("frozen")));
    assert_eq!(frozen, "frozen: command 3 of entry 11");
    let leaderless = EventEntry {
        leader: None,
        ..entry()
    };
    let silent = why(
        &leaderless,
        Err(anyhow!("no leader")),
        Err(anyhow!("neither")),
    );
    assert_eq!(
        silent,
        "group 3 has no leader; it does not answer: no leader"
    );
    let room = |phase: &str, paused, outflow_per_s| Queue {
        phase: phase.into(),
        paused,
        outflow_per_s,
        ..queue()
    };
    let said = |queue| why(&entry(), Ok(sound()), Ok(Some(queue)));
    assert_eq!(said(room("open", false, 0.5)), "");
    assert_eq!(said(room("gathering", true, 0.0)), "", "not yet");
    assert_eq!(
        said(room("awaits_beacon", false, 0.0)),
        "its room awaits the beacon, 9 wait"
    );
    assert_eq!(said(room("open", true, 0.0)), "its room is paused, 9 wait");
    let shut = said(room("open", false, 0.0));
    assert!(shut.starts_with("nobody was let in over the last seconds: 9 wait, 2 at the desk"));
    let sold_out = Queue {
        free: 0,
        ..room("open", false, 0.0)
    };
    assert_eq!(said(sold_out), "");
    let list = TroubleList {
        events: vec![Troubled {
            event_id: 42,
            name: "Aida".into(),
            leader: None,
            why: vec![shut],
        }],
        asked: 7,
    };
    let text = tables::trouble(&list);
    assert!(
        text.contains("42") && text.contains("nobody was let in"),
        "{text}"
    );
    let none = TroubleList {
        events: Vec::new(),
        asked: 7,
    };
    assert!(tables::trouble(&none).starts_with("none of 7 events"));
}

#[test]
fn an_event_is_shown_with_its_counts() {
    let text = tables::event(&summary());
    for (name, value) in [
        ("sold", "30"),
        ("holds", "5"),
        ("orders", "12"),
        ("hold time", "1800 s"),
        ("limit per buyer", "none"),
        ("quota", "channel 2: 100 seats are its own, 500 at most"),
        ("frozen", "command 3 of entry 11"),
    ] {
        let line = text.lines().find(|line| line.trim().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        assert!(line.trim().ends_with(value), "{line}");
    }
}

#[test]
fn groups_name_each_member_and_who_did_not_answer() {
    let member = |node_id, state: &str, lag| MemberView {
        node_id,
        state: state.into(),
        committed: 7,
        lag,
        ..MemberView::default()
    };
    let differs = MemberView {
        digest: "differs".into(),
        ..member(3, "stopped", None)
    };
    let list = GroupList {
        groups: vec![
            GroupView {
                group_id: 1,
                leader: Some(2),
                members: vec![
                    member(1, "follower", Some(3)),
                    member(2, "leader", None),
                    differs,
                ],
                ..GroupView::default()
            },
            GroupView {
                group_id: 2,
                replicas: vec![3, 4],
                ..GroupView::default()
            },
        ],
        silent_nodes: vec![3, 4],
    };
    let text = tables::groups(&list);
    assert!(text.contains("follower"));
    assert!(text.contains("differs"));
    assert!(text.contains("3,4"));
    assert!(text.ends_with("no answer from node 3, 4"));
}

#[test]
fn what_stands_in_a_url_is_escaped() {
    assert_eq!(
        escape("2026-09-01T19:30+02:00"),
        "2026-09-01T19%3A30%2B02%3A00"
    );
    assert_eq!(escape("a/../b?c&d"), "a%2F..%2Fb%3Fc%26d");
}

#[test]
fn faults_are_one_line() {
    let run = |line: &str| {
        let error = super::run(read(line).unwrap()).unwrap_err();
        let line = format!("{error:#}");
        assert!(!line.contains('\n'), "{line}");
        line
    };
    assert!(run("events list").contains("an operator's key is needed"));
    assert!(run("events list --key x --url ftp://h").contains("--url must be like"));
    // Port 9 is discard: nothing listens there.
    assert!(run("events list --key x --url http://127.0.0.1:9").contains("does not answer"));
    assert!(run("plan check /nowhere.json").starts_with("cannot read /nowhere.json"));
    let missing = "events create --key x --name n --plan /nowhere.json";
    assert!(run(missing).starts_with("cannot read /nowhere.json"));
    // Without an end: what is read is bounded.
    for line in [
        "plan check /dev/zero",
        "events create --key x --name n --plan /dev/zero",
    ] {
        let said = run(line);
        assert!(
            said.starts_with("/dev/zero is longer than 67108864 bytes"),
            "{said}"
        );
    }
}

#[test]
fn an_answer_with_gaps_says_so() {
    let mut page = OrderPage::default();
    assert!(!tables::orders(&page).contains("not complete"));
    page.events_missing = 2;
    page.next_page = Some("abc".into());
    let text = tables::orders(&page);
    assert!(
        text.ends_with(
            "not complete: the index takes 2 events anew, ask again later\nmore: --page abc"
        ),
        "{text}"
    );
    page.events_missing = 0;
    page.events_elsewhere = 3;
    let text = tables::orders(&page);
    assert!(text.contains("\nnot complete: 3 events are on other nodes"));
}
