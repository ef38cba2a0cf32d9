//! Tags that are written once, over HTTP.

use http::{Method, header};
use insta::assert_snapshot;
use wharf_metadata::RegistrySettings;
use wharf_model::Action;
use wharf_testkit::{TestServer, image};

use crate::attributes::patch;

#[tokio::test]
async fn who_moves_a_tag_that_is_written_once_is_told_why_not() {
    let server = TestServer::start().await;
    let settings = RegistrySettings { write_once_tags: vec!["v*".into()], ..RegistrySettings::default() };
    server.add_registry_with("careful", settings).await;
    let client = server.basic("careful", TestServer::PASSWORD).at("careful");
    let (one, two) = (image("one"), image("two"));
    client.push("app", "v1", &one).await;
    for blob in &two.blobs {
        client.push_blob("app", blob.clone()).await;
    }
    assert_eq!(client.push_manifest("app", "v1", &one).await.status, 201, "the same again");
    let refused = client.push_manifest("app", "v1", &two).await;
    assert_eq!(refused.status, 405);
    let shown = refused.text().replace(one.digest().as_str(), "[one]");
    assert_snapshot!(shown.trim_end(), @r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"the tag v1 of app is written once, as every tag that matches v*, and names [one] already; use another tag, or delete this one first","detail":{}}]}"#);
    assert_eq!(client.get(&format!("/v2/app/manifests/{}", two.digest())).await.status, 404, "nothing was kept");
    // By digest with a tag beside it is no other road.
    let by_digest = format!("/v2/app/manifests/{}?tag=v1", two.digest());
    let request = client.request(Method::PUT, &by_digest).header(header::CONTENT_TYPE, &two.media_type);
    assert_eq!(request.body(two.manifest.clone()).await.status, 405);
    assert_eq!(client.delete("/v2/app/manifests/v1").await.status, 202);
    assert_eq!(client.push_manifest("app", "v1", &two).await.status, 201);
}

#[tokio::test]
async fn a_repository_has_patterns_of_its_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (one, two) = (image("one"), image("two"));
    admin.push("team/app", "release-1", &one).await;
    admin.push("team/app", "latest", &two).await;
    let before = admin.get("/acr/v1/team/app").await;
    assert!(!before.text().contains("writeOnceTags"), "{before}");
    let body = r#"{"writeOnceTags":["release-*","v?","v?"]}"#;
    let writer = server.token("team/app", &[Action::MetadataWrite]).await;
    let answer = patch(&writer, "/acr/v1/team/app", body).await;
    assert_eq!(answer.status, 200, "{answer}");
    let exactly = r#""changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"writeOnceTags":["release-*","v?"]}"#;
    assert!(answer.text().contains(exactly), "{answer}");
    assert_eq!(admin.get("/acr/v1/team/app").await.text(), answer.text());
    assert_eq!(admin.push_manifest("team/app", "release-1", &two).await.status, 405);
    assert_eq!(admin.push_manifest("team/app", "latest", &one).await.status, 201);
    let reader = server.token("team/app", &[Action::MetadataRead, Action::Push, Action::Pull]).await;
    assert_eq!(patch(&reader, "/acr/v1/team/app", r#"{"writeOnceTags":[]}"#).await.status, 401);
    // What a lock says is left alone, and the other way round.
    assert_eq!(patch(&admin, "/acr/v1/team/app", r#"{"deleteEnabled":false}"#).await.status, 200);
    assert_eq!(admin.push_manifest("team/app", "release-1", &two).await.status, 405);
    let answer = patch(&admin, "/acr/v1/team/app", r#"{"writeOnceTags":[],"deleteEnabled":true}"#).await;
    assert_eq!(answer.json()["changeableAttributes"], before.json()["changeableAttributes"]);
    assert_eq!(admin.push_manifest("team/app", "release-1", &two).await.status, 201);
}

#[tokio::test]
async fn patterns_that_make_no_sense_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.push("app", "v1", &image("one")).await;
    let many =
        format!(r#"{{"writeOnceTags":[{}]}}"#, (0..51).map(|n| format!("\"v{n}\"")).collect::<Vec<_>>().join(","));
    let long = format!(r#"{{"writeOnceTags":["{}"]}}"#, "x".repeat(129));
    for body in [
        r#"{"writeOnceTags":"v*"}"#,
        r#"{"writeOnceTags":["a b"]}"#,
        r#"{"writeOnceTags":[""]}"#,
        r#"{"writeOnceTags":["[0-9]"]}"#,
        r#"{"writeOnceTags":[1]}"#,
        &many,
        &long,
    ] {
        let answer = patch(&admin, "/acr/v1/app", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{body}: {answer}");
    }
    let tag = patch(&admin, "/acr/v1/app/_tags/v1", r#"{"writeOnceTags":["*"]}"#).await;
    assert_eq!((tag.status, tag.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{tag}");
}

#[tokio::test]
async fn if_none_match_takes_nothing_that_is_there() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (one, two) = (image("one"), image("two"));
    for blob in one.blobs.iter().chain(&two.blobs) {
        admin.push_blob("app", blob.clone()).await;
    }
    let put = async |reference: &str, image: &wharf_testkit::Image| {
        let path = format!("/v2/app/manifests/{reference}");
        let request = admin.request(Method::PUT, &path).header(header::CONTENT_TYPE, &image.media_type);
        request.header(header::IF_NONE_MATCH, "*").body(image.manifest.clone()).await
    };
    assert_eq!(put("v1", &one).await.status, 201);
    for image in [&one, &two] {
        let refused = put("v1", image).await;
        assert_eq!((refused.status, refused.code().as_str()), (412, "REGISTRY_DISALLOWED_OPERATION"), "{refused}");
    }
    assert_eq!(put(one.digest().as_str(), &one).await.status, 412);
    assert_eq!(put(two.digest().as_str(), &two).await.status, 201);
}

/// Whatever the clients are: of all who push a new tag at once one succeeds, and the others are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_clients_that_push_a_new_tag_at_once_one_succeeds() {
    let server = TestServer::start().await;
    let settings = RegistrySettings { write_once_tags: vec!["*".into()], ..RegistrySettings::default() };
    server.add_registry_with("careful", settings).await;
    let client = server.basic("careful", TestServer::PASSWORD).at("careful");
    let images: Vec<_> = (0..100).map(|n| image(&n.to_string())).collect();
    for blob in images.iter().flat_map(|image| &image.blobs) {
        client.push_blob("app", blob.clone()).await;
    }
    let pushes = images.iter().map(|image| client.push_manifest("app", "v1", image));
    let mut statuses: Vec<u16> = futures_util::future::join_all(pushes).await.iter().map(|push| push.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[99]), (201, 405, 405));
    let tag = client.get("/acr/v1/app/_tags/v1").await.json();
    assert!(images.iter().any(|image| image.digest().as_str() == tag["tag"]["digest"]), "{tag}");
    assert_eq!(client.get("/acr/v1/app").await.json()["manifestCount"], 1);
}
