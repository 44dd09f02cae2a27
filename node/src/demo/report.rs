//! The evening's report, for people and as JSON, and what it claims.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proto::channel::v1::RejectionReason;
use serde::Serialize;

use super::audit::Findings;

/// The figures; those of the JSON object are its first fields.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub figures: Figures,
    pub venue: String,
    pub parties: u64,
    pub orders: u64,
    pub hold_max_ms: f64,
    pub holds: u64,
    pub released: u64,
    pub went_home: u64,
    /// Orders of single places at the end.
    pub latecomers: u64,
    /// By reason.
    pub refusals: BTreeMap<u16, u64>,
    pub pressed_twice: u64,
    pub told_differently: u64,
    pub retries: u64,
    pub unknown: u64,
    pub kills: u32,
    pub given_up: u64,
    pub nodes: usize,
    pub findings: Findings,
    pub admissions: Admissions,
    /// Were let in and never came.
    pub no_shows: u64,
}

/// What came of those who came to the waiting room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admissions {
    /// Were told that they are in the room.
    pub visitors: u64,
    /// Stand in the published list.
    pub listed: u64,
    pub admitted: u64,
    pub out_of_sequence: u64,
    /// Were told so and are not in the list, or are in it twice.
    pub join_lost: u64,
    /// Visitors with more tickets than their pass was good for.
    pub passes_spent_twice: u64,
    /// The published evidence holds.
    pub is_proved: bool,
}

/// The JSON object's keys are its fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub seats_total: u64,
    pub seats_sold: u64,
    pub oversold: u64,
    pub lost_orders: u64,
    pub replicas_agree: bool,
    pub holds_expired: u64,
    pub split_groups: u64,
    pub orphan_seats: u64,
    pub hold_p50_ms: f64,
    pub hold_p99_ms: f64,
    pub sold_per_s: f64,
    /// 0 when no node was killed.
    pub failover_gap_ms: f64,
    pub duration_s: f64,
    pub visitors: u64,
    pub admitted: u64,
    /// Let in before somebody who stood ahead of them.
    pub admitted_in_sequence: u64,
    pub passes_spent_twice: u64,
    pub join_lost: u64,
    /// Of the visitors that the room's ceiling allowed in the time of the sale, how many were let in.
    pub utilisation: f64,
    pub seed: u64,
}

impl Report {
    /// Everything claimed that does not hold.
    pub fn broken_claims(&self) -> Vec<String> {
        let figures = &self.figures;
        let mut broken = Vec::new();
        let mut claim = |holds: bool, text: String| {
            if !holds {
                broken.push(text);
            }
        };
        claim(
            figures.seats_sold == figures.seats_total,
            format!(
                "{} of {} seats were sold",
                figures.seats_sold, figures.seats_total
            ),
        );
        claim(
            figures.oversold == 0,
            format!("{} seats were sold more than once", figures.oversold),
        );
        claim(
            figures.lost_orders == 0,
            format!("{} acknowledged orders were lost", figures.lost_orders),
        );
        claim(
            figures.replicas_agree && self.findings.replicas == self.nodes,
            "the replicas do not agree".to_owned(),
        );
        claim(
            figures.admitted_in_sequence == 0 && self.admissions.is_proved,
            format!(
                "{} visitors were let in out of sequence, or the evidence is not true",
                figures.admitted_in_sequence
            ),
        );
        claim(
            figures.passes_spent_twice == 0,
            format!("{} passes were spent twice", figures.passes_spent_twice),
        );
        claim(
            figures.join_lost == 0,
            format!("{} visitors lost their place", figures.join_lost),
        );
        claim(
            self.told_differently == 0,
            format!(
                "{} repeated calls were answered otherwise",
                self.told_differently
            ),
        );
        broken
    }

