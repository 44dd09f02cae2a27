//! Where the index takes whole sales from: the sale actors of this node.

use std::sync::Arc;

use actors::sale::Bookings;
use async_trait::async_trait;
use domain::ids::{Revision, SaleId};

/// The sales of this node. The waiting of these calls must not need a runtime around it.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Sales with a replica here, once the node has caught up with what it knows to be committed;
    /// `None` before that.
    fn sales(&self) -> Option<Vec<SaleId>>;
    /// `None` when the sale is not here or frozen.
    async fn revision(&self, sale: SaleId) -> Option<Revision>;
    async fn bookings(&self, sale: SaleId) -> Option<Bookings>;
}

/// The sale actors, and whether the node has caught up.
pub struct SaleActors<F> {
    pub sales: Arc<actors::Sales>,
    pub ready: F,
}

#[async_trait]
impl<F: Fn() -> bool + Send + Sync + 'static> Source for SaleActors<F> {
    fn sales(&self) -> Option<Vec<SaleId>> {
        (self.ready)().then(|| self.sales.all().iter().map(|sale| sale.id()).collect())
    }

    async fn revision(&self, sale: SaleId) -> Option<Revision> {
        let summary = self.sales.get(sale)?.summary().await.ok()?;
        Some(summary.revision)
    }

    async fn bookings(&self, sale: SaleId) -> Option<Bookings> {
        self.sales.get(sale)?.bookings().await.ok()
    }
}
