//! Runs the scripts in `tests/scripts`: one situation each, told as a clerk would tell it.
//!
//! A script has the hall, then lines with a request and, after `->`, what must come of it:
//!
//! ```text
//! hall
//!   stalls: 0000|0000 0000|0000      rows A and B; a digit is a seat's category, | an aisle,
//!                                    w a wheelchair place, c its companion, r a restricted view
//!   floor: standing 50
//! rules: buyer limit 4, hold time 30 min, hold life 120 min, seats per hold 100, test mode,
//!        channel 1 floor 2 cap 5 hold time 10 min
//! 10:00 open                                     -> done
//! 10:00 anna holds stalls A1-A3 as h1            -> done: stalls A1-A3, until 10:30
//! 10:01 bert holds best 2 together as h2         -> refused: ...
//! 10:02 confirm h1 as o1 by partner 2 over channel 7 -> refused: ...
//! 10:02 seats stalls                             -> sss..... ........
//! ```
//!
//! `repeat` sends the line before it once more with the same key; `key N` at a line's end gives the
//! key, `made HH:MM` its time.

// It reads script files and prints which one failed.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::outcome::Outcome;
use domain::rejection::Rejection;
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use domain::{Sale, SectionPlanes, invariants};

/// 2026-01-01 00:00 UTC.
const MIDNIGHT_MS: u64 = 1_767_225_600_000;

#[derive(Default)]
struct Hall {
    names: Vec<String>,
    /// By section: the lengths of its rows, nothing for standing places.
    rows: Vec<Vec<u32>>,
    venue: Venue,
}

impl Hall {
    fn add(&mut self, line: &str) {
        let (name, plan) = line.split_once(':').expect("section: plan");
        self.names.push(name.trim().to_owned());
        if let Some(capacity) = plan.trim().strip_prefix("standing ") {
            let capacity = capacity.parse().expect("a capacity");
            self.venue.sections.push(SectionPlan::General {
                capacity,
                category: 0,
            });
            self.rows.push(Vec::new());
            return;
        }
        let rows: Vec<RowPlan> = (0..)
            .zip(plan.split_whitespace())
            .map(|(y, row)| row_plan(row, y))
            .collect();
        self.rows
            .push(rows.iter().map(|row| row.seats.len() as u32).collect());
        // In front of the middle of the first row.
        let middle = rows
            .first()
            .map_or(0, |row| (row.seats.len() as i32 - 1) * 5);
        self.venue.sections.push(SectionPlan::Seated {
            focal_x: middle,
            focal_y: -10,
            rows,
        });
    }

    fn section(&self, name: &str) -> u16 {
        self.names
            .iter()
            .position(|known| known == name)
            .map_or(99, |at| at as u16)
    }

    /// `A3` of a section.
    fn seat(&self, section: u16, name: &str) -> SeatRef {
        let row = name.as_bytes()[0] - b'A';
        let number: u32 = name[1..].parse().expect("a seat number");
        let rows = self
            .rows
            .get(usize::from(section))
            .map_or(&[][..], Vec::as_slice);
        let before: u32 = rows.iter().take(usize::from(row)).sum();
        SeatRef {
            section,
            seat: before + number - 1,
        }
    }

    fn name(&self, seat: SeatRef) -> String {
        let mut left = seat.seat;
        for (row, len) in (b'A'..).zip(&self.rows[usize::from(seat.section)]) {
            if left < *len {
                return format!("{}{}", char::from(row), left + 1);
            }
            left -= len;
        }
        format!("seat {}", seat.seat)
    }

    fn full_name(&self, seat: SeatRef) -> String {
        format!(
            "{} {}",
            self.names[usize::from(seat.section)],
            self.name(seat)
        )
    }

    /// `stalls A1-A3 B2, balcony A1`.
    fn seats(&self, words: &str) -> Vec<SeatRef> {
        let mut seats = Vec::new();
        for part in words.split(',') {
            let mut words = part.split_whitespace();
            let section = self.section(words.next().expect("a section"));
            for range in words {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (self.seat(section, first), self.seat(section, last));
                seats.extend((first.seat..=last.seat).map(|seat| SeatRef { section, seat }));
            }
        }
        seats
    }
}

