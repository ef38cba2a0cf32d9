//! Documents that describe the installation.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use crate::arm::{Arm, SUBSCRIPTION};

#[tokio::test]
async fn the_metadata_document_has_every_form() {
    let arm = Arm::start().await;
    let get = async |query: &str| {
        let request = Request::get(format!("/metadata/endpoints{query}")).body(Body::empty()).unwrap();
        arm.serve(request).await
    };
    let newest = get("?api-version=2022-09-01").await;
    insta::assert_json_snapshot!(newest.body);
    assert_eq!(get("?api-version=2023-11-01").await.body, newest.body);
    assert_eq!(get("").await.body, newest.body);
    assert_eq!(get("?api-version=2019-05-01").await.body, json!([newest.body]));
    let old = get("?api-version=2015-01-01").await.body;
    assert_eq!(old, get("?api-version=1.0").await.body);
    assert_eq!(old["authentication"]["loginEndpoint"], "https://login.example.com/adfs");
    let bad = get("?api-version=x").await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "InvalidApiVersionParameter"));
}

#[tokio::test]
async fn the_openapi_document_tells_what_is_served() {
    let arm = Arm::start().await;
    let reply = arm.send("", Method::GET, "/openapi.json", None).await;
    assert_eq!(reply.status, 200);
    let mut lines = Vec::new();
    for (path, item) in reply.body["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            lines.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
    let schemas = reply.body["components"]["schemas"].as_object().unwrap();
    assert_eq!(
        schemas["Authorization.locks"]["properties"]["properties"]["properties"]["level"]["enum"],
        json!(["CanNotDelete", "ReadOnly"])
    );
}

#[tokio::test]
async fn providers_are_there_and_registered() {
    let arm = Arm::start().await;
    let sub = format!("/subscriptions/{SUBSCRIPTION}");
    let all = arm.get(&format!("{sub}/providers")).await;
    let names: Vec<&str> =
        all.body["value"].as_array().unwrap().iter().map(|item| item["namespace"].as_str().unwrap()).collect();
    for namespace in
        ["Microsoft.Authorization", "Microsoft.ContainerRegistry", "Microsoft.ManagedIdentity", "Microsoft.Resources"]
    {
        assert!(names.contains(&namespace), "{names:?}");
    }
    let one = arm.get(&format!("{sub}/providers/microsoft.containerregistry?api-version=2024-11-01")).await;
    assert_eq!(one.body["registrationState"], "Registered");
    let kinds = one.body["resourceTypes"].as_array().unwrap();
    let registries = kinds.iter().find(|kind| kind["resourceType"] == "registries").unwrap();
    assert_eq!(registries["apiVersions"][0], "2026-09-01-preview");
    assert_eq!(registries["defaultApiVersion"], "2025-11-01");
    let registered = arm
        .post(&format!("{sub}/providers/Microsoft.ContainerRegistry/register?api-version=2016-02-01"), json!({}))
        .await;
    assert_eq!(registered.body, one.body);
    assert_eq!(
        arm.get(&format!("{sub}/providers/Microsoft.Planets?api-version=2024-11-01")).await.code(),
        "InvalidResourceNamespace"
    );
    let operations = arm.get("/providers/Microsoft.ManagedIdentity/operations").await;
    assert!(operations.names().contains(&"Microsoft.ManagedIdentity/userAssignedIdentities/read"));
}
