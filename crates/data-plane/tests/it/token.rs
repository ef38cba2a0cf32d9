//! `/oauth2/token`.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, header};
use insta::assert_snapshot;
use wharf_data_plane::DataPlaneConfig;
use wharf_testkit::{Client, Options, TestResponse, TestServer, image};

async fn post(client: &Client<'_>, form: &str) -> TestResponse {
    let request = client.request(Method::POST, "/oauth2/token");
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).await
}

fn access_token(answer: &TestResponse) -> String {
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_earns_a_token() {
    let server = TestServer::start().await;
    server.admin().push("web", "v1", &image("web")).await;
    let answer = server.admin().get("/oauth2/token?service=wharf.example.com&scope=repository:web:pull").await;
    assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token"]);
    assert_eq!(answer.header("docker-distribution-api-version"), "");
    assert_eq!(answer.header("cache-control"), "no-store");
    let client = server.bearer(&access_token(&answer));
    assert_eq!(client.get("/v2/web/manifests/v1").await.status, 200);
    assert_eq!(client.delete("/v2/web/manifests/v1").await.status, 401, "nothing that was not asked for");
    assert_eq!(client.get("/v2/_catalog").await.status, 401);
}

#[tokio::test]
async fn forms_do_the_same() {
    let server = TestServer::start().await;
    let form = format!(
        "grant_type=password&service=wharf.example.com&scope=registry:catalog:*+repository:*:*&username=wharf&password={}",
        TestServer::PASSWORD
    );
    let answer = post(&server.anonymous(), &form).await;
    assert_eq!(server.bearer(&access_token(&answer)).get("/v2/_catalog").await.status, 200);
    assert!(answer.json().get("refresh_token").is_none());

    let answer = post(&server.anonymous(), &format!("{form}&access_type=offline")).await;
    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&service=s&scope=registry:catalog:*&refresh_token={refresh}");
    let renewed = access_token(&post(&server.anonymous(), &form).await);
    assert_eq!(server.bearer(&renewed).get("/v2/_catalog").await.status, 200);
    // As `az acr login` stores it.
    let basic = server.basic("00000000-0000-0000-0000-000000000000", &refresh);
    assert_eq!(basic.get("/v2/_catalog").await.status, 200);
}

#[tokio::test]
async fn a_form_must_arrive_in_time() {
    let data_plane = DataPlaneConfig { idle_timeout: Duration::from_millis(200), ..DataPlaneConfig::default() };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    // A byte now and then, never idle for long.
    let form = stream::iter(0..50).then(|_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
    });
    let request = server.anonymous().request(Method::POST, "/oauth2/token");
    assert_eq!(request.stream(Body::from_stream(form)).await.status, 408);
}

#[tokio::test]
async fn bad_credentials_earn_nothing() {
    let server = TestServer::start().await;
    server.set_anonymous_pull(true).await;
    let wrong = server.basic("wharf", "wrong").get("/oauth2/token?service=s&scope=repository:web:pull").await;
    assert_snapshot!(wrong, @r#"
    401
    content-length: 149
    content-type: application/json; charset=utf-8
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    www-authenticate: Bearer realm="https://wharf.example.com/oauth2/token",service="wharf.example.com",error="invalid_token"
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":null}]}
    "#);
    for form in [
        "grant_type=password&username=wharf&password=wrong",
        "grant_type=refresh_token&refresh_token=garbage",
        "grant_type=refresh_token&refresh_token=",
        "grant_type=refresh_token",
    ] {
        assert_eq!(post(&server.anonymous(), form).await.status, 401, "{form}");
    }
    assert_eq!(post(&server.anonymous(), "grant_type=client_credentials").await.status, 400);
    assert_eq!(post(&server.anonymous(), "").await.status, 400);
    assert_eq!(post(&server.anonymous(), &"x".repeat(100_000)).await.status, 413);
    assert_eq!(server.anonymous().delete("/oauth2/token").await.status, 405);
}

#[tokio::test]
async fn anonymous_callers_get_a_token_where_pull_is_for_everybody() {
    let server = TestServer::start().await;
    let forms = ["grant_type=password&service=s&scope=repository:web:pull", "grant_type=password&refresh_token="];
    for form in forms {
        assert_eq!(post(&server.anonymous(), form).await.status, 401);
    }
    server.set_anonymous_pull(true).await;
    for form in forms {
        let token = access_token(&post(&server.anonymous(), form).await);
        assert_eq!(server.bearer(&token).get("/v2/").await.status, 200);
    }
}

#[tokio::test]
async fn too_many_scopes_are_refused() {
    let server = TestServer::start().await;
    let scopes: String = (0..1000).map(|n| format!("&scope=repository:r{n}:pull")).collect();
    let answer = server.admin().get(&format!("/oauth2/token?service=s{scopes}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "UNSUPPORTED"));
}
