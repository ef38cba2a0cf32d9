//! Values that clients keep with repositories, tags and manifests.

use http::{Method, header};
use wharf_model::Action;
use wharf_testkit::{Client, TestResponse, TestServer, image};

use crate::attributes::patch;

async fn put(client: &Client<'_>, path: &str, body: &str) -> TestResponse {
    client.request(Method::PUT, path).header(header::CONTENT_TYPE, "application/json").body(body).await
}

#[tokio::test]
async fn values_are_kept_with_repositories_tags_and_manifests() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let digest = admin.push("team/app", "v1", &image("web")).await;
    let of_manifest = format!("/acr/v1/team%2Fapp/_manifests/{digest}/_metadata");
    let cases = [
        ("/acr/v1/team/app/_metadata".to_owned(), String::new()),
        ("/acr/v1/team/app/_tags/v1/_metadata".to_owned(), format!(r#""tagName":"v1","digest":"{digest}","#)),
        (of_manifest, format!(r#""digest":"{digest}","#)),
    ];
    for (path, named) in &cases {
        let listed = |keys: &str| {
            format!(r#"{{"registry":"wharf.example.com","imageName":"team/app",{named}"metadata":[{keys}]}}"#)
        };
        assert_eq!(admin.get(path).await.text().trim_end(), listed(""), "{path}");
        let created = put(&admin, &format!("{path}/scan%20result"), r#" {"passed":true,"n":1.50} "#).await;
        assert_eq!((created.status, created.text()), (201, ""), "{path}");
        assert_eq!(put(&admin, &format!("{path}/a"), "null").await.status, 201);
        assert_eq!(admin.get(path).await.text().trim_end(), listed(r#""a","scan result""#));
        let value = admin.get(&format!("{path}/scan%20result")).await;
        assert_eq!((value.status, value.text().trim_end()), (200, r#"{"passed":true,"n":1.50}"#), "as it was sent");
        assert_eq!(value.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(admin.delete(&format!("{path}/a")).await.status, 202);
        let gone = admin.delete(&format!("{path}/a")).await;
        assert_eq!((gone.status, gone.code().as_str()), (404, "METADATA_UNKNOWN"));
        assert_eq!(admin.get(&format!("{path}/a")).await.status, 404);
    }
    let text = admin.request(Method::PUT, "/acr/v1/team/app/_metadata/note").header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(text.body("a \"b\"").await.status, 201);
    assert_eq!(admin.get("/acr/v1/team/app/_metadata/note").await.text(), "\"a \\\"b\\\"\"\n");
}

#[tokio::test]
async fn odd_values_and_keys_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.push("web", "v1", &image("web")).await;
    let large = format!("\"{}\"", "a".repeat(64 << 10));
    for body in ["", "{", "nul", "1 2", "{\"a\":1}x", large.as_str()] {
        let refused = put(&admin, "/acr/v1/web/_metadata/key", body).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{refused}");
    }
    assert_eq!(admin.request(Method::PUT, "/acr/v1/web/_metadata/key").body(vec![b'"', 0xff, b'"']).await.status, 400);
    for key in ["%00", &"k".repeat(257)] {
        assert_eq!(put(&admin, &format!("/acr/v1/web/_metadata/{key}"), "1").await.status, 400, "{key}");
    }
    for path in ["/acr/v1/web/_tags/v2/_metadata", "/acr/v1/other/_metadata", "/acr/v1/web/_tags/v2/_metadata/key"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
    for number in 0..100 {
        assert_eq!(put(&admin, &format!("/acr/v1/web/_metadata/{number}"), "1").await.status, 201);
    }
    let refused = put(&admin, "/acr/v1/web/_metadata/one-more", "1").await;
    assert_eq!(refused.status, 400, "{refused}");
    assert_eq!(put(&admin, "/acr/v1/web/_metadata/99", "2").await.status, 201, "one that is there may be changed");
}

#[tokio::test]
async fn what_is_locked_keeps_its_values_and_who_may_only_read_changes_none() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.push("web", "v1", &image("web")).await;
    let path = "/acr/v1/web/_tags/v1/_metadata/key";
    assert_eq!(put(&admin, path, "1").await.status, 201);
    let reader = server.token("web", &[Action::Pull, Action::MetadataRead]).await;
    assert_eq!(reader.get(path).await.status, 200);
    assert_eq!(put(&reader, path, "2").await.status, 401);
    let writer = server.token("web", &[Action::MetadataRead, Action::MetadataWrite]).await;
    assert_eq!(put(&writer, path, "2").await.status, 201);
    for locked in ["/acr/v1/web/_tags/v1", "/acr/v1/web"] {
        assert_eq!(patch(&admin, locked, r#"{"writeEnabled":false}"#).await.status, 200);
        let refused = put(&writer, path, "3").await;
        assert_eq!((refused.status, refused.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"), "{locked}");
        assert_eq!(writer.delete(path).await.status, 405);
        assert_eq!(patch(&admin, locked, r#"{"writeEnabled":true}"#).await.status, 200);
    }
    assert_eq!(writer.get(path).await.text(), "2\n");
}
