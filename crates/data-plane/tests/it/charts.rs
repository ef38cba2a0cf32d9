//! Charts as Helm 2 and `az acr helm` know them, and as Helm 3 pushes them: the same charts.

use http::{Method, header};
use serde_json::{Value, json};
use wharf_model::{Action, Algorithm, Digest};
use wharf_testkit::{Client, TestResponse, TestServer, chart, image, package};

use crate::attributes::patch;
use crate::deleted::switch;

async fn put(client: &Client<'_>, file: &str, content: impl Into<Vec<u8>>) -> TestResponse {
    client.request(Method::PUT, &format!("/helm/v1/repo/_blobs/{file}")).body(content).await
}

async fn replace(client: &Client<'_>, file: &str, content: impl Into<Vec<u8>>) -> TestResponse {
    client.request(Method::PATCH, &format!("/helm/v1/repo/_blobs/{file}")).body(content).await
}

async fn index(client: &Client<'_>) -> Value {
    let answer = client.get("/helm/v1/repo/index.yaml").await;
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()
}

/// The versions of a chart in the index.
async fn versions(client: &Client<'_>, chart: &str) -> Vec<String> {
    let index = index(client).await;
    let listed = index["entries"][chart].as_array().cloned().unwrap_or_default();
    listed.iter().map(|version| version["version"].as_str().unwrap().to_owned()).collect()
}

fn sha256(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).hex().to_owned()
}

/// Pushes a chart as Helm 3 does.
async fn push_as_artifact(client: &Client<'_>, repository: &str, tag: &str, config: Value, package: &[u8]) {
    let config = config.to_string();
    let descriptor = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, content), "size": content.len()});
    client.push_blob(repository, config.as_bytes()).await;
    client.push_blob(repository, package).await;
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.cncf.helm.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", package)],
    });
    let put = client
        .request(Method::PUT, &format!("/v2/{repository}/manifests/{tag}"))
        .header(header::CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");
    let answer = put.body(manifest.to_string()).await;
    assert_eq!(answer.status, 201, "{answer}");
}

#[tokio::test]
async fn a_chart_that_is_put_is_in_the_index_and_is_the_artifact_that_helm_pushes() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let package = chart("web", "1.0.0+build.1");
    let saved = put(&admin, "web-1.0.0+build.1.tgz", &package[..]).await;
    assert_eq!((saved.status, saved.text().trim_end()), (201, r#"{"saved":true}"#), "{saved}");

    let answer = admin.get("/helm/v1/repo/index.yaml").await;
    assert_eq!(answer.header("content-type"), "application/yaml");
    let expected = json!({
        "apiVersion": "v1",
        "generated": "2026-09-21T14:13:20.0000000Z",
        "entries": {"web": [{
            "apiVersion": "v2", "name": "web", "version": "1.0.0+build.1", "appVersion": "1.10", "description": "The web",
            "created": "2026-09-21T14:13:20.0000000Z",
            "digest": sha256(&package),
            "urls": ["_blobs/web-1.0.0+build.1.tgz"],
        }]},
    });
    assert_eq!(answer.json(), expected);
    let again =
        admin.request(Method::GET, "/helm/v1/repo/index.yaml").header(header::IF_NONE_MATCH, answer.header("etag"));
    assert_eq!(again.send().await.status, 304);
    assert_eq!(admin.head("/helm/v1/repo/index.yaml").await.header("content-length"), answer.text().len().to_string());

    let file = admin.get("/helm/v1/repo/_blobs/web-1.0.0+build.1.tgz").await;
    assert_eq!((file.status, file.header("content-type"), &file.body[..]), (200, "application/gzip", &package[..]));

    let manifest = admin.get("/v2/repo/web/manifests/1.0.0_build.1").await;
    assert_eq!(manifest.json()["config"]["mediaType"], "application/vnd.cncf.helm.config.v1+json");
    assert_eq!(manifest.json()["layers"][0]["digest"], format!("sha256:{}", sha256(&package)));
    assert_eq!(admin.get("/v2/_catalog").await.json()["repositories"], json!(["repo/web"]));
}

#[tokio::test]
async fn a_chart_that_helm_pushed_is_in_the_index_too() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let config = |version: &str| json!({"apiVersion": "v2", "name": "web", "version": version});
    for version in ["1.9.0", "1.10.0", "2.0.0-rc.1"] {
        push_as_artifact(&admin, "repo/web", version, config(version), version.as_bytes()).await;
    }
    // None of these is a chart of that repository of charts, in a version that its tag stands for.
    push_as_artifact(&admin, "repo/web", "latest", config("3.0.0"), b"3").await;
    push_as_artifact(&admin, "repo/other", "4.0.0", config("4.0.0"), b"4").await;
    push_as_artifact(&admin, "repo/deep/web", "5.0.0", config("5.0.0"), b"5").await;
    push_as_artifact(&admin, "repo/web", "6.0.0", json!({"name": ["web"], "version": "6.0.0"}), b"6").await;
    push_as_artifact(&admin, "repo/web", "newest", config("newest"), b"7").await;
    admin.push("repo/image", "v1", &image("image")).await;
    assert_eq!(versions(&admin, "web").await, ["2.0.0-rc.1", "1.10.0", "1.9.0"]);
    assert_eq!(index(&admin).await["entries"].as_object().unwrap().len(), 1);
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.10.0.tgz").await.text(), "1.10.0");
    let deep = admin.get("/helm/v1/repo/deep/index.yaml").await.json();
    assert_eq!(deep["entries"]["web"][0]["version"], "5.0.0");
    assert_eq!(admin.delete("/v2/repo/web/manifests/1.10.0").await.status, 202);
    assert_eq!(versions(&admin, "web").await, ["2.0.0-rc.1", "1.9.0"]);
    assert_eq!(admin.delete("/acr/v1/repo/web").await.status, 202);
    assert_eq!(index(&admin).await["entries"], json!({}));
}

