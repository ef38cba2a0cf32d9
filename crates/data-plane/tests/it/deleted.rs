//! Soft delete: what is listed of it, and restoring it.

use std::time::Duration;

use http::Method;
use insta::assert_snapshot;
use wharf_metadata::registries::{self, RegistryChange, SoftDelete};
use wharf_model::{Action, Clock as _};
use wharf_testkit::{Client, TestResponse, TestServer, image, index};

async fn server() -> TestServer {
    let server = TestServer::start().await;
    switch(&server, Some(7)).await;
    server
}

/// Switches soft delete on, or off.
pub(crate) async fn switch(server: &TestServer, days: Option<i64>) {
    let registry = server.registry(TestServer::REGISTRY).await;
    let mut change = RegistryChange::from(registry.as_ref());
    change.settings.soft_delete = days.map(|days| SoftDelete { days });
    let (id, now) = (registry.id, server.clock().now());
    let database = server.artifacts().database();
    let write = database.write(move |c| Box::pin(async move { registries::update(c, id, &change, "test", now).await }));
    write.await.unwrap();
    server.artifacts().forget_registry(&registry.name);
}

async fn restore(client: &Client<'_>, path: &str, body: &str) -> TestResponse {
    client.request(Method::POST, path).body(body).await
}

#[tokio::test]
async fn what_was_deleted_is_listed_page_by_page() {
    let server = server().await;
    let (admin, one, two) = (server.admin(), image("web"), image("other"));
    admin.push("team/app", "v1", &one).await;
    server.advance(Duration::from_secs(60));
    admin.push("team/app", "v1", &two).await;
    server.advance(Duration::from_micros(60_000_001));
    assert_eq!(admin.delete(&format!("/v2/team/app/manifests/{}", two.digest())).await.status, 202);
    assert_eq!(admin.delete("/acr/v1/team%2Fapp").await.status, 202);
    assert_eq!(admin.get("/acr/v1/_catalog").await.json()["repositories"].as_array().unwrap().len(), 0);
    for path in ["/acr/v1/_deleted/_catalog", "/acr/v1/_deleted/_catalog?n=1&last=team"] {
        assert_eq!(admin.get(path).await.text(), "{\"repositories\":[\"team/app\"]}\n");
    }
    assert_eq!(admin.get("/acr/v1/_deleted/_catalog?last=team/app").await.text(), "{\"repositories\":[]}\n");
    let page = admin.get("/acr/v1/_deleted/team%2Fapp/_manifests?n=1").await;
    assert_snapshot!(page.text());
    assert_snapshot!(page.header("link"));
    let next = page.header("link").strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    let rest = admin.get(&next).await.json();
    let mut digests = [&one, &two].map(|image| image.digest().to_string());
    digests.sort();
    assert_eq!(rest["manifests"][0]["digest"], digests[1]);
    assert_eq!(rest["manifests"].as_array().unwrap().len(), 1);
    let page = admin.get("/acr/v1/_deleted/team/app/_tags?n=1").await;
    assert_snapshot!(page.text());
    assert_snapshot!(page.header("link"));
    let next = page.header("link").strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    assert_eq!(admin.get(&next).await.json()["tags"][0]["digest"], two.digest().as_str(), "the oldest first");
    for bad in ["_tags?last=v1@x", "_tags?last=v1@1", "_tags?n=-1"] {
        let answer = admin.get(&format!("/acr/v1/_deleted/team/app/{bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"), "{bad}");
    }
}

