//! Rate, errors and duration of what partners call. Labels are closed sets: the methods there are,
//! and gRPC's codes. Sessions are counted by message, never by call.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, Registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use tonic::Code;

/// Paths and their labels; the last stands for all others.
const METHODS: [(&str, &str); 24] = [
    (
        "/onsale.channel.v1.CatalogueService/ListEvents",
        "list_events",
    ),
    ("/onsale.channel.v1.CatalogueService/GetEvent", "get_event"),
    (
        "/onsale.channel.v1.CatalogueService/GetSeatMap",
        "get_seat_map",
    ),
    ("/onsale.channel.v1.SeatsService/GetSeats", "get_seats"),
    ("/onsale.channel.v1.SeatsService/WatchSeats", "watch_seats"),
    ("/onsale.channel.v1.SalesService/PlaceHold", "place_hold"),
    ("/onsale.channel.v1.SalesService/ExtendHold", "extend_hold"),
    (
        "/onsale.channel.v1.SalesService/ReleaseHold",
        "release_hold",
    ),
    (
        "/onsale.channel.v1.SalesService/ConfirmHold",
        "confirm_hold",
    ),
    (
        "/onsale.channel.v1.SalesService/CancelOrder",
        "cancel_order",
    ),
    ("/onsale.channel.v1.SalesService/GetHold", "get_hold"),
    ("/onsale.channel.v1.SalesService/GetOrder", "get_order"),
    ("/onsale.channel.v1.SessionService/Session", "session"),
    (
        "/onsale.channel.v1.AdmissionService/WatchPlace",
        "watch_place",
    ),
    ("/onsale.channel.v1.AdmissionService/Join", "join"),
    ("/onsale.channel.v1.AdmissionService/JoinMany", "join_many"),
    ("/onsale.channel.v1.AdmissionService/Status", "status"),
    (
        "/onsale.channel.v1.AdmissionService/StatusMany",
        "status_many",
    ),
    ("/onsale.channel.v1.AdmissionService/Leave", "leave"),
    ("/onsale.channel.v1.AdmissionService/Claim", "claim"),
    ("/onsale.channel.v1.AdmissionService/Proof", "proof"),
    (
        "/onsale.channel.v1.AdmissionService/ListPassKeys",
        "list_pass_keys",
    ),
    ("/grpc.health.v1.Health/Check", "health"),
    ("", "other"),
];

/// In the sequence of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The objective for holds, 250 ms, is a border: how many kept it is then known and not guessed.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// One of `METHODS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(usize);

impl Method {
    pub const WATCH_SEATS: Method = Method(4);
    pub const SESSION: Method = Method(12);
    pub const WATCH_PLACE: Method = Method(13);
    const HEALTH: Method = Method(22);
    const OTHER: Method = Method(METHODS.len() - 1);

    pub fn of(path: &str) -> Method {
        let found = METHODS.iter().position(|(known, _)| *known == path);
        found.map_or(Method::OTHER, Method)
    }

    /// Of the partners' services.
    pub fn is_partners(self) -> bool {
        !matches!(self, Method::HEALTH | Method::OTHER)
    }

    /// Counted when the stream ends and not when it is answered.
    pub fn is_stream(self) -> bool {
        matches!(
            self,
            Method::WATCH_SEATS | Method::SESSION | Method::WATCH_PLACE
        )
    }

    pub(super) fn label(self) -> &'static str {
        METHODS[self.0].1
    }
}

/// The form in which calls came in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Packed,
    Nested,
}

/// Handles, made once from the node's registry.
pub struct RpcMetrics {
    requests: IntCounterVec,
    /// By method and code, each looked up when first counted.
    counters: [[OnceLock<IntCounter>; CODES.len()]; METHODS.len()],
    seconds: [Histogram; METHODS.len()],
    in_flight: [IntGauge; METHODS.len()],
    connections: IntGauge,
    session_messages: IntCounter,
    packed_calls: IntCounter,
    nested_calls: IntCounter,
    refused_calls: IntCounter,
}

