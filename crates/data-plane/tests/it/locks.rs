//! Locks: what each flag forbids, at each level, and what it does not.

use http::{Method, header};
use insta::assert_snapshot;
use wharf_model::{Action, Algorithm, Digest};
use wharf_testkit::{Image, TestResponse, TestServer, image};

use crate::attributes::patch;

const FLAGS: [&str; 4] = ["deleteEnabled", "writeEnabled", "readEnabled", "listEnabled"];

/// The three things that have locks, in `app` with one image under `v1`.
fn levels() -> [String; 3] {
    let digest = image("web").digest();
    ["/acr/v1/app".to_owned(), "/acr/v1/app/_tags/v1".to_owned(), format!("/acr/v1/app/_manifests/{digest}")]
}

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.admin().push("app", "v1", &image("web")).await;
    server
}

async fn set(server: &TestServer, path: &str, flag: &str, value: bool) {
    let answer = patch(&server.admin(), path, &format!(r#"{{"{flag}":{value}}}"#)).await;
    assert_eq!(answer.status, 200, "{path} {flag}: {answer}");
    let json = answer.json();
    let shown = ["tag", "manifest"].iter().find_map(|member| json.get(member)).unwrap_or(&json);
    assert_eq!(shown["changeableAttributes"][flag], value, "{answer}");
}

/// What may be done to `app:v1`, as letters: pull by tag and digest, pull of a blob, overwrite, push of another tag, untag,
/// delete by digest, delete of the repository, shown in lists. All is put back in order afterwards.
async fn what_may_be_done(flag: &str, level: usize) -> String {
    let server = server().await;
    let (one, two) = (image("web"), image("other"));
    let admin = server.admin();
    // What is pulled is remembered, so that forgetting is tried too.
    let by_digest = format!("/v2/app/manifests/{}", one.digest());
    let blob = format!("/v2/app/blobs/{}", Digest::of(Algorithm::Sha256, &one.blobs[1]));
    for path in ["/v2/app/manifests/v1", &by_digest, &blob] {
        assert_eq!(admin.get(path).await.status, 200);
    }
    for content in &two.blobs {
        admin.push_blob("app", content.clone()).await;
    }
    set(&server, &levels()[level], flag, false).await;

    let lists = |answers: [&TestResponse; 3]| {
        let [catalog, tags, manifests] = answers;
        catalog.text().contains("app") && tags.text().contains("v1") && manifests.text().contains(one.digest().as_str())
    };
    let (catalog, tags) = (admin.get("/acr/v1/_catalog").await, admin.get("/v2/app/tags/list").await);
    let manifests = admin.get("/acr/v1/app/_manifests").await;
    let is_listed = lists([&catalog, &tags, &manifests]);
    // From what changes nothing to what ends everything. Who is refused finds everything as it was.
    let mut done = String::new();
    for (word, answer) in [
        ("pull-tag", admin.get("/v2/app/manifests/v1").await),
        ("pull-digest", admin.head(&by_digest).await),
        ("pull-blob", admin.get(&blob).await),
        ("tag", admin.push_manifest("app", "v2", &one).await),
        ("push", admin.push_manifest("app", "v3", &two).await),
        ("overwrite", admin.push_manifest("app", "v1", &two).await),
    ] {
        record(&mut done, word, &answer);
    }
    // The tag names the first image again, as far as it may be moved.
    admin.push_manifest("app", "v1", &one).await;
    for (word, path) in
        [("untag", "/acr/v1/app/_tags/v1"), ("delete", by_digest.as_str()), ("delete-repository", "/acr/v1/app")]
    {
        record(&mut done, word, &admin.delete(path).await);
        if word == "untag" {
            admin.push_manifest("app", "v1", &one).await;
        }
        if word == "delete" {
            admin.push_manifest("app", "v1", &one).await;
        }
    }
    if is_listed {
        done.push_str(" list");
    }
    let report = server.artifacts().verify(|_, _| {}).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    done.trim().to_owned()
}

fn record(done: &mut String, word: &str, answer: &TestResponse) {
    match answer.status {
        200..=299 => {
            done.push(' ');
            done.push_str(word);
        }
        status => {
            assert_eq!(status, 405, "{word}: {answer}");
            assert!(answer.body.is_empty() || answer.code() == "REGISTRY_DISALLOWED_OPERATION", "{word}: {answer}");
        }
    }
}

#[tokio::test]
async fn each_flag_forbids_what_is_documented_and_nothing_else() {
    let mut table = String::new();
    for (level, name) in ["repository", "tag", "manifest"].into_iter().enumerate() {
        for flag in FLAGS {
            table.push_str(&format!("{name} without {flag}: {}\n", what_may_be_done(flag, level).await));
        }
    }
    assert_snapshot!(table, @r"
    repository without deleteEnabled: pull-tag pull-digest pull-blob tag push overwrite untag delete list
    repository without writeEnabled: pull-tag pull-digest pull-blob list
    repository without readEnabled: tag push overwrite untag delete delete-repository list
    repository without listEnabled: pull-tag pull-digest pull-blob tag push overwrite untag delete delete-repository
    tag without deleteEnabled: pull-tag pull-digest pull-blob tag push overwrite list
    tag without writeEnabled: pull-tag pull-digest pull-blob tag push list
    tag without readEnabled: pull-digest pull-blob tag push overwrite untag delete delete-repository list
    tag without listEnabled: pull-tag pull-digest pull-blob tag push overwrite untag delete delete-repository
    manifest without deleteEnabled: pull-tag pull-digest pull-blob tag push overwrite untag list
    manifest without writeEnabled: pull-tag pull-digest pull-blob tag push overwrite untag list
    manifest without readEnabled: pull-blob tag push overwrite untag delete delete-repository list
    manifest without listEnabled: pull-tag pull-digest pull-blob tag push overwrite untag delete delete-repository
    ");
}

#[tokio::test]
async fn a_refusal_is_worded_as_azures() {
    let server = server().await;
    set(&server, "/acr/v1/app/_tags/v1", "writeEnabled", false).await;
    let refused = server.admin().push_manifest("app", "v1", &image("web")).await;
    assert_eq!(refused.status, 405);
    assert_snapshot!(refused.text(), @r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation","detail":{}}]}"#);
}

#[tokio::test]
async fn a_locked_repository_takes_no_bytes_and_no_changes_of_what_is_in_it() {
    let server = server().await;
    let admin = server.admin();
    let kept = admin.push_blob("app", "kept").await;
    admin.push_blob("other", "elsewhere").await;
    set(&server, "/acr/v1/app", "writeEnabled", false).await;
    let start = admin.post("/v2/app/blobs/uploads/").await;
    let digest = Digest::of(Algorithm::Sha256, b"new");
    let path = format!("{}&digest={digest}", start.header("location"));
    assert_eq!(admin.request(Method::PUT, &path).body("new").await.status, 405);
    let start = admin.post("/v2/app/blobs/uploads/").await;
    assert_eq!(admin.request(Method::PATCH, start.header("location")).body("new").await.status, 405);
    let elsewhere = Digest::of(Algorithm::Sha256, b"elsewhere");
    assert_eq!(admin.post(&format!("/v2/app/blobs/uploads/?mount={elsewhere}&from=other")).await.status, 405);
    assert_eq!(admin.delete(&format!("/v2/app/blobs/{kept}")).await.status, 405);
    for path in &levels()[1..] {
        let refused = patch(&admin, path, r#"{"readEnabled":false}"#).await;
        assert_eq!((refused.status, refused.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"), "{path}");
    }
    assert_eq!(admin.get("/v2/app/manifests/v1").await.status, 200);
    set(&server, "/acr/v1/app", "writeEnabled", true).await;
    assert_eq!(admin.delete(&format!("/v2/app/blobs/{kept}")).await.status, 202);
}

#[tokio::test]
async fn what_may_not_be_pulled_is_not_mounted_either_and_may_still_be_pushed() {
    let server = server().await;
    let admin = server.admin();
    let layer = Digest::of(Algorithm::Sha256, &image("web").blobs[1]);
    set(&server, "/acr/v1/app", "readEnabled", false).await;
    for path in
        [format!("/v2/other/blobs/uploads/?mount={layer}&from=app"), format!("/v2/other/blobs/uploads/?mount={layer}")]
    {
        assert_eq!(admin.post(&path).await.status, 202, "the client has to upload");
    }
    let reader = server.token("app", &[Action::Pull]).await;
    assert_eq!(reader.head(&format!("/v2/app/blobs/{layer}")).await.status, 405);
    assert_eq!(admin.head(&format!("/v2/app/blobs/{layer}")).await.status, 200, "who pushes asks what is there");
    admin.push("app", "v2", &image("more")).await;
    set(&server, "/acr/v1/app", "readEnabled", true).await;
    assert_eq!(reader.get(&format!("/v2/app/blobs/{layer}")).await.status, 200);
}

#[tokio::test]
async fn a_deletion_that_would_take_something_locked_along_takes_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let subject = image("subject");
    admin.push("app", "v1", &subject).await;
    let signature = image("signature").about(&subject, "a/signature");
    admin.push("app", "sig", &signature).await;
    let whole = format!("/v2/app/manifests/{}", subject.digest());
    for path in ["/acr/v1/app/_tags/sig".to_owned(), format!("/acr/v1/app/_manifests/{}", signature.digest())] {
        for flag in ["deleteEnabled", "writeEnabled"] {
            set(&server, &path, flag, false).await;
            assert_eq!(admin.delete(&whole).await.status, 405, "{path} {flag}");
            assert_eq!(admin.delete("/acr/v1/app").await.status, 405, "{path} {flag}");
            assert_eq!(admin.get("/v2/app/tags/list").await.json()["tags"].as_array().unwrap().len(), 2);
            set(&server, &path, flag, true).await;
        }
    }
    assert_eq!(admin.delete(&whole).await.status, 202);
    assert_eq!(admin.get(&format!("/v2/app/manifests/{}", signature.digest())).await.status, 404);
}

#[tokio::test]
async fn hidden_referrers_and_tags_of_manifests_are_left_out() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let subject = image("subject");
    admin.push("app", "v1", &subject).await;
    let signature = image("signature").about(&subject, "a/signature");
    admin.push("app", signature.digest().as_str(), &signature).await;
    set(&server, &format!("/acr/v1/app/_manifests/{}", signature.digest()), "listEnabled", false).await;
    set(&server, "/acr/v1/app/_tags/v1", "listEnabled", false).await;
    let referrers = admin.get(&format!("/v2/app/referrers/{}", subject.digest())).await.json();
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 0);
    let shown = admin.get(&format!("/acr/v1/app/_manifests/{}", subject.digest())).await.json();
    assert_eq!(shown["manifest"].get("tags"), None);
    assert_eq!(admin.get("/acr/v1/app/_tags/v1").await.status, 200, "whoever knows its name may see it");
}

#[tokio::test]
async fn a_locked_manifest_keeps_its_time_and_may_get_tags() {
    let server = server().await;
    let path = &levels()[2];
    set(&server, path, "writeEnabled", false).await;
    let before = server.admin().get(path).await.json()["manifest"]["lastUpdateTime"].clone();
    server.advance(std::time::Duration::from_secs(5));
    assert_eq!(server.admin().push_manifest("app", "v2", &image("web")).await.status, 201);
    assert_eq!(server.admin().get(path).await.json()["manifest"]["lastUpdateTime"], before);
    assert_eq!(server.admin().delete("/acr/v1/app/_tags/v2").await.status, 202);
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused_and_empty_ones_change_nothing() {
    let server = server().await;
    for path in &levels() {
        let before = server.admin().get(path).await;
        for body in ["", " ", "{}", r#"{"writeEnabled":true}"#, r#"{"writeEnabled":null,"other":[1]}"#] {
            let answer = patch(&server.admin(), path, body).await;
            assert_eq!((answer.status, answer.text()), (200, before.text()), "{path} {body}");
        }
        let last = server.artifacts().last_change().await.unwrap();
        for body in ["x", "[]", "null", "1", r#"{"writeEnabled":"false"}"#, r#"{"writeEnabled":0}"#] {
            let answer = patch(&server.admin(), path, body).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{path} {body}: {answer}");
        }
        let long = format!(r#"{{"writeEnabled":false,"x":"{}"}}"#, "x".repeat(100_000));
        assert_eq!(patch(&server.admin(), path, &long).await.status, 400);
        if !path.contains("_manifests") {
            let answer = patch(&server.admin(), path, r#"{"quarantineState":"Passed"}"#).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{path}: {answer}");
        }
        assert_eq!(server.artifacts().last_change().await.unwrap(), last, "nothing was logged");
        assert_eq!(server.admin().get(path).await.text(), before.text());
    }
}

/// 32 clients push, untag, delete and pull while locks come and go: what was locked when they began is never changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn locks_hold_against_32_clients_at_once() {
    let server = server().await;
    let (one, two) = (image("web"), image("other"));
    for content in &two.blobs {
        server.admin().push_blob("app", content.clone()).await;
    }
    let images: [&Image; 2] = [&one, &two];
    for round in 0..4 {
        server.admin().push_manifest("app", "v1", &one).await;
        let digest = one.digest();
        let manifest = format!("/v2/app/manifests/{digest}");
        let attack = async |client: usize| {
            let admin = server.admin();
            for step in 0..8 {
                let answer = match (client + step) % 4 {
                    0 => admin.push_manifest("app", "v1", images[step % 2]).await,
                    1 => admin.delete("/acr/v1/app/_tags/v1").await,
                    2 => admin.delete(&manifest).await,
                    _ => {
                        let request = admin.request(Method::PUT, &format!("/v2/app/manifests/{digest}?tag=v1"));
                        request.header(header::CONTENT_TYPE, &one.media_type).body(one.manifest.clone()).await
                    }
                };
                assert!(matches!(answer.status, 201 | 202 | 404 | 405), "{answer}");
            }
        };
        // They are under way before the lock comes, and go on while it is there.
        let locker = async {
            let admin = server.admin();
            let path = if round % 2 == 0 { "/acr/v1/app/_tags/v1" } else { "/acr/v1/app" };
            let mut held = 0;
            for _ in 0..10 {
                let locked = patch(&admin, path, r#"{"writeEnabled":false}"#).await;
                if locked.status == 404 {
                    admin.push_manifest("app", "v1", &one).await;
                    continue;
                }
                assert_eq!(locked.status, 200, "{locked}");
                let before = admin.get("/acr/v1/app/_tags/v1").await;
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                    let after = admin.get("/acr/v1/app/_tags/v1").await;
                    assert_eq!(after.text(), before.text(), "while {path} was locked");
                }
                held += 1;
                assert_eq!(patch(&admin, path, r#"{"writeEnabled":true}"#).await.status, 200);
            }
            held
        };
        let attacks = futures_util::future::join_all((0..32).map(attack));
        let (held, _) = tokio::join!(locker, attacks);
        assert!(held > 0);
    }
    let report = server.artifacts().verify(|_, _| {}).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