#[tokio::test]
async fn lists_are_empty_where_nothing_was_deleted_and_unknown_where_nothing_is() {
    let server = server().await;
    server.admin().push("app", "v1", &image("web")).await;
    for list in ["_tags", "_manifests"] {
        let answer = server.admin().get(&format!("/acr/v1/_deleted/app/{list}")).await;
        assert_eq!(answer.json()[&list[1..]].as_array().unwrap().len(), 0);
        let answer = server.admin().get(&format!("/acr/v1/_deleted/never/{list}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "NAME_UNKNOWN"));
    }
    assert_eq!(server.admin().get("/acr/v1/_deleted/_catalog").await.text(), "{\"repositories\":[]}\n");
}

#[tokio::test]
async fn a_tag_is_restored_as_az_asks_for_it() {
    let server = server().await;
    let (admin, one, two) = (server.admin(), image("web"), image("other"));
    admin.push("app", "v1", &one).await;
    let path = format!("/acr/v1/_deleted/app/_manifests/{}", one.digest());
    assert_eq!(admin.delete(&format!("/v2/app/manifests/{}", one.digest())).await.status, 202);
    assert_eq!(admin.get("/v2/app/manifests/v1").await.status, 404);
    assert_snapshot!(admin.push_manifest("app", "v1", &one).await);
    assert_snapshot!(restore(&admin, &format!("{path}?force=False"), r#"{"tag":"v1"}"#).await);
    assert_eq!(admin.get("/v2/app/manifests/v1").await.status, 200);
    // The tag is taken by another image.
    admin.push("app", "v1", &two).await;
    assert_snapshot!(restore(&admin, &format!("{path}?force=False"), r#"{"tag":"v1"}"#).await);
    let forced = restore(&admin, &format!("{path}?force=True"), r#"{"tag":"v1"}"#).await;
    assert_eq!((forced.status, &forced.json()["restored"]), (200, &serde_json::json!([])));
    let pulled = admin.get("/v2/app/manifests/v1").await;
    assert_eq!(pulled.header("docker-content-digest"), one.digest().as_str());
    // Nothing in the body: the manifest alone.
    assert_eq!(admin.delete(&format!("/v2/app/manifests/{}", two.digest())).await.status, 202);
    let path = format!("/acr/v1/_deleted/app/_manifests/{}", two.digest());
    for body in ["", "{\"tag\":null}", "null"] {
        assert_eq!(restore(&admin, &path, body).await.status, 200, "{body}");
    }
    let shown = admin.get(&format!("/acr/v1/app/_manifests/{}", two.digest())).await;
    assert!(shown.json()["manifest"].get("tags").is_none(), "{shown}");
}

#[tokio::test]
async fn an_index_without_its_children_is_told_of() {
    let server = server().await;
    let (admin, child) = (server.admin(), image("web"));
    admin.push("app", child.digest().as_str(), &child).await;
    let list = index(&[&child]);
    admin.push("app", "multi", &list).await;
    assert_eq!(admin.delete("/acr/v1/app").await.status, 202);
    let path = format!("/acr/v1/_deleted/app/_manifests/{}", list.digest());
    assert_snapshot!(restore(&admin, &path, r#"{"tag":"multi"}"#).await);
    assert_snapshot!(restore(&admin, &format!("{path}?force=True"), r#"{"tag":"multi"}"#).await);
    assert_eq!(admin.get(&format!("/v2/app/manifests/{}", child.digest())).await.status, 200);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let server = server().await;
    let (admin, one) = (server.admin(), image("web"));
    admin.push("app", "v1", &one).await;
    let path = format!("/acr/v1/_deleted/app/_manifests/{}", one.digest());
    for (query, body, code) in [
        ("?force=maybe", "{}", "ATTRIBUTES_INVALID"),
        ("", "{", "ATTRIBUTES_INVALID"),
        ("", "\"v1\"", "ATTRIBUTES_INVALID"),
        ("", r#"{"tag":7}"#, "ATTRIBUTES_INVALID"),
        ("", r#"{"tag":".x"}"#, "TAG_INVALID"),
        ("", &format!(r#"{{"tag":"{}"}}"#, "x".repeat(1 << 20)), "ATTRIBUTES_INVALID"),
    ] {
        let answer = restore(&admin, &format!("{path}{query}"), body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query} {shown}: {answer}");
    }
    let unknown = restore(&admin, &path, r#"{"tag":"v2"}"#).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "MANIFEST_UNKNOWN"), "{unknown}");
}

#[tokio::test]
async fn the_trash_is_seen_and_emptied_by_those_who_may_alone() {
    let server = server().await;
    let (admin, one) = (server.admin(), image("web"));
    admin.push("app", "v1", &one).await;
    assert_eq!(admin.delete("/acr/v1/app").await.status, 202);
    server.set_anonymous_pull(true).await;
    let ask = "/oauth2/token?service=wharf.example.com&scope=repository:app:pull,deleted_read&scope=registry:deleted_catalog:*";
    let token = server.anonymous().get(ask).await.json()["access_token"].as_str().unwrap().to_owned();
    let path = format!("/acr/v1/_deleted/app/_manifests/{}", one.digest());
    let lists = ["/acr/v1/_deleted/_catalog", "/acr/v1/_deleted/app/_tags", "/acr/v1/_deleted/app/_manifests"];
    for list in lists {
        assert_eq!(server.bearer(&token).get(list).await.status, 401, "{list}");
    }
    let reader = server.token("app", &[Action::DeletedRead]).await;
    assert_eq!(reader.get(lists[0]).await.status, 401);
    assert_eq!(reader.get(lists[1]).await.status, 200);
    assert_eq!(reader.get(lists[2]).await.status, 200);
    assert_eq!(restore(&reader, &path, "").await.status, 401);
    assert_eq!(reader.get(&format!("/v2/app/manifests/{}", one.digest())).await.status, 401);
    let lister = server.token_for(&["registry:deleted_catalog:*"]).await;
    assert_eq!(lister.get(lists[0]).await.status, 200);
    let restorer = server.token("app", &[Action::DeletedRead, Action::DeletedRestore]).await;
    assert_eq!(restore(&restorer, &path, r#"{"tag":"v1"}"#).await.status, 200);
    assert_eq!(admin.get("/v2/app/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn with_the_policy_off_what_is_deleted_is_gone() {
    let server = server().await;
    switch(&server, None).await;
    let (admin, one) = (server.admin(), image("web"));
    admin.push("app", "v1", &one).await;
    assert_eq!(admin.delete("/acr/v1/app").await.status, 202);
    assert_eq!(admin.get("/acr/v1/_deleted/_catalog").await.text(), "{\"repositories\":[]}\n");
    admin.push("app", "v1", &one).await;
}