impl RpcMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<RpcMetrics> {
        let seconds = register_histogram_vec_with_registry!(
            "onsale_rpc_seconds",
            "From a call's head to its answer's; of streams, to their opening.",
            &["method"],
            SECONDS.to_vec(),
            registry
        )?;
        let in_flight = register_int_gauge_vec_with_registry!(
            "onsale_rpc_in_flight",
            "Calls and streams under way.",
            &["method"],
            registry
        )?;
        let calls = register_int_counter_vec_with_registry!(
            "onsale_session_calls_total",
            "Calls taken from sessions and brought to their sales.",
            &["form"],
            registry
        )?;
        let labels = METHODS.map(|(_, label)| label);
        Ok(RpcMetrics {
            requests: register_int_counter_vec_with_registry!(
                "onsale_rpc_requests_total",
                "Calls and streams of partners that have ended.",
                &["method", "code"],
                registry
            )?,
            counters: Default::default(),
            seconds: labels.map(|label| seconds.with_label_values(&[label])),
            in_flight: labels.map(|label| in_flight.with_label_values(&[label])),
            connections: register_int_gauge_with_registry!(
                "onsale_rpc_connections",
                "Connections of partners that are open.",
                registry
            )?,
            session_messages: register_int_counter_with_registry!(
                "onsale_session_messages_total",
                "Messages of calls taken from sessions.",
                registry
            )?,
            packed_calls: calls.with_label_values(&["packed"]),
            nested_calls: calls.with_label_values(&["nested"]),
            refused_calls: register_int_counter_with_registry!(
                "onsale_session_refused_calls_total",
                "Calls of sessions that were malformed or found no room, brought nowhere.",
                registry
            )?,
        })
    }

    pub fn observe_connect(&self) {
        self.connections.inc();
    }

    pub fn observe_disconnect(&self) {
        self.connections.dec();
    }

    pub fn observe_begin(&self, method: Method) {
        self.in_flight[method.0].inc();
    }

    pub fn observe_answer(&self, method: Method, took: Duration) {
        self.seconds[method.0].observe(took.as_secs_f64());
    }

    /// `None`: it goes on as a stream, which is counted when that ends.
    pub fn observe_end(&self, method: Method, code: Option<Code>) {
        self.in_flight[method.0].dec();
        let Some(code) = code else { return };
        let code = code as usize;
        self.counters[method.0][code]
            .get_or_init(|| {
                self.requests
                    .with_label_values(&[method.label(), CODES[code]])
            })
            .inc();
    }

    pub fn observe_session_message(&self) {
        self.session_messages.inc();
    }

    pub fn observe_session_calls(&self, form: Form, calls: usize) {
        let counter = match form {
            Form::Packed => &self.packed_calls,
            Form::Nested => &self.nested_calls,
        };
        counter.inc_by(calls as u64);
    }

    pub fn observe_session_refusals(&self, calls: u32) {
        self.refused_calls.inc_by(calls.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_that_partners_may_call_has_its_label() {
        let paths = partner_paths(proto::DESCRIPTORS);
        for path in paths {
            assert_ne!(Method::of(&path), Method::OTHER, "{path}");
        }
        assert_eq!(Method::of("/a.b/C"), Method::OTHER);
        assert_eq!(Method::WATCH_SEATS.label(), "watch_seats");
        assert_eq!(Method::SESSION.label(), "session");
        assert_eq!(Method::HEALTH.label(), "health");
    }

    #[test]
    fn whatever_is_called_the_series_are_few() {
        let registry = Registry::new();
        let metrics = RpcMetrics::new(&registry).expect("registers");
        let count = |method, number| {
            metrics.observe_begin(method);
            metrics.observe_answer(method, Duration::ZERO);
            metrics.observe_end(method, Some(Code::from_i32(number)));
        };
        for number in 0..500_000 {
            count(Method::of(&format!("/odd.v{number}/Call{number}")), number);
        }
        for (path, _) in METHODS {
            (0..17).for_each(|code| count(Method::of(path), code));
        }
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .expect("is text");
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series <= 850, "{series}");
    }

    #[test]
    fn codes_have_the_names_of_their_numbers() {
        for (number, name) in (0..).zip(CODES) {
            let code = format!("{:?}", Code::from_i32(number));
            let plain = name.replace('_', "").to_lowercase();
            assert_eq!(code.to_lowercase(), plain);
        }
    }

    /// The paths of the partners' services.
    fn partner_paths(descriptors: &[u8]) -> Vec<String> {
        /// The few fields of `google.protobuf.FileDescriptorSet` that name methods.
        #[derive(Clone, PartialEq, prost::Message)]
        struct Files {
            #[prost(message, repeated, tag = "1")]
            files: Vec<File>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct File {
            #[prost(string, tag = "2")]
            package: String,
            #[prost(message, repeated, tag = "6")]
            services: Vec<Service>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct Service {
            #[prost(string, tag = "1")]
            name: String,
            #[prost(message, repeated, tag = "2")]
            methods: Vec<Named>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct Named {
            #[prost(string, tag = "1")]
            name: String,
        }
        let Files { files } = prost::Message::decode(descriptors).expect("descriptors");
        let mut paths = Vec::new();
        for file in files
            .iter()
            .filter(|file| file.package == "onsale.channel.v1")
        {
            for service in &file.services {
                for method in &service.methods {
                    paths.push(format!(
                        "/{}.{}/{}",
                        file.package, service.name, method.name
                    ));
                }
            }
        }
        assert_eq!(paths.len(), METHODS.len() - 2);
        paths
    }
}
