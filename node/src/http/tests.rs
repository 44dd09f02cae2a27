//! The API as callers see it: the real routes and handlers over a node whose cluster map is a map
//! in memory.

mod calls;
mod forecast;
mod hop;
mod memory;
mod refusals;

use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use bytes::Bytes;
use cluster::components::{Io, Net};
use futures::stream::BoxStream;
use serde_json::Value;
use tokio::sync::watch;

use self::memory::Memory;
use super::door::Door;
use super::forward::Forward;
use super::routes;
use crate::trace::kept::tracer;

const KEY: &str = "an-operators-key";

/// Real TCP: the hop is tested between two real servers.
struct Tcp;

#[async_trait::async_trait]
impl Net for Tcp {
    async fn dial(&self, address: &str) -> std::io::Result<Box<dyn Io>> {
        Ok(Box::new(tokio::net::TcpStream::connect(address).await?))
    }

    async fn listen(
        &self,
        _address: &str,
    ) -> std::io::Result<BoxStream<'static, std::io::Result<Box<dyn Io>>>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

struct Replied {
    status: StatusCode,
    content_type: String,
    headers: actix_web::http::header::HeaderMap,
    body: Bytes,
}

impl Replied {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The reason, after checking that this is a well-formed problem.
    fn problem(&self) -> String {
        assert_eq!(self.content_type, "application/problem+json");
        let problem: super::problem::Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status.as_u16());
        problem.reason
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

/// Calls the API of `node` in process.
async fn send(node: &Arc<Memory>, request: TestRequest) -> Replied {
    let (_stopping, stopped) = watch::channel(false);
    let door = Door::new(
        Arc::clone(node) as Arc<_>,
        tokio::runtime::Handle::current(),
        Forward::new(Arc::new(Tcp)),
        100_000,
        prometheus::Registry::new(),
        stopped,
        tracer(0.0, 100).0,
        7,
    )
    .unwrap();
    let app = App::new()
        .app_data(web::Data::new(door))
        .configure(routes::configure);
    let app = init_service(app).await;
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let content_type = headers
        .get("content-type")
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    Replied {
        status,
        content_type,
        headers,
        body: to_bytes(response.into_body())
            .await
            .unwrap_or_else(|_| panic!("the body broke off")),
    }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get()
        .uri(path)
        .insert_header(("authorization", format!("Bearer {KEY}")))
}

fn post(path: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("authorization", format!("Bearer {KEY}")))
        .set_payload(body.to_owned())
}
