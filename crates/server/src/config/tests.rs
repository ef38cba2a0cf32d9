//! What wins, and what is refused.

use clap::{Args as _, FromArgMatches as _};

use super::*;

fn load(arguments: &[&str]) -> Result<Config, anyhow::Error> {
    let command = ServeFlags::augment_args(CommonFlags::augment_args(clap::Command::new("wharf")));
    let matches = command.try_get_matches_from(std::iter::once(&"wharf").chain(arguments))?;
    let common = CommonFlags::from_arg_matches(&matches)?;
    let serve = ServeFlags::from_arg_matches(&matches)?;
    Config::load(&common, Some(&serve), &matches)
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wharf.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn defaults_start_a_server_on_a_laptop() {
    let config = load(&[]).unwrap();
    assert_eq!(config.data, Path::new("wharf-data"));
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:5000");
    assert_eq!(config.listen.https.to_string(), "127.0.0.1:5443");
    assert_eq!(config.listen.domain.to_string(), "wharf.localhost");
    assert!(!config.listen.domain_is_set);
    assert!(config.storage.database.is_none() && config.storage.blobs.is_none());
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let (_directory, path) = file("data = \"/from/file\"\nhttp = \"0.0.0.0:80\"\n[limits]\nconnections = 7\n");
    let config = load(&["--config", &path, "--data", "/from/flag"]).unwrap();
    assert_eq!(config.data, Path::new("/from/flag"));
    assert_eq!(config.origins["data"], Origin::Flag("--data".to_owned()));
    assert_eq!(config.listen.http.to_string(), "0.0.0.0:80");
    assert_eq!(config.origins["http"], Origin::File(path.into()));
    assert_eq!(config.limits.connections, 7);
    assert_eq!(config.origins["https"], Origin::Default);
}

#[test]
fn errors_name_file_key_and_place() {
    let (_directory, path) = file("http = \"127.0.0.1:5000\"\ndomian = \"x\"\n");
    let message = format!("{:#}", load(&["--config", &path]).unwrap_err());
    assert!(message.contains(&path) && message.contains("line 2") && message.contains("domian"), "{message}");

    let (_directory, path) = file("[limits]\nconnections = \"many\"\n");
    let message = format!("{:#}", load(&["--config", &path]).unwrap_err());
    assert!(message.contains("line 2") && message.contains("connections"), "{message}");

    let (_directory, path) = file("https = \"nowhere\"\n");
    let message = format!("{:#}", load(&["--config", &path]).unwrap_err());
    assert!(message.contains("line 1") && message.contains("address"), "{message}");
}

#[test]
fn contradictions_name_both_places() {
    let message = format!("{:#}", load(&["--tls-cert", "a.pem"]).unwrap_err());
    assert!(message.contains("--tls-cert") && message.contains("tls.key"), "{message}");
    let message = format!("{:#}", load(&["--http", "off", "--https", "off"]).unwrap_err());
    assert!(message.contains("--http") && message.contains("--https"), "{message}");
}

#[test]
fn origins_are_origins() {
    let (_directory, path) = file("[cors]\nallowed_origins = [\"https://portal.example.com\"]\n");
    assert_eq!(load(&["--config", &path]).unwrap().cors.allowed_origins, ["https://portal.example.com"]);
    for wrong in ["*", "portal.example.com", "https://portal.example.com/", "https://portal.example.com:443"] {
        let (_directory, path) = file(&format!("[cors]\nallowed_origins = [{wrong:?}]\n"));
        let message = format!("{:#}", load(&["--config", &path]).unwrap_err());
        assert!(message.contains("cors.allowed_origins") && message.contains(&path), "{message}");
    }
}

#[test]
fn internal_ranges_are_repeatable_and_comma_separated() {
    let config = load(&["--allow-internal", "10.0.0.0/8,192.168.7.1", "--allow-internal", "fd00::/8"]).unwrap();
    let ranges: Vec<_> = config.allow_internal.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.0.0.0/8", "192.168.7.1/32", "fd00::/8"]);
}
