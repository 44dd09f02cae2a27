//! A buyer: holds, thinks, pays or leaves, sometimes changes his mind, and looks. He asks again, with
//! the same key, until he is told.

use std::sync::Arc;
use std::time::Duration;

use cluster::components::WallClock;
use onsale::load::connect::MachineClock;
use onsale::load::keys::Keys;
use proto::channel::v1 as pb;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::Street;
use super::call::{Manner, Told, Wish};
use crate::history::record::{Call, Id, Run};

/// The sections of the house: rows, and a floor to stand on.
pub const SEATED: u16 = 0;
pub const STANDING: u16 = 1;
/// Seats that everybody wants.
const FRONT: u32 = 40;
const LOOK_LIMIT: Duration = Duration::from_secs(1);

struct Buyer<'a> {
    street: &'a Street,
    rng: StdRng,
    keys: Keys,
    number: u32,
    /// Orders that are paid, by sale.
    bought: Vec<(u64, Id)>,
}

/// Buys until the shop closes.
pub async fn buy(street: &Street, number: u32, seed: u64) {
    let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
    let seed = seed << 8 ^ u64::from(number);
    let mut buyer = Buyer {
        street,
        rng: StdRng::seed_from_u64(seed),
        // Ids of one run differ from those of another that has the same seed.
        keys: Keys::new(rand::make_rng::<StdRng>().random(), &wall),
        number,
        bought: Vec::new(),
    };
    while !street.is_closing() {
        let rest = Duration::from_millis(buyer.rng.random_range(0..12));
        sleep(rest).await;
        let sale = street.sales[buyer.rng.random_range(0..street.sales.len())];
        match buyer.rng.random_range(0..20) {
            0 => {
                let at = buyer.rng.random_range(0..street.wires.count());
                let stale = buyer.rng.random_bool(0.3);
                street.look(at, sale, number, stale, LOOK_LIMIT).await;
            }
            1..=3 if buyer.bought.len() > 2 => buyer.cancel().await,
            _ => buyer.purchase(sale).await,
        }
    }
}

impl Buyer<'_> {
    fn id(&mut self) -> u128 {
        self.keys.tick(tokio::time::Instant::now());
        u128::from_be_bytes(self.keys.make())
    }

    async fn purchase(&mut self, sale: u64) {
        let hold = Id(self.id());
        let (lines, chosen) = self.choose();
        let ttl_s = self.rng.random_range(3..30);
        let place = Wish {
            key: hold.0,
            lines,
            seats: chosen,
            ttl_s,
            ..self.wish(sale, Call::Place { hold })
        };
        let seats = match self.ask(&place).await {
            Told::Done(done) => done.runs,
            // Nobody should keep seats that he does not know of.
            Told::Unknown => {
                let release = self.wish(sale, Call::Release { hold });
                self.ask(&release).await;
                return;
            }
            Told::Rejected(_) | Told::Failed => return,
        };
        self.think(ttl_s).await;
        match self.rng.random_range(0..12) {
            0..=1 => {
                let release = self.wish(sale, Call::Release { hold });
                self.ask(&release).await;
                return;
            }
            2 => return,
            3 => {
                let extend = Wish {
                    seats: Some(seats.clone()),
                    ttl_s,
                    ..self.wish(sale, Call::Extend { hold })
                };
                self.ask(&extend).await;
            }
            _ => {}
        }
        let order = Id(self.id());
        let confirm = self.wish(sale, Call::Confirm { hold, order });
        if matches!(self.ask(&confirm).await, Told::Done(_)) {
            self.bought.push((sale, order));
        }
    }

    /// Most decide at once; some so late that the hold may end under their hands, unless the shop
    /// closes.
    async fn think(&mut self, ttl_s: u32) {
        let thought = Duration::from_millis(match self.rng.random_range(0..200) {
            0 => u64::from(ttl_s) * self.rng.random_range(800..1_100),
            _ => self.rng.random_range(0..15),
        });
        let until = tokio::time::Instant::now() + thought;
        while tokio::time::Instant::now() < until && !self.street.is_closing() {
            let left = until - tokio::time::Instant::now();
            sleep(left.min(Duration::from_millis(100))).await;
        }
    }

    async fn cancel(&mut self) {
        let which = self.rng.random_range(0..self.bought.len());
        let (sale, order) = self.bought.swap_remove(which);
        let cancel = self.wish(sale, Call::Cancel { order });
        self.ask(&cancel).await;
    }

    async fn ask(&mut self, wish: &Wish) -> Told {
        self.street
            .wish(&mut self.rng, wish, Manner::OF_A_BUYER)
            .await
    }

    fn wish(&mut self, sale: u64, call: Call) -> Wish {
        Wish {
            sale,
            client: self.number,
            key: self.id(),
            call,
            lines: Vec::new(),
            seats: None,
            ttl_s: 0,
        }
    }

    fn choose(&mut self) -> (Vec<pb::HoldLine>, Option<Vec<Run>>) {
        use pb::hold_line::Line;
        let line = |line| vec![pb::HoldLine { line: Some(line) }];
        match self.rng.random_range(0..10) {
            0..=5 => (best(self.rng.random_range(1..=4)), None),
            6..=7 => {
                let quantity = self.rng.random_range(1..=3);
                let general = Line::GeneralAdmission(pb::GeneralAdmission {
                    section: STANDING.into(),
                    quantity,
                });
                (line(general), Some(vec![Run(STANDING, 0, quantity as u16)]))
            }
            _ => {
                let seat = self.rng.random_range(0..FRONT);
                let seats = Line::Seats(pb::ChosenSeats {
                    seats: vec![pb::SeatRef {
                        section: SEATED.into(),
                        seat,
                    }],
                });
                (line(seats), Some(vec![Run(SEATED, seat, 1)]))
            }
        }
    }
}

/// Any seats of the seated section, the best there are.
pub fn best(quantity: u32) -> Vec<pb::HoldLine> {
    let best = pb::BestAvailable {
        quantity,
        allow_split: true,
        sections: vec![SEATED.into()],
        ..pb::BestAvailable::default()
    };
    vec![pb::HoldLine {
        line: Some(pb::hold_line::Line::BestAvailable(best)),
    }]
}
