//! What a room means for its sale: it opens it, nobody holds seats who was not let in, and a pass is
//! spent and comes back with the seats.

use domain::Sale;
use domain::command::{Command, HoldLine, PaymentReference, PlaceHold, Request, SetRoom};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, VisitorId};
use domain::invariants;
use domain::outcome::Outcome;
use domain::rejection::{Phase, Rejection};
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, Plan, Turn};
use domain::rules::SaleRules;
use domain::venue::{SectionPlan, Venue};

const LOBBY_MS: u64 = 1_000_000;
const OPEN_MS: u64 = 1_600_000;
const MINUTE_MS: u64 = 60_000;

struct Evening {
    sale: Sale,
    now_ms: u64,
    asked: u64,
}

impl Evening {
    fn new() -> Evening {
        let venue = Venue {
            sections: vec![SectionPlan::General {
                capacity: 100,
                category: 0,
            }],
        };
        Evening {
            sale: Sale::new(&venue, SaleRules::default(), 7).unwrap(),
            now_ms: 1,
            asked: 0,
        }
    }

    fn with_room() -> Evening {
        let mut evening = Evening::new();
        evening.ask(1, Command::OpenRoom(Box::new(plan()))).unwrap();
        evening
    }

    fn ask(&mut self, partner: u32, command: Command<'_>) -> Result<(), Rejection> {
        self.asked += 1;
        let request = Request {
            partner: PartnerId(partner),
            channel: ChannelId(1),
            key: IdempotencyKey(u128::from(self.now_ms) << 80 | u128::from(self.asked)),
            hash: self.asked,
            command,
        };
        let outcome = self.sale.apply(self.now_ms, &request, &mut Vec::new());
        assert_eq!(invariants::check(&self.sale), []);
        let restored = Sale::restore(self.sale.export()).expect("its own state");
        assert_eq!(restored.full_hash(), self.sale.full_hash());
        self.sale = restored;
        match outcome {
            Outcome::Done(_) => Ok(()),
            Outcome::Rejected(rejection) => Err(rejection),
        }
    }

    fn join(&mut self, visitor: u128) -> Result<(), Rejection> {
        self.join_with(visitor, 1)
    }

    fn join_with(&mut self, visitor: u128, party: u8) -> Result<(), Rejection> {
        let visitor = VisitorId(visitor);
        let class = 0;
        let join = Command::JoinRoom {
            visitor,
            class,
            party,
        };
        self.ask(1, join)
    }

    fn let_in(&mut self, up_to: u64) {
        self.ask(0, Command::ReleaseVisitors { up_to }).unwrap();
    }

    fn hold(&mut self, hold: u128, buyer: u128, quantity: u16) -> Result<(), Rejection> {
        let section = 0;
        let lines = [HoldLine::General { section, quantity }];
        let place = PlaceHold {
            token: None,
            hold: HoldId(hold),
            buyer: BuyerId(buyer),
            ttl_ms: 0,
            lines: &lines,
            seats: &[],
            sections: &[],
        };
        self.ask(1, Command::PlaceHold(place))
    }

    fn turn(&self, visitor: u128) -> Turn {
        let room = self.sale.room().expect("a room");
        room.status(VisitorId(visitor)).expect("has come").turn
    }
}

fn plan() -> Plan {
    Plan {
        lobby_at_ms: LOBBY_MS,
        open_at_ms: OPEN_MS,
        seed: Seed([1; 32]),
        waits_for_beacon: false,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: vec![LaneRules {
            channel: None,
            class: None,
            weight: 1,
        }],
    }
}

#[test]
fn the_room_opens_the_sale_and_lets_in_who_may_hold() {
    let mut evening = Evening::with_room();
    assert_eq!(evening.sale.next_deadline_ms(), Some(OPEN_MS));
    let lobby_at_ms = LOBBY_MS;
    assert_eq!(
        evening.join(1),
        Err(Rejection::LobbyNotOpen { lobby_at_ms })
    );
    evening.now_ms = LOBBY_MS;
    (1..=5).for_each(|visitor| evening.join(visitor).unwrap());
    evening.join(3).unwrap();
    let phase = Phase::Announced;
    assert_eq!(evening.hold(1, 1, 1), Err(Rejection::NotOnSale { phase }));
    let nobody = evening.ask(0, Command::ReleaseVisitors { up_to: 5 });
    assert_eq!(nobody, Err(Rejection::NotOnSale { phase }));
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    assert_eq!(evening.sale.phase(), Phase::Open);
    assert_eq!(evening.hold(1, 1, 1), Err(Rejection::QueueRequired));
    assert_eq!(evening.hold(1, 99, 1), Err(Rejection::QueueRequired));
    for _ in 0..2 {
        evening
            .ask(0, Command::ReleaseVisitors { up_to: 2 })
            .unwrap();
    }
    assert_eq!(evening.sale.room().unwrap().census().released, 2);
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 9 })
        .unwrap();
    evening.hold(1, 1, 1).unwrap();
}

