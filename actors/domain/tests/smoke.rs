//! The shortest way through a sale: open, hold, confirm, export, restore.

use domain::Sale;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId};
use domain::outcome::Outcome;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};

fn hall() -> Venue {
    let seats = (0..20)
        .map(|x| SeatPlan {
            x: x * 10,
            ..SeatPlan::default()
        })
        .collect();
    let rows = vec![RowPlan { seats }];
    Venue {
        sections: vec![SectionPlan::Seated {
            focal_x: 95,
            focal_y: 0,
            rows,
        }],
    }
}

#[test]
fn a_party_of_four_sits_in_the_middle() {
    let mut sale = Sale::new(&hall(), SaleRules::default(), 7).unwrap();
    let mut changes = Vec::new();
    let request = |n: u128, command| Request {
        partner: PartnerId(1),
        channel: ChannelId(1),
        key: IdempotencyKey(1_000 << 80 | n),
        hash: n as u64,
        command,
    };
    sale.apply(1_000, &request(1, Command::OpenSale), &mut changes);
    let lines = [HoldLine::BestAvailable {
        quantity: 4,
        category: CategoryChoice::Any,
        section_count: 0,
        accessible: false,
        split: false,
    }];
    let hold = HoldId(5);
    let place = PlaceHold {
        hold,
        buyer: BuyerId(9),
        ttl_ms: 0,
        lines: &lines,
        seats: &[],
        sections: &[],
    };
    let outcome = sale.apply(1_000, &request(2, Command::PlaceHold(place)), &mut changes);
    let Outcome::Done(done) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        done.seats
            .as_slice()
            .first()
            .map(|run| (run.first, run.count)),
        Some((8, 4))
    );
    let payment = PaymentReference::new(b"pay-1").unwrap();
    let confirm = Command::ConfirmHold {
        hold,
        order: OrderId(6),
        payment,
    };
    let outcome = sale.apply(2_000, &request(3, confirm), &mut changes);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(sale.counts().sold, 4);
    assert_eq!(domain::invariants::check(&sale), []);
    let restored = Sale::restore(sale.export()).unwrap();
    assert_eq!(restored.full_hash(), sale.full_hash());
}
