//! A replica's raw snapshot of one sale (`onsale.log.v1.SaleSnapshot`), read a second time: the
//! domain's own decoder has no part in it.

use prost::Message as _;
use proto::log::v1::SaleSnapshot;

use crate::load::Run;
use crate::load::call::Id;

/// What one node's replica holds.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub node: u64,
    pub applied_index: u64,
    pub revision: u64,
    pub digest: u64,
    /// Places the section planes mark as sold.
    pub sold_in_planes: u64,
    pub orders: Vec<Held>,
}

/// An order as a replica holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub order: Id,
    pub buyer: Id,
    pub cancelled: bool,
    pub seats: Vec<Run>,
}

#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the snapshot of node {node} is no SaleSnapshot: {source}")]
    Envelope {
        node: u64,
        source: prost::DecodeError,
    },
    #[error("the snapshot of node {node} has no contents")]
    Empty { node: u64 },
    #[error("the sale is frozen on node {node}: {why}")]
    Frozen { node: u64, why: String },
    #[error("the orders of node {node} are damaged at byte {at}")]
    Orders { node: u64, at: usize },
}

pub fn read(node: u64, bytes: &[u8]) -> Result<Replica, Unreadable> {
    let snapshot =
        SaleSnapshot::decode(bytes).map_err(|source| Unreadable::Envelope { node, source })?;
    if let Some(frozen) = snapshot.frozen {
        return Err(Unreadable::Frozen {
            node,
            why: frozen.why,
        });
    }
    let contents = snapshot.contents.ok_or(Unreadable::Empty { node })?;
    let ones = |plane: &[u8]| -> u64 { plane.iter().map(|b| u64::from(b.count_ones())).sum() };
    let sold_in_planes = contents
        .planes
        .iter()
        .map(|plane| ones(&plane.sold) + u64::from(plane.sold_count))
        .sum();
    let mut reader = Reader {
        bytes: &contents.orders,
        at: 0,
    };
    let mut orders = Vec::new();
    while reader.at < reader.bytes.len() {
        let at = reader.at;
        let order = reader.order().ok_or(Unreadable::Orders { node, at })?;
        orders.push(order);
    }
    Ok(Replica {
        node,
        applied_index: snapshot.applied_index,
        revision: contents.revision,
        digest: contents.digest,
        sold_in_planes,
        orders,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// id, hold id, buyer, partner u32, channel u16, placed_at_ms u64, state u8, payment reference
    /// length u8 and bytes, runs.
    fn order(&mut self) -> Option<Held> {
        let order: Id = self.array()?;
        self.skip(16)?;
        let buyer: Id = self.array()?;
        self.skip(4 + 2 + 8)?;
        let state = self.array::<1>()?[0];
        let payment = self.array::<1>()?[0];
        self.skip(payment.into())?;
        let count = u16::from_le_bytes(self.array()?);
        let mut seats = Vec::with_capacity(count.into());
        for _ in 0..count {
            seats.push(Run {
                section: u16::from_le_bytes(self.array()?),
                count: u16::from_le_bytes(self.array()?),
                first: u32::from_le_bytes(self.array()?),
            });
        }
        // Anything but paid and cancelled is nothing an audit may pass over.
        (state == 1 || state == 2).then_some(Held {
            order,
            buyer,
            cancelled: state == 2,
            seats,
        })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.bytes.get(self.at..self.at + N)?.try_into().ok()?;
        self.at += N;
        Some(bytes)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes.get(self.at..self.at + count)?;
        self.at += count;
        Some(())
    }
}
