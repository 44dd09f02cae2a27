//! What is sold in a benchmark: venues and the holds asked for.

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
    /// A waiting room: joins, the shuffle, places asked for and watched. Measured in `queue`; what
    /// is said here of holds is never asked of it.
    Queue,
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

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Workload::Uniform => "uniform",
            Workload::Hot => "hot",
            Workload::Group4 => "group4",
            Workload::Soldout => "soldout",
            Workload::Many => "many",
            Workload::Queue => "queue",
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
            Workload::Hot | Workload::Soldout | Workload::Queue => (1, 20_000),
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
            Workload::Hot | Workload::Soldout | Workload::Many | Workload::Queue => Ask::Best,
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

    /// The venue as a seating plan.
    pub fn plan(self) -> Vec<u8> {
        let (sections, seats) = self.sections();
        crate::load::venue::plan(&format!("Benchmark {}", self.name()), sections, seats)
    }
}
