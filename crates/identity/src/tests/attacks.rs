//! Tokens that must not let anybody in.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom as AwsRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};
use wharf_model::{Action, ResourceKind};

use super::setup::{Installation, LOGIN_SERVER, problem};
use crate::token::{Claims, GrantType, LONGEST_TOKEN, SubjectClaim, encode};
use crate::{AuthError, Credentials, IssueError, TOKEN_USER, TokenProblem, may};

/// A token's header and claims as JSON.
fn open(token: &str) -> (Value, Value) {
    let part = |index| token.split('.').nth(index).unwrap();
    let json = |index| serde_json::from_slice(&BASE64URL.decode(part(index)).unwrap()).unwrap();
    (json(0), json(1))
}

/// Joins a token and signs it by `sign`.
fn join(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()));
    let signature = BASE64URL.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn rsa(key: &RsaKeyPair, padding: &'static dyn RsaEncoding) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &AwsRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// All three ways of presenting a token fail for the same reason.
async fn assert_refused(wharf: &Installation, token: &str, expected: TokenProblem) {
    assert_eq!(wharf.problems(token).await, [Some(expected); 3], "{token}");
}

/// A token with a right signature by the key in use, and claims as no code of ours writes them.
async fn forge(wharf: &Installation, token: &str, change: impl FnOnce(&mut Claims)) -> String {
    let mut claims: Claims = serde_json::from_value(open(token).1).unwrap();
    change(&mut claims);
    let key = wharf.identity.parts().keys.signing().await.unwrap();
    encode(&key.header, &claims, &key.private).unwrap()
}

#[tokio::test]
async fn algorithm_none_is_refused() {
    let wharf = Installation::start().await;
    let (mut header, claims) = open(&wharf.admin_token("repository:a:pull").await);
    for none in ["none", "None", "NONE", ""] {
        header["alg"] = json!(none);
        assert_refused(&wharf, &join(&header, &claims, |_| vec![]), TokenProblem::Algorithm).await;
    }
    header["alg"] = json!("RS256");
    assert_refused(&wharf, &join(&header, &claims, |_| vec![]), TokenProblem::Signature).await;
}

#[tokio::test]
async fn a_mac_under_the_public_key_is_no_signature() {
    let wharf = Installation::start().await;
    let (mut header, claims) = open(&wharf.admin_token("repository:a:pull").await);
    let key = wharf.identity.parts().keys.signing().await.unwrap();
    let spki: PublicKeyX509Der<'_> = key.private.public_key().as_der().unwrap();
    for secret in [spki.as_ref(), key.private.public_key().as_ref()] {
        let mac = |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec();
        header["alg"] = json!("HS256");
        assert_refused(&wharf, &join(&header, &claims, mac), TokenProblem::Algorithm).await;
        header["alg"] = json!("RS256");
        assert_refused(&wharf, &join(&header, &claims, mac), TokenProblem::Signature).await;
    }
}

#[tokio::test]
async fn another_key_under_our_key_id_is_refused() {
    let wharf = Installation::start().await;
    let (mut header, claims) = open(&wharf.admin_token("repository:a:pull").await);
    let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let token = join(&header, &claims, rsa(&other, &RSA_PKCS1_SHA256));
    assert_refused(&wharf, &token, TokenProblem::Signature).await;

    // CVE-2025-24976: the key travels in the header and is taken for the one with that id.
    header["jwk"] = json!({"kty": "RSA", "kid": header["kid"], "n": "AQAB", "e": "AQAB"});
    let token = join(&header, &claims, rsa(&other, &RSA_PKCS1_SHA256));
    assert_refused(&wharf, &token, TokenProblem::Malformed).await;
}

#[tokio::test]
async fn an_unknown_key_id_is_refused() {
    let wharf = Installation::start().await;
    let (mut header, claims) = open(&wharf.admin_token("repository:a:pull").await);
    let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    for kid in ["", "ABCD", "../../etc/passwd", "' OR 1=1 --"] {
        header["kid"] = json!(kid);
        let token = join(&header, &claims, rsa(&other, &RSA_PKCS1_SHA256));
        assert_refused(&wharf, &token, TokenProblem::UnknownKey).await;
    }
}

#[tokio::test]
async fn our_key_with_another_scheme_is_refused() {
    let wharf = Installation::start().await;
    let (header, claims) = open(&wharf.admin_token("repository:a:pull").await);
    let key = wharf.identity.parts().keys.signing().await.unwrap();
    for scheme in [&RSA_PSS_SHA256 as &'static dyn RsaEncoding, &RSA_PKCS1_SHA512] {
        let token = join(&header, &claims, rsa(&key.private, scheme));
        assert_refused(&wharf, &token, TokenProblem::Signature).await;
    }
}

#[tokio::test]
async fn a_token_with_any_character_changed_is_refused() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    wharf.bearer(&token).await.unwrap();
    for position in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(wharf.bearer(&changed).await.is_err(), "position {position}");
    }
    for changed in [format!("{token}A"), format!("{token}="), format!("{token}."), token[..token.len() - 1].to_owned()]
    {
        assert!(wharf.bearer(&changed).await.is_err(), "{changed}");
    }
}

