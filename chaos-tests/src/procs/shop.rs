//! The partners' side: buyers with idempotency keys on a runtime of their own, over the public gRPC,
//! and the chronicle of what they asked and were told. They decide nothing about who is right.

pub mod buyer;
pub mod call;
pub mod chronicle;
pub mod wires;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::{Trouble, trouble};
use chronicle::Chronicle;
use wires::Wires;

/// What buyers share.
pub struct Street {
    pub wires: Wires,
    pub chronicle: Chronicle,
    pub sales: Vec<u64>,
    /// True while something may send a call again without its caller knowing.
    stormy: AtomicBool,
    closing: AtomicBool,
    /// The most attempts that any wish took since the last look.
    attempts_most: AtomicU32,
    /// After this nobody asks again; milliseconds of the chronicle's clock.
    patience_ends_ms: AtomicU64,
}

pub struct Shop {
    street: Arc<Street>,
    runtime: Option<Runtime>,
    buyers: Mutex<Vec<JoinHandle<()>>>,
}

/// How long buyers ask again after the shop has closed.
const PATIENCE: Duration = Duration::from_secs(30);

impl Shop {
    /// Opens on the network this thread is in, with so many buyers.
    pub fn open(
        addresses: &[String],
        key: &str,
        sales: &[u64],
        buyers: u32,
        seed: u64,
    ) -> Result<Shop, Trouble> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let wires = {
            let _inside = runtime.enter();
            Wires::new(addresses, key)?
        };
        let street = Arc::new(Street {
            wires,
            chronicle: Chronicle::new(),
            sales: sales.to_vec(),
            stormy: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            attempts_most: AtomicU32::new(0),
            patience_ends_ms: AtomicU64::new(u64::MAX),
        });
        let shop = Shop {
            street,
            runtime: Some(runtime),
            buyers: Mutex::default(),
        };
        for number in 0..buyers {
            let street = Arc::clone(&shop.street);
            shop.spawn(async move { buyer::buy(&street, number, seed).await });
        }
        Ok(shop)
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            let mut buyers = self.buyers.lock().unwrap_or_else(PoisonError::into_inner);
            buyers.push(runtime.spawn(work));
        }
    }

    pub fn street(&self) -> &Arc<Street> {
        &self.street
    }

    pub fn chronicle(&self) -> &Chronicle {
        &self.street.chronicle
    }

    /// A fault begins or has ended.
    pub fn set_stormy(&self, stormy: bool) {
        self.street.stormy.store(stormy, Ordering::Relaxed);
    }

    /// The most attempts that any wish took since the last time this was asked.
    pub fn attempts_most(&self) -> u32 {
        self.street.attempts_most.swap(0, Ordering::Relaxed)
    }

    /// Waits until so many more wishes have been carried out.
    pub fn sells(&self, count: u64, within: Duration) -> Result<Duration, Trouble> {
        let began = Instant::now();
        let before = self.chronicle().done();
        while self.chronicle().done() < before + count {
            if began.elapsed() > within {
                let sold = self.chronicle().done() - before;
                return Err(trouble(format!(
                    "only {sold} wishes were carried out within {} s, the last answer: {}",
                    within.as_secs(),
                    self.chronicle().last_trouble()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(began.elapsed())
    }

    /// Buyers finish what they are at, and go.
    pub fn close(&mut self) -> Result<(), Trouble> {
        let ends = self.chronicle().now_ns() / 1_000_000 + PATIENCE.as_millis() as u64;
        self.street.patience_ends_ms.store(ends, Ordering::Relaxed);
        self.street.closing.store(true, Ordering::Relaxed);
        let buyers: Vec<_> = {
            let mut buyers = self.buyers.lock().unwrap_or_else(PoisonError::into_inner);
            buyers.drain(..).collect()
        };
        let Some(runtime) = &self.runtime else {
            return Ok(());
        };
        let limit = PATIENCE + Duration::from_secs(10);
        runtime.block_on(async {
            let gone = async {
                for buyer in buyers {
                    buyer.await?;
                }
                Ok::<(), Trouble>(())
            };
            let gone = tokio::time::timeout(limit, gone).await;
            gone.map_err(|_| trouble("a buyer waits for an answer for ever"))?
        })
    }

    /// Has something done on the shop's runtime, and waits for it.
    pub fn wait_for<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let runtime = self.runtime.as_ref();
        let runtime = runtime.ok_or_else(|| trouble("the shop is closed"))?;
        Ok(runtime.block_on(work))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting for calls that nobody answers.
            runtime.shutdown_background();
        }
    }
}

impl Street {
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::Relaxed)
    }

    fn is_patient(&self) -> bool {
        let now_ms = self.chronicle.now_ns() / 1_000_000;
        now_ms < self.patience_ends_ms.load(Ordering::Relaxed)
    }

    fn took(&self, attempts: u32) {
        self.attempts_most.fetch_max(attempts, Ordering::Relaxed);
    }
}
