//! What every answer has, and how what cannot be meant is refused.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use crate::arm::{Arm, SUBSCRIPTION, group};

#[tokio::test]
async fn every_answer_has_the_headers() {
    let arm = Arm::start().await;
    let request = |path: String| {
        Request::get(path)
            .header("authorization", format!("Bearer {}", arm.owner()))
            .header("x-ms-client-request-id", "my-id")
            .body(Body::empty())
            .unwrap()
    };
    let good = arm.serve(request(format!("/subscriptions/{SUBSCRIPTION}/resourcegroups?api-version=2024-11-01"))).await;
    let bad = arm.serve(request("/nothing".into())).await;
    assert_eq!((good.status.as_u16(), bad.status.as_u16()), (200, 404));
    for reply in [&good, &bad] {
        assert_eq!(reply.header("x-ms-request-id"), "00000000-0000-0000-0000-000000000007");
        assert_eq!(reply.header("x-ms-correlation-request-id"), reply.header("x-ms-request-id"));
        assert_eq!(reply.header("x-ms-client-request-id"), "my-id");
        assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
        assert!(!reply.header("x-ms-ratelimit-remaining-subscription-reads").is_empty());
    }
    assert!(good.header("api-supported-versions").contains("2024-11-01"));
    assert_eq!(bad.note.route, "management.unknown");
    assert!(bad.note.caller.is_some());
}

#[tokio::test]
async fn what_there_is_not_is_told_apart() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let code = async |path: &str| {
        let reply = arm.get(path).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let sub = format!("/subscriptions/{SUBSCRIPTION}");
    assert_eq!(code("/").await, (404, "NotFound".into()));
    assert_eq!(code("/planets").await, (404, "NotFound".into()));
    assert_eq!(code(&format!("{sub}/planets")).await, (404, "NotFound".into()));
    assert_eq!(code(&format!("{group}/providers/Microsoft.Planets/x/y")).await.1, "InvalidResourceNamespace");
    let registries = format!("{group}/providers/Microsoft.ContainerRegistry/registries");
    for later in ["webhooks", "webhooks/w", "replications/r", "tasks/t/listDetails", "x"] {
        assert_eq!(code(&format!("{registries}/r/{later}")).await, (404, "InvalidResourceType".into()), "{later}");
    }
    assert_eq!(code(&format!("{registries}/r")).await, (404, "ResourceNotFound".into()));
    assert_eq!(code(&format!("{registries}/r/tokens/t")).await, (404, "ParentResourceNotFound".into()));
    assert_eq!(code(&format!("{registries}/r/tokens")).await, (404, "ResourceNotFound".into()));
    assert_eq!(code(&format!("{registries}/a%2Fb")).await.0, 400);
    assert_eq!(code(&format!("{registries}/a%00b")).await.0, 400);
    assert_eq!(code(&format!("{registries}/..")).await.0, 400);
    assert_eq!(code(&format!("{sub}/operationresults/7a1f0a52-0000-4000-8000-000000000001")).await.1, "NotFound");
}

#[tokio::test]
async fn api_versions_are_asked_for() {
    let arm = Arm::start().await;
    let code = async |path: String| {
        let request = Request::get(path).header("authorization", format!("Bearer {}", arm.owner()));
        let reply = arm.serve(request.body(Body::empty()).unwrap()).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let registries = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerRegistry/registries");
    assert_eq!(code(registries.clone()).await, (400, "MissingApiVersionParameter".into()));
    assert_eq!(code(format!("{registries}?api-version=2001-01-01")).await, (400, "NoRegisteredProviderFound".into()));
    assert_eq!(code(format!("{registries}?api-version=latest")).await, (400, "InvalidApiVersionParameter".into()));
    assert_eq!(code(format!("{registries}?API-Version=2025-11-01")).await.0, 200);
    assert_eq!(code("/subscriptions?api-version=1999-01-01".into()).await, (400, "InvalidApiVersionParameter".into()));
    assert_eq!(code("/subscriptions?api-version=2022-12-01".into()).await.0, 200);
}

#[tokio::test]
async fn methods_and_bodies_are_bounded() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let reply = arm.post(&path, json!({})).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (405, "HttpMethodNotSupported"));
    assert_eq!(reply.header("allow"), "DELETE, GET, HEAD, PATCH, PUT");
    let raw = async |body: Vec<u8>| {
        let request = Request::put(format!("{}?api-version=2022-09-01", group("x")))
            .header("authorization", format!("Bearer {}", arm.owner()));
        let reply = arm.serve(request.body(Body::from(body)).unwrap()).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    assert_eq!(raw(b"{".to_vec()).await, (400, "InvalidRequestContent".into()));
    assert_eq!(raw(b"\xff\xfe".to_vec()).await, (400, "InvalidRequestContent".into()));
    let deep = format!("{}{}", "{\"a\":[".repeat(5000), "]}".repeat(5000));
    assert_eq!(raw(deep.into_bytes()).await, (400, "InvalidRequestContent".into()));
    assert_eq!(raw(vec![b' '; (4 << 20) + 1]).await, (413, "RequestContentTooLarge".into()));
    let with_mark = b"\xef\xbb\xbf{\"location\":\"eastus\"}".to_vec();
    assert_eq!(raw(with_mark).await.0, 201);
}

#[tokio::test]
async fn answers_to_head_have_no_body() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let there = arm.send(arm.owner(), Method::HEAD, &path, None).await;
    assert_eq!((there.status.as_u16(), there.body), (204, json!(null)));
    let absent = arm.send(arm.owner(), Method::HEAD, &group("none"), None).await;
    assert_eq!((absent.status.as_u16(), absent.body), (404, json!(null)));
}
