//! What a stranger with a generic client finds: the services, by reflection, and their health.

use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::{v1, v1alpha};

use super::house::House;

const SERVICES: [&str; 4] = [
    "onsale.channel.v1.CatalogueService",
    "onsale.channel.v1.SeatsService",
    "onsale.channel.v1.SalesService",
    "onsale.channel.v1.SessionService",
];

#[tokio::test]
async fn reflection_lists_the_services_to_new_clients() {
    use v1::server_reflection_client::ServerReflectionClient;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;

    let house = House::open(1, 1).await;
    let mut client = ServerReflectionClient::new(house.channel.clone());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let mut answers = answers.await.expect("it answers").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("another answer: {answer:?}");
    };
    let names: Vec<String> = list.service.into_iter().map(|named| named.name).collect();
    for service in SERVICES {
        assert!(names.iter().any(|name| name == service), "{service}");
    }
}

#[tokio::test]
async fn reflection_lists_the_services_to_old_clients() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let house = House::open(1, 1).await;
    let mut client = ServerReflectionClient::new(house.channel.clone());
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(SERVICES[2].into())),
    };
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let mut answers = answers.await.expect("it answers").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    let Some(MessageResponse::FileDescriptorResponse(file)) = answer.message_response else {
        panic!("another answer: {answer:?}");
    };
    assert!(!file.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn each_service_has_a_health_of_its_own() {
    let house = House::open(1, 1).await;
    let mut health = HealthClient::new(house.channel.clone());
    let mut ask = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let answer = health.check(request).await.expect("it is known");
        answer.into_inner().status
    };
    for service in SERVICES.into_iter().chain([""]) {
        assert_eq!(ask(service).await, ServingStatus::NotServing as i32);
    }
    house.set_ready();
    for service in SERVICES.into_iter().chain([""]) {
        while ask(service).await != ServingStatus::Serving as i32 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
