//! The forecasters against sales replayed from beginning to end: when a quarter, a half and three
//! quarters of the seats are sold each is asked when the last one will be, and the answer is compared
//! with what came. The sales are simulated: visitors let in by the domain's own law of a waiting room, a
//! rush without one, and some days of trickle with nights. Chance is seeded; the table is printed
//! (`cargo test -p onsale --lib backtest -- --nocapture`).

use std::collections::{BTreeMap, VecDeque};

use domain::room::pace::{Ceilings, Look, Pace as Law};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::curve::{SOLD_OUT, Sample};
use super::{Curve, Forecaster, Model, Outlook, Pace, Smoothing};

/// Sales of each kind.
const SALES: u64 = 12;
/// When they are asked, in hundredths of the seats.
const ASKED_AT: [u32; 3] = [25, 50, 75];
/// Of passes in waiting rooms.
const PASS_LIFE_S: u64 = 600;
/// A sale that takes longer is no sale.
const SECONDS_MAX: u64 = 3_000_000;

struct Chance(StdRng);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(StdRng::seed_from_u64(seed))
    }

    /// One to four.
    fn party(&mut self) -> u64 {
        self.0.random_range(1..=4)
    }

    /// In [0, 1).
    fn share(&mut self) -> f64 {
        self.0.random()
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// How many come when `mean` are expected.
    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 60.0 {
            // Close enough, and quick: the sum of twelve is nearly normal.
            let normal: f64 = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.share(), 0);
        while product > limit {
            product *= self.share();
            count += 1;
        }
        count
    }
}

/// Seats between free and sold: parties hold them, then pay, or let them go after some minutes.
struct Hall {
    capacity: u64,
    free: u64,
    sold: u64,
    /// Of parties, those that pay.
    pays: f64,
    /// Time to pay, seconds; who does not gives the seats back after `lapse_s`.
    pay_s: f64,
    lapse_s: u64,
    /// What becomes of held seats when: sold, free again.
    due: BTreeMap<u64, (u64, u64)>,
}

impl Hall {
    fn new(chance: &mut Chance) -> Hall {
        let capacity = chance.between(2_000.0, 60_000.0) as u64;
        Hall {
            capacity,
            free: capacity,
            sold: 0,
            pays: chance.between(0.8, 0.97),
            pay_s: chance.between(30.0, 90.0),
            lapse_s: chance.between(120.0, 600.0) as u64,
            due: BTreeMap::new(),
        }
    }

    /// A party takes some seats; how many it got.
    fn serve(&mut self, now_s: u64, chance: &mut Chance) -> u64 {
        let seats = chance.party().min(self.free);
        if seats == 0 {
            return 0;
        }
        self.free -= seats;
        if chance.share() < self.pays {
            let paid_s = (chance.between(0.3, 1.7) * self.pay_s) as u64;
            self.due.entry(now_s + paid_s).or_default().0 += seats;
        } else {
            self.due.entry(now_s + self.lapse_s).or_default().1 += seats;
        }
        seats
    }

    fn pass(&mut self, now_s: u64) {
        while let Some(first) = self.due.first_entry()
            && *first.key() <= now_s
        {
            let (sold, free) = first.remove();
            self.sold += sold;
            self.free += free;
        }
    }
}

/// The seats of a sale second by second, until all but the very last are taken for the first time.
type Replay = Vec<Sample>;

fn replay(chance: &mut Chance, mut serve: impl FnMut(u64, &mut Hall, &mut Chance)) -> Replay {
    let mut hall = Hall::new(chance);
    let mut samples = Vec::new();
    for now_s in 0..SECONDS_MAX {
        hall.pass(now_s);
        let taken = hall.capacity - hall.free;
        samples.push(Sample {
            at_ms: now_s * 1000,
            sold: hall.sold as u32,
            taken: taken as u32,
            capacity: hall.capacity as u32,
        });
        if taken as f64 >= SOLD_OUT * hall.capacity as f64 {
            return samples;
        }
        serve(now_s, &mut hall, chance);
    }
    panic!("never sold out");
}

