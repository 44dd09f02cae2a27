//! What is sold in a benchmark: venues and the holds asked for.

use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Chosen free seats over 100 sections of 1,000.
    Uniform,
    /// One section of 20,000, the best seat available.
    Hot,
    /// Five sections of 20,000, asked in turn for the best 4 adjacent seats.
    Group4,
    /// One section of 20,000 that is sold out: holds are refused.
    Soldout,
    /// 1,000 events of 100 seats, the best seat of each in turn.
    Many,
}

/// What one hold asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Best,
    /// Four adjacent seats of this section.
    Four {
        section: u16,
    },
    Seat {
        section: u16,
        seat: u32,
    },
}

const SEATS_PER_ROW: u32 = 50;

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Workload::Uniform => "uniform",
            Workload::Hot => "hot",
            Workload::Group4 => "group4",
            Workload::Soldout => "soldout",
            Workload::Many => "many",
        }
    }

    pub fn events(self) -> usize {
        match self {
            Workload::Many => 1000,
            _ => 1,
        }
    }

    fn sections(self) -> (u32, u32) {
        match self {
            Workload::Uniform => (100, 1000),
            Workload::Hot | Workload::Soldout => (1, 20_000),
            Workload::Group4 => (5, 20_000),
            Workload::Many => (1, 100),
        }
    }

    /// Operations one opening of an event certainly has seats for.
    pub fn operations_per_opening(self) -> u64 {
        let (sections, seats) = self.sections();
        let seats = u64::from(sections * seats);
        match self {
            // Groups leave gaps: a row of 50 seats has room for 12 of them, and orders that end in
            // another sequence than they began leave holes.
            Workload::Group4 => seats / 4 * 7 / 10,
            _ => seats,
        }
    }

    /// Half of the seats at most are under way at any time, so that re-opening keeps ahead.
    pub fn concurrency_max(self) -> u32 {
        (self.operations_per_opening() * self.events() as u64 / 2) as u32
    }

    /// The hold of the `count`-th operation on an event. `shuffled` is the sequence in which
    /// uniform takes the seats.
    pub fn ask(self, count: u64, shuffled: &[u32]) -> Ask {
        match self {
            Workload::Hot | Workload::Soldout | Workload::Many => Ask::Best,
            Workload::Group4 => Ask::Four {
                section: (count % 5) as u16,
            },
            Workload::Uniform => {
                let place = shuffled[(count % shuffled.len() as u64) as usize];
                Ask::Seat {
                    section: (place / 1000) as u16,
                    seat: place % 1000,
                }
            }
        }
    }

    /// Places of a uniform event, to be shuffled.
    pub fn places(self) -> Vec<u32> {
        match self {
            Workload::Uniform => (0..100_000).collect(),
            _ => Vec::new(),
        }
    }

    /// The venue as a seating plan in the format of seats.pretix.eu.
    pub fn plan(self) -> Vec<u8> {
        let (sections, seats) = self.sections();
        let rows = seats / SEATS_PER_ROW;
        let depth = f64::from(rows + 4) * 20.0;
        let (width, height) = (
            f64::from(SEATS_PER_ROW + 4) * 20.0 * f64::from(sections),
            depth,
        );
        let mut zones = String::new();
        for section in 0..sections {
            let comma = if section == 0 { "" } else { "," };
            let x = f64::from(section) * f64::from(SEATS_PER_ROW + 4) * 20.0;
            // Writing to a string does not fail.
            let _ = write!(
                zones,
                "{comma}{{\"name\":\"Section {section}\",\"zone_id\":\"s{section}\",\
                 \"position\":{{\"x\":{x},\"y\":40}},\"areas\":[],\"rows\":["
            );
            for row in 0..rows {
                write_row(&mut zones, section, row);
            }
            zones.push_str("]}");
        }
        format!(
            "{{\"name\":\"Benchmark {}\",\"categories\":[{{\"name\":\"Any\",\"color\":\"#336699\"}}],\
             \"size\":{{\"width\":{width},\"height\":{height}}},\"zones\":[{zones}]}}",
            self.name()
        )
        .into_bytes()
    }
}

fn write_row(zones: &mut String, section: u32, row: u32) {
    let comma = if row == 0 { "" } else { "," };
    let y = row * 20;
    let _ = write!(
        zones,
        "{comma}{{\"row_number\":\"{row}\",\"position\":{{\"x\":0,\"y\":{y}}},\"seats\":["
    );
    for seat in 0..SEATS_PER_ROW {
        let comma = if seat == 0 { "" } else { "," };
        let x = seat * 20;
        let _ = write!(
            zones,
            "{comma}{{\"seat_guid\":\"{section}-{row}-{seat}\",\"seat_number\":\"{seat}\",\
             \"position\":{{\"x\":{x},\"y\":0}},\"category\":\"Any\"}}"
        );
    }
    zones.push_str("]}");
}