fn row_plan(row: &str, y: i32) -> RowPlan {
    let mut seats: Vec<SeatPlan> = Vec::new();
    for sign in row.chars() {
        let attributes = match sign {
            '|' => {
                seats
                    .last_mut()
                    .expect("a seat before the aisle")
                    .aisle_after = true;
                continue;
            }
            'w' => Attributes::ACCESSIBLE,
            'c' => Attributes::COMPANION,
            'r' => Attributes::RESTRICTED_VIEW,
            _ => Attributes::default(),
        };
        let category = sign.to_digit(10).unwrap_or(0) as u16;
        let x = seats.len() as i32 * 10;
        seats.push(SeatPlan {
            x,
            y: y * 10,
            category,
            attributes,
            aisle_after: false,
        });
    }
    RowPlan { seats }
}

fn minutes(text: &str) -> u64 {
    let (hours, minutes) = text.split_once(':').expect("HH:MM");
    hours.parse::<u64>().expect("hours") * 60 + minutes.parse::<u64>().expect("minutes")
}

fn clock(at_ms: u64) -> String {
    let minutes = (at_ms - MIDNIGHT_MS) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn rules(words: &str) -> SaleRules {
    let mut rules = SaleRules::default();
    let number = |text: &str| {
        text.trim_end_matches(" min")
            .trim()
            .parse::<u32>()
            .expect(text)
    };
    for rule in words
        .split(',')
        .map(str::trim)
        .filter(|rule| !rule.is_empty())
    {
        if rule == "test mode" {
            rules.test_mode = true;
        } else if let Some(limit) = rule.strip_prefix("buyer limit ") {
            rules.buyer_limit = number(limit);
        } else if let Some(time) = rule.strip_prefix("hold time ") {
            rules.hold_ttl_ms = number(time) * 60_000;
        } else if let Some(time) = rule.strip_prefix("hold life ") {
            rules.hold_life_max_ms = number(time) * 60_000;
        } else if let Some(seats) = rule.strip_prefix("seats per hold ") {
            rules.hold_seats_max = number(seats);
        } else if let Some(channel) = rule.strip_prefix("channel ") {
            let words: Vec<&str> = channel.split_whitespace().collect();
            let after = |name: &str| {
                words
                    .iter()
                    .position(|word| *word == name)
                    .map(|at| number(words[at + 1]))
            };
            rules.channels.push(ChannelRules {
                channel: ChannelId(number(words[0]) as u16),
                floor: after("floor").unwrap_or(0),
                cap: after("cap").unwrap_or(u32::MAX),
                hold_ttl_ms: after("time").map_or(0, |time| time * 60_000),
            });
        } else {
            panic!("unknown rule: {rule}");
        }
    }
    rules
}

/// A name as an id: the same name, the same id.
fn id(name: &str) -> u128 {
    name.bytes().fold(1, |id, byte| id << 8 | u128::from(byte))
}

/// Takes `word VALUE` out of a request.
fn take<'a>(request: &mut Vec<&'a str>, word: &str) -> Option<&'a str> {
    let at = request.iter().position(|known| *known == word)?;
    let value = *request.get(at + 1)?;
    request.drain(at..at + 2);
    Some(value)
}

fn take_flag(request: &mut Vec<&str>, word: &str) -> bool {
    let at = request.iter().position(|known| *known == word);
    at.map(|at| request.remove(at)).is_some()
}

struct Play {
    hall: Hall,
    sale: Sale,
    asked: u128,
    last: String,
}

