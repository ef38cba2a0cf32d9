//! From where a registry may be called.

use http::Method;
use wharf_metadata::RegistrySettings;
use wharf_testkit::{Client, TestServer};

/// A server with a registry `closed` that lets in 203.0.113.0/24 and 198.51.100.7.
async fn server_with_rules() -> TestServer {
    let server = TestServer::start().await;
    let settings = RegistrySettings {
        allows_other_addresses: false,
        allowed_addresses: vec!["203.0.113.0/24".parse().unwrap(), "198.51.100.7/32".parse().unwrap()],
        ..RegistrySettings::default()
    };
    server.add_registry_with("closed", settings).await;
    server
}

fn admin<'a>(server: &'a TestServer, registry: &str) -> Client<'a> {
    server.basic(registry, TestServer::PASSWORD).at(registry)
}

#[tokio::test]
async fn a_rule_lets_in_its_addresses_and_no_others() {
    let server = server_with_rules().await;
    let admin = admin(&server, "closed");
    for inside in ["203.0.113.9", "203.0.113.255", "198.51.100.7", "::ffff:203.0.113.9"] {
        assert_eq!(admin.from(inside).get("/v2/").await.status, 200, "{inside}");
    }
    for outside in ["203.0.114.1", "198.51.100.8", "127.0.0.1", "::1", "::ffff:198.51.100.8", "2001:db8::203.0.113.9"] {
        assert_eq!(admin.from(outside).get("/v2/").await.status, 403, "{outside}");
    }
}

#[tokio::test]
async fn who_is_shut_out_reads_their_address() {
    let server = server_with_rules().await;
    let answer = admin(&server, "closed").from("::ffff:192.0.2.1").get("/v2/").await;
    assert_eq!(
        answer.json(),
        serde_json::json!({"errors": [{
            "code": "DENIED",
            "message": "client with IP '192.0.2.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
        }]})
    );
    assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    assert!(answer.header("www-authenticate").is_empty(), "{answer}");
    assert_eq!((answer.access.route, answer.access.caller()), ("base", "-"));
}

#[tokio::test]
async fn rules_come_before_credentials_on_every_path() {
    let server = server_with_rules().await;
    let clients =
        [server.anonymous().at("closed"), server.basic("closed", "wrong").at("closed"), admin(&server, "closed")];
    for client in clients.map(|client| client.from("192.0.2.1")) {
        for (method, path) in [
            (Method::GET, "/v2/"),
            (Method::HEAD, "/v2/web/manifests/v1"),
            (Method::PUT, "/v2/web/manifests/v1"),
            (Method::POST, "/v2/web/blobs/uploads/"),
            (Method::GET, "/oauth2/token?service=closed.example.com"),
            (Method::POST, "/oauth2/token"),
            (Method::POST, "/oauth2/exchange"),
            (Method::OPTIONS, "/v2/"),
            (Method::GET, "/nowhere"),
        ] {
            let answer = client.request(method.clone(), path).body("").await;
            assert_eq!(answer.status, 403, "{method} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_registry_without_public_access_has_no_rules_that_help() {
    let server = TestServer::start().await;
    let settings = RegistrySettings {
        public_network_access: false,
        allowed_addresses: vec!["203.0.113.0/24".parse().unwrap()],
        ..RegistrySettings::default()
    };
    server.add_registry_with("closed", settings).await;
    let admin = admin(&server, "closed");
    assert_eq!(admin.from("203.0.113.9").get("/v2/").await.status, 403);
    assert_eq!(admin.from("127.0.0.1").get("/oauth2/token").await.status, 403);
    assert_eq!(admin.from("192.0.2.1").privately().get("/v2/").await.status, 200);
    assert_eq!(admin.from("192.0.2.1").privately().get("/oauth2/token").await.status, 200);
}

#[tokio::test]
async fn the_private_endpoint_has_no_rules_and_other_registries_are_not_affected() {
    let server = server_with_rules().await;
    assert_eq!(admin(&server, "closed").from("192.0.2.1").privately().get("/v2/").await.status, 200);
    assert_eq!(server.admin().from("192.0.2.1").get("/v2/").await.status, 200);
}
