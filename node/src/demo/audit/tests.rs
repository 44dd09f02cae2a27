//! The audit must find what it looks for: each test plants one fault.

use bytes::Bytes;
use prost::Message as _;
use proto::log::v1::{FrozenSale, SaleContents, SaleSnapshot, SectionPlanes};

use super::dump::Unreadable;
use super::*;

fn run(section: u16, first: u32, count: u16) -> Run {
    Run {
        section,
        count,
        first,
    }
}

fn told(order: u8, seats: &[Run]) -> Told {
    Told {
        order: [order; 16],
        seats: seats.to_vec(),
    }
}

fn packed(order: u8, state: u8, seats: &[Run]) -> Vec<u8> {
    let mut bytes = vec![order; 16];
    bytes.extend([0xbb; 32]);
    bytes.extend([1, 0, 0, 0, 2, 0]);
    bytes.extend(1_700_000_000_000u64.to_le_bytes());
    bytes.extend([state, 3]);
    bytes.extend(b"psp");
    bytes.extend((seats.len() as u16).to_le_bytes());
    for run in seats {
        bytes.extend(run.section.to_le_bytes());
        bytes.extend(run.count.to_le_bytes());
        bytes.extend(run.first.to_le_bytes());
    }
    bytes
}

fn dumped(orders: &[Vec<u8>], sold: &[u8], standing_sold: u32) -> SaleSnapshot {
    SaleSnapshot {
        sale_id: 1,
        applied_index: 40,
        contents: Some(SaleContents {
            revision: 30,
            digest: 0xd16e57,
            planes: vec![
                SectionPlanes {
                    seats: 16,
                    sold: Bytes::copy_from_slice(sold),
                    ..SectionPlanes::default()
                },
                SectionPlanes {
                    capacity: 5,
                    sold_count: standing_sold,
                    ..SectionPlanes::default()
                },
            ],
            orders: Bytes::from(orders.concat()),
            ..SaleContents::default()
        }),
        ..SaleSnapshot::default()
    }
}

fn replica(node: u64, snapshot: &SaleSnapshot) -> Replica {
    read(node, &snapshot.encode_to_vec()).unwrap()
}

fn standing() -> BTreeMap<u16, u32> {
    BTreeMap::from([(1, 5)])
}

/// Two orders: seats 0 to 2 and a standing place; seat 8, in two runs of told and held sequence.
fn good() -> (Vec<Told>, SaleSnapshot) {
    let told = vec![
        told(1, &[run(0, 0, 3), run(1, 0, 1)]),
        told(2, &[run(0, 8, 2)]),
    ];
    let orders = [
        packed(1, 1, &[run(0, 0, 3), run(1, 0, 1)]),
        packed(2, 1, &[run(0, 9, 1), run(0, 8, 1)]),
        packed(3, 2, &[run(0, 0, 1)]),
    ];
    (told, dumped(&orders, &[0b111, 0b11], 1))
}

#[test]
fn a_sound_sale_passes() {
    let (told, snapshot) = good();
    let replicas: Vec<Replica> = (1..=3).map(|node| replica(node, &snapshot)).collect();
    assert_eq!(replicas[0].orders.len(), 3);
    let findings = audit(&told, &replicas, &standing());
    assert_eq!(findings.faults, Vec::<String>::new());
    assert_eq!((findings.oversold, findings.lost_orders), (0, 0));
    assert!(findings.replicas_agree);
    assert_eq!((findings.seats_sold, findings.untold_orders), (6, 0));
    assert_eq!((findings.applied_index, findings.digest), (40, 0xd16e57));
}

#[test]
fn a_seat_sold_twice_is_found() {
    let (mut told, snapshot) = good();
    let sound = replica(1, &snapshot);
    let twice = [
        packed(1, 1, &[run(0, 0, 3), run(1, 0, 1)]),
        packed(2, 1, &[run(0, 2, 1)]),
    ];
    let broken = replica(2, &dumped(&twice, &[0b111, 0], 1));
    let findings = audit(&told[..1], &[sound.clone(), broken], &standing());
    assert_eq!(
        findings.oversold, 2,
        "the seat, and planes that have one less"
    );
    assert!(
        findings.faults[0].contains("seat 2 of section 0"),
        "{findings:?}"
    );

    told.push(super::tests::told(9, &[run(0, 1, 1)]));
    let findings = audit(&told, &[sound], &standing());
    assert_eq!(findings.oversold, 1);
    assert_eq!(findings.lost_orders, 1);
    assert!(
        findings.faults[0].contains("told to buyers"),
        "{findings:?}"
    );
}

#[test]
fn standing_places_beyond_the_capacity_are_found() {
    let told = [told(1, &[run(1, 0, 4)]), told(2, &[run(1, 0, 3)])];
    let findings = audit(&told, &[], &standing());
    assert_eq!(findings.oversold, 2);
    assert!(!findings.replicas_agree);
}

#[test]
fn lost_and_changed_orders_are_found() {
    let (told, snapshot) = good();
    let sound = replica(1, &snapshot);
    let other_seats = [
        packed(1, 1, &[run(0, 4, 3), run(1, 0, 1)]),
        packed(2, 2, &[run(0, 8, 2)]),
    ];
    let broken = replica(2, &dumped(&other_seats, &[0b111_0000, 0], 1));
    let findings = audit(&told, &[sound, broken], &standing());
    assert_eq!((findings.oversold, findings.lost_orders), (0, 2));
    assert!(
        findings.faults[0].contains("other seats on node 2"),
        "{findings:?}"
    );
    assert!(
        findings.faults[1].contains("is not on node 2"),
        "{findings:?}"
    );
}

#[test]
fn replicas_that_differ_are_found() {
    let (told, snapshot) = good();
    let mut other = snapshot.clone();
    other.contents.as_mut().unwrap().digest += 1;
    let findings = audit(
        &told,
        &[replica(1, &snapshot), replica(2, &other)],
        &standing(),
    );
    assert!(!findings.replicas_agree);
    let mut behind = snapshot.clone();
    behind.applied_index -= 1;
    let findings = audit(
        &told,
        &[replica(1, &snapshot), replica(2, &behind)],
        &standing(),
    );
    assert!(!findings.replicas_agree);
}

#[test]
fn what_cannot_be_read_is_not_passed_over() {
    let (_, snapshot) = good();
    assert!(matches!(read(1, b"\xff"), Err(Unreadable::Envelope { .. })));
    assert!(matches!(read(1, b""), Err(Unreadable::Empty { node: 1 })));
    let mut cut = snapshot.clone();
    let orders = &mut cut.contents.as_mut().unwrap().orders;
    *orders = orders.slice(..orders.len() - 1);
    assert!(matches!(
        read(1, &cut.encode_to_vec()),
        Err(Unreadable::Orders { node: 1, .. })
    ));
    let mut frozen = snapshot;
    frozen.frozen = Some(FrozenSale::default());
    assert!(matches!(
        read(1, &frozen.encode_to_vec()),
        Err(Unreadable::Frozen { .. })
    ));
}

#[test]
fn a_buyer_with_more_tickets_than_a_pass_is_counted_once() {
    let (_, snapshot) = good();
    let replicas = [replica(1, &snapshot), replica(2, &snapshot)];
    // All orders of the sample are of one buyer: 4 and 2 tickets, and one that was cancelled.
    assert_eq!(passes_spent_twice(&replicas, 6), 0);
    assert_eq!(passes_spent_twice(&replicas, 5), 1);
}
