//! What the first start makes, and that nothing can keep the next one from completing it.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Server, run, serve_command};
use crate::services::Services;

#[tokio::test]
async fn the_first_start_makes_what_a_laptop_needs() {
    let server = Server::start();
    let credentials = server.credentials();
    for key in ["tenantId", "subscriptionId", "clientId"] {
        assert_eq!(credentials[key].as_str().unwrap().len(), 36, "{key}");
    }
    let registry = &credentials["registry"];
    assert_eq!(registry["name"], "wharf");
    assert_eq!(registry["username"], "wharf");
    assert_eq!(registry["loginServer"], format!("localhost:{}", server.https.port()));
    let passwords: HashSet<_> = registry["passwords"].as_array().unwrap().iter().collect();
    assert_eq!(passwords.len(), 2);
    for (file, mode) in [("credentials.json", 0o600), ("sealing.key", 0o600), ("tls/ca.key", 0o600), (".", 0o700)] {
        let metadata = std::fs::metadata(server.data.join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    assert!(server.data.join("tls/ca.pem").is_file());
    for password in registry["passwords"].as_array().unwrap() {
        let answer = crate::harness::client()
            .get(server.url("/v2/"))
            .basic_auth("wharf", Some(password.as_str().unwrap()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    let secrets: Vec<String> = passwords.iter().map(|secret| secret.as_str().unwrap().to_owned()).collect();
    let (lines, stdout) = server.stop();
    assert!(stdout.contains("docker login localhost:"), "{stdout}");
    for secret in secrets {
        assert!(!stdout.contains(&secret) && !lines.iter().any(|line| line.contains(&secret)), "a secret in the log");
    }
}

#[tokio::test]
async fn files_are_for_their_owner_in_any_directory() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start_on(&data, |_| {});
    server.push_blob("team/app", b"content").await;
    for file in ["lock", "server.json", "metadata.db", "metadata.db-wal", "metadata.db-shm"] {
        let mode = std::fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn the_second_start_changes_nothing_but_the_port() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Server::start_on(&data, |_| {});
    let before = first.credentials();
    let authority = std::fs::read(data.join("tls/ca.pem")).unwrap();
    first.stop();

    let second = Server::start_on(&data, |_| {});
    let mut expected = before.clone();
    expected["registry"]["loginServer"] = format!("localhost:{}", second.https.port()).into();
    assert_eq!(second.credentials(), expected);
    assert_eq!(std::fs::read(data.join("tls/ca.pem")).unwrap(), authority);
    assert_eq!(second.get("/v2/").await.status(), 200);
    let (_, stdout) = second.stop();
    assert_eq!(stdout, "", "the greeting is for the first start");
}

#[tokio::test]
async fn secrets_can_be_preset_and_later_presets_are_not_ignored_silently() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Server::start_on(&data, |command| {
        command.env("WHARF_ADMIN_PASSWORD", "preset-password").env("WHARF_OWNER_SECRET", "preset-secret");
    });
    assert_eq!(first.password(), "preset-password");
    assert_eq!(first.credentials()["clientSecret"], "preset-secret");
    assert_eq!(first.get("/v2/").await.status(), 200);
    first.stop();
    let second = Server::start_on(&data, |command| {
        command.env("WHARF_ADMIN_PASSWORD", "another");
    });
    assert_eq!(second.password(), "preset-password");
    second.line(|line| line["message"].as_str().unwrap().starts_with("WHARF_ADMIN_PASSWORD is not used")).await;
}

#[tokio::test]
async fn what_is_deleted_later_is_not_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Server::start_on(&data, |_| {});
    crate::harness::done(&data, &["registry", "delete", "wharf", "--yes"]);
    first.stop();
    let second = Server::start_on(&data, |_| {});
    assert_eq!(second.get_from("localhost", "/v2/").await.status(), 404);
    Services::at(&second, "localhost").sign_in().await;
}

#[tokio::test]
async fn a_first_start_that_is_killed_anywhere_is_completed_by_the_next() {
    // One directory that sees many deaths, ever later, and several that see one.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("many");
    for delay in (0..20).map(|step| Duration::from_millis(step * step)) {
        kill_during_start(&data, delay);
    }
    completes(&data).await;
    for delay in [5, 20, 40, 80, 160] {
        let data = directory.path().join(delay.to_string());
        kill_during_start(&data, Duration::from_millis(delay));
        completes(&data).await;
    }
}

fn kill_during_start(data: &Path, delay: Duration) {
    let mut child = serve_command(data).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn completes(data: &Path) {
    let server = Server::start_on(data, |_| {});
    assert_eq!(server.get("/v2/").await.status(), 200);
    let authority = std::fs::read(data.join("tls/ca.pem")).unwrap();
    let url = format!("https://localhost:{}/v2/", server.https.port());
    let client = crate::harness::client_trusting(&authority);
    assert_eq!(client.get(url).send().await.unwrap().status(), 401);
    let services = Services::at(&server, "localhost");
    let token = services.sign_in().await;
    let subscription = server.credentials()["subscriptionId"].as_str().unwrap().to_owned();
    let registries =
        format!("/subscriptions/{subscription}/resourceGroups/default/providers/Microsoft.ContainerRegistry");
    let listed = services.get(&token, &format!("{registries}/registries?api-version=2025-11-01")).await;
    assert_eq!(listed["value"][0]["name"], "wharf", "{listed}");
    server.stop();
    let listed: Vec<_> = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(data.join("credentials.json").exists(), "{listed:?}");
}

#[tokio::test]
async fn two_servers_on_one_directory_are_refused() {
    let server = Server::start();
    let data = server.data.to_str().unwrap();
    let output = run(&["serve", "--data", data, "--http", "127.0.0.1:0", "--https", "off"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains(data) && message.contains(&format!("process {}", server.id())), "{message}");
    assert_eq!(server.get("/v2/").await.status(), 200);
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("other");
    let output =
        run(&["serve", "--data", data.to_str().unwrap(), "--http", &server.http.to_string(), "--https", "off"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains(&server.http.to_string()) && message.contains("--http"), "{message}");
}

#[tokio::test]
async fn a_preset_can_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "from-a-file\n").unwrap();
    let server = Server::start_on(&directory.path().join("data"), |command| {
        command.env("WHARF_ADMIN_PASSWORD_FILE", &secret);
    });
    assert_eq!(server.password(), "from-a-file");
    assert_eq!(server.get("/v2/").await.status(), 200);
}
