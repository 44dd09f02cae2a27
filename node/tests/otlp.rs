//! Spans as a collector gets them: a real receiver of OTLP over gRPC, and none.

#![cfg(feature = "otlp")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster::production::SystemWall;
use onsale::trace::otlp::Collector;
use onsale::trace::{Settings, Tracer, Value, Visit, context};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Receiver(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).expect("the test waits");
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn receiver() -> (
    SocketAddr,
    mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (received, requests) = mpsc::unbounded_channel();
    let service = TraceServiceServer::new(Receiver(received));
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, requests)
}

fn tracer(endpoint: &str) -> (Tracer, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    let settings = Settings {
        ratio: 0.0,
        calls_per_s: 100_000,
    };
    let wall = Arc::new(SystemWall);
    let tracer = Tracer::new(3, wall, 7, &settings, &registry).expect("registers");
    let collector = Collector::start(endpoint, 3, tracer.metrics().clone()).expect("an address");
    tracer.send_to(Arc::new(collector));
    (tracer, registry)
}

fn call(tracer: &Tracer) {
    let call = tracer.call("place_hold", Some(PARENT), || Some("shop=1"));
    let call = call.expect("is traced");
    let leg = call.leg(4711, 1, 0).expect("the first is told");
    leg.goes_to(2);
    let context = context::pack(leg.traced().context());
    let visit = Visit::begin(tracer, &context, 4711, 1).expect("is traced");
    visit.answered();
    drop(visit);
    leg.answered();
    drop(leg);
    call.note("rpc.grpc.status_code", Value::Number(14));
    call.end(true);
}

fn spans(registry: &prometheus::Registry, fate: &str) -> u64 {
    let families = registry.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "onsale_trace_spans_total")
        .expect("is registered");
    let has = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == fate;
    let metric = family.get_metric().iter().find(has).expect("is there");
    metric.get_counter().get_value() as u64
}

#[tokio::test]
async fn a_collector_gets_the_spans_as_they_were() {
    let (address, mut requests) = receiver().await;
    let (tracer, registry) = tracer(&format!("http://{address}"));
    call(&tracer);

    let limit = Duration::from_secs(20);
    let request = tokio::time::timeout(limit, requests.recv()).await;
    let request = request.expect("in time").expect("comes");
    let [resource] = &request.resource_spans[..] else {
        panic!("{request:?}")
    };
    let attributes = &resource.resource.as_ref().expect("says who").attributes;
    let instance = attributes.iter().find(|a| a.key == "service.instance.id");
    let instance = instance.and_then(|a| a.value.clone()?.value);
    assert_eq!(instance, Some(Any::StringValue("3".into())));
    let spans_told: Vec<&Span> = resource.scope_spans[0].spans.iter().collect();
    let named = |name: &str| {
        let found = spans_told.iter().find(|span| span.name == name);
        *found.unwrap_or_else(|| panic!("{name} in {spans_told:?}"))
    };
    for span in &spans_told {
        assert_eq!(
            span.trace_id,
            0x4bf92f3577b34da6a3ce929d0e0e4736_u128.to_be_bytes()
        );
        assert_eq!(
            (span.trace_state.as_str(), span.span_id.len()),
            ("shop=1", 8)
        );
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.start_time_unix_nano > 1_700_000_000_000_000_000);
    }
    let call = named("place_hold");
    assert_eq!(call.parent_span_id, 0x00f067aa0ba902b7_u64.to_be_bytes());
    assert_eq!(call.kind(), SpanKind::Server);
    let status = call.status.as_ref().expect("has one");
    assert_eq!(status.code(), StatusCode::Error);
    let code = call
        .attributes
        .iter()
        .find(|a| a.key == "rpc.grpc.status_code");
    let code = code.and_then(|a| a.value.clone()?.value);
    assert_eq!(code, Some(Any::IntValue(14)));
    let gateway = named("gateway");
    assert_eq!(gateway.parent_span_id, call.span_id);
    assert_eq!(gateway.kind(), SpanKind::Client);
    assert_eq!(named("sale").parent_span_id, gateway.span_id);
    let told = async {
        while spans(&registry, "told") < spans_told.len() as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, told).await.expect("is counted");
    assert_eq!(spans(&registry, "dropped"), 0);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_time() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (tracer, registry) = tracer(&format!("http://{address}"));
    let begun = std::time::Instant::now();
    for _ in 0..10_000 {
        call(&tracer);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{begun:?}");
    assert!(spans(&registry, "dropped") > 0, "the queue is bounded");
    let all = async {
        // Of each call: itself, gateway, link, reply; and the owner's, with one stage.
        while spans(&registry, "dropped") < 10_000 * 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, all)
        .await
        .expect("all are counted");
    assert_eq!(spans(&registry, "told"), 0);
}

#[tokio::test]
async fn what_waits_is_told_before_the_node_goes() {
    let (address, mut requests) = receiver().await;
    let (tracer, registry) = tracer(&format!("http://{address}"));
    for _ in 0..600 {
        call(&tracer);
    }
    assert!(tracer.flush(Duration::from_secs(20)).await);
    assert_eq!(spans(&registry, "told"), 600 * 6);
    let mut told = 0;
    while let Ok(request) = requests.try_recv() {
        told += request.resource_spans[0].scope_spans[0].spans.len();
    }
    assert_eq!(told, 600 * 6);
    assert!(tracer.flush(Duration::from_secs(20)).await, "of nothing");
}

#[tokio::test]
async fn a_collector_that_does_not_answer_keeps_no_node() {
    // Takes connections and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tracer, _) = tracer(&format!("http://{address}"));
    call(&tracer);
    let begun = std::time::Instant::now();
    assert!(!tracer.flush(Duration::from_millis(200)).await);
    assert!(begun.elapsed() < Duration::from_secs(2), "{begun:?}");
}

/// A real process, asked once and told to go at once.
#[tokio::test]
async fn a_node_that_leaves_tells_what_it_traced_last() {
    let (address, mut requests) = receiver().await;
    let folder = tempfile::tempdir().expect("a folder");
    let port = || {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("has one").port()
    };
    let http = format!("127.0.0.1:{}", port());
    let config = format!(
        "[node]\nid = 1\ndata_dir = {:?}\npeer_address = \"127.0.0.1:{}\"\n\
         partner_address = \"127.0.0.1:{}\"\nhttp_address = {http:?}\n\
         [http]\noperator_key = \"0123456789abcdef0123456789abcdef\"\n\
         [trace]\notlp_endpoint = \"http://{address}\"\n",
        folder.path().join("data"),
        port(),
        port(),
    );
    let file = folder.path().join("node.toml");
    std::fs::write(&file, config).expect("is written");
    let mut node = std::process::Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["serve", "--config"])
        .arg(&file)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let asked = tokio::task::spawn_blocking(move || {
        let until = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let answer = ureq::get(format!("http://{http}/v1/nodes"))
                .header("authorization", "Bearer 0123456789abcdef0123456789abcdef")
                .header("traceparent", PARENT)
                .call();
            match answer {
                Ok(_) => return true,
                Err(_) if std::time::Instant::now() > until => return false,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    });
    let asked = asked.await.expect("asks");
    // SAFETY: a signal to a process of this test.
    unsafe { libc::kill(node.id() as i32, libc::SIGTERM) };
    let left = tokio::task::spawn_blocking(move || node.wait());
    let left = left.await.expect("waits").expect("ends");
    assert!(asked && left.success());
    let request = requests.recv().await.expect("was told");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.parent_span_id, 0x00f067aa0ba902b7_u64.to_be_bytes());
}