/// Visitors are let in by the law of the waiting room, some never show up, the sale serves so many a
/// second.
fn behind_a_room(seed: u64) -> Replay {
    let mut chance = Chance::new(seed);
    let serves = chance.between(5.0, 60.0);
    let shows_up = chance.between(0.3, 0.95);
    let mut law = Law::new(Ceilings::default());
    // When those come to the desk who were let in, and when passes end that nobody uses.
    let mut coming: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut queue, mut used) = (VecDeque::new(), Vec::new());
    let mut look = Look {
        waiting: u64::from(u32::MAX),
        ..Look::default()
    };
    replay(&mut chance, move |now_s, hall, chance| {
        queue.extend(coming.remove(&now_s).unwrap_or_default());
        look.at_the_desk -= ends.remove(&now_s).unwrap_or(0);
        used.clear();
        let mut served = 0;
        while served < serves as u64
            && let Some(since_ms) = queue.pop_front()
        {
            served += 1;
            look.at_the_desk -= 1;
            let seats = hall.serve(now_s, chance);
            if seats > 0 {
                look.uses += 1;
                look.tickets += seats;
                used.push(since_ms);
            }
        }
        let released = law.look(&Look {
            at_ms: now_s * 1000,
            free: hall.free,
            busy: (1000.0 * served as f64 / serves).min(1000.0) as u64,
            hold_p99_ms: 50,
            used: &used,
            ..look
        });
        let more = released - look.released;
        for _ in 0..more {
            if chance.share() < shows_up {
                let at_s = now_s + 2 + (chance.share() * 8.0) as u64;
                coming.entry(at_s).or_default().push(now_s * 1000);
            } else {
                *ends.entry(now_s + PASS_LIFE_S).or_default() += 1;
            }
        }
        look.released = released;
        look.waiting -= more;
        look.at_the_desk += more;
    })
}

/// Everybody comes at once, and fewer each minute; the sale serves what it can, the rest tries again.
fn a_rush(seed: u64) -> Replay {
    let mut chance = Chance::new(seed);
    let serves = chance.between(20.0, 300.0);
    let half_life_s = chance.between(60.0, 600.0);
    let crowd = chance.between(1.5, 6.0);
    let mut wait = 0_u64;
    replay(&mut chance, move |now_s, hall, chance| {
        let at_first = crowd * hall.capacity as f64 / 2.5 / half_life_s;
        // A last few come all day.
        let rate = at_first * 0.5_f64.powf(now_s as f64 / half_life_s) + at_first / 50.0;
        wait += chance.poisson(rate);
        let served = wait.min(chance.poisson(serves));
        wait -= served;
        for _ in 0..served {
            hall.serve(now_s, chance);
        }
    })
}

/// Buyers over some days: few at night, fewer each day.
fn a_trickle(seed: u64) -> Replay {
    const DAY_S: f64 = 86_400.0;
    let mut chance = Chance::new(seed);
    let days = chance.between(2.0, 8.0);
    let fades = chance.between(0.0, 0.1);
    replay(&mut chance, move |now_s, hall, chance| {
        let day = now_s as f64 / DAY_S;
        let hour = 1.0 - 0.85 * (std::f64::consts::TAU * day).cos();
        let rate = hall.capacity as f64 / 2.2 / days / DAY_S * hour * (1.0 - fades).powf(day);
        for _ in 0..chance.poisson(rate) {
            hall.serve(now_s, chance);
        }
    })
}

/// One answer beside what came.
struct Answer {
    model: Model,
    /// Seconds until the last seat was sold.
    came: f64,
    said: Outlook,
}

fn ask(forecaster: &dyn Forecaster, sale: &Replay, hundredths: u32) -> Option<Answer> {
    let mut curve = Curve::default();
    let asked_at = sale
        .iter()
        .position(|sample| sample.taken * 100 >= sample.capacity * hundredths)?;
    for (at_s, sample) in sale.iter().enumerate().take(asked_at + 1) {
        if at_s % 2 == 0 || at_s == asked_at {
            curve.note(*sample);
        }
    }
    let said = forecaster.forecast(&curve, &[])?;
    Some(Answer {
        model: said.model,
        came: (sale.len() - 1 - asked_at) as f64,
        said,
    })
}

#[derive(Debug)]
struct Score {
    /// Median of the error of the time to sell out, relative to it.
    error: f64,
    /// Share of answers whose band holds what came.
    covered: f64,
    smoothed: f64,
}