#[tokio::test]
async fn charts_are_listed_shown_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (name, version) in [("web", "1.0.0"), ("web", "1.1.0"), ("db", "0.1.0")] {
        assert_eq!(put(&admin, &format!("{name}-{version}.tgz"), chart(name, version)).await.status, 201);
    }
    let listed = admin.get("/helm/v1/repo/_charts").await.json();
    assert_eq!(listed["web"][0]["version"], "1.1.0");
    assert_eq!(listed["web"].as_array().unwrap().len(), 2);
    let digest = admin.head("/v2/repo/db/manifests/0.1.0").await.header("docker-content-digest").to_owned();
    assert_eq!(listed["db"][0]["acrMetadata"]["manifestDigest"], digest);
    assert_eq!(admin.get("/helm/v1/repo/_charts/web").await.json(), listed["web"]);
    assert_eq!(admin.get("/helm/v1/repo/_charts/web/1.0.0").await.json(), listed["web"][1]);
    for absent in
        ["/_charts/other", "/_charts/web/9.9.9", "/_blobs/web-9.9.9.tgz", "/_blobs/web-1.0.0.tgz.prov", "/_blobs/x"]
    {
        let answer = admin.get(&format!("/helm/v1/repo{absent}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "CHART_UNKNOWN"), "{absent}");
    }

    let deleted = admin.delete("/helm/v1/repo/_blobs/web-1.1.0.tgz").await;
    assert_eq!((deleted.status, deleted.text().trim_end()), (202, r#"{"deleted":true}"#));
    assert_eq!(versions(&admin, "web").await, ["1.0.0"]);
    assert_eq!(admin.get("/v2/repo/web/manifests/1.1.0").await.status, 404);
    assert_eq!(admin.delete("/helm/v1/repo/_blobs/web-1.1.0.tgz").await.status, 404);
    assert_eq!(put(&admin, "web-2.0.0.tgz", chart("web", "2.0.0")).await.status, 201);
    admin.push("repo/web", "an-image", &image("no chart")).await;
    assert_eq!(admin.delete("/helm/v1/repo/_charts/web").await.status, 202);
    assert!(versions(&admin, "web").await.is_empty());
    assert_eq!(admin.get("/v2/repo/web/tags/list").await.json()["tags"], json!(["an-image"]), "what is no chart stays");
    assert_eq!(admin.delete("/helm/v1/repo/_charts/web").await.status, 404);
    assert_eq!(versions(&admin, "db").await, ["0.1.0"]);
}

#[tokio::test]
async fn a_version_is_put_once_and_replaced_on_demand() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let other = package(&[("web/Chart.yaml", b"name: web\nversion: 1.0.0\ndescription: Another\n")]);
    let absent = replace(&admin, "web-1.0.0.tgz", chart("web", "1.0.0")).await;
    assert_eq!((absent.status, absent.code().as_str()), (404, "CHART_UNKNOWN"), "az sends PUT then");
    assert_eq!(put(&admin, "web-1.0.0.tgz", chart("web", "1.0.0")).await.status, 201);
    for content in [chart("web", "1.0.0"), other.clone()] {
        let refused = put(&admin, "web-1.0.0.tgz", content).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "CHART_EXISTS"), "{refused}");
    }
    assert_eq!(replace(&admin, "web-1.0.0.tgz", &other[..]).await.status, 201);
    assert_eq!(index(&admin).await["entries"]["web"][0]["description"], "Another");
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.body, &other[..]);
}

