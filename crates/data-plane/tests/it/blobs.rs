//! Blobs: read whole and in parts, deleted.

use http::{Method, header};
use insta::assert_snapshot;
use wharf_model::{Action, Algorithm, Digest};
use wharf_registry::Settings;
use wharf_testkit::{Options, TestServer, image};

/// Once with blobs in the database, once with blobs in files.
async fn servers() -> [TestServer; 2] {
    let in_files = Settings { inline_limit_bytes: 0, ..Settings::default() };
    [TestServer::start().await, TestServer::start_with(Options { settings: in_files, ..Options::default() }).await]
}

#[tokio::test]
async fn blobs_are_read_whole_and_looked_up() {
    for server in servers().await {
        let digest = server.admin().push_blob("web", "content").await;
        let puller = server.token("web", &[Action::Pull]).await;
        let path = format!("/v2/web/blobs/{digest}");
        let whole = puller.get(&path).await;
        assert_eq!(whole.body, "content");
        assert_snapshot!("blob_get", whole);
        let head = puller.head(&path).await;
        assert_eq!(head.body, "");
        assert_eq!(head.headers.len(), whole.headers.len());
        assert_eq!(head.header("content-length"), "7");
        assert_eq!(server.admin().head(&path).await.header("content-length"), "7", "also for those who may push");
        let known = puller.request(Method::GET, &path).header(header::IF_NONE_MATCH, format!("\"{digest}\""));
        assert_eq!(known.send().await.status, 304);
    }
}

#[tokio::test]
async fn blobs_are_read_in_parts() {
    for server in servers().await {
        let digest = server.admin().push_blob("web", "0123456789").await;
        let ask = |range: &'static str| {
            server.admin().request(Method::GET, &format!("/v2/web/blobs/{digest}")).header(header::RANGE, range)
        };
        for (range, status, body, content_range) in [
            ("bytes=2-4", 206, "234", "bytes 2-4/10"),
            ("bytes=7-", 206, "789", "bytes 7-9/10"),
            ("bytes=-3", 206, "789", "bytes 7-9/10"),
            ("bytes=8-100", 206, "89", "bytes 8-9/10"),
            ("bytes=0-1,4-5", 200, "0123456789", ""),
            ("lines=1-2", 200, "0123456789", ""),
        ] {
            let answer = ask(range).send().await;
            assert_eq!((answer.status, answer.text()), (status, body), "{range}");
            assert_eq!(answer.header("content-range"), content_range, "{range}");
            assert_eq!(answer.header("content-length"), body.len().to_string(), "{range}");
        }
        for range in ["bytes=10-", "bytes=5-0", "bytes=-0"] {
            let answer = ask(range).send().await;
            assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"), "{range}");
        }
        let matching = ask("bytes=0-0").header(header::IF_RANGE, format!("\"{digest}\"")).send().await;
        assert_eq!(matching.status, 206);
        assert_eq!(ask("bytes=0-0").header(header::IF_RANGE, "\"other\"").send().await.status, 200);
    }
}

#[tokio::test]
async fn nothing_is_a_blob_too() {
    for server in servers().await {
        let digest = server.admin().push_blob("web", "").await;
        let answer = server.admin().get(&format!("/v2/web/blobs/{digest}")).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, "0"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let digest = Digest::of(Algorithm::Sha256, b"absent");
    assert_snapshot!(server.admin().get(&format!("/v2/web/blobs/{digest}")).await.text(), @r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#);
    assert_eq!(server.admin().head(&format!("/v2/web/blobs/{digest}")).await.status, 404);
    assert_eq!(server.admin().delete(&format!("/v2/web/blobs/{digest}")).await.status, 404);
    assert_eq!(server.admin().get("/v2/web/blobs/sha256:x").await.code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn a_blob_of_one_repository_is_not_one_of_another() {
    let server = TestServer::start().await;
    let digest = server.admin().push_blob("one", "content").await;
    assert_eq!(server.admin().get(&format!("/v2/two/blobs/{digest}")).await.status, 404);
    // Not either after it was deleted in one and read in the other.
    let other = server.admin().push_blob("two", "content").await;
    assert_eq!(server.admin().delete(&format!("/v2/one/blobs/{digest}")).await.status, 202);
    assert_eq!(server.admin().get(&format!("/v2/two/blobs/{other}")).await.status, 200);
    assert_eq!(server.admin().get(&format!("/v2/one/blobs/{digest}")).await.status, 404);
}

#[tokio::test]
async fn a_blob_in_use_is_not_deleted() {
    let server = TestServer::start().await;
    let image = image("web");
    server.admin().push("web", "v1", &image).await;
    let digest = Digest::of(Algorithm::Sha256, &image.blobs[0]);
    let path = format!("/v2/web/blobs/{digest}");
    let answer = server.admin().delete(&path).await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"));
    assert_eq!(answer.header("allow"), "GET, HEAD");
    server.admin().delete(&format!("/v2/web/manifests/{}", image.digest())).await;
    let answer = server.admin().delete(&path).await;
    assert_eq!((answer.status, answer.header("docker-content-digest")), (202, digest.as_str()));
    assert_eq!(server.admin().head(&path).await.status, 404);
}
