//! Commands beside a running server.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Server, client, done, json, number, run, wharf};

#[tokio::test]
async fn registries_come_and_go_while_the_server_runs() {
    let server = Server::start();
    let host = "contoso.wharf.localhost";
    assert_eq!(server.get_from(host, "/v2/").await.status(), 404);
    let created = done(&server.data, &["registry", "create", "Contoso", "--sku", "standard"]);
    let login_server = format!("{host}:{}", server.https.port());
    assert!(
        created.contains(&login_server) && created.contains("wharf registry credentials show contoso"),
        "{created}"
    );
    assert_eq!(server.get_from(host, "/v2/").await.status(), 401, "reachable at once");

    let shown = json(&server.data, &["registry", "show", "contoso"]);
    assert_eq!(shown["loginServer"], login_server);
    assert_eq!(shown["sku"], "Standard");
    assert_eq!(shown["adminUserEnabled"], true);
    let listed = json(&server.data, &["registry", "list"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|registry| registry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["contoso", "wharf"]);
    let hosts = done(&server.data, &["connect", "hosts"]);
    assert!(hosts.contains(" contoso.wharf.localhost wharf.wharf.localhost\n"), "{hosts}");

    let password = done(&server.data, &["registry", "credentials", "show", "contoso", "--password"]);
    let sign_in = async || {
        let request = client().get(server.url("/v2/")).header("host", host);
        request.basic_auth("contoso", Some(password.trim())).send().await.unwrap().status().as_u16()
    };
    assert_eq!(sign_in().await, 200);
    done(&server.data, &["registry", "update", "contoso", "--admin", "off"]);
    assert_eq!(sign_in().await, 401, "the admin user is off at once");
    done(&server.data, &["registry", "update", "contoso", "--admin", "on"]);
    assert_eq!(sign_in().await, 200);

    let data = server.data.to_str().unwrap();
    let unsure = run(&["registry", "delete", "contoso", "--data", data]);
    assert_eq!(unsure.status.code(), Some(1));
    assert!(String::from_utf8(unsure.stderr).unwrap().contains("--yes"));
    done(&server.data, &["registry", "delete", "contoso", "--yes"]);
    assert_eq!(server.get_from(host, "/v2/").await.status(), 404, "gone at once");
    for arguments in
        [["registry", "show", "contoso"], ["registry", "create", "wharf"], ["registry", "create", "portal"]]
    {
        let output = run(&[&arguments[..], &["--data", data]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "), "{arguments:?}");
    }
}

#[tokio::test]
async fn registries_are_set_up_at_the_command_line() {
    let server = Server::start();
    let create = "registry create contoso -g team --sku standard --admin off --anonymous-pull on --tag stage=test";
    let shown = json(&server.data, &create.split(' ').collect::<Vec<_>>());
    assert_eq!(shown["resourceGroup"], "team");
    assert_eq!((&shown["sku"], &shown["anonymousPullEnabled"]), (&"Standard".into(), &true.into()));
    assert_eq!(shown["tags"], serde_json::json!({"stage": "test"}));
    let update = "registry update contoso --sku premium --default-action deny --ip-rule 203.0.113.0/24 --tag none";
    let shown = json(&server.data, &update.split(' ').collect::<Vec<_>>());
    assert_eq!(shown["networkRuleSet"]["ipRules"][0]["value"], "203.0.113.0/24");
    assert_eq!(shown["tags"], serde_json::json!({}));
    assert_eq!(server.get_from("contoso.wharf.localhost", "/v2/").await.status(), 403, "we are not in that network");

    let data = server.data.to_str().unwrap();
    for (arguments, why) in [
        ("registry update contoso --sku basic", "properties.networkRuleSet"),
        ("registry update contoso --ip-rule 2001:db8::1", "IPv4"),
        ("registry update contoso --tag blue", "NAME=VALUE"),
        ("registry credentials show contoso", "--admin on"),
        ("registry create contoso", "already"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--data", data]).collect();
        let output = run(&arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_replaced_password_is_void_at_once_and_so_are_its_tokens() {
    let server = Server::start();
    server.push_image("team/app", "v1", b"layer").await;
    let old = server.password();
    let url = server.url("/oauth2/token?service=localhost&scope=repository:team/app:pull");
    let token: serde_json::Value =
        client().get(url).basic_auth("wharf", Some(&old)).send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let pull = async || {
        let request = client().get(server.url("/v2/team/app/manifests/v1")).bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(pull().await, 200);

    let shown = json(&server.data, &["registry", "credentials", "regenerate", "wharf"]);
    assert_ne!(shown["passwords"][0], old.as_str());
    assert_eq!(server.password(), shown["passwords"][0].as_str().unwrap(), "credentials.json follows");
    assert_eq!(pull().await, 401);
    let with_old = client().get(server.url("/v2/")).basic_auth("wharf", Some(&old)).send().await.unwrap();
    assert_eq!(with_old.status(), 401);
    assert_eq!(server.get("/v2/").await.status(), 200);
}

#[tokio::test]
async fn anonymous_pull_can_be_switched() {
    let server = Server::start();
    server.push_image("team/app", "v1", b"layer").await;
    let pull = async || {
        let url = server.url("/oauth2/token?service=localhost&scope=repository:team/app:pull");
        let token: serde_json::Value = client().get(url).send().await.unwrap().json().await.unwrap();
        let request = client().get(server.url("/v2/team/app/manifests/v1"));
        let request = match token["access_token"].as_str() {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(pull().await, 401);
    done(&server.data, &["registry", "update", "wharf", "--anonymous-pull", "on"]);
    assert_eq!(pull().await, 200);
    done(&server.data, &["registry", "update", "wharf", "--anonymous-pull", "off"]);
    assert_eq!(pull().await, 401);
    let changes = "SELECT COUNT(*) FROM changes WHERE kind = 'registry.update'";
    assert_eq!(number(&server.data.join("metadata.db"), changes).await, 2, "one for each change");
}

#[tokio::test]
async fn connect_prints_lines_for_this_server() {
    let server = Server::start();
    let (http, https) = (server.http.port(), server.https.port());
    for tool in ["docker", "podman", "helm", "oras"] {
        let text = done(&server.data, &["connect", tool]);
        for expected in
            [format!("localhost:{http} "), format!("localhost:{https} "), server.password(), "ca.pem".into()]
        {
            assert!(text.contains(&expected), "{tool}: {expected} is missing in\n{text}");
        }
        let http_only = done(&server.data, &["connect", tool, "--scheme", "http"]);
        assert!(!http_only.contains(&https.to_string()), "{http_only}");
        // What is printed is a script.
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), &text).unwrap();
        std::fs::set_permissions(script.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let checked = std::process::Command::new("sh").arg("-n").arg(script.path()).status().unwrap();
        assert!(checked.success(), "{text}");
    }
}

#[tokio::test]
async fn the_collector_and_the_verifier_report() {
    let server = Server::start();
    server.push_image("team/app", "v1", &vec![3; 200_000]).await;
    let report = json(&server.data, &["gc", "--dry-run"]);
    assert_eq!(report["dry_run"], true);
    assert_eq!(report["removed_objects"], 0);
    assert!(done(&server.data, &["gc"]).starts_with("DONE"));
    let report = json(&server.data, &["verify"]);
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["manifests"], 1);
    assert!(done(&server.data, &["verify"]).ends_with(" and 1 manifest: all is well.\n"));

    // One flipped bit in a layer.
    let mut layers = Vec::new();
    let mut pending = vec![server.data.join("blobs")];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { layers.push(path) }
        }
    }
    let layer = layers.iter().find(|path| path.metadata().unwrap().len() == 200_000).unwrap();
    let mut bytes = std::fs::read(layer).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(layer, bytes).unwrap();
    let output = run(&["verify", "--data", server.data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("wrong: ") && text.ends_with("1 thing is wrong.\n"), "{text}");
}

#[test]
fn the_configuration_in_force_can_be_seen() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wharf.toml");
    std::fs::write(&file, "http = \"127.0.0.1:81\"\nhttps = \"127.0.0.1:444\"\ndomain = \"file.example\"\n").unwrap();
    let output = wharf()
        .args(["config", "--output", "json", "--https", "127.0.0.1:445", "--config"])
        .arg(&file)
        .env("WHARF_HTTPS", "127.0.0.1:446")
        .env("WHARF_DOMAIN", "env.example")
        .env("WHARF_ALLOW_INTERNAL", "10.0.0.0/8,192.168.0.0/16")
        .env("WHARF_DATABASE", "postgres://wharf:hunter2@db/wharf")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let find = |key: &str| {
        let entry = entries.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap();
        (entry["value"].as_str().unwrap().to_owned(), entry["origin"].as_str().unwrap().to_owned())
    };
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(find("https"), pair("127.0.0.1:445", "--https"), "a flag goes before all");
    assert_eq!(find("domain"), pair("env.example", "WHARF_DOMAIN"), "a variable goes before the file");
    assert_eq!(find("http"), pair("127.0.0.1:81", file.to_str().unwrap()), "the file goes before the default");
    assert_eq!(find("data"), pair("wharf-data", "default"));
    assert_eq!(find("allow_internal"), pair("10.0.0.0/8,192.168.0.0/16", "WHARF_ALLOW_INTERNAL"));
    assert_eq!(find("database"), pair("postgres://wharf:***@db/wharf", "WHARF_DATABASE"));
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("nothing").to_str().unwrap().to_owned();
    for (arguments, code, expected) in [
        (&["registry", "list", "--data", &data][..], 1, "wharf serve"),
        (&["serve", "--http", "nowhere"][..], 2, "127.0.0.1:5000"),
        (&["serve", "--http", "off", "--https", "off"][..], 2, "--http"),
        (&["serve", "--config", "/nonexistent/wharf.toml"][..], 2, "/nonexistent/wharf.toml"),
        (&["serve", "--log-level", "loud=very=", "--data", &data][..], 2, "log.level"),
        (&["registry", "create", "a-b", "--data", &data][..], 2, "5 to 50"),
        (&["registry", "update", "contoso", "--data", &data][..], 2, "--admin"),
        (&["frobnicate"][..], 2, "frobnicate"),
    ] {
        let output = run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!std::path::Path::new(&data).exists(), "{arguments:?} left something behind");
    }
    let version = run(&["--version"]);
    assert_eq!(version.stdout, run(&["version"]).stdout);
}
