//! Lists: tags, repositories, referrers.

use insta::assert_snapshot;
use serde_json::Value;
use wharf_model::{Algorithm, Digest};
use wharf_testkit::{TestServer, image};

/// Follows `Link` to the end and returns all items of all pages.
async fn walk(server: &TestServer, first: &str, member: &str) -> Vec<String> {
    let mut path = first.to_owned();
    let mut items = Vec::new();
    loop {
        let page = server.admin().get(&path).await;
        assert_eq!(page.status, 200, "{page}");
        items.extend(page.json()[member].as_array().unwrap().iter().map(|item| match item {
            Value::String(name) => name.clone(),
            descriptor => descriptor["digest"].as_str().unwrap().to_owned(),
        }));
        let Some(next) = page.header("link").strip_prefix('<').and_then(|link| link.split_once('>')) else {
            return items;
        };
        path = next.0.to_owned();
    }
}

#[tokio::test]
async fn tags_are_listed_in_order_page_by_page() {
    let server = TestServer::start().await;
    let image = image("web");
    server.admin().push("team/app", "v1", &image).await;
    for tag in ["a", "a-b", "a.b", "a0", "B", "_x"] {
        server.admin().push_manifest("team/app", tag, &image).await;
    }
    assert_snapshot!(server.admin().get("/v2/team/app/tags/list").await.text(), @r#"{"name":"team/app","tags":["B","_x","a","a-b","a.b","a0","v1"]}"#);
    let all = walk(&server, "/v2/team/app/tags/list", "tags").await;
    assert_eq!(all, ["B", "_x", "a", "a-b", "a.b", "a0", "v1"]);
    for n in 1..=8 {
        assert_eq!(walk(&server, &format!("/v2/team/app/tags/list?n={n}"), "tags").await, all, "n={n}");
    }
    let page = server.admin().get("/v2/team%2Fapp/tags/list?n=2&last=B").await;
    assert_eq!(page.header("link"), r#"</v2/team%2Fapp/tags/list?last=a&n=2&orderby=>; rel="next""#);
    let page = server.admin().get("/v2/team/app/tags/list?n=0").await;
    assert_eq!((page.text(), page.header("link")), ("{\"name\":\"team/app\",\"tags\":[]}\n", ""));
}

#[tokio::test]
async fn odd_numbers_of_items_are_bounded_or_refused() {
    let server = TestServer::start().await;
    server.admin().push("web", "v1", &image("web")).await;
    for n in ["9223372036854775807", "9223372036854775808", "99999999999999999999999", ""] {
        assert_eq!(walk(&server, &format!("/v2/web/tags/list?n={n}"), "tags").await, ["v1"], "n={n}");
    }
    for query in ["n=-1", "n=x", "n=1e3", "last=%00"] {
        let answer = server.admin().get(&format!("/v2/web/tags/list?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"), "{query}");
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_list_of_tags() {
    let server = TestServer::start().await;
    assert_snapshot!(server.admin().get("/v2/web/tags/list").await.text(), @r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"web"}}]}"#);
}

#[tokio::test]
async fn repositories_are_listed_in_order_page_by_page() {
    let server = TestServer::start().await;
    assert_eq!(server.admin().get("/v2/_catalog").await.text(), "{\"repositories\":[]}\n");
    let names = ["a", "a-b", "a/b", "a0", "b"];
    for name in names {
        server.admin().push(name, "v1", &image("x")).await;
    }
    server.admin().push_blob("only-blobs", "x").await;
    for n in 1..=6 {
        assert_eq!(walk(&server, &format!("/v2/_catalog?n={n}"), "repositories").await, names, "n={n}");
    }
    let page = server.admin().get("/v2/_catalog?n=3").await;
    assert_eq!(page.header("link"), r#"</v2/_catalog?last=a%2Fb&n=3&orderby=>; rel="next""#);
    server.add_registry("fabrikam").await;
    let other = server.basic("fabrikam", TestServer::PASSWORD).at("fabrikam");
    assert_eq!(other.get("/v2/_catalog").await.text(), "{\"repositories\":[]}\n");
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_paged() {
    let server = TestServer::start().await;
    let subject = image("subject");
    server.admin().push("web", "v1", &subject).await;
    let mut digests = Vec::new();
    for (content, artifact_type) in [("one", "a/sbom"), ("two", "a/signature"), ("three", "a/signature")] {
        let referrer = image(content).about(&subject, artifact_type);
        let digest = server.admin().push("web", referrer.digest().as_str(), &referrer).await;
        digests.push(digest.to_string());
    }
    let path = format!("/v2/web/referrers/{}", subject.digest());
    let all = server.admin().get(&path).await;
    assert_eq!(all.header("content-type"), "application/vnd.oci.image.index.v1+json");
    assert_eq!(all.header("oci-filters-applied"), "");
    let listed = all.json();
    assert_eq!((listed["schemaVersion"].as_u64(), listed["manifests"].as_array().unwrap().len()), (Some(2), 3));

    let filtered = server.admin().get(&format!("{path}?artifactType=a/sbom")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let found = &filtered.json()["manifests"];
    assert_eq!(
        (found[0]["digest"].as_str(), found[0]["artifactType"].as_str()),
        (Some(digests[0].as_str()), Some("a/sbom"))
    );
    assert_eq!(found.as_array().unwrap().len(), 1);

    let signatures = walk(&server, &format!("{path}?artifactType=a/signature&n=1"), "manifests").await;
    let mut expected = digests[1..].to_vec();
    expected.sort();
    assert_eq!(signatures, expected);
    digests.sort();
    assert_eq!(walk(&server, &format!("{path}?n=2"), "manifests").await, digests);
}

#[tokio::test]
async fn what_is_not_there_has_no_referrers() {
    let server = TestServer::start().await;
    let digest = Digest::of(Algorithm::Sha256, b"absent");
    let empty = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    for query in ["", "?artifactType=a/b", "?artifactType=%00", "?n=0"] {
        let answer = server.admin().get(&format!("/v2/web/referrers/{digest}{query}")).await;
        assert_eq!((answer.status, answer.text()), (200, empty), "{query}");
    }
    assert_eq!(server.admin().get("/v2/web/referrers/sha256:x").await.status, 400);
}
