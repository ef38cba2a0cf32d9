//! `wharf identity` beside a running server.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Server, client_trusting, done, json, run, wharf};

/// A client, and where it finds the server's services.
fn services(server: &Server) -> (reqwest::Client, String) {
    let authority = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    (client_trusting(&authority), format!("https://localhost:{}", server.https.port()))
}

/// The answer to a request for a token for Graph, by an application's secret.
async fn token(server: &Server, application: &Value) -> Value {
    let (client, base) = services(server);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", application["appId"].as_str().unwrap()),
        ("client_secret", application["password"].as_str().unwrap()),
        ("scope", &format!("{base}/graph/.default")),
    ];
    let url = format!("{base}/{}/oauth2/v2.0/token", application["tenant"].as_str().unwrap());
    client.post(url).form(&form).send().await.unwrap().json().await.unwrap()
}

/// The status of a request to Graph.
async fn users(server: &Server, token: &Value) -> u16 {
    let (client, base) = services(server);
    let request = client.get(format!("{base}/graph/v1.0/users")).bearer_auth(token["access_token"].as_str().unwrap());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_application_signs_in_until_the_operator_ends_it() {
    let server = Server::start();
    let created = json(&server.data, &["identity", "app", "create", "ci", "--days", "30"]);
    let issued = token(&server, &created).await;
    assert_eq!(users(&server, &issued).await, 200);
    let shown = json(&server.data, &["identity", "app", "show", "ci"]);
    let secret = &shown["credentials"][0];
    assert_eq!(secret["hint"].as_str(), created["password"].as_str().unwrap().get(..3));
    assert!(!shown.to_string().contains(created["password"].as_str().unwrap()), "shown once");

    done(&server.data, &["identity", "app", "update", "ci", "--enabled", "off"]);
    assert_eq!(users(&server, &issued).await, 401, "off at once");
    done(&server.data, &["identity", "app", "update", "ci", "--enabled", "on"]);
    let again = token(&server, &created).await;
    assert_eq!(users(&server, &again).await, 200);
    done(&server.data, &["identity", "app", "secret", "delete", "ci", secret["keyId"].as_str().unwrap()]);
    assert_eq!(users(&server, &again).await, 401, "with its secret");
    assert_eq!(token(&server, &created).await["error"], "invalid_client");

    let second = json(&server.data, &["identity", "app", "secret", "create", "ci", "--name", "deploy"]);
    let issued = token(&server, &second).await;
    assert_eq!(users(&server, &issued).await, 200);
    let data = server.data.to_str().unwrap();
    let unsure = run(&["identity", "app", "delete", "ci", "--data", data]);
    assert_eq!(unsure.status.code(), Some(1));
    assert!(String::from_utf8(unsure.stderr).unwrap().contains("wharf identity app delete ci --yes"));
    done(&server.data, &["identity", "app", "delete", "ci", "--yes"]);
    assert_eq!(users(&server, &issued).await, 401);
}

#[tokio::test]
async fn users_and_groups_are_kept_at_the_command_line() {
    let server = Server::start();
    let anna = json(&server.data, &["identity", "user", "create", "anna@example.com", "--display-name", "Anna"]);
    assert_eq!(anna["password"].as_str().unwrap().len(), 52);
    let mut child = wharf()
        .args(["identity", "user", "create", "bert@example.com", "--password-stdin", "--output", "json", "--data"])
        .arg(&server.data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a password of his own\n").unwrap();
    let bert: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&bert["userPrincipalName"], bert.get("password")), (&"bert@example.com".into(), None));

    json(&server.data, &["identity", "group", "create", "devs"]);
    json(&server.data, &["identity", "group", "create", "all"]);
    json(&server.data, &["identity", "group", "add", "devs", "anna@example.com"]);
    json(&server.data, &["identity", "app", "create", "ci", "--no-secret"]);
    json(&server.data, &["identity", "group", "add", "devs", "ci"]);
    let shown = json(&server.data, &["identity", "group", "add", "all", "devs"]);
    assert_eq!(shown["members"][0]["kind"], "Group");
    let shown = json(&server.data, &["identity", "group", "show", "DEVS"]);
    let mut names: Vec<&str> =
        shown["members"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["anna@example.com", "ci"]);
    let shown = json(&server.data, &["identity", "group", "remove", "devs", "anna@example.com"]);
    assert_eq!(shown["members"].as_array().unwrap().len(), 1);

    let shown = json(&server.data, &["identity", "user", "update", "bert@example.com", "--enabled", "off"]);
    assert_eq!(shown["accountEnabled"], false);
    done(&server.data, &["identity", "user", "delete", "bert@example.com", "--yes"]);
    let listed = json(&server.data, &["identity", "user", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(json(&server.data, &["identity", "managed", "list"]), serde_json::json!([]));

    let data = server.data.to_str().unwrap();
    for arguments in [
        "identity user create anna@example.com",
        "identity user create anna",
        "identity user show nobody@example.com",
        "identity group add devs nobody@example.com",
        "identity group add devs devs",
        "identity app show nothing",
        "identity app secret delete ci 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f",
        "identity app certificate add ci /dev/null",
        "identity managed show ci",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--data", data]).collect();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "), "{arguments:?}");
    }
}
