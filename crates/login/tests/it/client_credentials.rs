//! Applications that sign in with a secret.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use wharf_identity::directory::{NewSecret, SecretEnd};
use wharf_model::Clock as _;

use crate::setup::{ARM, Installation, LOGIN, TENANT, claims, encode};

fn form<'a>(id: &'a str, secret: &'a str, scope: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("scope", scope),
        ("client_info", "1"),
    ]
}

#[tokio::test]
async fn a_secret_earns_a_token_for_any_resource() {
    let server = Installation::start().await;
    let id = server.app_id();
    for (scope, audience) in [
        (format!("{ARM}/.default"), ARM),
        (format!("{ARM}//.default"), "https://management.example.com/"),
        ("https://containerregistry.azure.net/.default".into(), "https://containerregistry.azure.net"),
        ("https://management.azure.com/.default".into(), "https://management.azure.com"),
        (String::new(), "https://management.example.com/graph"),
    ] {
        let body = server.token(&form(&id, &server.secret, &scope)).await.ok();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 3_599);
        assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none());
        let token = body["access_token"].as_str().unwrap();
        let claims = claims(token);
        assert_eq!(claims["aud"], audience, "{scope}");
        assert_eq!(claims["iss"], format!("{LOGIN}/{TENANT}/v2.0"));
        assert_eq!(claims["tid"], TENANT.to_string());
        assert_eq!(claims["oid"], server.app.id.to_string());
        assert_eq!(claims["sub"], server.app.id.to_string());
        assert_eq!(claims["appid"], id);
        assert_eq!((&claims["idtyp"], &claims["appidacr"]), (&"app".into(), &"1".into()));
        let now = server.clock.now().unix_seconds();
        assert_eq!((&claims["iat"], &claims["exp"]), (&now.into(), &(now + 3_600).into()));
        let verified = server.identity.verify_principal_token(token).await.unwrap();
        assert_eq!((verified.principal.id, verified.audience.as_str()), (server.app.id, audience));
    }
}

#[tokio::test]
async fn every_way_of_asking_is_understood() {
    let server = Installation::start().await;
    let (id, scope) = (server.app_id(), format!("{ARM}/.default"));
    for path in [
        "/adfs/oauth2/token".to_owned(),
        "/organizations/oauth2/v2.0/token".into(),
        format!("/adfs/{TENANT}/oauth2/v2.0/token"),
        format!("/entra/{TENANT}/oauth2/v2.0/token"),
    ] {
        server.post(&path, &form(&id, &server.secret, &scope)).await.ok();
    }
    // The secret in a header.
    let basic = format!("Basic {}", BASE64.encode(format!("{id}:{}", server.secret)));
    let fields = encode(&[("grant_type", "client_credentials"), ("scope", &scope)]);
    let path = "/adfs/oauth2/token";
    server.send(Method::POST, path, &fields, &[("authorization", &basic)]).await.ok();
    // Version 1.0, with a resource, and numbers as texts.
    let old = server
        .post(
            &format!("/{TENANT}/oauth2/token"),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", &id),
                ("client_secret", &server.secret),
                ("resource", "https://management.core.windows.net/"),
            ],
        )
        .await
        .ok();
    assert_eq!(old["expires_in"], "3599");
    assert_eq!(old["resource"], "https://management.core.windows.net/");
    let claims = claims(old["access_token"].as_str().unwrap());
    assert_eq!(claims["aud"], "https://management.core.windows.net/");
    assert_eq!(claims["iss"], format!("{LOGIN}/{TENANT}/"));
}

#[tokio::test]
async fn wrong_secrets_and_unknown_applications_sound_the_same() {
    let server = Installation::start().await;
    let scope = format!("{ARM}/.default");
    let unknown = "11111111-1111-4111-8111-111111111111";
    let wrong = server.token(&form(&server.app_id(), "wrong", &scope)).await;
    assert_eq!(wrong.error(), (401, "invalid_client".into(), 7_000_215));
    let nobody = server.token(&form(unknown, &server.secret, &scope)).await;
    let blind = |reply: &crate::setup::Reply| reply.text.clone();
    assert_eq!(blind(&wrong), blind(&nobody));
    assert_eq!(server.token(&form("no-uuid", "x", &scope)).await.error().2, 700_016);
    let none = server.token(&[("grant_type", "client_credentials"), ("client_id", &server.app_id())]).await;
    assert_eq!(none.error(), (401, "invalid_client".into(), 7_000_218));
    let several = server.token(&form(&server.app_id(), &server.secret, "https://a/.default https://b/.default")).await;
    assert_eq!(several.error(), (400, "invalid_scope".into(), 28_000));
}

#[tokio::test]
async fn a_secret_ends_with_its_time_and_its_principal() {
    let server = Installation::start().await;
    let (id, scope) = (server.app_id(), format!("{ARM}/.default"));
    let ends = SecretEnd::At(server.clock.now() + Duration::from_secs(60));
    let new = NewSecret { display_name: None, starts_at: None, ends, chosen: None };
    let (_, short) = server.identity.add_secret(server.holder(), new).await.unwrap();
    use secrecy::ExposeSecret as _;
    server.token(&form(&id, short.expose_secret(), &scope)).await.ok();
    server.clock.advance(Duration::from_secs(61));
    let reply = server.token(&form(&id, short.expose_secret(), &scope)).await;
    assert_eq!(reply.error(), (401, "invalid_client".into(), 7_000_222));

    server.disable(server.app.id).await;
    let reply = server.token(&form(&id, &server.secret, &scope)).await;
    assert_eq!(reply.error(), (401, "invalid_client".into(), 7_000_112));
}

#[tokio::test]
async fn acting_on_behalf_of_somebody_is_refused_clearly() {
    let server = Installation::start().await;
    let reply = server
        .token(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("client_id", &server.app_id()),
            ("client_secret", &server.secret),
            ("requested_token_use", "on_behalf_of"),
        ])
        .await;
    assert_eq!(reply.error(), (400, "unsupported_grant_type".into(), 70_003));
    assert!(reply.text.contains("on behalf of"), "{}", reply.text);
}
