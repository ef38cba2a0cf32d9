//! What clients ask before they sign in.

use http::{Method, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::setup::{ARM, Installation, LOGIN, TENANT};

#[tokio::test]
async fn authorities_of_both_styles_say_where_things_are() {
    let server = Installation::start().await;
    for (path, base, issuer, version) in [
        ("/adfs/.well-known/openid-configuration", "/adfs", "/adfs".to_owned(), ""),
        ("/organizations/v2.0/.well-known/openid-configuration", "/organizations", format!("/{TENANT}/v2.0"), "/v2.0"),
        ("/common/.well-known/openid-configuration", "/common", format!("/{TENANT}/"), ""),
        ("/example.com/v2.0/.well-known/openid-configuration", "/example.com", format!("/{TENANT}/v2.0"), "/v2.0"),
        (
            "/entra/common/v2.0/.well-known/openid-configuration",
            "/entra/common",
            format!("/entra/{TENANT}/v2.0"),
            "/v2.0",
        ),
    ] {
        let document = server.get(path).await.ok();
        assert_eq!(document["issuer"], format!("{LOGIN}{issuer}"), "{path}");
        assert_eq!(document["token_endpoint"], format!("{LOGIN}{base}/oauth2{version}/token"), "{path}");
        assert_eq!(
            document["device_authorization_endpoint"],
            format!("{LOGIN}{base}/oauth2{version}/devicecode"),
            "{path}"
        );
        assert_eq!(document["authorization_endpoint"], format!("{LOGIN}{base}/oauth2{version}/authorize"), "{path}");
        let keys = document["jwks_uri"].as_str().unwrap().strip_prefix(LOGIN).unwrap();
        assert_eq!(server.get(keys).await.ok()["keys"][0]["kty"], "RSA", "{path}");
    }
}

#[tokio::test]
async fn other_tenants_are_not_found() {
    let server = Installation::start().await;
    for tenant in ["consumers", "fabrikam.com", "00000000-0000-0000-0000-000000000001"] {
        let reply = server.get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(reply.error(), (400, "invalid_tenant".into(), 90_002), "{tenant}");
    }
}

#[tokio::test]
async fn a_library_verifies_our_tokens_by_the_published_keys() {
    let server = Installation::start().await;
    let token = server.app_token().await;
    let keys: JwkSet =
        serde_json::from_value(server.get(&format!("/{TENANT}/discovery/v2.0/keys")).await.ok()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = keys.find(&header.kid.unwrap()).expect("the key is published");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false; // It asks the machine's clock.
    validation.set_audience(&[ARM]);
    validation.set_issuer(&[format!("{LOGIN}/{TENANT}/v2.0")]);
    jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
}

#[tokio::test]
async fn instances_and_accounts_are_described() {
    let server = Installation::start().await;
    let asked =
        |endpoint: &str| format!("/common/discovery/instance?api-version=1.1&authorization_endpoint={endpoint}");
    let body = server.get(&asked("https://login.example.com/common/oauth2/v2.0/authorize")).await.ok();
    assert_eq!(body["tenant_discovery_endpoint"], format!("{LOGIN}/common/v2.0/.well-known/openid-configuration"));
    assert_eq!(body["metadata"][0]["aliases"][0], "login.example.com");
    let other = server.get(&asked("https://evil.example.com/common/oauth2/v2.0/authorize")).await;
    assert_eq!(other.error().1, "invalid_instance");
    for name in ["anna@example.com", "nobody@example.com"] {
        let body = server.get(&format!("/common/userrealm/{name}?api-version=1.0")).await.ok();
        assert_eq!(body["account_type"], "Managed");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_asked_wrongly_has_a_json_body() {
    let server = Installation::start().await;
    let nothing = server.get("/nothing/here").await;
    assert_eq!(nothing.error().0, 404);
    assert_eq!(nothing.note.route, "login.unknown");
    let get = server.get("/adfs/oauth2/token").await;
    assert_eq!(get.error(), (405, "invalid_request".into(), 900_561));
    assert_eq!(get.header("allow"), "POST");
    let empty = server.send(Method::POST, "/adfs/oauth2/token", "", &[]).await;
    assert_eq!(empty.error(), (400, "invalid_request".into(), 900_144));
    let long = server.post("/adfs/oauth2/token", &[("grant_type", &"x".repeat(70_000))]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let id = "5f0a3f3e-0000-4000-8000-000000000000";
    let reply = server.send(Method::POST, "/adfs/oauth2/token", "grant_type=x", &[("client-request-id", id)]).await;
    assert_eq!(reply.error(), (400, "unsupported_grant_type".into(), 70_003));
    assert_eq!(reply.json()["correlation_id"], id);
    assert_eq!(reply.header("client-request-id"), id);
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
}
