//! The sales of one group as a replicated machine: hands committed parts to their owners' queues.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cluster::group::Group;
use cluster::machine::{Committed, Encode, Machine, MachineFault};
use cluster::types::{GroupId, Term};
use domain::Sale;
use domain::ids::SaleId;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use prost::Message as _;
use proto::log::v1 as log;
use tokio::sync::{Mutex, oneshot};
use xxhash_rust::xxh3::Xxh3;

use super::snapshot::{part_from_proto, part_to_proto};
use super::{CreateFailure, Sales};
use crate::codec::{rules, venue};
use crate::sale::{Birth, Creation, Delivery, DeliveryBody, Origin, SaleHandle, spawn};

/// One replica's sales of a group. Its registry is touched in log sequence only.
pub struct GroupSales {
    group: GroupId,
    handle: Arc<dyn Group>,
    sales: Arc<Sales>,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    sales: BTreeMap<SaleId, SaleHandle>,
    /// What each sale answered last, or will: asked again only after another delivery, so that
    /// thousands of idle sales are not woken for every digest of their group.
    digests: BTreeMap<SaleId, SaleDigest>,
    term: Option<Term>,
}

type SaleDigest = Shared<oneshot::Receiver<u64>>;

impl Registry {
    /// The digests of all sales after what was delivered so far, in the sequence of their ids.
    async fn digests(&mut self) -> Result<Vec<(SaleId, SaleDigest)>, MachineFault> {
        let mut digests = Vec::with_capacity(self.sales.len());
        for (id, sale) in &self.sales {
            let digest = match self.digests.get(id) {
                Some(known) => known.clone(),
                None => {
                    let asked = sale.digest().await.map_err(|_| MachineFault::Stopped)?;
                    let asked = asked.shared();
                    self.digests.insert(*id, asked.clone());
                    asked
                }
            };
            digests.push((*id, digest));
        }
        Ok(digests)
    }
}

impl GroupSales {
    pub(super) fn new(group: GroupId, handle: Arc<dyn Group>, sales: Arc<Sales>) -> GroupSales {
        GroupSales {
            group,
            handle,
            sales,
            registry: Mutex::default(),
        }
    }

    async fn deliver_part(
        &self,
        registry: &mut Registry,
        index: u64,
        part: log::Part,
    ) -> Result<(), MachineFault> {
        let log::Part {
            sale_id,
            at_ms,
            proposer,
            proposal,
            body,
        } = part;
        let sale = SaleId(sale_id);
        // What this node proposed itself, before it was deposed, somebody waits for.
        let nobody_waits = registry.term.is_none() && proposer != self.sales.around.proposer;
        let body = match body {
            Some(log::part::Body::Commands(log::Commands { count, records })) => {
                DeliveryBody::Commands { count, records }
            }
            Some(log::part::Body::ReleaseSale(log::ReleaseSale {})) => DeliveryBody::Release,
            Some(log::part::Body::CreateSale(create)) => {
                let created = self.create(registry, index, sale, create).await;
                self.sales.created(proposer, proposal, created);
                return Ok(());
            }
            None => {
                // A kind of part this version does not know: stop rather than skip.
                let why = "a part of an unknown kind".to_owned();
                return Err(MachineFault::Unreadable { index, why });
            }
        };
        registry.digests.remove(&sale);
        let Some(handle) = registry.sales.get(&sale) else {
            // A part for a sale that was never created here is a rejection without anybody to tell.
            return Ok(());
        };
        let commands = match &body {
            DeliveryBody::Commands { count, .. } if nobody_waits => Some(*count as usize),
            _ => None,
        };
        let delivery = Delivery {
            index,
            at_ms,
            proposer,
            proposal,
            body,
            committed_at: None,
        };
        let queued = match commands {
            Some(commands) => handle.leave(delivery, commands).await,
            None => handle.deliver(delivery).await,
        };
        queued.map_err(|_| MachineFault::Stopped)
    }

    /// Every replica comes to the same decision: the venue and the rules are all there is.
    async fn create(
        &self,
        registry: &mut Registry,
        index: u64,
        id: SaleId,
        create: log::CreateSale,
    ) -> Result<(), CreateFailure> {
        if registry.sales.contains_key(&id) {
            return Ok(());
        }
        let log::CreateSale {
            layout,
            venue: plan,
            rules: sale_rules,
            hash_seed,
        } = create;
        let invalid = |why: &str| CreateFailure::Invalid(why.to_owned());
        let plan = plan
            .as_ref()
            .and_then(venue::from_proto)
            .ok_or_else(|| invalid("venue"))?;
        let sale_rules = sale_rules
            .as_ref()
            .and_then(rules::from_proto)
            .ok_or_else(|| invalid("rules"))?;
        let made = catch_unwind(AssertUnwindSafe(|| Sale::new(&plan, sale_rules, hash_seed)))
            .map_err(|_| invalid("the sale's logic panicked"))?;
        let sale = made.map_err(|fault| CreateFailure::Invalid(format!("{fault:?}")))?;
        let birth = Birth {
            id,
            creation: Arc::new(Creation { layout }),
            applied_index: index,
            origin: Origin::Created(Box::new(sale)),
        };
        self.settle(registry, birth)
            .await
            .map_err(|_| CreateFailure::Unknown)
    }

