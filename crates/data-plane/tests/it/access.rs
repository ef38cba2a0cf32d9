//! Walks every route with every kind of caller that must not get through.

use std::time::Duration;

use http::{Method, header};
use wharf_model::{Action, Algorithm, Digest};
use wharf_oci::{Endpoint, Need, ROUTES, Row};
use wharf_testkit::{Client, TestResponse, TestServer, image};

/// A request to each route of the table: one that would succeed, or fail for another reason than access.
async fn call(client: &Client<'_>, row: &Row, method: &str) -> TestResponse {
    let path = path(row.endpoint, &Digest::of(Algorithm::Sha256, b""));
    client.request(method.parse().unwrap(), &path).body("").await
}

/// A path to each endpoint in the repository `web`, with this digest where it takes one.
pub(crate) fn path(endpoint: Endpoint, digest: &Digest) -> String {
    // `match` without a wildcard: a new endpoint asks for its path here.
    match endpoint {
        Endpoint::Base => "/v2/".to_owned(),
        Endpoint::Token => "/oauth2/token".to_owned(),
        Endpoint::Exchange => "/oauth2/exchange".to_owned(),
        Endpoint::Catalog => "/v2/_catalog".to_owned(),
        Endpoint::GetManifest | Endpoint::PutManifest | Endpoint::DeleteManifest => "/v2/web/manifests/v1".to_owned(),
        Endpoint::GetBlob | Endpoint::DeleteBlob => format!("/v2/web/blobs/{digest}"),
        Endpoint::StartUpload => "/v2/web/blobs/uploads/".to_owned(),
        Endpoint::GetUpload | Endpoint::AppendUpload | Endpoint::CompleteUpload | Endpoint::CancelUpload => {
            "/v2/web/blobs/uploads/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f9000?_state=x".to_owned()
        }
        Endpoint::ListTags => "/v2/web/tags/list".to_owned(),
        Endpoint::ListReferrers => format!("/v2/web/referrers/{digest}"),
        Endpoint::ListRepositories => "/acr/v1/_catalog".to_owned(),
        Endpoint::DescribeRepository | Endpoint::UpdateRepository | Endpoint::DeleteRepository => {
            "/acr/v1/web".to_owned()
        }
        Endpoint::DescribeTags => "/acr/v1/web/_tags".to_owned(),
        Endpoint::DescribeTag | Endpoint::UpdateTag | Endpoint::Untag => "/acr/v1/web/_tags/v1".to_owned(),
        Endpoint::DescribeManifests => "/acr/v1/web/_manifests".to_owned(),
        Endpoint::DescribeManifest | Endpoint::UpdateManifest => format!("/acr/v1/web/_manifests/{digest}"),
        Endpoint::ListDeletedRepositories => "/acr/v1/_deleted/_catalog".to_owned(),
        Endpoint::ListDeletedManifests => "/acr/v1/_deleted/web/_manifests".to_owned(),
        Endpoint::ListDeletedTags => "/acr/v1/_deleted/web/_tags".to_owned(),
        Endpoint::RestoreManifest => format!("/acr/v1/_deleted/web/_manifests/{digest}"),
        Endpoint::ListMetadata => "/acr/v1/web/_metadata".to_owned(),
        Endpoint::GetMetadata | Endpoint::PutMetadata | Endpoint::DeleteMetadata => {
            "/acr/v1/web/_tags/v1/_metadata/key".to_owned()
        }
        Endpoint::GetChartIndex => "/helm/v1/web/index.yaml".to_owned(),
        Endpoint::ListCharts => "/helm/v1/web/_charts".to_owned(),
        Endpoint::ListChartVersions | Endpoint::DeleteChart => "/helm/v1/web/_charts/chart".to_owned(),
        Endpoint::GetChartVersion => "/helm/v1/web/_charts/chart/1.0.0".to_owned(),
        Endpoint::GetChartFile | Endpoint::PutChartFile | Endpoint::ReplaceChartFile | Endpoint::DeleteChartFile => {
            "/helm/v1/web/_blobs/chart-1.0.0.tgz".to_owned()
        }
    }
}