#[tokio::test]
async fn of_many_who_put_a_version_at_once_one_succeeds() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let puts = (0..16).map(|number| {
        let admin = &admin;
        async move {
            let yaml = format!("name: web\nversion: 1.0.0\ndescription: Number {number}\n");
            let content = package(&[("web/Chart.yaml", yaml.as_bytes())]);
            (put(admin, "web-1.0.0.tgz", &content[..]).await.status, content)
        }
    });
    let answers = futures_util::future::join_all(puts).await;
    let winners: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(winners.len(), 1);
    assert!(answers.iter().all(|(status, _)| matches!(status, 201 | 409)));
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.body, &winners[0].1[..]);
}

#[tokio::test]
async fn a_provenance_goes_with_its_chart() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let package = chart("web", "1.0.0");
    let signed = |digest: &str| {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nname: web\n...\nfiles:\n  web-1.0.0.tgz: sha256:{digest}\n-----BEGIN PGP SIGNATURE-----\n"
        )
    };
    let provenance = signed(&sha256(&package));
    let early = put(&admin, "web-1.0.0.tgz.prov", provenance.as_bytes()).await;
    assert_eq!((early.status, early.code().as_str()), (404, "CHART_UNKNOWN"));
    assert_eq!(put(&admin, "web-1.0.0.tgz", &package[..]).await.status, 201);
    for wrong in [signed(&sha256(b"another")), sha256(&package), String::new()] {
        let refused = put(&admin, "web-1.0.0.tgz.prov", wrong).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "CHART_INVALID"), "{refused}");
    }
    assert_eq!(replace(&admin, "web-1.0.0.tgz.prov", provenance.as_bytes()).await.status, 404);
    assert_eq!(put(&admin, "web-1.0.0.tgz.prov", provenance.as_bytes()).await.status, 201);
    assert_eq!(put(&admin, "web-1.0.0.tgz.prov", provenance.as_bytes()).await.status, 409);
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz.prov").await.text(), provenance);
    let layers = admin.get("/v2/repo/web/manifests/1.0.0").await.json()["layers"].clone();
    assert_eq!(layers[1]["mediaType"], "application/vnd.cncf.helm.chart.provenance.v1.prov");
    assert_eq!(admin.delete("/helm/v1/repo/_blobs/web-1.0.0.tgz.prov").await.status, 202);
    assert_eq!(admin.delete("/helm/v1/repo/_blobs/web-1.0.0.tgz.prov").await.status, 404);
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.body, &package[..]);
    assert_eq!(put(&admin, "web-1.0.0.tgz.prov", provenance.as_bytes()).await.status, 201);
    assert_eq!(replace(&admin, "web-1.0.0.tgz", &package[..]).await.status, 201);
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz.prov").await.status, 404, "it was another package's");
}

