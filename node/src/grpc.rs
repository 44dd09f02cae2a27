//! The partners' gRPC services: authenticate, convert, hand to the gateway, convert back.
//!
//! Decides nothing about seats. `serve` runs them on an injected listener; `for_peers` gives the
//! reads among them to the peer listener, where other nodes ask for what they hold no replica of.

mod admission;
mod catalogue;
mod deadline;
mod ending;
mod input;
mod meter;
mod metrics;
mod output;
mod place;
mod reasons;
mod sales;
mod seat_maps;
mod seats;
mod server;
mod session;
mod slow_calls;
pub mod status;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use cluster::components::WallClock;
use domain::ids::{ChannelId, PartnerId};
use proto::channel::v1::FailureReason;
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::access::challenge::{Challenge, ProofOfWork};
use crate::access::pass::PassKeys;
use crate::access::risk::{RiskLimits, RiskScorer, Rules};
use crate::access::{Caller, Door, JoinLimits, Joins, RateLimit};
use crate::gateway::{Entry, Gateway};
use crate::trace::{CallSpan, Tracer};
/// Partners' bytes on their way to command records, without a node behind them: for whoever feeds
/// them anything.
pub mod records {
    pub use super::input::{Stamp, ToRecord};
    pub use super::session::split::{CutOff, ForSale, Splitter, count};
    pub use crate::access::pass::NoPassKeys;
}

pub use admission::{Waits, follow as follow_waits};
pub use metrics::RpcMetrics;
pub use place::{EventEntry, Keeper, Whereabouts};
pub use server::{ServeFailure, for_peers, serve};

/// Bounds of the partners' services.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub message_bytes_max: usize,
    /// Calls outstanding on one session stream.
    pub session_calls: usize,
    /// How long a call is tried whose caller does not say.
    pub timeout: Duration,
    /// A call that takes longer is logged; zero is never.
    pub slow_call: Duration,
    /// Calls one partner may make per second on this node; 0 is no limit.
    pub calls_per_s: u32,
    /// Reads of events, seats and places that one partner may make per second; 0 is no limit.
    pub reports_per_s: u32,
    /// Calls of one partner's sessions that are refused per second before it is read more slowly; 0 is no
    /// limit.
    pub refusals_per_s: u32,
    /// How often anybody may come to a waiting room.
    pub joins: JoinLimits,
    /// When a join is asked for a challenge.
    pub risk: RiskLimits,
    /// How long a call that finds no room should wait, milliseconds.
    pub busy_retry_ms: u32,
    /// Streams one connection may have open.
    pub streams_max: u32,
    /// How long streams may take to end when the node goes down.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config::from(&crate::config::PartnerConfig::default())
    }
}

