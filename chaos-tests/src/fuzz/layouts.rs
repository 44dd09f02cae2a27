//! Stored layouts: unpacked within bounds, decoded, and written as a plan.

use onsale::plan;
use prost::Message;
use proto::channel::v1 as pb;

/// The lowest bit of the first byte: the rest is not packed yet.
pub fn run(data: &[u8]) {
    let Some((flags, bytes)) = data.split_first() else {
        return;
    };
    let packed = match flags & 1 {
        1 => zstd::bulk::compress(bytes, 1).expect("in memory"),
        _ => bytes.to_vec(),
    };
    let Ok((_, layout)) = plan::layout_from_bytes(&packed) else {
        return;
    };
    let (etag, packed) = plan::layout_bytes(&layout).expect("in memory");
    let (again, same) = plan::layout_from_bytes(&packed).expect("packed by us");
    // By bytes: a position that is no number is not equal to itself.
    assert_eq!(same.encode_to_vec(), layout.encode_to_vec());
    assert_eq!(again, etag);
    let text = plan::write(&layout);
    // Whether it is a good plan is for the reader to say.
    let _ = plan::read(&text, &plan::Options::default());
}

pub fn corpus() -> Vec<Vec<u8>> {
    let seat = |n: u32| pb::Seat {
        guid: format!("g{n}"),
        number: n.to_string(),
        x: f64::from(n) * 20.0,
        y: 1.5,
        category: n % 2,
        accessible: n == 1,
        companion: n == 2,
        restricted_view: n == 3,
        aisle_after: n == 4,
    };
    let layout = pb::SeatMap {
        name: "Hall".to_owned(),
        categories: ["A", "B"]
            .map(|name| pb::Category {
                name: name.to_owned(),
                color: "#336699".to_owned(),
            })
            .to_vec(),
        sections: vec![
            pb::Section {
                name: "Stalls".to_owned(),
                rows: vec![pb::Row {
                    label: "1".to_owned(),
                    seats: (0..6).map(seat).collect(),
                }],
                ..Default::default()
            },
            pb::Section {
                name: "Floor".to_owned(),
                capacity: 50,
                category: 1,
                outline: vec![0.0, 0.0, 9.0, 0.0, 9.0, 9.0],
                ..Default::default()
            },
        ],
        width: 400.0,
        height: 300.0,
    };
    let plain = layout.encode_to_vec();
    let packed = zstd::bulk::compress(&plain, 1).unwrap_or_default();
    let input = |flags: u8, bytes: &[u8]| {
        let mut input = vec![flags];
        input.extend_from_slice(bytes);
        input
    };
    vec![input(1, &plain), input(0, &packed)]
}