#[tokio::test]
async fn what_is_no_chart_is_refused_and_leaves_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let yaml = |text: &'static str| package(&[("web/Chart.yaml", text.as_bytes())]);
    let whole = chart("web", "1.0.0");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("web-1.0.0.tgz", b"no archive".to_vec(), "it is no gzip archive"),
        ("web-1.0.0.tgz", Vec::new(), "it is no gzip archive"),
        ("web-1.0.0.tgz", whole[..whole.len() / 2].to_vec(), "damaged or cut off"),
        ("web-1.0.0.tgz", package(&[("web/values.yaml", b"")]), "no Chart.yaml"),
        ("web-1.0.0.tgz", yaml("name: [web]"), "Chart.yaml cannot be read"),
        ("web-1.0.0.tgz", yaml("name: web"), "no semantic version"),
        ("web-1.0.0.tgz", yaml("version: 1.0.0"), "names no chart"),
        ("web-1.0.1.tgz", whole.clone(), "it must be called web-1.0.0.tgz"),
        ("other-1.0.0.tgz", whole.clone(), "it must be called web-1.0.0.tgz"),
        ("Web-1.0.0.tgz", yaml("name: Web\nversion: 1.0.0"), "lower-case letters"),
        ("a%2Fb-1.0.0.tgz", whole.clone(), "there is nothing at this path"),
        ("web-1.0.0.zip", whole.clone(), "is no file of a chart"),
        ("index.yaml", whole.clone(), "is no file of a chart"),
    ];
    for (file, content, told) in cases {
        let refused = put(&admin, file, content).await;
        let message = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(matches!(refused.status, 400 | 404) && message.contains(told), "{file}: {refused}");
    }
    let announced = admin
        .request(Method::PUT, "/helm/v1/repo/_blobs/web-1.0.0.tgz")
        .header(header::CONTENT_LENGTH, (21 << 20).to_string());
    assert_eq!(announced.body(vec![0; 21 << 20]).await.status, 413);
    assert_eq!(admin.get("/v2/_catalog").await.json()["repositories"], json!([]));
    assert_eq!(index(&admin).await["entries"], json!({}));
}