impl From<&crate::config::PartnerConfig> for Config {
    fn from(config: &crate::config::PartnerConfig) -> Config {
        let crate::config::PartnerConfig {
            message_kib,
            session_calls,
            timeout_ms,
            slow_call_ms,
            calls_per_s,
            reports_per_s,
            refusals_per_s,
            joins_per_visitor_min,
            joins_per_address_min,
            joins_per_event_s,
            joins_per_s,
            welcome_per_address_min,
            welcome_per_device_min,
            slow_beyond,
            holds_abandoned_least,
            holds_abandoned_per_100,
        } = config;
        Config {
            message_bytes_max: message_kib << 10,
            session_calls: *session_calls,
            timeout: Duration::from_millis(*timeout_ms),
            slow_call: Duration::from_millis(*slow_call_ms),
            calls_per_s: *calls_per_s,
            reports_per_s: *reports_per_s,
            refusals_per_s: *refusals_per_s,
            joins: JoinLimits {
                visitor_per_min: *joins_per_visitor_min,
                address_per_min: *joins_per_address_min,
                event_per_s: *joins_per_event_s,
                node_per_s: *joins_per_s,
            },
            risk: RiskLimits {
                address_per_min: *welcome_per_address_min,
                device_per_min: *welcome_per_device_min,
                slow_beyond: *slow_beyond,
                abandoned_least: *holds_abandoned_least,
                abandoned_per_100: *holds_abandoned_per_100,
            },
            busy_retry_ms: 50,
            streams_max: 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// What all services of the partner listener share. Cheap to clone.
#[derive(Clone)]
pub struct Partners {
    config: Arc<Config>,
    door: Door,
    limit: Arc<RateLimit<PartnerId>>,
    reports: Arc<RateLimit<PartnerId>>,
    /// How fast calls in sessions are refused.
    refusals: Arc<RateLimit<PartnerId>>,
    joins: Arc<Joins>,
    pass_keys: Arc<dyn PassKeys>,
    risk: Arc<dyn RiskScorer>,
    challenge: Arc<dyn Challenge>,
    gateway: Gateway,
    whereabouts: Arc<dyn Whereabouts>,
    wall: Arc<dyn WallClock>,
    going_down: watch::Receiver<bool>,
    metrics: Arc<RpcMetrics>,
    tracer: Tracer,
    waits: Arc<Waits>,
}

impl Partners {
    /// `going_down` turns true when the node shuts down: streams then end, new calls are refused.
    #[allow(clippy::too_many_arguments)] // one each of what a node has
    pub fn new(
        config: Config,
        door: Door,
        pass_keys: Arc<dyn PassKeys>,
        gateway: Gateway,
        whereabouts: Arc<dyn Whereabouts>,
        wall: Arc<dyn WallClock>,
        going_down: watch::Receiver<bool>,
        metrics: RpcMetrics,
        tracer: Tracer,
        waits: Arc<Waits>,
    ) -> Partners {
        Partners {
            limit: Arc::new(RateLimit::per_second(config.calls_per_s)),
            reports: Arc::new(RateLimit::per_second(config.reports_per_s)),
            refusals: Arc::new(RateLimit::per_second(config.refusals_per_s)),
            joins: Arc::new(Joins::new(config.joins)),
            risk: Arc::new(Rules::new(config.risk)),
            challenge: Arc::new(ProofOfWork),
            pass_keys,
            config: Arc::new(config),
            door,
            gateway: gateway.entered_by(Entry::Unary),
            whereabouts,
            wall,
            going_down,
            metrics: Arc::new(metrics),
            tracer,
            waits,
        }
    }

    /// Who judges those that join, to be told what became of holds.
    pub fn risk(&self) -> Arc<dyn RiskScorer> {
        Arc::clone(&self.risk)
    }

    /// The partner that calls, by its key.
    fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let authorization = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        self.door
            .partner(authorization)
            .map_err(status::unauthenticated)
    }

    /// The partner that calls, if it may call once more at this moment.
    fn admitted(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let caller = self.caller(metadata)?;
        self.limit
            .check(caller.partner, 1)
            .map_err(status::over_limit)?;
        Ok(caller)
    }

    /// The same for a call that only reports: it has a rate of its own, and goes first when the node
    /// is crowded, so that selling goes on.
    fn admitted_to_report(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let caller = self.caller(metadata)?;
        self.reports
            .check(caller.partner, 1)
            .map_err(status::over_limit)?;
        match self.gateway.is_crowded() {
            true => Err(status::failed(
                FailureReason::Busy,
                self.config.busy_retry_ms,
            )),
            false => Ok(caller),
        }
    }
}

/// The span of a call, where it is traced.
fn traced<T>(request: &tonic::Request<T>) -> Option<Arc<CallSpan>> {
    request.extensions().get().cloned()
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Selling,
    Reporting,
}

/// Who reads: what a read may show depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reader {
    partner: PartnerId,
    channel: ChannelId,
}

/// Where a service is mounted.
#[derive(Clone)]
enum Entrance {
    /// The partner listener: keys are checked, reads may be passed on to another node.
    Partners(Partners),
    /// The peer listener: the peer has checked the key and names the partner. Reads are answered
    /// here or not at all, so that they cannot travel in circles.
    Peers(Arc<dyn Whereabouts>),
}

/// The metadata by which a peer names the partner it reads for.
const READER: &str = "x-onsale-reader";

impl Entrance {
    fn reader(&self, lane: Lane, metadata: &MetadataMap) -> Result<Reader, Status> {
        match self {
            Entrance::Partners(partners) => {
                let caller = match lane {
                    Lane::Selling => partners.admitted(metadata)?,
                    Lane::Reporting => partners.admitted_to_report(metadata)?,
                };
                Ok(Reader {
                    partner: caller.partner,
                    channel: caller.channel,
                })
            }
            Entrance::Peers(_) => metadata
                .get(READER)
                .and_then(|value| value.to_str().ok()?.split_once('/'))
                .and_then(|(partner, channel)| {
                    Some(Reader {
                        partner: PartnerId(partner.parse().ok()?),
                        channel: ChannelId(channel.parse().ok()?),
                    })
                })
                .ok_or_else(|| Status::unauthenticated("the peer names no partner")),
        }
    }

    fn whereabouts(&self) -> &Arc<dyn Whereabouts> {
        match self {
            Entrance::Partners(partners) => &partners.whereabouts,
            Entrance::Peers(whereabouts) => whereabouts,
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Entrance::Partners(partners) => partners.config.timeout,
            Entrance::Peers(_) => Duration::from_secs(5),
        }
    }
}
