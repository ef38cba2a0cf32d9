//! `wharf repository`, and what it shows of pulls and bytes after the server's end.

use serde_json::json;

use crate::harness::{Server, client, done, json, run};

#[tokio::test]
async fn what_was_pulled_and_what_it_takes_is_known_after_the_end() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_on(data.path(), |_| {});
    for (repository, tag, layer) in
        [("big", "v1", &[1; 30_000][..]), ("small", "v1", &[2; 2_000]), ("small", "v2", &[3; 1_000])]
    {
        server.push_image(repository, tag, layer).await;
    }
    for tag in ["v2", "v2", "v1"] {
        let pull = client().get(server.url(&format!("/v2/small/manifests/{tag}")));
        assert_eq!(pull.basic_auth("wharf", Some(server.password())).send().await.unwrap().status(), 200);
    }
    // The pulls are not a second old, and are written at the end.
    server.stop();

    let data = data.path();
    let names = |arguments: &str| -> Vec<String> {
        let listed = json(data, &arguments.split(' ').collect::<Vec<_>>());
        let member = if arguments.contains("manifests") { "tags" } else { "name" };
        listed.as_array().unwrap().iter().map(|item| item[member].to_string().replace(['"', '[', ']'], "")).collect()
    };
    assert_eq!(names("repository list"), ["big", "small"]);
    assert_eq!(names("repository list --sort size"), ["big", "small"]);
    assert_eq!(names("repository list --sort pulled --limit 1"), ["small"]);
    assert_eq!(names("repository list --sort pulled --all"), ["small", "big"]);
    assert_eq!(names("repository tags small"), ["v1", "v2"]);
    assert_eq!(names("repository tags small --sort oldest"), ["v1", "v2"]);
    assert_eq!(names("repository tags small --sort newest --limit 1"), ["v2"]);
    assert_eq!(names("repository tags small --sort pulled"), ["v1", "v2"], "v1 was pulled last");
    assert_eq!(names("repository manifests small --sort size"), ["v1", "v2"]);
    assert_eq!(names("repository manifests small --sort pulled --limit 1"), ["v1"]);

    let shown = json(data, &["repository", "show", "small"]);
    assert_eq!((&shown["pullCount"], &shown["tagCount"]), (&json!(3), &json!(2)));
    assert!(shown["lastPullTime"].as_str().unwrap().ends_with('Z'), "{shown}");
    let big = json(data, &["repository", "show", "big"]);
    assert_eq!((&big["pullCount"], &big["lastPullTime"]), (&json!(0), &json!(null)));
    let bytes = |shown: &serde_json::Value, which: &str| shown["storage"][which].as_i64().unwrap();
    assert!(bytes(&big, "logicalBytes") >= 30_000 && bytes(&shown, "logicalBytes") >= 3_000, "{big} {shown}");
    assert!(bytes(&big, "uniqueBytes") >= 30_000 && bytes(&shown, "uniqueBytes") >= 3_000, "{big} {shown}");

    let table = done(data, &["repository", "list", "--sort", "size"]);
    assert!(table.starts_with("NAME") && table.contains("never") && table.contains("KiB"), "{table}");
    assert!(done(data, &["repository", "tags", "small"]).contains("sha256:"));
    let root = data.to_str().unwrap();
    for (arguments, why) in [
        ("repository show absent", "absent"),
        ("repository tags absent", "absent"),
        ("repository show small --registry absent", "absent"),
        ("repository list --limit 0", "--limit"),
        ("repository show Not/A/Name", "Not/A/Name"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--data", root]).collect();
        let output = run(&arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.starts_with("error: ") && told.contains(why), "{arguments:?}: {told}");
    }
    done(data, &["verify"]);
}
