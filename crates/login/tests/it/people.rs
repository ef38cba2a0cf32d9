//! People by password, and their refresh tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::Value;

use crate::setup::{ANNA, ARM, AZ, Installation, LOGIN, PASSWORD, Reply, TENANT, claims};

async fn refresh(server: &Installation, client: &str, token: &str, scope: &str) -> Reply {
    server
        .token(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token), ("scope", scope)])
        .await
}

fn password<'a>(client: &'a str, name: &'a str, password: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", name),
        ("password", password),
        ("scope", "https://management.example.com/.default offline_access openid profile"),
    ]
}

#[tokio::test]
async fn a_password_earns_all_tokens() {
    let server = Installation::start().await;
    let tokens = server.annas_tokens().await;
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(access["aud"], ARM);
    assert_eq!(access["oid"], server.anna.id.to_string());
    assert_eq!((&access["upn"], &access["preferred_username"]), (&ANNA.into(), &ANNA.into()));
    assert_eq!((&access["appid"], &access["idtyp"]), (&AZ.into(), &"user".into()));
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["aud"], &id["iss"]), (&AZ.into(), &format!("{LOGIN}/{TENANT}/v2.0").into()));
    assert_eq!((&id["preferred_username"], &id["ver"]), (&ANNA.into(), &"2.0".into()));
    assert_eq!((&id["tid"], &id["oid"]), (&TENANT.to_string().into(), &server.anna.id.to_string().into()));
    let info = BASE64URL.decode(tokens["client_info"].as_str().unwrap()).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info["uid"], server.anna.id.to_string());
    assert_eq!(info["utid"], TENANT.to_string());
    assert_eq!(tokens["scope"], format!("{ARM}/.default openid profile offline_access"));
}

#[tokio::test]
async fn wrong_names_and_wrong_passwords_sound_the_same() {
    let server = Installation::start().await;
    let wrong = server.token(&password(AZ, ANNA, "wrong")).await;
    assert_eq!(wrong.error(), (400, "invalid_grant".into(), 50_126));
    let nobody = server.token(&password(AZ, "nobody@example.com", PASSWORD)).await;
    assert_eq!(wrong.text, nobody.text);
    let unknown = "11111111-1111-4111-8111-111111111111";
    assert_eq!(server.token(&password(unknown, ANNA, PASSWORD)).await.error().2, 700_016);
    // An application that holds a secret has to show it.
    let silent = server.token(&password(&server.app_id(), ANNA, PASSWORD)).await;
    assert_eq!(silent.error(), (401, "invalid_client".into(), 7_000_218));
}

#[tokio::test]
async fn many_failures_are_slowed_down_and_others_are_not() {
    let server = Installation::start().await;
    let mut last = server.token(&password(AZ, "ghost@example.com", "wrong")).await;
    for _ in 0..40 {
        last = server.token(&password(AZ, "ghost@example.com", "wrong")).await;
        if last.status == 429 {
            break;
        }
    }
    assert_eq!(last.error(), (429, "temporarily_unavailable".into(), 50_196));
    assert!(!last.header("retry-after").is_empty());
    let form = crate::setup::encode(&password(AZ, ANNA, PASSWORD));
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    server.send_from("198.51.100.1", http::Method::POST, &path, &form, &[]).await.ok();
}

#[tokio::test]
async fn a_refresh_token_is_good_for_every_resource_and_again() {
    let server = Installation::start().await;
    let token = server.annas_tokens().await["refresh_token"].as_str().unwrap().to_owned();
    for audience in [ARM, "https://containerregistry.azure.net", "https://management.example.com/graph"] {
        let scope = format!("{audience}/.default offline_access openid profile");
        let body = refresh(&server, AZ, &token, &scope).await.ok();
        assert_eq!(claims(body["access_token"].as_str().unwrap())["aud"], audience);
        assert_eq!(body["refresh_token"], token);
        assert!(body["id_token"].is_string() && body["client_info"].is_string());
    }
    // Without a scope, what was asked for at first.
    let body =
        server.token(&[("grant_type", "refresh_token"), ("client_id", AZ), ("refresh_token", &token)]).await.ok();
    assert_eq!(claims(body["access_token"].as_str().unwrap())["aud"], ARM);
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_and_ends_unused() {
    let server = Installation::start().await;
    let token = server.annas_tokens().await["refresh_token"].as_str().unwrap().to_owned();
    let scope = format!("{ARM}/.default");
    let powershell = "1950a258-227b-4e31-a9cf-717495945fc2";
    assert_eq!(refresh(&server, powershell, &token, &scope).await.error(), (400, "invalid_grant".into(), 70_000));
    assert_eq!(refresh(&server, AZ, "1.made-up", &scope).await.error().2, 70_000);
    // Used now and then, it lives on.
    for _ in 0..4 {
        server.clock.advance(Duration::from_hours(60 * 24));
        server.identity.rotate_keys().await.unwrap();
        refresh(&server, AZ, &token, &scope).await.ok();
    }
    server.clock.advance(Duration::from_hours(91 * 24));
    server.identity.rotate_keys().await.unwrap();
    assert_eq!(refresh(&server, AZ, &token, &scope).await.error(), (400, "invalid_grant".into(), 700_082));
    server.identity.remove_expired_sign_ins().await.unwrap();
    assert_eq!(refresh(&server, AZ, &token, &scope).await.error().2, 70_000);
}

#[tokio::test]
async fn a_refresh_token_dies_with_its_person() {
    let server = Installation::start().await;
    let token = server.annas_tokens().await["refresh_token"].as_str().unwrap().to_owned();
    server.disable(server.anna.id).await;
    let scope = format!("{ARM}/.default");
    assert_eq!(refresh(&server, AZ, &token, &scope).await.error(), (400, "invalid_grant".into(), 50_173));
    assert_eq!(server.token(&password(AZ, ANNA, PASSWORD)).await.error(), (400, "invalid_grant".into(), 50_057));
}