    async fn settle(&self, registry: &mut Registry, birth: Birth) -> Result<(), MachineFault> {
        let around = self.sales.around.clone();
        let supervisor = self.sales.supervisor.clone();
        let handle = spawn(birth, around, Arc::clone(&self.handle), supervisor)
            .await
            .map_err(|_| MachineFault::Stopped)?;
        if registry.term.is_some() {
            handle
                .lead(registry.term)
                .await
                .map_err(|_| MachineFault::Stopped)?;
        }
        registry.sales.insert(handle.id(), handle.clone());
        self.sales.arrive(handle);
        Ok(())
    }
}

#[async_trait]
impl Machine for GroupSales {
    async fn deliver(&self, entry: Committed) -> Result<(), MachineFault> {
        let Committed {
            group: _,
            term: _,
            index,
            payload,
        } = entry;
        let entry = log::Entry::decode(payload).map_err(|why| MachineFault::Unreadable {
            index,
            why: why.to_string(),
        })?;
        let mut registry = self.registry.lock().await;
        for part in entry.parts {
            self.deliver_part(&mut registry, index, part).await?;
        }
        Ok(())
    }

    async fn snapshot(
        &self,
    ) -> Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault> {
        let registry = self.registry.lock().await;
        let mut parts = Vec::with_capacity(registry.sales.len());
        for sale in registry.sales.values() {
            parts.push(sale.barrier().await.map_err(|_| MachineFault::Stopped)?);
        }
        Ok(Box::pin(async move {
            let mut taken = Vec::with_capacity(parts.len());
            for part in parts {
                taken.push(part.await.map_err(|_| MachineFault::Stopped)?);
            }
            let encode: Encode = Box::new(move || {
                let sales = taken.iter().map(part_to_proto).collect();
                log::GroupSnapshot { sales }.encode_to_vec().into()
            });
            Ok(encode)
        }))
    }

    async fn restore(&self, snapshot: Bytes) -> Result<(), MachineFault> {
        let bad = |why: String| MachineFault::BadSnapshot(why);
        let snapshot = log::GroupSnapshot::decode(snapshot).map_err(|why| bad(why.to_string()))?;
        let parts = snapshot
            .sales
            .into_iter()
            .map(|sale| part_from_proto(sale).map_err(|why| bad(why.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let mut registry = self.registry.lock().await;
        registry.digests.clear();
        let gone: Vec<SaleId> = registry
            .sales
            .keys()
            .filter(|id| parts.iter().all(|part| part.sale != **id))
            .copied()
            .collect();
        for id in gone {
            registry.sales.remove(&id);
            self.sales.leave(id);
        }
        for part in parts {
            match registry.sales.get(&part.sale).cloned() {
                Some(handle) => handle
                    .restore(part)
                    .await
                    .map_err(|_| MachineFault::Stopped)?,
                None => {
                    let birth = Birth {
                        id: part.sale,
                        creation: part.creation,
                        applied_index: part.applied_index,
                        origin: Origin::Restored(part.body),
                    };
                    self.settle(&mut registry, birth).await?;
                }
            }
        }
        Ok(())
    }

    async fn digest(&self) -> Result<BoxFuture<'static, Result<u64, MachineFault>>, MachineFault> {
        let digests = self.registry.lock().await.digests().await?;
        Ok(Box::pin(async move {
            let mut hasher = Xxh3::new();
            for (sale, digest) in digests {
                let digest = digest.await.map_err(|_| MachineFault::Stopped)?;
                hasher.update(&sale.0.to_le_bytes());
                hasher.update(&digest.to_le_bytes());
            }
            Ok(hasher.digest())
        }))
    }

    fn behind(&self) -> u64 {
        let here = self.sales.all().into_iter();
        let ours = here.filter(|sale| sale.group() == self.group);
        ours.map(|sale| sale.unapplied_entries()).max().unwrap_or(0)
    }

    async fn lead(&self, term: Option<Term>) {
        let mut registry = self.registry.lock().await;
        registry.term = term;
        for sale in registry.sales.values() {
            if sale.lead(term).await.is_err() {
                tracing::error!(
                    group = self.group,
                    sale = sale.id().0,
                    "a sale actor has ended"
                );
            }
        }
    }
}

impl Drop for GroupSales {
    fn drop(&mut self) {
        for id in self.registry.get_mut().sales.keys() {
            self.sales.leave(*id);
        }
    }
}