#[tokio::test]
async fn claims_cannot_be_widened() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    let (header, mut claims) = open(&token);
    claims["access"][0]["actions"] = json!(["*"]);
    let signature = BASE64URL.decode(token.rsplit('.').next().unwrap()).unwrap();
    assert_refused(&wharf, &join(&header, &claims, |_| signature), TokenProblem::Signature).await;
}

#[tokio::test]
async fn a_token_of_another_registry_is_refused() {
    let wharf = Installation::start().await;
    async fn at_fabrikam(wharf: &Installation, credentials: Credentials<'_>) -> Option<TokenProblem> {
        problem(wharf.identity.authenticate(&wharf.fabrikam, credentials, None).await)
    }
    let (access, refresh) = (wharf.admin_token("repository:a:pull").await, wharf.refresh_token().await);
    let unseen = wharf.admin_token("repository:a:pull").await;
    wharf.bearer(&access).await.unwrap();
    for (credentials, what) in [
        (Credentials::Bearer(&access), "seen before"),
        (Credentials::Bearer(&unseen), "never seen"),
        (Credentials::RefreshToken(&refresh), "refresh"),
        (Credentials::Basic { username: TOKEN_USER, password: &access }, "as a password"),
    ] {
        assert_eq!(at_fabrikam(&wharf, credentials).await, Some(TokenProblem::OtherRegistry), "{what}");
    }

    // The audience is a name and may be anybody's; the uid is what counts.
    let fabrikam = wharf.fabrikam.uid.to_string();
    let audience = forge(&wharf, &access, |claims| claims.aud = "fabrikam.example.com".into()).await;
    assert_eq!(at_fabrikam(&wharf, Credentials::Bearer(&audience)).await, Some(TokenProblem::OtherRegistry));
    for rid in [
        String::new(),
        "*".into(),
        fabrikam.to_uppercase(),
        format!("{{{fabrikam}}}"),
        wharf.fabrikam.uid.0.to_string(),
    ] {
        let token = forge(&wharf, &access, |claims| claims.rid.clone_from(&rid)).await;
        assert_eq!(at_fabrikam(&wharf, Credentials::Bearer(&token)).await, Some(TokenProblem::OtherRegistry), "{rid}");
    }
}

#[tokio::test]
async fn a_caller_of_another_registry_gets_no_token() {
    let wharf = Installation::start().await;
    let admin = wharf.admin().await;
    let token = wharf.identity.access_token(&wharf.fabrikam, LOGIN_SERVER, &admin, &[]).await;
    assert!(matches!(token, Err(IssueError::OtherRegistry)));
    let token = wharf.identity.refresh_token(&wharf.fabrikam, LOGIN_SERVER, &admin).await;
    assert!(matches!(token, Err(IssueError::OtherRegistry)));
}