#[tokio::test]
async fn locks_hold_for_charts_as_for_everything() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for version in ["1.0.0", "2.0.0"] {
        assert_eq!(put(&admin, &format!("web-{version}.tgz"), chart("web", version)).await.status, 201);
    }
    let lock = async |path: &str, change: &str| assert_eq!(patch(&admin, path, change).await.status, 200);
    let disallowed = |answer: &TestResponse| answer.code() == "REGISTRY_DISALLOWED_OPERATION" && answer.status == 405;
    let tag = "/acr/v1/repo/web/_tags/1.0.0";

    lock(tag, r#"{"writeEnabled":false}"#).await;
    assert!(disallowed(&replace(&admin, "web-1.0.0.tgz", chart("web", "1.0.0")).await));
    assert!(disallowed(&admin.delete("/helm/v1/repo/_blobs/web-1.0.0.tgz").await));
    assert!(disallowed(&admin.delete("/helm/v1/repo/_charts/web").await));
    assert_eq!(versions(&admin, "web").await, ["2.0.0", "1.0.0"], "a lock on one keeps all");
    lock(tag, r#"{"writeEnabled":true,"readEnabled":false}"#).await;
    assert!(disallowed(&admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await));
    lock(tag, r#"{"readEnabled":true,"listEnabled":false}"#).await;
    assert_eq!(versions(&admin, "web").await, ["2.0.0"]);
    assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.status, 200, "who knows its name gets it");
    lock("/acr/v1/repo/web", r#"{"writeEnabled":false}"#).await;
    assert!(disallowed(&put(&admin, "web-3.0.0.tgz", chart("web", "3.0.0")).await));
}

#[tokio::test]
async fn charts_need_rights_on_their_repository_of_charts() {
    let server = TestServer::start().await;
    let admin = server.admin();
    assert_eq!(put(&admin, "web-1.0.0.tgz", chart("web", "1.0.0")).await.status, 201);
    let challenged = server.anonymous().get("/helm/v1/repo/index.yaml").await;
    let expected = r#"Bearer realm="https://wharf.example.com/oauth2/token",service="wharf.example.com",scope="artifact-repository:repo:pull""#;
    assert_eq!((challenged.status, challenged.header("www-authenticate")), (401, expected));

    let reader = server.token_for(&["artifact-repository:repo:pull"]).await;
    let pusher = server.token_for(&["artifact-repository:repo:push,pull"]).await;
    let deleter = server.token_for(&["artifact-repository:repo:delete,pull"]).await;
    let elsewhere = server.token_for(&["artifact-repository:other:*"]).await;
    let images = server.token("repo/web", &[Action::All]).await;
    for (client, get, put_status, delete) in [
        (&elsewhere, 401, 401, 401),
        (&images, 401, 401, 401),
        (&reader, 200, 401, 401),
        (&pusher, 200, 409, 401),
        (&deleter, 200, 401, 202),
    ] {
        assert_eq!(client.get("/helm/v1/repo/index.yaml").await.status, get);
        assert_eq!(client.get("/helm/v1/repo/_charts").await.status, get);
        assert_eq!(client.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.status, get);
        assert_eq!(put(client, "web-1.0.0.tgz", chart("web", "1.0.0")).await.status, put_status);
        assert_eq!(client.delete("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.status, delete);
    }
    server.set_anonymous_pull(true).await;
    assert_eq!(server.anonymous().get("/helm/v1/repo/index.yaml").await.status, 401);
}

#[tokio::test]
async fn the_index_follows_every_change_and_is_the_same_otherwise() {
    let server = TestServer::start().await;
    let admin = server.admin();
    assert_eq!(put(&admin, "web-1.0.0.tgz", chart("web", "1.0.0")).await.status, 201);
    let etag = async || admin.head("/helm/v1/repo/index.yaml").await.header("etag").to_owned();
    let first = etag().await;
    admin.push("elsewhere", "v1", &image("an image")).await;
    server.advance(std::time::Duration::from_secs(60));
    assert_eq!(etag().await, first, "what is no chart changes nothing");
    assert_eq!(put(&admin, "web-1.1.0.tgz", chart("web", "1.1.0")).await.status, 201);
    let second = etag().await;
    assert_ne!(second, first);
    assert_eq!(admin.delete("/helm/v1/repo/_blobs/web-1.1.0.tgz").await.status, 202);
    assert_eq!(etag().await, first);
}

#[tokio::test]
async fn a_deleted_chart_comes_back_from_the_trash_with_all_it_was() {
    let server = TestServer::start().await;
    switch(&server, Some(7)).await;
    let admin = server.admin();
    let package = chart("web", "1.0.0");
    assert_eq!(put(&admin, "web-1.0.0.tgz", &package[..]).await.status, 201);
    let before = index(&admin).await;
    let digest = admin.head("/v2/repo/web/manifests/1.0.0").await.header("docker-content-digest").to_owned();
    let restore = async || {
        let path = format!("/acr/v1/_deleted/repo/web/_manifests/{digest}");
        let answer = admin.request(Method::POST, &path).body(r#"{"tag":"1.0.0"}"#).await;
        assert_eq!(answer.status, 200, "{answer}");
    };
    for delete in ["/helm/v1/repo/_blobs/web-1.0.0.tgz", "/helm/v1/repo/_charts/web", "/acr/v1/repo%2Fweb"] {
        assert_eq!(admin.delete(delete).await.status, 202, "{delete}");
        assert_eq!(index(&admin).await["entries"], json!({}), "{delete}");
        assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.status, 404, "{delete}");
        restore().await;
        let after = index(&admin).await;
        assert_eq!(after["entries"]["web"][0]["digest"], before["entries"]["web"][0]["digest"], "{delete}");
        assert_eq!(admin.get("/helm/v1/repo/_blobs/web-1.0.0.tgz").await.body, &package[..]);
    }
}