impl Play {
    fn perform(&mut self, line: &str) -> String {
        let line = if line.ends_with(" repeat") {
            let time = line.split_whitespace().next().expect("a time");
            format!("{time} {}", self.last)
        } else {
            self.asked += 1;
            let (time, request) = line.split_once(' ').expect("a time and a request");
            let request = request.trim();
            let keyed = request.contains(" key ")
                || request.starts_with("seats")
                || request.starts_with("look");
            let request = if keyed {
                request.to_owned()
            } else {
                format!("{request} key {} made {time}", self.asked)
            };
            self.last = request.clone();
            format!("{time} {request}")
        };
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let at_ms = MIDNIGHT_MS + minutes(words.remove(0)) * 60_000;
        let is_rules = words.first() == Some(&"rules");
        let asker = if is_rules {
            &mut Vec::new()
        } else {
            &mut words
        };
        let partner =
            take(asker, "partner").map_or(1, |partner| partner.parse().expect("a partner"));
        let channel =
            take(asker, "channel").map_or(1, |channel| channel.parse().expect("a channel"));
        words.retain(|word| !matches!(*word, "by" | "over"));
        let key: u128 = take(&mut words, "key").map_or(0, |key| key.parse().expect("a key"));
        let made_ms =
            take(&mut words, "made").map_or(at_ms, |made| MIDNIGHT_MS + minutes(made) * 60_000);
        let key = if key == 0 {
            0
        } else {
            u128::from(made_ms) << 80 | key
        };
        let hash = words
            .join(" ")
            .bytes()
            .fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
        let (sale, hall) = (&mut self.sale, &self.hall);
        let mut ask = |command: Command<'_>| {
            let (partner, channel) = (PartnerId(partner), ChannelId(channel));
            let request = Request {
                partner,
                channel,
                key: IdempotencyKey(key),
                hash,
                command,
            };
            told(hall, &sale.apply(at_ms, &request, &mut Vec::new()))
        };
        let rest = |from: usize| words[from..].join(" ");
        match words[0] {
            "open" => ask(Command::OpenSale),
            "pause" => ask(Command::PauseSale),
            "resume" => ask(Command::ResumeSale),
            "close" => ask(Command::CloseSale),
            "reopen" => ask(Command::ReopenSale),
            "sweep" => ask(Command::ExpireHolds),
            "rules" => ask(Command::SetRules(Box::new(rules(&rest(1))))),
            "block" => ask(Command::BlockSeats {
                seats: &self.hall.seats(&rest(1)),
            }),
            "unblock" => ask(Command::UnblockSeats {
                seats: &self.hall.seats(&rest(1)),
            }),
            "extend" => {
                let ttl_ms = words
                    .get(3)
                    .map_or(0, |time| time.parse::<u32>().expect("minutes") * 60_000);
                ask(Command::ExtendHold {
                    hold: HoldId(id(words[1])),
                    ttl_ms,
                })
            }
            "release" => ask(Command::ReleaseHold {
                hold: HoldId(id(words[1])),
            }),
            "confirm" => {
                let (hold, order) = (HoldId(id(words[1])), OrderId(id(words[3])));
                let payment = PaymentReference::new(b"card 1").expect("short");
                ask(Command::ConfirmHold {
                    hold,
                    order,
                    payment,
                })
            }
            "cancel" => ask(Command::CancelOrder {
                order: OrderId(id(words[1])),
            }),
            "seats" => self.drawn(words[1]),
            "look" => {
                let counts = self.sale.counts();
                format!(
                    "{} free, {} held, {} sold, {} blocked",
                    counts.free, counts.held, counts.sold, counts.blocked
                )
            }
            buyer => {
                assert_eq!(words.get(1), Some(&"holds"), "unknown request: {line}");
                let mut wish = words[2..].to_vec();
                let hold = HoldId(id(take(&mut wish, "as").expect("as HOLD")));
                let ttl_ms = take(&mut wish, "for")
                    .map_or(0, |time| time.parse::<u32>().expect("minutes") * 60_000);
                wish.retain(|word| *word != "min");
                let wish = wish.join(" ");
                let (mut lines, mut seats, mut sections) = (Vec::new(), Vec::new(), Vec::new());
                for line in wish.split(" and ") {
                    lines.push(hold_line(&self.hall, line, &mut seats, &mut sections));
                }
                let buyer = BuyerId(id(buyer));
                let (lines, seats, sections) = (&lines, &seats, &sections);
                ask(Command::PlaceHold(PlaceHold {
                    token: None,
                    hold,
                    buyer,
                    ttl_ms,
                    lines,
                    seats,
                    sections,
                }))
            }
        }
    }

    fn drawn(&self, section: &str) -> String {
        let section = self.hall.section(section);
        let Some(SectionPlanes::Seated {
            held,
            sold,
            blocked,
            ..
        }) = self.sale.planes(section)
        else {
            return "no seats".to_owned();
        };
        let bit = |plane: &[u64], seat: usize| plane[seat / 64] >> (seat % 64) & 1 == 1;
        let mut seat = 0;
        let mut text = String::new();
        for len in &self.hall.rows[usize::from(section)] {
            for _ in 0..*len {
                text.push(
                    match (bit(&held, seat), bit(&sold, seat), bit(&blocked, seat)) {
                        (true, _, _) => 'h',
                        (_, true, _) => 's',
                        (_, _, true) => 'x',
                        _ => '.',
                    },
                );
                seat += 1;
            }
            text.push(' ');
        }
        text.trim_end().to_owned()
    }
}