#[tokio::test]
async fn a_refresh_token_is_not_an_access_token_nor_the_other_way_round() {
    let wharf = Installation::start().await;
    let (access, refresh) = (wharf.admin_token("repository:a:pull").await, wharf.refresh_token().await);
    for round in ["never seen", "seen before"] {
        assert_eq!(wharf.problems(&access).await, [None, Some(TokenProblem::WrongKind), None], "{round}");
        assert_eq!(wharf.problems(&refresh).await, [Some(TokenProblem::WrongKind), None, None], "{round}");
    }
    let kind = forge(&wharf, &refresh, |claims| claims.grant_type = GrantType::AccessToken).await;
    assert_eq!(wharf.problems(&kind).await[0], Some(TokenProblem::Malformed), "the version tells the other kind");
    let version = forge(&wharf, &refresh, |claims| claims.version = "2.0".into()).await;
    assert_eq!(wharf.problems(&version).await[1], Some(TokenProblem::Malformed));
}

#[tokio::test]
async fn a_token_counts_between_its_times_only() {
    let wharf = Installation::start().await;
    let (access, refresh) = (wharf.admin_token("repository:a:pull").await, wharf.refresh_token().await);
    let advance = |seconds| wharf.clock.advance(Duration::from_secs(seconds));
    advance(3_599);
    assert_eq!(wharf.problems(&access).await[0], None, "60 minutes for access");
    advance(1);
    assert_eq!(wharf.problems(&access).await[0], Some(TokenProblem::Expired), "and not one second more");
    advance(2 * 3_600 - 1);
    assert_eq!(wharf.problems(&refresh).await[1], None, "3 hours for refresh");
    advance(1);
    assert_eq!(wharf.problems(&refresh).await[1], Some(TokenProblem::Expired));

    let now = wharf.now();
    let times = [
        (now + 1, now + 100, TokenProblem::NotYetValid),
        (i64::MAX, i64::MAX, TokenProblem::NotYetValid),
        (i64::MIN, i64::MIN, TokenProblem::Expired),
        (0, 0, TokenProblem::Expired),
        (0, now, TokenProblem::Expired),
    ];
    for (nbf, exp, expected) in times {
        let token = forge(&wharf, &access, |claims| (claims.nbf, claims.exp) = (nbf, exp)).await;
        assert_eq!(wharf.problems(&token).await[0], Some(expected), "{nbf} {exp}");
    }
}

#[tokio::test]
async fn a_verdict_does_not_outlive_the_token() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    for _ in 0..2 {
        wharf.bearer(&token).await.unwrap();
    }
    wharf.clock.advance(Duration::from_secs(3_600));
    assert_eq!(problem(wharf.bearer(&token).await), Some(TokenProblem::Expired));
}

#[tokio::test]
async fn a_token_that_is_too_long_is_not_even_looked_at() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    let long = format!("{token}{}", "A".repeat(LONGEST_TOKEN));
    assert_refused(&wharf, &long, TokenProblem::TooLong).await;

    let admin = wharf.admin().await;
    let scopes: Vec<_> = (0..60).map(|i| format!("repository:{i}{}:pull", "a".repeat(200)).parse().unwrap()).collect();
    let refusal = wharf.identity.access_token(&wharf.contoso, LOGIN_SERVER, &admin, &scopes).await;
    assert!(matches!(refusal, Err(IssueError::TooManyScopes(_))), "nor issued");
}

#[tokio::test]
async fn claims_that_we_never_write_are_refused() {
    let wharf = Installation::start().await;
    let access = wharf.admin_token("repository:a:pull").await;
    let issuer = forge(&wharf, &access, |claims| claims.iss = "Somebody".into()).await;
    assert_eq!(wharf.problems(&issuer).await[0], Some(TokenProblem::Malformed));
    let version = forge(&wharf, &access, |claims| claims.version = "1.0".into()).await;
    assert_eq!(wharf.problems(&version).await[0], Some(TokenProblem::Malformed));

    let key = wharf.identity.parts().keys.signing().await.unwrap();
    let (header, claims) = open(&access);
    for (name, value) in [
        ("wharf", json!({"subject": "root"})),
        ("wharf", json!({"subject": "admin"})),
        ("wharf", json!(null)),
        ("grant_type", json!("password")),
        ("exp", json!("tomorrow")),
        ("exp", json!(1e30)),
        ("access", json!("*")),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        let token = join(&header, &changed, rsa(&key.private, &RSA_PKCS1_SHA256));
        assert_refused(&wharf, &token, TokenProblem::Malformed).await;
    }
    for name in ["rid", "exp", "nbf", "grant_type", "version", "wharf"] {
        let mut changed = claims.clone();
        changed.as_object_mut().unwrap().remove(name);
        let token = join(&header, &changed, rsa(&key.private, &RSA_PKCS1_SHA256));
        assert_refused(&wharf, &token, TokenProblem::Malformed).await;
    }
    let without = forge(&wharf, &access, |claims| claims.access = None).await;
    let caller = wharf.bearer(&without).await.unwrap();
    assert!(!may(&caller, Action::Pull, ResourceKind::Repository, "a"), "no list is an empty list");
}

