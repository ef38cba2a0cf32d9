//! The metadata API: what it shows, page by page, and what it deletes.

use std::time::Duration;

use http::Method;
use insta::assert_snapshot;
use serde_json::Value;
use wharf_model::{Action, Algorithm, Digest};
use wharf_testkit::{Client, TestResponse, TestServer, image, index};

/// Sends a `PATCH`.
pub(crate) async fn patch(client: &Client<'_>, path: &str, body: &str) -> TestResponse {
    client.request(Method::PATCH, path).body(body).await
}

/// Follows `Link` to the end and returns one member of all items of all pages.
async fn walk(server: &TestServer, first: &str, list: &str, member: &str) -> Vec<String> {
    let mut path = first.to_owned();
    let mut items = Vec::new();
    loop {
        let page = server.admin().get(&path).await;
        assert_eq!(page.status, 200, "{page}");
        let json = page.json();
        items.extend(json[list].as_array().unwrap().iter().map(|item| match item {
            Value::String(name) => name.clone(),
            item => item[member].as_str().unwrap().to_owned(),
        }));
        let Some(next) = page.header("link").strip_prefix('<').and_then(|link| link.split_once('>')) else {
            return items;
        };
        path = next.0.to_owned();
    }
}

/// `team/app` with an image under `v1` and `latest`, and an hour later an index of it that has no tag.
async fn server_with_images() -> TestServer {
    let server = TestServer::start().await;
    let (image, admin) = (image("web"), server.admin());
    admin.push("team/app", "v1", &image).await;
    admin.push_manifest("team/app", "latest", &image).await;
    server.advance(Duration::from_micros(3_600_000_001));
    let index = index(&[&image]);
    admin.push("team/app", index.digest().as_str(), &index).await;
    server
}

#[tokio::test]
async fn a_repository_is_shown_with_its_counters_and_locks() {
    let server = server_with_images().await;
    let shown = r#"{"registry":"wharf.example.com","imageName":"team/app","createdTime":"2026-09-21T14:13:20.0000000Z","lastUpdateTime":"2026-09-21T15:13:20.0000010Z","manifestCount":2,"tagCount":2,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true},"storage":{"logicalBytes":0,"uniqueBytes":0}}"#;
    for path in ["/acr/v1/team/app", "/acr/v1/team%2Fapp", "/acr/v1/team%2fapp?api-version=2021-07-01"] {
        let answer = server.admin().get(path).await;
        assert_eq!((answer.status, answer.text().trim_end()), (200, shown), "{path}");
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    }
}