/// `best 4 [together|split] [accessible] [category N|category N or cheaper] [in a, b]`,
/// `3 standing in floor`, or seats.
fn hold_line(
    hall: &Hall,
    line: &str,
    seats: &mut Vec<SeatRef>,
    sections: &mut Vec<u16>,
) -> HoldLine {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.get(1) == Some(&"standing") {
        let quantity = words[0].parse().expect("a quantity");
        return HoldLine::General {
            section: hall.section(words[3]),
            quantity,
        };
    }
    if words.first() != Some(&"best") {
        let chosen = if line == "nothing" {
            Vec::new()
        } else {
            hall.seats(line)
        };
        seats.extend(&chosen);
        return HoldLine::Seats {
            count: chosen.len() as u16,
        };
    }
    let quantity = words[1].parse().expect("a quantity");
    let split = take_flag(&mut words, "split");
    let accessible = take_flag(&mut words, "accessible");
    let cheaper = take_flag(&mut words, "cheaper");
    let category =
        take(&mut words, "category").map(|category| category.parse().expect("a category"));
    let mut section_count = 0;
    if let Some(at) = words.iter().position(|word| *word == "in") {
        for section in &words[at + 1..] {
            sections.push(hall.section(section.trim_end_matches(',')));
            section_count += 1;
        }
    }
    let category = match (category, cheaper) {
        (None, _) => CategoryChoice::Any,
        (Some(category), false) => CategoryChoice::Exactly(category),
        (Some(category), true) => CategoryChoice::AtMost(category),
    };
    HoldLine::BestAvailable {
        quantity,
        category,
        section_count,
        accessible,
        split,
    }
}

/// The outcome in words.
fn told(hall: &Hall, outcome: &Outcome) -> String {
    let done = match outcome {
        Outcome::Rejected(rejection) => return format!("refused: {}", refusal(hall, *rejection)),
        Outcome::Done(done) => done,
    };
    let mut parts: BTreeMap<u16, String> = BTreeMap::new();
    for run in done.seats.as_slice() {
        let text = parts
            .entry(run.section)
            .or_insert_with(|| hall.names[usize::from(run.section)].clone());
        let seat = |seat: u32| {
            hall.name(SeatRef {
                section: run.section,
                seat,
            })
        };
        let (first, last) = (run.first, run.first + u32::from(run.count) - 1);
        let _ = match hall.rows[usize::from(run.section)].is_empty() {
            true => write!(text, " {} standing", run.count),
            false if first == last => write!(text, " {}", seat(first)),
            false => write!(text, " {}-{}", seat(first), seat(last)),
        };
    }
    let seats: Vec<String> = parts.into_values().collect();
    let until = match done.deadline_ms {
        0 => String::new(),
        deadline_ms => format!(", until {}", clock(deadline_ms)),
    };
    match seats.is_empty() {
        true => format!("done{until}"),
        false => format!("done: {}{until}", seats.join(", ")),
    }
}

