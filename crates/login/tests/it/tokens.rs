//! Access tokens that must not be believed, or not any more.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};
use wharf_identity::directory::{NewSecret, SecretEnd};
use wharf_identity::{AuthError, TokenProblem};
use wharf_model::Clock as _;

use crate::setup::{ARM, Installation, claims};

async fn problem(server: &Installation, token: &str) -> Option<TokenProblem> {
    match server.identity.verify_principal_token(token).await {
        Ok(_) => None,
        Err(AuthError::InvalidToken(problem)) => Some(problem),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_token_counts_from_its_beginning_to_its_end() {
    let server = Installation::start().await;
    let token = server.app_token().await;
    assert_eq!(problem(&server, &token).await, None);
    server.clock.advance(Duration::from_secs(3_599));
    assert_eq!(problem(&server, &token).await, None);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(problem(&server, &token).await, Some(TokenProblem::Expired));
    // And on a node that has not seen it before, and on one whose clock is behind.
    let now = server.clock.now();
    for (clock, expected) in [
        (now, Some(TokenProblem::Expired)),
        (now - Duration::from_secs(1), None),
        (now - Duration::from_secs(3_600 + 300), None),
        (now - Duration::from_secs(3_600 + 301), Some(TokenProblem::NotYetValid)),
    ] {
        let node = server.another_node(clock).await;
        let verdict = node.verify_principal_token(&token).await;
        match expected {
            None => assert!(verdict.is_ok(), "{clock}: {verdict:?}"),
            Some(expected) => {
                assert!(matches!(verdict, Err(AuthError::InvalidToken(problem)) if problem == expected), "{clock}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_that_were_changed_are_refused() {
    let server = Installation::start().await;
    let token = server.app_token().await;
    let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let part = |json: &Value| BASE64URL.encode(json.to_string());

    let mut other = claims(&token);
    other["oid"] = json!(server.anna.id.to_string());
    let forged = format!("{header}.{}.{signature}", part(&other));
    assert_eq!(problem(&server, &forged).await, Some(TokenProblem::Signature));
    let none = format!("{}.{payload}.", part(&json!({"alg": "none", "typ": "JWT", "kid": "x"})));
    assert_eq!(problem(&server, &none).await, Some(TokenProblem::Algorithm));
    let hmac = format!("{}.{payload}.{signature}", part(&json!({"alg": "HS256", "typ": "JWT", "kid": "x"})));
    assert_eq!(problem(&server, &hmac).await, Some(TokenProblem::Algorithm));
    let unknown = format!("{}.{payload}.{signature}", part(&json!({"alg": "RS256", "typ": "JWT", "kid": "AAAA"})));
    assert_eq!(problem(&server, &unknown).await, Some(TokenProblem::UnknownKey));
    for cut in [0, 10, header.len(), token.len() - 1] {
        assert!(problem(&server, &token[..cut]).await.is_some(), "cut to {cut}");
    }
    assert_eq!(problem(&server, &"x".repeat(9_000)).await, Some(TokenProblem::TooLong));
    assert_eq!(problem(&server, &token).await, None, "the real one still counts");
}

#[tokio::test]
async fn an_id_token_is_no_access_token() {
    let server = Installation::start().await;
    let tokens = server.annas_tokens().await;
    assert_eq!(problem(&server, tokens["access_token"].as_str().unwrap()).await, None);
    let id_token = tokens["id_token"].as_str().unwrap();
    assert_eq!(problem(&server, id_token).await, Some(TokenProblem::Malformed));
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(problem(&server, refresh_token).await, Some(TokenProblem::Malformed));
}

#[tokio::test]
async fn a_token_dies_with_its_principal_and_its_credentials() {
    let server = Installation::start().await;
    // A secret that goes.
    let new = NewSecret { display_name: None, starts_at: None, ends: SecretEnd::Never, chosen: None };
    let (row, _) = server.identity.add_secret(server.holder(), new).await.unwrap();
    let token = server.app_token().await;
    assert_eq!(problem(&server, &token).await, None);
    server.identity.remove_secret(server.holder(), row.key_id).await.unwrap();
    assert_eq!(problem(&server, &token).await, Some(TokenProblem::Revoked));

    // A principal that is switched off, and one that is deleted.
    let token = server.app_token().await;
    assert_eq!(problem(&server, &token).await, None);
    server.disable(server.app.id).await;
    assert_eq!(problem(&server, &token).await, Some(TokenProblem::Revoked));
    let anna = server.annas_tokens().await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(problem(&server, &anna).await, None);
    server.identity.delete_principal(server.anna.id).await.unwrap();
    assert_eq!(problem(&server, &anna).await, Some(TokenProblem::Revoked));
}

#[tokio::test]
async fn the_audience_is_told_so_that_others_tokens_can_be_refused() {
    let server = Installation::start().await;
    let reply = server
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &server.app_id()),
            ("client_secret", &server.secret),
            ("scope", "https://elsewhere.example.com/.default"),
        ])
        .await
        .ok();
    let token = reply["access_token"].as_str().unwrap();
    let verified = server.identity.verify_principal_token(token).await.unwrap();
    assert_eq!(verified.audience, "https://elsewhere.example.com");
    assert_ne!(verified.audience, ARM);
    assert_eq!(verified.expires.unix_seconds(), server.clock.now().unix_seconds() + 3_600);
}
