//! What every answer carries.

use http::{HeaderName, Method, header};
use insta::assert_snapshot;
use wharf_data_plane::DataPlaneConfig;
use wharf_model::Action;
use wharf_testkit::{Client, Options, TestServer, image};

#[tokio::test]
async fn the_challenge_is_written_as_azure_does() {
    let server = TestServer::start().await;
    assert_snapshot!(server.anonymous().get("/v2/").await, @r#"
    401
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 149
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    www-authenticate: Bearer realm="https://wharf.example.com/oauth2/token",service="wharf.example.com"
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":null}]}
    "#);
    assert_snapshot!(server.anonymous().post("/v2/team/app/blobs/uploads/").await, @r#"
    401
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 258
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    www-authenticate: Bearer realm="https://wharf.example.com/oauth2/token",service="wharf.example.com",scope="repository:team/app:pull,push"
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":[{"Action":"pull","Name":"team/app","Type":"repository"},{"Action":"push","Name":"team/app","Type":"repository"}]}]}
    "#);
    assert_snapshot!(server.token("a", &[Action::Pull]).await.get("/v2/_catalog").await, @r#"
    401
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 196
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    www-authenticate: Bearer realm="https://wharf.example.com/oauth2/token",service="wharf.example.com",scope="registry:catalog:*",error="invalid_token"
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":[{"Action":"*","Name":"catalog","Type":"registry"}]}]}
    "#);
}

#[tokio::test]
async fn the_base_is_an_empty_object() {
    let server = TestServer::start().await;
    assert_snapshot!(server.admin().get("/v2/").await, @r#"
    200
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 2
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {}
    "#);
    assert_eq!(server.admin().get("/v2").await.status, 200);
}

#[tokio::test]
async fn methods_that_a_path_does_not_take_are_named() {
    let server = TestServer::start().await;
    assert_snapshot!(server.admin().request(Method::PATCH, "/v2/web/manifests/v1").send().await, @r#"
    405
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    allow: GET, HEAD, PUT, DELETE
    content-length: 77
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"UNSUPPORTED","message":"the operation is unsupported"}]}
    "#);
}

#[tokio::test]
async fn ids_of_callers_come_back_and_ours_differ() {
    let server = TestServer::start().await;
    let ask = async |client: Client<'_>| {
        let request = client.request(Method::GET, "/v2/");
        request.header(HeaderName::from_static("x-ms-client-request-id"), "mine").send().await
    };
    let first = ask(server.admin()).await;
    let second = ask(server.admin()).await;
    assert_eq!(first.header("x-ms-client-request-id"), "mine");
    assert!(!first.header("x-ms-request-id").is_empty());
    assert_ne!(first.header("x-ms-correlation-request-id"), second.header("x-ms-correlation-request-id"));
    assert_eq!(first.header("x-ms-correlation-request-id"), first.access.request_id.to_string());
    let stranger = ask(server.anonymous()).await;
    assert_eq!(stranger.header("x-ms-client-request-id"), "", "only authenticated requests get it back");
}

#[tokio::test]
async fn the_challenge_names_the_host_that_the_client_used() {
    let options = Options { base_url: Some("http://localhost:5000".to_owned()), ..Options::default() };
    let server = TestServer::start_with(options).await;
    let answer = server.anonymous().get("/v2/").await;
    let expected = r#"Bearer realm="http://localhost:5000/oauth2/token",service="localhost:5000""#;
    assert_eq!(answer.header("www-authenticate"), expected);
    assert_eq!(answer.header("strict-transport-security"), "");
}

#[tokio::test]
async fn web_pages_are_allowed_only_where_the_operator_says_so() {
    let data_plane = DataPlaneConfig {
        allowed_origins: vec!["https://portal.example.com".to_owned()],
        ..DataPlaneConfig::default()
    };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    let ask = |method: Method, origin: &str| {
        server.anonymous().request(method, "/v2/web/manifests/v1").header(header::ORIGIN, origin)
    };
    assert_snapshot!(ask(Method::OPTIONS, "https://portal.example.com").send().await, @r#"
    204
    access-control-allow-headers: Authorization, Content-Type, Content-Range, If-None-Match, Range, X-Ms-Client-Request-Id
    access-control-allow-methods: GET, HEAD, PUT, DELETE
    access-control-allow-origin: https://portal.example.com
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    access-control-max-age: 600
    allow: GET, HEAD, PUT, DELETE
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    vary: Origin
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    let other = ask(Method::OPTIONS, "https://evil.example.com").send().await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (204, ""));
    let answer = ask(Method::GET, "https://portal.example.com").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://portal.example.com");
    assert_eq!(server.anonymous().request(Method::OPTIONS, "/v2/x").send().await.status, 404);
}

#[tokio::test]
async fn the_access_log_learns_what_was_asked_for() {
    let server = TestServer::start().await;
    let digest = server.admin().push("team/app", "v1", &image("x")).await;
    let access = server.admin().get(&format!("/v2/team/app/manifests/{digest}")).await.access;
    assert_eq!((access.route, access.caller()), ("manifest.get", TestServer::REGISTRY));
    assert_eq!(access.repository.unwrap().as_str(), "team/app");
    assert_eq!(access.digest, Some(digest));
    let access = server.anonymous().get("/v2/nothing").await.access;
    assert_eq!((access.route, access.caller()), ("unknown", "-"));
}