fn refusal(hall: &Hall, rejection: Rejection) -> String {
    let seat = |seat: SeatRef| hall.full_name(seat);
    match rejection {
        Rejection::SeatTaken {
            seat: first, count, ..
        } => {
            format!("{} is taken, {count} in all", seat(first))
        }
        Rejection::SeatBlocked {
            seat: first, count, ..
        } => {
            format!("{} is blocked, {count} in all", seat(first))
        }
        Rejection::SeatNotFree { seat: first } => format!("{} is not free", seat(first)),
        Rejection::SeatNotBlocked { seat: first } => format!("{} is not blocked", seat(first)),
        Rejection::DuplicateSeat { seat: first } => format!("{} is named twice", seat(first)),
        Rejection::UnknownSeat { .. } => "there is no such seat".to_owned(),
        Rejection::UnknownSection { .. } => "there is no such section".to_owned(),
        Rejection::WrongSectionKind { .. } => "seated and standing mixed up".to_owned(),
        Rejection::EmptyHold => "nothing was asked for".to_owned(),
        Rejection::TooManySeats { asked, max } => format!("{asked} seats are more than {max}"),
        Rejection::NotOnSale { phase } | Rejection::PhaseForbids { phase } => {
            format!("the sale is {phase:?}").to_lowercase()
        }
        Rejection::NotEnoughAdjacent { longest, free } => {
            format!("at most {longest} side by side, {free} free")
        }
        Rejection::SoldOut {
            free,
            held,
            next_deadline_ms: 0,
        } => format!("{free} free, {held} held"),
        Rejection::SoldOut {
            free,
            held,
            next_deadline_ms,
        } => {
            format!(
                "{free} free, {held} held, the first until {}",
                clock(next_deadline_ms)
            )
        }
        Rejection::LimitPerBuyer { limit, already } => {
            format!("limit {limit} a buyer, has {already}")
        }
        Rejection::ChannelQuota { left } => format!("the channel has {left} left"),
        Rejection::ExtensionTooLong { latest_deadline_ms } => {
            format!("not beyond {}", clock(latest_deadline_ms))
        }
        other => format!("{other:?}"),
    }
}

fn run(name: &str, script: &str) -> Vec<String> {
    let mut hall = Hall::default();
    let mut set = SaleRules::default();
    let mut lines = script
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .peekable();
    assert_eq!(lines.next().map(|(_, line)| line), Some("hall"), "{name}");
    while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with(' ')) {
        hall.add(line);
    }
    if let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("rules:")) {
        set = rules(line.trim_start_matches("rules:"));
    }
    let sale = Sale::new(&hall.venue, set, 1).expect("a valid hall");
    let mut play = Play {
        hall,
        sale,
        asked: 0,
        last: String::new(),
    };
    let mut failures = Vec::new();
    for (number, line) in lines {
        let (request, expected) = line
            .split_once("->")
            .unwrap_or_else(|| panic!("{name}: no -> in {line}"));
        let got = play.perform(request.trim());
        if got != expected.trim() {
            failures.push(format!(
                "{name}:{}: {}\n   wanted {}\n   got    {got}",
                number + 1,
                request.trim(),
                expected.trim()
            ));
        }
        let violations = invariants::check(&play.sale);
        if !violations.is_empty() {
            failures.push(format!("{name}:{}: {violations:?}", number + 1));
        }
    }
    failures
}

#[test]
fn every_script_comes_out_as_told() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 25, "only {} scripts", paths.len());
    let mut failures = Vec::new();
    for path in paths {
        let script = std::fs::read_to_string(&path).expect("a script");
        failures.extend(run(
            &path.file_name().expect("a name").to_string_lossy(),
            &script,
        ));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