    pub fn json(&self) -> String {
        // Numbers of our own: nothing that JSON cannot say.
        serde_json::to_string_pretty(&self.figures).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        let figures = &self.figures;
        let mut text = String::new();
        let title = match figures.seats_sold == figures.seats_total {
            true => "S O L D   O U T",
            false => "NOT SOLD OUT",
        };
        let mut line = |label: &str, value: String| {
            // Writing to a string does not fail.
            let _ = match label {
                "" => writeln!(text, "{value}"),
                label => writeln!(text, "    {label:<26}{value}"),
            };
        };
        line("", String::new());
        line("", format!("  {title}    {}", self.venue));
        line("", String::new());
        line(
            "seats",
            format!(
                "{} of {} sold in {:.1} s, {:.0} a second",
                grouped(figures.seats_sold),
                grouped(figures.seats_total),
                figures.duration_s,
                figures.sold_per_s
            ),
        );
        line(
            "waiting room",
            format!(
                "{} came, {} were let in, {} of them never used their pass",
                grouped(figures.visitors),
                grouped(figures.admitted),
                grouped(self.no_shows)
            ),
        );
        line(
            "of the pace allowed",
            format!("{:.0} % was used", figures.utilisation * 100.0),
        );
        let bought = self.orders.saturating_sub(self.latecomers);
        line(
            "orders",
            format!(
                "{} of parties, {} of latecomers, who take the last single places",
                grouped(bought),
                grouped(self.latecomers)
            ),
        );
        line(
            "parties",
            format!(
                "{} served; {} let go of their seats, {} never paid, {} found nothing",
                grouped(self.parties),
                grouped(self.released),
                grouped(figures.holds_expired),
                grouped(self.went_home)
            ),
        );
        line("holds", format!("{} placed", grouped(self.holds)));
        line("refusals", refusals(&self.refusals));
        line(
            "groups seated apart",
            match figures.split_groups {
                0 => "none".to_owned(),
                groups => format!("{}, each had agreed to it", grouped(groups)),
            },
        );
        line(
            "orphan seats",
            format!(
                "{} single seats were left between parties",
                grouped(figures.orphan_seats)
            ),
        );
        line(
            "a hold took",
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, the longest {} ms",
                figures.hold_p50_ms,
                figures.hold_p99_ms,
                grouped(self.hold_max_ms.round() as u64)
            ),
        );
        line(
            "nodes killed",
            match self.kills {
                0 => "none".to_owned(),
                kills => format!(
                    "{kills}; the longest silence between two acknowledged writes was {} ms",
                    grouped(figures.failover_gap_ms.round() as u64)
                ),
            },
        );
        line(
            "calls repeated",
            format!(
                "{} after trouble, {} of unknown outcome",
                grouped(self.retries),
                grouped(self.unknown)
            ),
        );
        line(
            "impatient buyers",
            match self.told_differently {
                0 => format!(
                    "{} pressed the button twice, and were told the same twice",
                    grouped(self.pressed_twice)
                ),
                differently => format!(
                    "{} pressed the button twice, {differently} WERE TOLD OTHERWISE",
                    grouped(self.pressed_twice)
                ),
            },
        );
        if self.given_up > 0 {
            line("calls given up", grouped(self.given_up));
        }
        line("", String::new());
        line(
            "",
            format!(
                "  Audit of {} replicas against what buyers were told",
                self.findings.replicas
            ),
        );
        line("", String::new());
        line("oversold", grouped(figures.oversold));
        line("acknowledged orders lost", grouped(figures.lost_orders));
        line(
            "replicas",
            match figures.replicas_agree {
                true => format!(
                    "agree at index {}, digest {:016x}",
                    grouped(self.findings.applied_index),
                    self.findings.digest
                ),
                false => "DO NOT AGREE".to_owned(),
            },
        );
        line("joins lost", grouped(figures.join_lost));
        line("passes spent twice", grouped(figures.passes_spent_twice));
        line(
            "let in out of sequence",
            match self.admissions.is_proved {
                true => format!(
                    "{}, by the published evidence, computed anew",
                    grouped(figures.admitted_in_sequence)
                ),
                false => "THE PUBLISHED EVIDENCE IS NOT TRUE".to_owned(),
            },
        );
        if self.findings.untold_orders > 0 {
            line(
                "orders nobody heard of",
                format!(
                    "{}: their buyers gave up waiting",
                    self.findings.untold_orders
                ),
            );
        }
        for fault in &self.findings.faults {
            line("", format!("    ! {fault}"));
        }
        text
    }
}

/// How many, and why, the most frequent reason first.
fn refusals(by_reason: &BTreeMap<u16, u64>) -> String {
    let mut reasons: Vec<(u64, &str)> = by_reason
        .iter()
        .map(|(reason, count)| (*count, in_words(*reason)))
        .collect();
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let total: u64 = reasons.iter().map(|(count, _)| count).sum();
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(count, words)| format!("{} {words}", grouped(count)))
        .collect();
    match reasons.is_empty() {
        true => "none".to_owned(),
        false => format!("{}: {}", grouped(total), reasons.join(", ")),
    }
}