#[test]
fn a_pass_is_spent_once_and_comes_back_with_the_seats() {
    let mut evening = Evening::with_room();
    evening.now_ms = LOBBY_MS;
    evening.join(1).unwrap();
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 1 })
        .unwrap();
    evening.hold(1, 1, 3).unwrap();
    assert_eq!(evening.hold(2, 1, 2), Err(Rejection::PassSpent { left: 1 }));
    evening
        .ask(1, Command::ReleaseHold { hold: HoldId(1) })
        .unwrap();
    evening.hold(3, 1, 4).unwrap();
    assert_eq!(evening.hold(4, 1, 1), Err(Rejection::PassSpent { left: 0 }));
    let (hold, order) = (HoldId(3), OrderId(1));
    let payment = PaymentReference::new(b"paid").unwrap();
    let confirm = Command::ConfirmHold {
        hold,
        order,
        payment,
    };
    evening.ask(1, confirm).unwrap();
    assert_eq!(evening.hold(4, 1, 1), Err(Rejection::PassSpent { left: 0 }));
    evening.now_ms += 10 * MINUTE_MS;
    assert_eq!(evening.hold(5, 1, 1), Err(Rejection::PassExpired));
    assert_eq!(evening.turn(1), Turn::Served);
}

#[test]
fn seats_that_expire_come_back_to_a_pass_that_still_lasts() {
    let mut evening = Evening::new();
    let pass_life_ms = 60 * 60_000;
    let plan = Plan {
        pass_life_ms,
        ..plan()
    };
    evening.ask(1, Command::OpenRoom(Box::new(plan))).unwrap();
    evening.now_ms = LOBBY_MS;
    evening.join(1).unwrap();
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 1 })
        .unwrap();
    evening.hold(1, 1, 4).unwrap();
    evening.now_ms += 30 * MINUTE_MS;
    evening.hold(2, 1, 4).unwrap();
}

#[test]
fn a_visitor_is_their_partners_and_a_removed_one_holds_nothing() {
    let mut evening = Evening::with_room();
    evening.now_ms = LOBBY_MS;
    (1..=3).for_each(|visitor| evening.join(visitor).unwrap());
    let visitor = VisitorId(1);
    let elsewhere = evening.ask(
        2,
        Command::JoinRoom {
            visitor,
            class: 0,
            party: 1,
        },
    );
    assert_eq!(elsewhere, Err(Rejection::VisitorOfAnotherPartner));
    let elsewhere = evening.ask(2, Command::LeaveRoom { visitor });
    assert_eq!(elsewhere, Err(Rejection::VisitorOfAnotherPartner));
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 3 })
        .unwrap();
    let reason = 12;
    evening
        .ask(0, Command::RemoveVisitor { visitor, reason })
        .unwrap();
    let removed = Rejection::VisitorRemoved { reason };
    assert_eq!(evening.hold(1, 1, 1), Err(removed));
    assert_eq!(evening.join(1), Err(removed));
    let unknown = evening.ask(
        1,
        Command::LeaveRoom {
            visitor: VisitorId(9),
        },
    );
    assert_eq!(unknown, Err(Rejection::UnknownVisitor));
}

