//! How often anybody may come to a waiting room: by visitor, by address, by event, and at this node at
//! all. A filter in front of the log; who was taken in already loses nothing by being held back.

use domain::ids::{SaleId, VisitorId};

use super::limit::{OverLimit, RateLimit};

/// Per minute, but `node_per_s`; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinLimits {
    pub visitor_per_min: u32,
    pub address_per_min: u32,
    pub event_per_s: u32,
    pub node_per_s: u32,
}

pub struct Joins {
    visitor: RateLimit<(SaleId, VisitorId)>,
    address: RateLimit<u128>,
    event: RateLimit<SaleId>,
    node: RateLimit<()>,
}

impl Joins {
    pub fn new(limits: JoinLimits) -> Joins {
        let JoinLimits {
            visitor_per_min,
            address_per_min,
            event_per_s,
            node_per_s,
        } = limits;
        Joins {
            visitor: RateLimit::per_minute(visitor_per_min),
            address: RateLimit::per_minute(address_per_min),
            event: RateLimit::per_second(event_per_s),
            node: RateLimit::per_second(node_per_s),
        }
    }

    /// Lets one visitor come. The narrow limits first: who is over them takes nothing of the wide
    /// ones.
    pub fn check(
        &self,
        event: SaleId,
        visitor: VisitorId,
        address: Option<u128>,
    ) -> Result<(), OverLimit> {
        self.visitor.check((event, visitor), 1)?;
        if let Some(address) = address {
            self.address.check(address, 1)?;
        }
        self.event.check(event, 1)?;
        self.node.check((), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_one_address_is_held_back_and_others_are_not() {
        let joins = Joins::new(JoinLimits {
            visitor_per_min: 5,
            address_per_min: 30,
            event_per_s: 0,
            node_per_s: 0,
        });
        let event = SaleId(1);
        let flood = (0..100).filter(|visitor| {
            let visitor = VisitorId(*visitor);
            joins.check(event, visitor, Some(9)).is_ok()
        });
        assert_eq!(flood.count(), 30);
        assert_eq!(joins.check(event, VisitorId(500), Some(1)), Ok(()));
        assert_eq!(joins.check(event, VisitorId(501), None), Ok(()));
        let again = (0..100).filter(|_| joins.check(event, VisitorId(500), None).is_ok());
        assert_eq!(again.count(), 4);
        let over = joins.check(event, VisitorId(500), None).unwrap_err();
        tokio::time::advance(over.retry_after).await;
        assert_eq!(joins.check(event, VisitorId(500), None), Ok(()));
    }
}