fn score(forecaster: &dyn Forecaster, sales: &[Replay], hundredths: u32) -> Score {
    let answers: Vec<Answer> = sales
        .iter()
        .filter_map(|sale| ask(forecaster, sale, hundredths))
        .collect();
    let mut errors: Vec<f64> = answers
        .iter()
        .map(|answer| match answer.said.sell_out_s.likely {
            Some(said) => (said - answer.came).abs() / answer.came.max(1.0),
            None => f64::INFINITY,
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    let share = |is: &dyn Fn(&Answer) -> bool| {
        answers.iter().filter(|answer| is(answer)).count() as f64 / answers.len().max(1) as f64
    };
    Score {
        error: errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN),
        covered: share(&|answer| {
            let band = answer.said.sell_out_s;
            band.low.is_some_and(|low| low <= answer.came)
                && band.high.is_none_or(|high| answer.came <= high)
        }),
        smoothed: share(&|answer| answer.model == Model::Smoothing),
    }
}

type Kind = (&'static str, fn(u64) -> Replay);

const KINDS: [Kind; 3] = [
    ("behind a room", behind_a_room),
    ("a rush", a_rush),
    ("days of trickle", a_trickle),
];

const FORECASTERS: [(&str, &dyn Forecaster); 3] = [
    ("smoothing", &Smoothing::DEFAULT),
    ("pace", &Pace::DEFAULT),
    // The last step's rate carried on.
    ("last rate", &Pace { part: usize::MAX }),
];

#[test]
fn forecasts_of_replayed_sales_come_near() {
    println!("sale             forecaster  taken  error  in band  smoothed");
    let mut scores = BTreeMap::new();
    for (kind, replayed) in KINDS {
        let sales: Vec<Replay> = (0..SALES).map(replayed).collect();
        for (name, forecaster) in FORECASTERS {
            for hundredths in ASKED_AT {
                let score = score(forecaster, &sales, hundredths);
                println!(
                    "{kind:<16} {name:<10} {hundredths:>5} % {:>4.0} % {:>6.0} % {:>7.0} %",
                    100.0 * score.error,
                    100.0 * score.covered,
                    100.0 * score.smoothed,
                );
                scores.insert((kind, name, hundredths), score);
            }
        }
    }
    for ((kind, name, hundredths), score) in &scores {
        if *name != "smoothing" {
            continue;
        }
        let case = format!("{kind} at {hundredths} %: {score:?}");
        assert!(
            score.error
                < if *kind == "days of trickle" {
                    0.35
                } else {
                    0.2
                },
            "{case}"
        );
        assert!(score.covered >= 0.5 && score.smoothed >= 0.7, "{case}");
        let naive = &scores[&(*kind, "last rate", *hundredths)];
        assert!(
            score.error < naive.error + 0.1,
            "{case}, last rate: {naive:?}"
        );
        if *kind == "days of trickle" {
            assert!(
                score.error < 0.7 * naive.error,
                "{case}, last rate: {naive:?}"
            );
        }
    }
}

/// Whatever a curve is, there is an estimate or none, and no panic; where the model is of no use the
/// simple one speaks.
#[test]
fn curves_that_are_no_use_are_foreseen_simply_or_not_at_all() {
    let curve = |taken: &dyn Fn(u32) -> u32, points: u32| {
        let mut curve = Curve::default();
        for point in 0..points {
            let taken = taken(point);
            curve.note(Sample {
                at_ms: u64::from(point) * 2000,
                sold: taken,
                taken,
                capacity: 1_000_000,
            });
        }
        Smoothing::DEFAULT.forecast(&curve, &[60.0, 1e12])
    };
    assert_eq!(curve(&|_| 0, 50), None, "nothing is sold");
    assert_eq!(curve(&|_| 9, 1), None, "one point has no rate");
    let few = curve(&|point| 10 * point, 5).expect("has a rate");
    assert_eq!(few.model, Model::Pace);
    let constant = curve(&|point| 1_000.min(500 * point), 60).expect("has a rate");
    assert_eq!(constant.sell_out_s.likely, None, "nothing is sold any more");
    let explosive = curve(&|point| 2_u32.pow(point.min(19)), 18).expect("has a rate");
    let likely = explosive.sell_out_s.likely.expect("is in sight");
    assert!(likely > 0.0 && likely < 3_600.0, "{explosive:?}");
    let falling = curve(&|point| 100_000 - 1_000 * point, 50).expect("has a rate");
    assert_eq!(falling.sell_out_s.likely, None, "seats come back");
    for outlook in [few, constant, explosive, falling] {
        let band = outlook.sold_at[0].expect("a minute is in sight");
        assert!(
            band.low <= band.likely && band.likely <= band.high,
            "{band:?}"
        );
        assert!(band.high <= 1_000_000.0);
    }
}