#[tokio::test]
async fn tags_and_manifests_are_shown_as_azure_shows_them() {
    let server = server_with_images().await;
    let admin = server.admin();
    assert_snapshot!(admin.get("/acr/v1/team/app/_tags/v1").await.text(), @r#"{"registry":"wharf.example.com","imageName":"team/app","tag":{"name":"v1","digest":"sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc","createdTime":"2026-09-21T14:13:20.0000000Z","lastUpdateTime":"2026-09-21T14:13:20.0000000Z","signed":false,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}}"#);
    assert_snapshot!(admin.get("/acr/v1/team/app/_tags").await.text(), @r#"{"registry":"wharf.example.com","imageName":"team/app","tags":[{"name":"latest","digest":"sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc","createdTime":"2026-09-21T14:13:20.0000000Z","lastUpdateTime":"2026-09-21T14:13:20.0000000Z","signed":false,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}},{"name":"v1","digest":"sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc","createdTime":"2026-09-21T14:13:20.0000000Z","lastUpdateTime":"2026-09-21T14:13:20.0000000Z","signed":false,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}]}"#);
    assert_snapshot!(admin.get("/acr/v1/team/app/_manifests?orderby=timedesc").await.text(), @r#"{"registry":"wharf.example.com","imageName":"team/app","manifests":[{"digest":"sha256:aa8849a097985ead99335b01ac132e33aefd3ef34f59f054d01f1b24e427b63c","imageSize":64,"createdTime":"2026-09-21T15:13:20.0000010Z","lastUpdateTime":"2026-09-21T15:13:20.0000010Z","mediaType":"application/vnd.oci.image.index.v1+json","changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}},{"digest":"sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc","imageSize":64,"createdTime":"2026-09-21T14:13:20.0000000Z","lastUpdateTime":"2026-09-21T14:13:20.0000000Z","architecture":"amd64","os":"linux","mediaType":"application/vnd.oci.image.manifest.v1+json","configMediaType":"application/vnd.oci.image.config.v1+json","tags":["latest","v1"],"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}]}"#);
    let digest = index(&[&image("web")]).digest();
    assert_snapshot!(admin.get(&format!("/acr/v1/team/app/_manifests/{digest}")).await.text(), @r#"{"registry":"wharf.example.com","imageName":"team/app","manifest":{"digest":"sha256:aa8849a097985ead99335b01ac132e33aefd3ef34f59f054d01f1b24e427b63c","imageSize":64,"createdTime":"2026-09-21T15:13:20.0000010Z","lastUpdateTime":"2026-09-21T15:13:20.0000010Z","mediaType":"application/vnd.oci.image.index.v1+json","changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true},"references":[{"digest":"sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc"}]}}"#);
}

#[tokio::test]
async fn what_is_not_there_is_404_with_its_name() {
    let server = server_with_images().await;
    let absent = Digest::of(Algorithm::Sha256, b"absent");
    for (path, code) in [
        ("/acr/v1/other".to_owned(), "NAME_UNKNOWN"),
        ("/acr/v1/other/_tags".to_owned(), "NAME_UNKNOWN"),
        ("/acr/v1/other/_tags/v1".to_owned(), "NAME_UNKNOWN"),
        ("/acr/v1/other/_manifests".to_owned(), "NAME_UNKNOWN"),
        (format!("/acr/v1/other/_manifests/{absent}"), "NAME_UNKNOWN"),
        ("/acr/v1/team/app/_tags/v9".to_owned(), "TAG_UNKNOWN"),
        (format!("/acr/v1/team/app/_manifests/{absent}"), "MANIFEST_UNKNOWN"),
    ] {
        let answer = server.admin().get(&path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, code), "{path}: {answer}");
        if path.matches('/').count() > 3 && !path.ends_with("_tags") && !path.ends_with("_manifests") {
            let changed = patch(&server.admin(), &path, r#"{"writeEnabled":false}"#).await;
            assert_eq!((changed.status, changed.code().as_str()), (404, code), "{path}: {changed}");
        }
    }
    assert_snapshot!(server.admin().delete("/acr/v1/other").await.text(), @r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"other"}}]}"#);
    assert_snapshot!(server.admin().delete("/acr/v1/team/app/_tags/v9").await.text(), @r#"{"errors":[{"code":"TAG_UNKNOWN","message":"the tag \"v9\" is not found","detail":{"Tag":"v9"}}]}"#);
}

#[tokio::test]
async fn lists_are_walked_in_every_order_and_page_size() {
    let server = TestServer::start().await;
    let names = ["b", "d", "a", "e", "c"];
    for name in names {
        server.admin().push("team/app", name, &image(name)).await;
        server.advance(Duration::from_secs(1));
    }
    let (mut sorted, mut reversed) = (names, names);
    sorted.sort_unstable();
    reversed.reverse();
    let digests = |names: [&str; 5]| names.map(|name| image(name).digest().to_string());
    let mut sorted_digests = digests(names);
    sorted_digests.sort();
    for n in 1..=6 {
        for (order, expected) in [("", sorted), ("timeasc", names), ("timedesc", reversed)] {
            let found = walk(&server, &format!("/acr/v1/team%2Fapp/_tags?n={n}&orderby={order}"), "tags", "name").await;
            assert_eq!(found, expected, "{order} {n}");
        }
        let path = format!("/acr/v1/team/app/_manifests?n={n}&orderby=");
        for (order, expected) in
            [("", sorted_digests.clone()), ("timeasc", digests(names)), ("timedesc", digests(reversed))]
        {
            assert_eq!(walk(&server, &format!("{path}{order}"), "manifests", "digest").await, expected, "{order} {n}");
        }
    }
    assert_eq!(walk(&server, "/acr/v1/_catalog?n=1", "repositories", "").await, ["team/app"]);
    let first = server.admin().get("/acr/v1/team%2Fapp/_tags?n=2&api-version=2021-07-01").await;
    assert_eq!(first.header("link"), r#"</acr/v1/team%2Fapp/_tags?last=b&n=2&orderby=>; rel="next""#);
    let none = server.admin().get("/acr/v1/team/app/_tags?n=0").await;
    assert_eq!((&none.json()["tags"], none.header("link")), (&serde_json::Value::Null, ""));
}

#[tokio::test]
async fn a_list_by_time_goes_on_behind_what_was_deleted_meanwhile() {
    let server = TestServer::start().await;
    for name in ["a", "b", "c", "d"] {
        server.admin().push("app", name, &image(name)).await;
        server.advance(Duration::from_secs(1));
    }
    let first = server.admin().get("/acr/v1/app/_tags?n=2&orderby=timedesc").await;
    let next = first.header("link").strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    for name in ["c", "d"] {
        assert_eq!(server.admin().delete(&format!("/acr/v1/app/_tags/{name}")).await.status, 202);
    }
    assert_eq!(walk(&server, &next, "tags", "name").await, ["b", "a"]);
    // A bare name, as a client may send that reads no links, must still be there.
    assert_eq!(walk(&server, "/acr/v1/app/_tags?orderby=timedesc&last=b", "tags", "name").await, ["a"]);
    for last in ["c", "a@x", "a@"] {
        let lost = server.admin().get(&format!("/acr/v1/app/_tags?orderby=timeasc&last={last}")).await;
        assert_eq!((lost.status, lost.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"), "{last}");
    }
}

#[tokio::test]
async fn tags_are_filtered_by_digest() {
    let server = server_with_images().await;
    server.admin().push("team/app", "v2", &image("other")).await;
    let digest = image("web").digest();
    for order in ["", "timeasc", "timedesc"] {
        let path = format!("/acr/v1/team/app/_tags?n=1&digest={digest}&orderby={order}");
        let mut found = walk(&server, &path, "tags", "name").await;
        found.sort();
        assert_eq!(found, ["latest", "v1"], "{order}");
    }
    let bad = server.admin().get("/acr/v1/team/app/_tags?digest=sha256:x").await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "DIGEST_INVALID"));
}

#[tokio::test]
async fn untagging_leaves_the_manifest() {
    let server = server_with_images().await;
    let digest = image("web").digest();
    let untagger = server.token("team/app", &[Action::Delete]).await;
    for tag in ["v1", "latest"] {
        let gone = untagger.delete(&format!("/acr/v1/team/app/_tags/{tag}")).await;
        assert_eq!((gone.status, gone.body.len()), (202, 0), "{gone}");
        assert_eq!(server.admin().get(&format!("/v2/team/app/manifests/{tag}")).await.status, 404);
    }
    let left = server.admin().get(&format!("/acr/v1/team/app/_manifests/{digest}")).await.json();
    assert_eq!(left["manifest"].get("tags"), None, "absent, not empty");
    assert_eq!(server.admin().get(&format!("/v2/team/app/manifests/{digest}")).await.status, 200);
    let writer = server.token("team/app", &[Action::MetadataWrite]).await;
    server.admin().push_manifest("team/app", "v1", &image("web")).await;
    assert_eq!(writer.delete("/acr/v1/team/app/_tags/v1").await.status, 202, "either right will do");
}

#[tokio::test]
async fn a_deleted_repository_is_gone_with_all_that_it_held_and_tells_what_that_was() {
    let server = server_with_images().await;
    let admin = server.admin();
    let digests = [image("web").digest(), index(&[&image("web")]).digest()];
    // Every cache knows it.
    for reference in ["v1", digests[0].as_str()] {
        assert_eq!(admin.get(&format!("/v2/team/app/manifests/{reference}")).await.status, 200);
    }
    let layer = Digest::of(Algorithm::Sha256, &image("web").blobs[1]);
    assert_eq!(admin.get(&format!("/v2/team/app/blobs/{layer}")).await.status, 200);
    let gone = admin.delete("/acr/v1/team/app").await;
    assert_eq!(gone.status, 202);
    let mut expected: Vec<&str> = digests.iter().map(Digest::as_str).collect();
    expected.sort_unstable();
    assert_eq!(gone.json(), serde_json::json!({"manifestsDeleted": expected, "tagsDeleted": ["latest", "v1"]}));
    for path in ["/v2/team/app/manifests/v1", &format!("/v2/team/app/blobs/{layer}"), "/acr/v1/team/app"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
    assert_eq!(admin.delete("/acr/v1/team/app").await.code(), "NAME_UNKNOWN");
    assert!(walk(&server, "/acr/v1/_catalog", "repositories", "").await.is_empty());

    // The name is free at once, and what is pushed there is another repository's.
    admin.push("team/app", "v1", &image("new")).await;
    let removed = server.artifacts().remove_deleted_repositories().await.unwrap();
    assert_eq!(removed, 0, "not while somebody may still be told what it held");
    server.advance(Duration::from_secs(61));
    assert_eq!(server.artifacts().remove_deleted_repositories().await.unwrap(), 1);
    assert_eq!(walk(&server, "/acr/v1/team/app/_tags", "tags", "name").await, ["v1"]);
    let report = server.artifacts().verify(|_, _| {}).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
