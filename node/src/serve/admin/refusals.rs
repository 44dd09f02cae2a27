//! What the cluster and the sales refuse, in the words of the HTTP API; and which node to ask
//! instead.

use actors::sale::ReadFailure;
use actors::sales::CreateFailure;
use cluster::group::BarrierFailure;
use cluster::map::MapRejection;
use cluster::node::{AdminFailure, MapFailure};
use cluster::types::{GroupId, NodeId};
use domain::rejection::Rejection;
use domain::rules::SaleRules;

use super::Admin;
use crate::http::api::Refusal;
use crate::http::problem::{Problem, Reason};

impl Admin {
    /// The node to ask instead of this one.
    pub(super) fn elsewhere(&self, node: NodeId) -> Refusal {
        let map = self.parts.cluster.map();
        match map.nodes.get(&node) {
            Some(entry) if node != self.parts.cluster.node_id() => Refusal::Elsewhere {
                node,
                address: entry.http_address.clone(),
            },
            _ => no_leader(),
        }
    }

    /// The leader of a group, when it is another node.
    pub(super) fn at_leader(&self, group: GroupId) -> Refusal {
        match self.parts.cluster.leader(group) {
            Some(node) => self.elsewhere(node),
            None => no_leader(),
        }
    }

    pub(super) fn read_failed(&self, failure: ReadFailure) -> Refusal {
        match failure {
            ReadFailure::Frozen => Problem::new(
                Reason::SaleFrozen,
                "the sale was frozen after a fault and is being looked at",
            )
            .into(),
            ReadFailure::Unproved(BarrierFailure::NotLeader { leader: Some(node) }) => {
                self.elsewhere(node)
            }
            ReadFailure::Stopped | ReadFailure::Unproved(_) => no_leader(),
        }
    }

    pub(super) fn create_failed(&self, failure: CreateFailure, group: GroupId) -> Refusal {
        match failure {
            CreateFailure::Invalid(why) => Problem::new(Reason::InvalidPlan, why).into(),
            CreateFailure::NotLeader => self.at_leader(group),
            CreateFailure::DiskFull => Problem::new(
                Reason::DiskFull,
                "the disk of the group's leader is full; nothing was created",
            )
            .into(),
            CreateFailure::TooLarge { bytes, bytes_max } => too_large(bytes, bytes_max).into(),
            CreateFailure::Busy => Problem::new(Reason::Busy, "the group's queue is full").into(),
            CreateFailure::Unknown => Problem::unknown_outcome().into(),
        }
    }

    pub(super) fn admin_failed(&self, failure: AdminFailure) -> Refusal {
        match failure {
            AdminFailure::UnknownGroup(group) => self.at_leader(group),
            AdminFailure::NoLeader(group) => {
                Problem::new(Reason::NoLeader, format!("group {group} has no leader"))
                    .with("group_id", group)
                    .into()
            }
            AdminFailure::Refused(why) => Problem::new(Reason::Conflict, why).into(),
            AdminFailure::Map(failure) => map_failed(failure),
        }
    }
}

/// A plan that no entry of the log can hold.
pub(super) fn too_large(bytes: usize, bytes_max: usize) -> Problem {
    Problem::new(
        Reason::TooLarge,
        "the plan is longer than an entry of the log may be: shorter texts, or a larger \
         log.segment_mib on every node",
    )
    .with("bytes", bytes)
    .with("max", bytes_max)
}

pub(super) fn no_leader() -> Refusal {
    Problem::new(
        Reason::NoLeader,
        "nobody leads the event's group at the moment; nothing was tried",
    )
    .into()
}

/// Its creation broke off, and may be taken up again.
pub(super) fn unfinished(event_id: u64) -> Problem {
    Problem::new(
        Reason::Conflict,
        "its creation has not come to its end: repeat it with its Idempotency-Key",
    )
    .with("event_id", event_id)
}

/// What the rules' own body cannot tell: more seats are kept for channels than the venue has.
pub(super) fn floors_beyond(rules: &SaleRules, seats: u64) -> Option<Problem> {
    let floors: u64 = rules.channels.iter().map(|of| u64::from(of.floor)).sum();
    if floors <= seats {
        return None;
    }
    let mut problem = Problem::rejected(Rejection::RulesInvalid);
    problem.detail = "rules.channels: the floors add up to more seats than the venue has".into();
    Some(problem.with("floors", floors).with("seats", seats))
}

pub(super) fn map_failed(failure: MapFailure) -> Refusal {
    match failure {
        MapFailure::Rejected(rejection) => rejected(rejection).into(),
        MapFailure::NoLeader => Problem::new(
            Reason::NoLeader,
            "nobody leads the root group at the moment; nothing was tried",
        )
        .into(),
        MapFailure::Unknown => Problem::unknown_outcome().into(),
    }
}

fn rejected(rejection: MapRejection) -> Problem {
    let reason = match rejection {
        MapRejection::Empty | MapRejection::BadValue => Reason::BadRequest,
        MapRejection::UnknownNode => Reason::UnknownNode,
        MapRejection::UnknownGroup => Reason::UnknownGroup,
        MapRejection::UnknownSale => Reason::UnknownEvent,
        MapRejection::UnknownPartner => Reason::UnknownPartner,
        MapRejection::UnknownKey => Reason::UnknownKey,
        MapRejection::SaleExists | MapRejection::KeyExists => Reason::AlreadyExists,
        MapRejection::NodeInUse
        | MapRejection::EpochMoved
        | MapRejection::BadPlacement
        | MapRejection::BadSaleState => Reason::Conflict,
    };
    Problem::new(reason, rejection.to_string())
}