fn in_words(reason: u16) -> &'static str {
    match RejectionReason::try_from(i32::from(reason)) {
        Ok(RejectionReason::SeatTaken) => "somebody was quicker",
        Ok(RejectionReason::NotEnoughAdjacent) => "too few side by side",
        Ok(RejectionReason::SoldOut) => "nothing of the kind left",
        Ok(RejectionReason::HoldExpired) => "paid too late",
        Ok(reason) => reason.as_str_name().trim_start_matches("REJECTION_REASON_"),
        Err(_) => "for another reason",
    }
}

/// 12345 as `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            figures: Figures {
                seats_total: 20_000,
                seats_sold: 20_000,
                replicas_agree: true,
                holds_expired: 712,
                split_groups: 9,
                orphan_seats: 14,
                hold_p50_ms: 2.34,
                hold_p99_ms: 9.9,
                sold_per_s: 760.2,
                failover_gap_ms: 2140.4,
                duration_s: 26.3,
                visitors: 100_000,
                admitted: 11_200,
                utilisation: 0.8123,
                seed: 7,
                ..Figures::default()
            },
            venue: "The Bowl".to_owned(),
            parties: 9100,
            orders: 7544,
            hold_max_ms: 2201.0,
            holds: 8900,
            released: 450,
            went_home: 31,
            latecomers: 144,
            refusals: BTreeMap::from([(17, 100), (13, 1300), (18, 2)]),
            pressed_twice: 301,
            retries: 88,
            unknown: 40,
            kills: 1,
            nodes: 3,
            no_shows: 1_100,
            admissions: Admissions {
                visitors: 100_000,
                listed: 100_000,
                admitted: 11_200,
                is_proved: true,
                ..Admissions::default()
            },
            findings: Findings {
                replicas: 3,
                replicas_agree: true,
                applied_index: 12_345,
                digest: 0xabcdef,
                ..Findings::default()
            },
            ..Report::default()
        }
    }

    #[test]
    fn the_report_reads_like_a_box_office() {
        let text = "
  S O L D   O U T    The Bowl

    seats                     20,000 of 20,000 sold in 26.3 s, 760 a second
    waiting room              100,000 came, 11,200 were let in, 1,100 of them never used their pass
    of the pace allowed       81 % was used
    orders                    7,400 of parties, 144 of latecomers, who take the last single places
    parties                   9,100 served; 450 let go of their seats, 712 never paid, 31 found nothing
    holds                     8,900 placed
    refusals                  1,402: 1,300 somebody was quicker, 100 too few side by side, 2 nothing of the kind left
    groups seated apart       9, each had agreed to it
    orphan seats              14 single seats were left between parties
    a hold took               p50 2.3 ms, p99 9.9 ms, the longest 2,201 ms
    nodes killed              1; the longest silence between two acknowledged writes was 2,140 ms
    calls repeated            88 after trouble, 40 of unknown outcome
    impatient buyers          301 pressed the button twice, and were told the same twice

  Audit of 3 replicas against what buyers were told

    oversold                  0
    acknowledged orders lost  0
    replicas                  agree at index 12,345, digest 0000000000abcdef
    joins lost                0
    passes spent twice        0
    let in out of sequence    0, by the published evidence, computed anew
";
        assert_eq!(report().text(), text);
        assert_eq!(report().broken_claims(), Vec::<String>::new());
    }

    #[test]
    fn every_claim_can_break() {
        let mut broken = report();
        broken.figures.seats_sold -= 1;
        broken.figures.oversold = 1;
        broken.figures.lost_orders = 2;
        broken.findings.replicas = 2;
        broken.told_differently = 1;
        broken.figures.join_lost = 1;
        broken.figures.passes_spent_twice = 1;
        broken.admissions.is_proved = false;
        assert_eq!(broken.broken_claims().len(), 8);
        assert!(broken.text().contains("NOT SOLD OUT"));
    }

    #[test]
    fn the_json_has_the_keys_that_are_asked_for() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        for key in "seats_total seats_sold oversold lost_orders replicas_agree holds_expired \
                    split_groups orphan_seats hold_p50_ms hold_p99_ms sold_per_s \
                    failover_gap_ms duration_s visitors admitted admitted_in_sequence \
                    passes_spent_twice join_lost utilisation"
            .split_whitespace()
        {
            assert!(!json[key].is_null(), "{key}");
        }
    }
}