fn every_call() -> impl Iterator<Item = (&'static Row, &'static str)> {
    ROUTES.iter().flat_map(|row| row.methods.iter().map(move |method| (row, *method)))
}

async fn server_with_an_image() -> TestServer {
    let server = TestServer::start().await;
    server.admin().push("web", "v1", &image("web")).await;
    server.add_registry("fabrikam").await;
    server
}

#[tokio::test]
async fn without_credentials_every_route_answers_with_the_challenge() {
    let server = server_with_an_image().await;
    for anonymous_pull in [false, true] {
        server.set_anonymous_pull(anonymous_pull).await;
        for (row, method) in every_call().filter(|(row, _)| row.need != Need::Nothing) {
            let answer = call(&server.anonymous(), row, method).await;
            assert_eq!(answer.status, 401, "{method} {}: {answer}", row.path);
            let challenge = answer.header("www-authenticate");
            assert!(!challenge.contains("error="), "{method} {}: {challenge}", row.path);
            assert_eq!(challenge.contains("scope="), row.need != Need::Authentication, "{method} {}", row.path);
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_on_every_route_and_told_so() {
    let server = server_with_an_image().await;
    let foreign = server.admin_token("fabrikam", &["repository:web:*", "registry:catalog:*"]).await;
    let clients = [
        ("wrong password", server.basic(TestServer::REGISTRY, "wrong")),
        ("another registry's user", server.basic("fabrikam", TestServer::PASSWORD)),
        ("garbage", server.bearer("garbage")),
        ("empty token", server.bearer("")),
        ("another registry's token", server.bearer(&foreign)),
    ];
    for (what, client) in &clients {
        for (number, (row, method)) in every_call().filter(|(row, _)| row.need != Need::Nothing).enumerate() {
            // From another address each time, and a little later: whoever fails again and again is told to wait.
            server.advance(Duration::from_secs(5));
            let answer = call(&client.from(&format!("203.0.113.{number}")), row, method).await;
            assert_eq!(answer.status, 401, "{what}, {method} {}: {answer}", row.path);
            let challenge = answer.header("www-authenticate");
            assert!(challenge.ends_with(",error=\"invalid_token\""), "{what}, {method} {}: {challenge}", row.path);
        }
    }
}

#[tokio::test]
async fn whoever_fails_again_and_again_must_wait_and_nobody_else() {
    let server = server_with_an_image().await;
    let guesser = server.basic(TestServer::REGISTRY, "wrong").from("203.0.113.7");
    for _ in 0..10 {
        assert_eq!(guesser.get("/v2/").await.status, 401);
    }
    let told = guesser.get("/v2/").await;
    assert_eq!((told.status, told.code().as_str()), (429, "TOOMANYREQUESTS"));
    assert!(told.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(server.admin().from("203.0.113.7").get("/v2/").await.status, 429, "not even with the right one");
    assert_eq!(server.admin().from("203.0.113.8").get("/v2/").await.status, 200);
    let token = server.token("web", &[Action::Pull]).await;
    assert_eq!(token.from("203.0.113.7").get("/v2/").await.status, 200, "a token is no guess");
}

#[tokio::test]
async fn a_token_opens_no_more_routes_than_it_lists_actions() {
    let server = server_with_an_image().await;
    let cases: [(&[Action], &str); 4] = [
        (&[Action::Pull], "web"),
        (&[Action::Pull, Action::Push], "web"),
        (&[Action::Delete], "web"),
        (&[Action::All], "other"),
    ];
    for (held, repository) in cases {
        let client = server.token(repository, held).await;
        for (row, method) in every_call().filter(|(row, _)| row.need != Need::Nothing) {
            let may = match row.need {
                Need::Nothing | Need::Authentication => true,
                Need::Catalog | Need::DeletedCatalog | Need::Charts(_) => false,
                Need::Repository(needed) => repository == "web" && needed.iter().all(|action| held.contains(action)),
            };
            // Deleting comes to nothing for those who may, and must not be in the way of the next route.
            if may && row.endpoint == Endpoint::DeleteManifest {
                continue;
            }
            let answer = call(&client, row, method).await;
            assert_eq!(answer.status != 401, may, "{held:?} on {repository}, {method} {}: {answer}", row.path);
        }
    }
}

#[tokio::test]
async fn the_admin_gets_through_everywhere_with_a_password() {
    let server = server_with_an_image().await;
    for (row, method) in every_call().filter(|(row, _)| row.need != Need::Nothing) {
        let answer = call(&server.admin(), row, method).await;
        assert_ne!(answer.status, 401, "{method} {}: {answer}", row.path);
        assert!(answer.status < 500, "{method} {}: {answer}", row.path);
        assert_eq!(answer.access.route, row.name);
        assert_eq!(answer.access.caller(), TestServer::REGISTRY);
    }
}

#[tokio::test]
async fn a_repository_that_may_not_be_seen_looks_like_one_that_does_not_exist() {
    let server = server_with_an_image().await;
    let stranger = server.token("other", &[Action::All]).await;
    for path in ["/v2/NAME/manifests/v1", "/v2/NAME/tags/list"] {
        let hidden = stranger.get(&path.replace("NAME", "web")).await;
        let absent = stranger.get(&path.replace("NAME", "out")).await;
        assert_eq!(hidden.to_string().replace("web", "out"), absent.to_string());
    }
}

#[tokio::test]
async fn anonymous_pull_is_pull_and_needs_a_token() {
    let server = server_with_an_image().await;
    let ask = "/oauth2/token?service=wharf.example.com&scope=repository:web:pull,push,delete";
    assert_eq!(server.anonymous().get(ask).await.status, 401);
    server.set_anonymous_pull(true).await;
    let token = server.anonymous().get(ask).await.json()["access_token"].as_str().unwrap().to_owned();
    let client = server.bearer(&token);
    assert_eq!(client.get("/v2/").await.status, 200);
    assert_eq!(client.get("/v2/web/manifests/v1").await.status, 200);
    assert_eq!(client.delete("/v2/web/manifests/v1").await.status, 401);
    assert_eq!(client.post("/v2/web/blobs/uploads/").await.status, 401);
    server.set_anonymous_pull(false).await;
    assert_eq!(client.get("/v2/web/manifests/v1").await.status, 401, "also with a token that was issued before");
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_not_anonymous() {
    let server = server_with_an_image().await;
    server.set_anonymous_pull(true).await;
    for value in ["Digest x", "Basic !!!", "Bearer"] {
        for path in ["/v2/", "/oauth2/token?service=s"] {
            let request = server.anonymous().request(Method::GET, path).header(header::AUTHORIZATION, value);
            let answer = request.send().await;
            assert_eq!(answer.status, 401, "{value} {path}");
            assert!(answer.header("www-authenticate").contains("error="), "{value} {path}");
        }
    }
}

#[tokio::test]
async fn path_tricks_lead_nowhere() {
    let server = server_with_an_image().await;
    let long = format!("/v2/{}/manifests/v1", "a".repeat(10_000));
    for path in [
        "/v2/..%2F..%2Fetc/manifests/v1",
        "/v2/a%00b/manifests/v1",
        "/v2//manifests/v1",
        "/v2/%2e%2e/tags/list",
        "/v2/a/../web/manifests/v1",
        "/v2/web%252Fx/manifests/v1",
        "/v2/web/blobs/..%2F..%2Fpasswd",
        "/v2/web/",
        "/v2/WEB/manifests/v1",
        "/v2/web/manifests/..",
        "/v3/",
        "/oauth2/token/x",
        "/v2/web/blobs/uploads/..%2F..%2Fx",
        &long,
    ] {
        let answer = server.admin().get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer}");
        assert!(!answer.code().is_empty(), "{path}: {answer}");
    }
}
