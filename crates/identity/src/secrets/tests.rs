//! What stands for a secret, and that nothing else does.

use std::collections::HashMap;

use tempfile::TempDir;
use wharf_metadata::DatabaseUrl;

use super::*;
use crate::SystemRandom;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const HUB: &str = "docker.io";

struct Fixture {
    secrets: Secrets,
    files: PathBuf,
    _directory: TempDir,
}

async fn fixture(variables: &[(&'static str, &'static str)]) -> Fixture {
    let directory = TempDir::new().unwrap();
    let database = Database::open(&DatabaseUrl::Sqlite(directory.path().join("wharf.db"))).await.unwrap();
    let files = directory.path().join("secrets");
    std::fs::create_dir(&files).unwrap();
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let environment: Environment = Arc::new(move |name| variables.get(name).map(|&value| value.to_owned()));
    let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
    let secrets = Secrets::new(database, sealing, Some(files.clone()), environment);
    Fixture { secrets, files, _directory: directory }
}

impl Fixture {
    async fn set(&self, name: &str, value: &str) {
        self.secrets.set(&name.parse().unwrap(), &value.into(), Vec::new(), NOW).await.unwrap();
    }

    async fn resolve(&self, address: &str) -> Result<String, SecretError> {
        let id = SecretId::parse_address(address).unwrap();
        Ok(self.secrets.resolve(&id, HUB).await?.expose_secret().to_owned())
    }
}

fn address(rest: &str) -> String {
    format!("https://contoso.vault.azure.net/secrets/{rest}")
}

#[test]
fn addresses_and_names_are_read() {
    for (text, printed) in [
        ("https://contoso.vault.azure.net/secrets/Hub-User", "https://contoso.vault.azure.net/secrets/hub-user"),
        ("HTTPS://Contoso.vault.azure.net/Secrets/a/", "https://contoso.vault.azure.net/secrets/a"),
        ("https://vault.example.com:8443/secrets/a/0F", "https://vault.example.com:8443/secrets/a/0f"),
        ("hub-user", "hub-user"),
        ("Hub-User/V1", "hub-user/v1"),
    ] {
        let id: SecretId = text.parse().unwrap();
        assert_eq!(id.to_string(), printed);
        assert_eq!(printed.parse::<SecretId>().unwrap(), id);
    }
    for bad in [
        "",
        "a b",
        "../a",
        "a/b/c",
        "a/",
        "https://",
        "https://host",
        "https://host/keys/a",
        "https://host/secrets/",
        "https://host/secrets/a/b/c",
        "https://host/secrets/..",
        "https://user@host/secrets/a",
        "https://host/secrets/a?x=y",
        "http://host/secrets/a",
    ] {
        assert!(bad.parse::<SecretId>().is_err(), "{bad}");
    }
    assert!(SecretId::parse_address("hub-user").is_err(), "resources name secrets by address");
}

#[tokio::test]
async fn the_store_goes_before_the_environment_and_that_before_files() {
    let fixture = fixture(&[("WHARF_SECRET_HUB_USER", "of the environment")]).await;
    std::fs::write(fixture.files.join("hub-user"), "of a file\n").unwrap();
    std::fs::write(fixture.files.join("other"), "of a file\r\n").unwrap();
    assert_eq!(fixture.resolve(&address("other")).await.unwrap(), "of a file");
    assert_eq!(fixture.resolve(&address("Hub-User/5f1c")).await.unwrap(), "of the environment");
    fixture.set("hub-user", "of the store").await;
    assert_eq!(fixture.resolve(&address("hub-user/5f1c")).await.unwrap(), "of the store");
    assert!(fixture.secrets.delete(&"hub-user".parse().unwrap()).await.unwrap());
    assert!(!fixture.secrets.delete(&"hub-user".parse().unwrap()).await.unwrap());
    assert_eq!(fixture.resolve(&address("hub-user")).await.unwrap(), "of the environment");
}

#[tokio::test]
async fn the_most_particular_entry_stands_for_a_secret() {
    let fixture = fixture(&[]).await;
    fixture.set("token", "any").await;
    fixture.set("token/v1", "any vault, v1").await;
    fixture.set(&address("token"), "contoso").await;
    for (asked, expected) in [
        (address("token"), "contoso"),
        (address("token/v1"), "contoso"),
        ("https://other.vault.azure.net/secrets/token".to_owned(), "any"),
        ("https://other.vault.azure.net/secrets/token/v1".to_owned(), "any vault, v1"),
        ("https://other.vault.azure.net/secrets/token/v2".to_owned(), "any"),
    ] {
        assert_eq!(fixture.resolve(&asked).await.unwrap(), expected, "{asked}");
    }
    let listed = fixture.secrets.list().await.unwrap();
    let names: Vec<String> = listed.iter().map(|secret| secret.id.to_string()).collect();
    assert_eq!(names, ["token", "token/v1", &address("token")]);
}

#[tokio::test]
async fn what_is_missing_is_told_with_what_to_do() {
    let fixture = fixture(&[]).await;
    let error = fixture.resolve(&address("hub-user")).await.unwrap_err().to_string();
    for word in ["hub-user", "wharf secret set hub-user", "WHARF_SECRET_HUB_USER"] {
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_secret_goes_to_the_hosts_alone_that_it_was_stored_for() {
    let fixture = fixture(&[]).await;
    let id: SecretId = "hub-user".parse().unwrap();
    fixture.secrets.set(&id, &"u".into(), vec!["ghcr.io".to_owned()], NOW).await.unwrap();
    let asked = SecretId::parse_address(&address("hub-user")).unwrap();
    assert!(matches!(fixture.secrets.resolve(&asked, HUB).await, Err(SecretError::NotAllowed { .. })));
    assert_eq!(fixture.secrets.resolve(&asked, "ghcr.io").await.unwrap().expose_secret(), "u");
}

#[tokio::test]
async fn values_that_cannot_be_sent_are_refused() {
    let fixture = fixture(&[("WHARF_SECRET_EMPTY", ""), ("WHARF_SECRET_LINES", "a\nb")]).await;
    for name in ["empty", "lines"] {
        assert!(matches!(fixture.resolve(&address(name)).await, Err(SecretError::Unusable { .. })), "{name}");
    }
    let id: SecretId = "long".parse().unwrap();
    for value in [String::new(), "a\r\nHeader: b".to_owned(), "x".repeat(LONGEST + 1)] {
        assert!(fixture.secrets.set(&id, &value.into(), Vec::new(), NOW).await.is_err());
    }
    std::fs::create_dir(fixture.files.join("folder")).unwrap();
    assert!(matches!(fixture.resolve(&address("folder")).await, Err(SecretError::Unusable { .. })));
}

#[tokio::test]
async fn values_are_sealed_each_for_its_place() {
    let fixture = fixture(&[]).await;
    fixture.set("a", "plain text").await;
    fixture.set("b", "another").await;
    let places = &fixture.secrets.0;
    let mut rows = places.database.read(|c| Box::pin(secrets::list(c))).await.unwrap();
    assert!(rows.iter().all(|row| !row.sealed.windows(5).any(|part| part == b"plain")));
    let moved = SecretRow { sealed: rows.remove(0).sealed, ..rows.remove(0) };
    assert!(matches!(fixture.secrets.unseal(&moved), Err(SecretError::Unusable { .. })));
    assert!(!format!("{:?}", fixture.secrets).contains("plain"));
}