#[tokio::test]
async fn a_token_cannot_prolong_or_widen_itself() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    wharf.clock.advance(Duration::from_secs(1_800));
    for caller in [wharf.bearer(&token).await.unwrap(), wharf.basic(TOKEN_USER, &token).await.unwrap()] {
        let next = wharf.token_for(&caller, "repository:a:pull,push repository:b:pull").await;
        assert_eq!(open(&next).1["exp"], open(&token).1["exp"], "it ends with the one that begot it");
        let caller = wharf.bearer(&next).await.unwrap();
        assert!(may(&caller, Action::Pull, ResourceKind::Repository, "a"));
        assert!(!may(&caller, Action::Push, ResourceKind::Repository, "a"));
        assert!(!may(&caller, Action::Pull, ResourceKind::Repository, "b"));
        let refresh = wharf.identity.refresh_token(&wharf.contoso, LOGIN_SERVER, &caller).await;
        assert!(matches!(refresh, Err(IssueError::PasswordNeeded)));
    }
    let caller = wharf.refresh(&wharf.refresh_token().await).await.unwrap();
    let refresh = wharf.identity.refresh_token(&wharf.contoso, LOGIN_SERVER, &caller).await;
    assert!(matches!(refresh, Err(IssueError::PasswordNeeded)), "a refresh token neither");
}

#[tokio::test]
async fn a_subject_named_like_another_is_not_the_other() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    let nobody = forge(&wharf, &token, |claims| claims.wharf = SubjectClaim::Anonymous).await;
    assert_eq!(wharf.problems(&nobody).await[0], Some(TokenProblem::Revoked), "`sub` is for the reader only");
}

#[tokio::test]
async fn wrong_passwords_are_never_learnt() {
    let wharf = Installation::start().await;
    for _ in 0..3 {
        for (username, password) in [
            ("contoso", "wrong"),
            ("contoso", ""),
            ("", "contoso-password"),
            ("nobody", "contoso-password"),
            ("contoso", "fabrikam-password"),
            ("fabrikam", "fabrikam-password"),
            (LOGIN_SERVER, "contoso-password"),
        ] {
            let refusal = wharf.basic(username, password).await.unwrap_err();
            assert!(matches!(refusal, AuthError::BadCredentials), "{username} {password}");
        }
        wharf.basic("contoso", "contoso-password").await.unwrap();
    }
    let long = "a".repeat(1 << 20);
    assert!(matches!(wharf.basic("contoso", &long).await, Err(AuthError::BadCredentials)));
    assert!(matches!(wharf.basic(&long, "contoso-password").await, Err(AuthError::BadCredentials)));
    assert_refused(&wharf, "contoso-password", TokenProblem::Malformed).await;
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let wharf = Installation::start().await;
    let token = wharf.admin_token("repository:a:pull").await;
    let caller = wharf.bearer(&token).await.unwrap();
    let admin = wharf.admin().await;
    let made = wharf.identity.new_admin_credentials(wharf.contoso.uid, Some("preset-secret".into())).unwrap();
    let revealed = wharf.identity.reveal(&wharf.contoso).unwrap();
    let credentials = [
        Credentials::Bearer(&token),
        Credentials::RefreshToken(&token),
        Credentials::Basic { username: "contoso", password: "contoso-password" },
    ];
    let printed = format!("{caller:?} {admin:?} {made:?} {revealed:?} {credentials:?} {:?}", wharf.identity);
    for secret in ["contoso-password", "preset-secret", token.as_str(), "eyJ"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
