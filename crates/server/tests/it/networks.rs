//! Where clients come from: rules of registries, the private endpoint, trusted proxies.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::json;

use crate::harness::{PATIENCE, Server, builder, execute};
use crate::services::Services;

/// The status of `GET path` from `source`, with headers.
async fn status(source: &str, url: &str, headers: &[(&str, &str)]) -> u16 {
    let source: IpAddr = source.parse().unwrap();
    let mut request = builder().local_address(source).build().unwrap().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

/// Gives the default registry these settings, and waits until the server knows.
async fn set(server: &Server, settings: &'static str) {
    execute(&server.data.join("metadata.db"), settings).await;
    let deadline = Instant::now() + PATIENCE;
    while status("127.0.0.9", &server.url("/v2/"), &[]).await != 403 {
        assert!(Instant::now() < deadline, "the rules do not count");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

const RULES: &str = r#"UPDATE registries SET settings =
    '{"allowsOtherAddresses": false, "allowedAddresses": ["127.0.0.2/32", "203.0.113.0/24"]}'"#;

const CLOSED: &str = r#"UPDATE registries SET settings =
    '{"publicNetworkAccess": false, "allowedAddresses": ["127.0.0.2/32"]}'"#;

#[tokio::test]
async fn rules_count_for_the_address_of_the_connection() {
    // A socket for both versions of IP sees IPv4 clients as mapped addresses.
    let server = Server::start_at("[::]:0");
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.http.port());
    assert_eq!(status("127.0.0.3", &at("/v2/"), &[]).await, 401);
    let http = server.http;
    execute(&server.data.join("metadata.db"), RULES).await;
    let deadline = Instant::now() + PATIENCE;
    while status("127.0.0.3", &at("/v2/"), &[]).await != 403 {
        assert!(Instant::now() < deadline, "the rules do not count");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status("127.0.0.2", &at("/v2/"), &[]).await, 401);
    assert_eq!(status("::1", &format!("http://[::1]:{}/v2/", http.port()), &[]).await, 403);
    // Nobody is believed who is not trusted.
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "client-ip"] {
        for value in ["127.0.0.2", "203.0.113.9", "for=127.0.0.2"] {
            assert_eq!(status("127.0.0.3", &at("/v2/"), &[(header, value)]).await, 403, "{header}: {value}");
            assert_eq!(status("127.0.0.2", &at("/v2/"), &[(header, "192.0.2.1")]).await, 401, "{header}");
        }
    }
    assert_eq!(status("127.0.0.3", &at("/oauth2/token"), &[]).await, 403);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(status("127.0.0.3", &at(path), &[]).await, 200, "{path} is no registry's");
    }
    let answer = builder().build().unwrap().get(at("/v2/")).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("client with IP '127.0.0.1' is not allowed access"), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_its_client() {
    let server = Server::start_with(|command| {
        command.args(["--trusted-proxy", "127.0.0.7"]);
    });
    set(&server, RULES).await;
    let url = server.url("/v2/");
    let forwarded = |value| [("x-forwarded-for", value)];
    assert_eq!(status("127.0.0.7", &url, &forwarded("203.0.113.9")).await, 401);
    assert_eq!(status("127.0.0.7", &url, &forwarded("::ffff:203.0.113.9")).await, 401);
    assert_eq!(status("127.0.0.7", &url, &forwarded("203.0.113.9, 192.0.2.1")).await, 403, "the client lies");
    assert_eq!(status("127.0.0.7", &url, &forwarded("192.0.2.1, 203.0.113.9, 127.0.0.7")).await, 401);
    assert_eq!(status("127.0.0.8", &url, &forwarded("203.0.113.9")).await, 403, "not trusted");
    assert_eq!(status("127.0.0.7", &url, &[]).await, 403, "the proxy itself is no client that is let in");
}

#[tokio::test]
async fn the_private_endpoint_is_open_when_the_public_network_is_not() {
    let server = Server::start_with(|command| {
        command.args(["--private-http", "127.0.0.1:0", "--private-https", "127.0.0.1:0"]);
    });
    let private = async |scheme: &str| {
        let begins = format!("Listening on {scheme}://");
        let line = server
            .line(|line| {
                let message = line["message"].as_str().unwrap_or_default();
                message.starts_with(&begins) && message.ends_with("as the private endpoint")
            })
            .await;
        line["address"].as_str().unwrap().to_owned()
    };
    set(&server, CLOSED).await;
    assert_eq!(status("127.0.0.2", &server.url("/v2/"), &[]).await, 403, "no rule helps");
    assert_eq!(status("127.0.0.9", &format!("http://{}/v2/", private("http").await), &[]).await, 401);
    let pem = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    let trusting = crate::harness::client_trusting(&pem);
    let answer = trusting.get(format!("https://{}/v2/", private("https").await)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let metrics = reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("registry_open_connections{listener=\"private-http\"}"), "{metrics}");
}

#[tokio::test]
async fn rules_that_are_put_count_at_once_and_shut_nobody_out_of_the_management_api() {
    let server = Server::start();
    let services = Services::at(&server, "localhost");
    let token = services.sign_in().await;
    let subscription = server.credentials()["subscriptionId"].as_str().unwrap().to_owned();
    let path = format!(
        "/subscriptions/{subscription}/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/wharf\
         ?api-version=2025-11-01"
    );
    let url = server.url("/v2/");
    assert_eq!(status("127.0.0.2", &url, &[]).await, 401);
    let rules = json!({"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "127.0.0.2"}]});
    services.patch(&token, &path, &json!({"properties": {"networkRuleSet": rules}})).await;
    assert_eq!(status("127.0.0.1", &url, &[]).await, 403, "at once");
    assert_eq!(status("127.0.0.2", &url, &[]).await, 401);
    services.patch(&token, &path, &json!({"properties": {"publicNetworkAccess": "Disabled"}})).await;
    assert_eq!(status("127.0.0.2", &url, &[]).await, 403);
    let rules = json!({"defaultAction": "Allow", "ipRules": []});
    let open = json!({"properties": {"publicNetworkAccess": "Enabled", "networkRuleSet": rules}});
    services.patch(&token, &path, &open).await;
    assert_eq!(status("127.0.0.1", &url, &[]).await, 401);
}
