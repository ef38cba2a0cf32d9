//! `wharf job` beside a running server.

use serde_json::json;

use crate::harness::{Server, done, execute, json, run};

/// An id as jobs have it.
const ID: &str = "0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52";

#[tokio::test]
async fn jobs_are_listed_shown_and_called_off() {
    let server = Server::start();
    let data = server.data.to_str().unwrap();
    assert_eq!(json(&server.data, &["job", "list"]), json!([]));
    // Of a kind that nobody here works off.
    execute(
        &server.data.join("metadata.db"),
        "INSERT INTO jobs (id, kind, registry_id, lane, state, payload, due_at, created_at)
         SELECT '0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52', 'other', id, id, 'Pending', '{\"what\":\"this\"}', 1, 1790000000000000
         FROM registries WHERE name = 'wharf'",
    )
    .await;
    let listed = done(&server.data, &["job", "list", "--state", "pending", "--registry", "wharf", "--kind", "other"]);
    assert!(listed.contains(ID) && listed.contains("2026-09-21T14:13:20Z"), "{listed}");
    assert_eq!(json(&server.data, &["job", "list", "--state", "failed"]), json!([]));
    let shown = json(&server.data, &["job", "show", ID]);
    assert_eq!((&shown["registry"], &shown["payload"]), (&json!("wharf"), &json!({"what": "this"})));
    assert_eq!((&shown["state"], &shown["isCanceling"]), (&json!("Pending"), &json!(false)));

    let told = done(&server.data, &["job", "cancel", ID]);
    assert!(told.contains("is being called off"), "{told}");
    assert_eq!(json(&server.data, &["job", "show", ID])["isCanceling"], true);
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (arguments, reason) in [
        (["job", "show", unknown], "there is no job"),
        (["job", "cancel", unknown], "there is no job"),
        (["job", "show", "no-id"], "invalid value"),
    ] {
        let output = run(&[&arguments[..], &["--data", data]].concat());
        assert!(!output.status.success(), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(reason), "{told}");
    }
}