#[test]
fn a_room_is_armed_moved_paused_and_closed_with_its_sale() {
    let mut evening = Evening::new();
    assert_eq!(evening.join(1), Err(Rejection::NoRoom));
    let past = Plan {
        lobby_at_ms: 0,
        open_at_ms: 1,
        ..plan()
    };
    let past = evening.ask(1, Command::OpenRoom(Box::new(past)));
    assert_eq!(past, Err(Rejection::RoomPlanInvalid));
    evening.ask(1, Command::OpenRoom(Box::new(plan()))).unwrap();
    let again = evening.ask(1, Command::OpenRoom(Box::new(plan())));
    assert_eq!(again, Err(Rejection::RoomExists));
    let later = OPEN_MS + MINUTE_MS;
    let (lobby_at_ms, open_at_ms) = (LOBBY_MS, later);
    let moved = Command::MoveRoom {
        lobby_at_ms,
        open_at_ms,
    };
    evening.ask(1, moved).unwrap();
    evening.now_ms = LOBBY_MS;
    (1..=3).for_each(|visitor| evening.join(visitor).unwrap());
    evening.now_ms = later;
    evening.ask(0, Command::ExpireHolds).unwrap();
    let set = |is_paused, is_closed| {
        Command::SetRoom(SetRoom {
            is_paused,
            is_closed,
            ceilings: Ceilings {
                per_minute: Some(60),
                ..Ceilings::default()
            },
            weights: &[5],
        })
    };
    evening.ask(1, set(true, true)).unwrap();
    assert_eq!(evening.join(8), Err(Rejection::RoomClosed));
    assert_eq!(evening.join(1), Ok(()), "keeps the place");
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 1 })
        .unwrap();
    assert_eq!(evening.sale.room().unwrap().census().released, 0);
    evening.ask(1, set(false, false)).unwrap();
    let ceilings = evening.sale.room().unwrap().plan().ceilings;
    assert_eq!(ceilings.per_minute, Some(60));
    evening
        .ask(0, Command::ReleaseVisitors { up_to: 1 })
        .unwrap();
    assert_eq!(evening.sale.room().unwrap().census().released, 1);
    evening.ask(1, Command::CloseSale).unwrap();
    let phase = Phase::Closed;
    assert_eq!(evening.join(9), Err(Rejection::NotOnSale { phase }));
    let nobody = evening.ask(0, Command::ReleaseVisitors { up_to: 3 });
    assert_eq!(nobody, Err(Rejection::NotOnSale { phase }));
    assert!(matches!(evening.sale.room().unwrap().census().waiting, 2));
}

#[test]
fn a_beacon_opens_the_sale() {
    let mut evening = Evening::new();
    let waits_for_beacon = true;
    let plan = Plan {
        waits_for_beacon,
        ..plan()
    };
    evening.ask(1, Command::OpenRoom(Box::new(plan))).unwrap();
    evening.now_ms = LOBBY_MS;
    (1..=3).for_each(|visitor| evening.join(visitor).unwrap());
    let beacon = Command::SetBeacon { beacon: [4; 32] };
    let early = evening.ask(1, beacon.clone());
    assert_eq!(early, Err(Rejection::NoBeaconAwaited));
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    assert_eq!(evening.sale.phase(), Phase::Announced);
    assert_eq!(evening.turn(1), Turn::Lobby);
    evening.ask(1, beacon).unwrap();
    assert_eq!(evening.sale.phase(), Phase::Open);
    assert!(matches!(evening.turn(1), Turn::Waiting { .. }));
}

#[test]
fn after_the_sell_out_seats_that_come_back_go_to_the_first_party_they_are_enough_for() {
    let mut evening = Evening::with_room();
    evening.now_ms = LOBBY_MS;
    (1..=26).for_each(|visitor| evening.join(visitor).unwrap());
    let left = 4;
    assert_eq!(
        evening.join_with(27, 5),
        Err(Rejection::PassSpent { left }),
        "more than a pass is good for"
    );
    evening.now_ms = OPEN_MS;
    evening.ask(0, Command::ExpireHolds).unwrap();
    evening.let_in(26);
    for visitor in 1..=26 {
        let quantity = if visitor <= 24 { 4 } else { 2 };
        evening.hold(visitor, visitor, quantity).unwrap();
    }
    for (visitor, party) in [(30, 4), (31, 2), (32, 1)] {
        evening.join_with(visitor, party).unwrap();
    }
    evening.let_in(29);
    assert_eq!(evening.sale.room().unwrap().census().released, 26);
    let hold = HoldId(26);
    evening.ask(1, Command::ReleaseHold { hold }).unwrap();
    evening.let_in(27);
    let place = match evening.turn(30) {
        Turn::Waiting {
            ahead, passed_with, ..
        } => Some((ahead, passed_with)),
        _ => None,
    };
    assert_eq!(place, Some((0, Some(2))), "passed over with 2 left");
    evening.hold(31, 31, 2).unwrap();
    // Nothing is left: nobody is let in, and nobody is passed over.
    evening.let_in(28);
    let passed_with = None;
    assert!(
        matches!(evening.turn(32), Turn::Waiting { passed_with: found, .. } if found == passed_with)
    );
    let hold = HoldId(1);
    evening.ask(1, Command::ReleaseHold { hold }).unwrap();
    evening.let_in(28);
    assert!(matches!(evening.turn(30), Turn::Admitted { .. }));
    evening.hold(30, 30, 4).unwrap();
}
