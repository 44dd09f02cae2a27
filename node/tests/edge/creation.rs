//! Creating an event, when it is refused, repeated, or broken off on the way.

use std::path::Path;

use cluster::components::WallClock as _;
use onsale::load::call::Id;
use onsale::load::connect::MachineClock;
use onsale::plan::{self, Plan};
use serde_json::Value;

use crate::node::{Node, id_at};

struct Creation<'a> {
    key: Id,
    plan: &'a Path,
    rules: &'a [&'a str],
}

impl Creation<'_> {
    fn ask(&self, node: &Node) -> Result<Value, String> {
        let key = uuid::Uuid::from_bytes(self.key).to_string();
        let plan = self.plan.to_str().expect("UTF-8");
        let words = ["events", "create", "--name", "Aida", "--plan", plan];
        node.ctl(&[&["--idempotency-key", &key], &words[..], self.rules].concat())
    }
}

/// (event id, state) of all events but the node's own.
fn listed(node: &Node) -> Vec<(u64, String)> {
    let list = node.ctl(&["events", "list"]).expect("lists");
    let events = list["events"].as_array().expect("a list").iter();
    events
        .map(|event| {
            let state = event["state"].as_str().expect("has one").to_owned();
            (event["event_id"].as_u64().expect("has one"), state)
        })
        .filter(|(event, _)| *event != node.event)
        .collect()
}

fn written(folder: &Path, name: &str, plan: &Plan) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, plan.to_json()).expect("is written");
    path
}

#[test]
fn a_creation_is_refused_before_it_leaves_anything_and_repeated_only_as_it_was() {
    let node = Node::start(|_| {});
    let folder = tempfile::tempdir().expect("a folder");
    let plan = written(folder.path(), "plan.json", &plan::bowl(500));
    let key = id_at(MachineClock.now_ms());
    let with = |plan, rules| Creation { key, plan, rules };

    let beyond = with(&plan, &["--channel", "1:4000000"]);
    let said = beyond.ask(&node).expect_err("is refused");
    assert!(
        said.contains("floors") && said.contains("4000000"),
        "{said}"
    );
    assert_eq!(listed(&node), [], "nothing is left of it");

    let first = with(&plan, &["--buyer-limit", "4"]);
    let created = first.ask(&node).expect("is created");
    let event = created["event_id"].as_u64().expect("has an id");
    let again = first.ask(&node).expect("the same again");
    assert_eq!(again["event_id"], event);

    let mut blocked = plan::bowl(500);
    block_a_seat(&mut blocked);
    let blocked = written(folder.path(), "blocked.json", &blocked);
    for other in [
        with(&blocked, &["--buyer-limit", "4"]),
        with(&plan, &["--buyer-limit", "5"]),
        with(&plan, &["--buyer-limit", "4", "--test-mode"]),
    ] {
        let said = other.ask(&node).expect_err("is another event");
        assert!(said.contains("another event was created"), "{said}");
    }
    let id = event.to_string();
    let shown = node.ctl(&["events", "show", &id]).expect("is there");
    assert_eq!(shown["seats"]["blocked"], 0);

    // Rules that were changed since do not make it another event.
    node.ctl(&["events", "rules", &id, "--buyer-limit", "9"])
        .expect("the rules are set");
    let again = first.ask(&node).expect("the same again");
    assert_eq!(again["rules"]["buyer_limit"], 9);
    let said = node.ctl(&["events", "rules", &id, "--channel", "1:4000000"]);
    let said = said.expect_err("is refused");
    assert!(
        said.contains("floors") && said.contains("4000000"),
        "{said}"
    );
}

#[test]
fn an_event_whose_creation_broke_off_does_not_go_on_sale() {
    let node = Node::start(|_| {});
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = plan::bowl(500);
    block_a_seat(&mut plan);
    let plan = written(folder.path(), "plan.json", &plan);
    // The sale does not take a key of this time, and the blocking of seats has the event's.
    let creation = Creation {
        key: id_at(MachineClock.now_ms() + 3_600_000),
        plan: &plan,
        rules: &[],
    };
    let said = creation.ask(&node).expect_err("breaks off");
    assert!(said.to_lowercase().contains("future"), "{said}");
    let events = listed(&node);
    let [(event, state)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(state, "reserved");
    let opened = node.ctl(&["events", "open", &event.to_string()]);
    let said = opened.expect_err("seats that are off sale may be free");
    assert!(said.contains("has not come to its end"), "{said}");
}

fn block_a_seat(plan: &mut Plan) {
    plan.categories.push(plan::Category {
        name: "blocked".into(),
        ..Default::default()
    });
    let mut rows = plan.zones.iter_mut().flat_map(|zone| &mut zone.rows);
    let seat = rows.find_map(|row| row.seats.first_mut());
    seat.expect("there are seats").category = "blocked".into();
}

#[test]
fn a_plan_longer_than_an_entry_of_the_log_is_refused_and_the_node_goes_on() {
    let node = Node::start(|config| {
        config.log.segment_mib = 1;
        config.raft.entry_bytes_max = 64 << 10;
    });
    let folder = tempfile::tempdir().expect("a folder");
    let large = written(folder.path(), "large.json", &plan::bowl(100_000));
    let small = written(folder.path(), "small.json", &plan::bowl(500));
    let with = |plan| Creation {
        key: id_at(MachineClock.now_ms()),
        plan,
        rules: &[],
    };
    for _ in 0..2 {
        let said = with(&large).ask(&node).expect_err("is refused");
        assert!(said.contains("longer than an entry"), "{said}");
    }
    assert_eq!(listed(&node), [], "nothing is left of it");
    with(&small).ask(&node).expect("is created");
}
