//! Pulls and bytes in the metadata API, which are beyond ACR.

use std::time::Duration;

use http::header;
use serde_json::{Value, json};
use wharf_testkit::{Client, TestServer, image, index};

async fn shown(client: &Client<'_>, path: &str) -> Value {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()
}

/// The members that tell of pulls.
fn pulls(shown: &Value) -> Value {
    json!([shown["pullCount"], shown["lastPullTime"]])
}

#[tokio::test]
async fn what_clients_get_is_counted_and_shown_after_the_flush() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (image, other) = (image("web"), image("other"));
    admin.push("team/app", "v1", &image).await;
    admin.push("team/app", "v2", &other).await;
    let index = index(&[&image]);
    admin.push("team/app", "all", &index).await;
    server.advance(Duration::from_secs(60));
    let pull = async |reference: &str| admin.get(&format!("/v2/team/app/manifests/{reference}")).await;
    let etag = pull("v1").await.header("etag").to_owned();
    pull("all").await;
    server.advance(Duration::from_secs(60));
    pull(image.digest().as_str()).await;
    // The client has it already, and uses it.
    let again = admin.request(http::Method::GET, "/v2/team/app/manifests/v1").header(header::IF_NONE_MATCH, &etag);
    assert_eq!(again.send().await.status, 304);
    server.advance(Duration::from_secs(60));
    for reference in ["v1", "v2", other.digest().as_str()] {
        assert_eq!(admin.head(&format!("/v2/team/app/manifests/{reference}")).await.status, 200);
    }
    assert_eq!(pull("v9").await.status, 404);
    assert_eq!(admin.get("/v2/team/app/tags/list").await.status, 200);
    assert_eq!(pulls(&shown(&admin, "/acr/v1/team/app").await), json!([null, null]));

    server.artifacts().flush_pulls().await.unwrap();
    let [first, second] = ["2026-09-21T14:14:20.0000000Z", "2026-09-21T14:15:20.0000000Z"];
    assert_eq!(pulls(&shown(&admin, "/acr/v1/team/app").await), json!([4, second]));
    for (tag, expected) in [("v1", json!([2, second])), ("all", json!([1, first])), ("v2", json!([null, null]))] {
        let one = shown(&admin, &format!("/acr/v1/team/app/_tags/{tag}")).await;
        assert_eq!(pulls(&one["tag"]), expected, "{tag}");
        let many = shown(&admin, "/acr/v1/team/app/_tags").await;
        let listed = many["tags"].as_array().unwrap().iter().find(|listed| listed["name"] == tag).unwrap().clone();
        assert_eq!(listed, one["tag"]);
    }
    for (digest, expected) in [
        (image.digest(), json!([3, second])),
        (index.digest(), json!([1, first])),
        (other.digest(), json!([null, null])),
    ] {
        let one = shown(&admin, &format!("/acr/v1/team/app/_manifests/{digest}")).await;
        assert_eq!(pulls(&one["manifest"]), expected);
        let many = shown(&admin, "/acr/v1/team/app/_manifests").await;
        let of_one = |listed: &&Value| listed["digest"] == digest.as_str();
        assert_eq!(pulls(many["manifests"].as_array().unwrap().iter().find(of_one).unwrap()), expected);
    }
    assert_eq!(server.artifacts().pull_totals(), [(TestServer::REGISTRY.to_owned(), 4)]);
}

#[tokio::test]
async fn a_repository_shows_the_bytes_that_it_holds_and_those_that_are_its_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (repository, tag) in [("one", "v1"), ("one", "v2"), ("two", "v1")] {
        admin.push(repository, tag, &image(tag)).await;
    }
    admin.push_blob("one", vec![7; 1000]).await;
    server.add_registry("other").await;
    let token = server.admin_token("other", &["repository:one:pull,push"]).await;
    server.bearer(&token).at("other").push_blob("one", vec![7; 1000]).await;
    server.artifacts().count_bytes().await.unwrap();
    let storage = async |name: &str| {
        let shown = shown(&admin, &format!("/acr/v1/{name}")).await;
        [&shown["storage"]["logicalBytes"], &shown["storage"]["uniqueBytes"]].map(|bytes| bytes.as_i64().unwrap())
    };
    let ([one, own], [two, none]) = (storage("one").await, storage("two").await);
    assert_eq!(none, 0, "all of it is in the other one too");
    assert_eq!(own, one - two);
    assert!(own > 1000 && two > 0, "{own} {two}");
    let total = server.artifacts().registry_size(server.registry(TestServer::REGISTRY).await.id).await.unwrap();
    assert_eq!(i64::try_from(total).unwrap(), one);
    let changed = admin.request(http::Method::PATCH, "/acr/v1/one").body(r#"{"writeEnabled":true}"#).await;
    assert_eq!(changed.json()["storage"]["logicalBytes"], one);
}
