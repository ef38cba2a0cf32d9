//! Copies, taken while the server runs, and brought back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{Server, client, done, json, number, run};

async fn filled() -> (Server, Vec<u8>, String) {
    let server = Server::start();
    let layer: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let digest = server.push_image("team/app", "v1", &layer).await;
    // An upload that nobody completes is no part of a copy.
    let start = client()
        .post(server.url("/v2/team/app/blobs/uploads/"))
        .basic_auth("wharf", Some(server.password()))
        .send()
        .await
        .unwrap();
    let patch = client().patch(server.location(&start)).basic_auth("wharf", Some(server.password()));
    assert_eq!(patch.body(vec![1; 100_000]).send().await.unwrap().status(), 202);
    (server, layer, digest)
}

async fn serves_the_same(data: &Path, original: &Server, layer: &[u8], digest: &str) {
    let report = json(data, &["verify"]);
    assert_eq!(report["problems"], serde_json::json!([]));
    let restored = Server::start_on(data, |_| {});
    assert_eq!(restored.password(), original.password());
    let manifest = restored.get("/v2/team/app/manifests/v1").await;
    assert_eq!(manifest.headers()["docker-content-digest"], digest);
    let blob = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, layer);
    let blob = restored.get(&format!("/v2/team/app/blobs/{blob}")).await;
    assert_eq!(blob.bytes().await.unwrap(), layer);
    let (lines, stdout) = restored.stop();
    assert_eq!(stdout, "", "no second greeting");
    assert!(!lines.iter().any(|line| line.contains("\"ERROR\"")), "{lines:#?}");
}

#[tokio::test]
async fn a_copy_taken_while_serving_is_whole() {
    let (server, layer, digest) = filled().await;
    let directory = tempfile::tempdir().unwrap();
    for name in ["copy", "copy.tar"] {
        let copy = directory.path().join(name);
        let saved = json(&server.data, &["backup", copy.to_str().unwrap()]);
        assert_eq!(saved["blob_bytes"], layer.len());
        let data = directory.path().join(format!("{name}-restored"));
        done(&data, &["restore", copy.to_str().unwrap()]);
        serves_the_same(&data, &server, &layer, &digest).await;
        let refused = run(&["backup", copy.to_str().unwrap(), "--data", server.data.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1), "a copy is not written over");
        let refused = run(&["restore", copy.to_str().unwrap(), "--data", data.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1), "data is not written over");
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing else is left: {left:?}");
}

#[tokio::test]
async fn a_copy_holds_objects_meanwhile_and_nothing_that_runs() {
    let (server, ..) = filled().await;
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy");
    done(&server.data, &["backup", copy.to_str().unwrap()]);
    let released = "SELECT COUNT(*) FROM settings WHERE key = 'object-holds' AND length(value) = 0";
    assert_eq!(number(&server.data.join("metadata.db"), released).await, 1, "a hold was taken and given back");
    let database = copy.join("metadata.db");
    assert_eq!(number(&database, released).await, 1);
    assert_eq!(
        number(&database, "SELECT (SELECT COUNT(*) FROM uploads) + (SELECT COUNT(*) FROM doomed_objects)").await,
        0
    );
    let restored = directory.path().join("restored");
    done(&restored, &["restore", copy.to_str().unwrap()]);
    for file in [database, restored.join("metadata.db")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_copy_that_is_not_whole_is_refused_and_leaves_nothing() {
    let (server, ..) = filled().await;
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.tar");
    done(&server.data, &["backup", copy.to_str().unwrap()]);
    let bytes = std::fs::read(&copy).unwrap();
    let data = directory.path().join("data");
    for (length, why) in [(bytes.len() / 2, "cut off"), (1000, "nearly empty"), (0, "empty")] {
        std::fs::write(&copy, &bytes[..length]).unwrap();
        let refused = run(&["restore", copy.to_str().unwrap(), "--data", data.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1), "{why}");
        assert!(String::from_utf8(refused.stderr).unwrap().contains("copy.tar"), "{why}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{why}");
    }
}

#[tokio::test]
async fn a_damaged_blob_is_not_copied_as_if_it_were_good() {
    let (server, layer, _) = filled().await;
    let mut pending = vec![server.data.join("blobs")];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.metadata().unwrap().len() == layer.len() as u64 {
                std::fs::write(&path, vec![0; layer.len()]).unwrap();
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy");
    let refused = run(&["backup", copy.to_str().unwrap(), "--data", server.data.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("damaged"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
