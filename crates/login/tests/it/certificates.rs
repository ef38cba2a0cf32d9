//! Applications that sign in with an assertion that they sign with a certificate's key.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_identity::directory::{CertificateEntry, Holder, ParsedCertificate};
use wharf_model::{Clock as _, Timestamp};

use crate::setup::{ARM, Installation, LOGIN, Reply, TENANT, claims};

struct Certificate {
    der: Vec<u8>,
    key: EncodingKey,
}

fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
    let key = if algorithm == &PKCS_RSA_SHA256 {
        KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap()
    } else {
        KeyPair::generate_for(algorithm).unwrap()
    };
    let signed = CertificateParams::new(vec!["builder".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = key.serialize_pem();
    let encoding = if algorithm == &PKCS_RSA_SHA256 {
        EncodingKey::from_rsa_pem(pem.as_bytes())
    } else {
        EncodingKey::from_ec_pem(pem.as_bytes())
    };
    Certificate { der: signed.der().to_vec(), key: encoding.unwrap() }
}

/// Gives the application certificates that count for `seconds`.
async fn register(server: &Installation, certificates: &[&Certificate], seconds: u64) {
    let entries = certificates.iter().map(|certificate| CertificateEntry::New {
        key_id: Uuid::new_v4(),
        display_name: None,
        certificate: ParsedCertificate::parse(&certificate.der).unwrap(),
        starts_at: Some(server.clock.now() - Duration::from_secs(60)),
        ends_at: Some(server.clock.now() + Duration::from_secs(seconds)),
    });
    server.identity.set_certificates(server.holder(), entries.collect()).await.unwrap();
}

fn claims_of(server: &Installation) -> Value {
    let now = server.clock.now().unix_seconds();
    json!({
        "aud": format!("{LOGIN}/{TENANT}/oauth2/v2.0/token"), "iss": server.app_id(), "sub": server.app_id(),
        // As msal for Python writes them.
        "exp": now as f64 + 600.5, "iat": now as f64 + 0.25, "jti": Uuid::new_v4().to_string(),
    })
}

fn sign(certificate: &Certificate, algorithm: Algorithm, old_thumbprint: bool, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    if old_thumbprint {
        // msal for Python writes padding.
        header.x5t = Some(URL_SAFE.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate.der)));
    } else {
        header.x5t_s256 = Some(BASE64URL.encode(digest(&SHA256, &certificate.der)));
    }
    jsonwebtoken::encode(&header, claims, &certificate.key).unwrap()
}

async fn present_for(server: &Installation, assertion: &str, scope: &str) -> Reply {
    server
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &server.app_id()),
            ("client_assertion", assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("scope", scope),
        ])
        .await
}

async fn present(server: &Installation, assertion: &str) -> Reply {
    present_for(server, assertion, &format!("{ARM}/.default")).await
}

#[tokio::test]
async fn assertions_of_each_algorithm_are_taken() {
    let server = Installation::start().await;
    let (rsa, ec) = (certificate(&PKCS_RSA_SHA256), certificate(&PKCS_ECDSA_P256_SHA256));
    register(&server, &[&rsa, &ec], 3_600).await;
    for (certificate, algorithm, old) in [
        (&rsa, Algorithm::RS256, true),
        (&rsa, Algorithm::RS256, false),
        (&rsa, Algorithm::PS256, false),
        (&ec, Algorithm::ES256, false),
        (&ec, Algorithm::ES256, true),
    ] {
        let body = present(&server, &sign(certificate, algorithm, old, &claims_of(&server))).await.ok();
        let access = claims(body["access_token"].as_str().unwrap());
        assert_eq!((&access["oid"], &access["appidacr"]), (&server.app.id.to_string().into(), &"2".into()));
    }
    // For every name of the token endpoint.
    for audience in [format!("{LOGIN}/{TENANT}/v2.0"), format!("{LOGIN}/{TENANT}/oauth2/token/")] {
        let mut claims = claims_of(&server);
        claims["aud"] = json!(audience);
        present(&server, &sign(&rsa, Algorithm::RS256, true, &claims)).await.ok();
    }
    let mut claims = claims_of(&server);
    claims["aud"] = json!(format!("{LOGIN}/adfs/oauth2/token"));
    let assertion = sign(&rsa, Algorithm::RS256, true, &claims);
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &server.app_id()),
        ("client_assertion", &assertion),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("resource", ARM),
    ];
    server.post("/adfs/oauth2/token", &fields).await.ok();
}

#[tokio::test]
async fn bad_assertions_are_refused_with_the_reason() {
    let server = Installation::start().await;
    let (ours, other) = (certificate(&PKCS_ECDSA_P256_SHA256), certificate(&PKCS_ECDSA_P256_SHA256));
    register(&server, &[&ours], 3_600).await;
    let with = |name: &str, value: Value| {
        let mut claims = claims_of(&server);
        claims[name] = value;
        sign(&ours, Algorithm::ES256, false, &claims)
    };
    let now = server.clock.now().unix_seconds();
    let elsewhere = "22222222-2222-4222-8222-222222222222";
    for (assertion, code) in [
        (sign(&other, Algorithm::ES256, false, &claims_of(&server)), 700_027),
        (with("aud", json!("https://login.microsoftonline.com/x/oauth2/v2.0/token")), 700_023),
        (with("exp", json!(now - 301)), 700_024),
        (with("nbf", json!(now + 301)), 700_024),
        (with("exp", json!(now + 90_000)), 700_024),
        (with("exp", Value::Null), 50_027),
        (with("sub", json!(elsewhere)), 700_021),
        (with("iss", json!(elsewhere)), 700_211),
        ("not.a.token".to_owned(), 50_027),
    ] {
        assert_eq!(present(&server, &assertion).await.error(), (401, "invalid_client".into(), code), "{assertion}");
    }
    // Thumbprint of ours, key of another.
    let mut header = Header::new(Algorithm::ES256);
    header.x5t_s256 = Some(BASE64URL.encode(digest(&SHA256, &ours.der)));
    let forged = jsonwebtoken::encode(&header, &claims_of(&server), &other.key).unwrap();
    assert_eq!(present(&server, &forged).await.error().2, 700_027);
    // Changed on the way, and with no signature at all.
    let good = sign(&ours, Algorithm::ES256, false, &claims_of(&server));
    let [header, _, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let payload = BASE64URL.encode(claims_of(&server).to_string());
    assert_eq!(present(&server, &format!("{header}.{payload}.{signature}")).await.error().2, 700_027);
    let none = BASE64URL.encode(r#"{"alg":"none"}"#);
    assert_eq!(present(&server, &format!("{none}.{payload}.")).await.error().2, 50_027);
    // With a public key for a secret.
    let hmac = Header::new(Algorithm::HS256);
    let forged = jsonwebtoken::encode(&hmac, &claims_of(&server), &EncodingKey::from_secret(&ours.der)).unwrap();
    assert_eq!(present(&server, &forged).await.error().2, 50_027);
    present(&server, &good).await.ok();
}

#[tokio::test]
async fn an_expired_certificate_proves_nothing() {
    let server = Installation::start().await;
    let ours = certificate(&PKCS_ECDSA_P256_SHA256);
    register(&server, &[&ours], 60).await;
    present(&server, &sign(&ours, Algorithm::ES256, false, &claims_of(&server))).await.ok();
    server.clock.advance(Duration::from_secs(60));
    let late = present(&server, &sign(&ours, Algorithm::ES256, false, &claims_of(&server))).await;
    assert_eq!(late.error(), (401, "invalid_client".into(), 1_000_502));
    server.identity.set_certificates(server.holder(), vec![]).await.unwrap();
    let gone = present(&server, &sign(&ours, Algorithm::ES256, false, &claims_of(&server))).await;
    assert_eq!(gone.error().2, 700_027);
}

#[tokio::test]
async fn an_assertion_is_good_once_for_each_resource() {
    let server = Installation::start().await;
    let ours = certificate(&PKCS_ECDSA_P256_SHA256);
    register(&server, &[&ours], 3_600).await;
    let assertion = sign(&ours, Algorithm::ES256, false, &claims_of(&server));
    present(&server, &assertion).await.ok();
    // An answer that got lost is asked for again at once.
    present(&server, &assertion).await.ok();
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(present(&server, &assertion).await.error(), (401, "invalid_client".into(), 70_002));
    present_for(&server, &assertion, "https://containerregistry.azure.net/.default").await.ok();
    server.clock.advance(Duration::from_hours(1));
    server.identity.remove_expired_sign_ins().await.unwrap();
    assert_eq!(present(&server, &assertion).await.error().2, 700_024);
}

#[tokio::test]
async fn a_certificate_of_the_application_object_counts_too() {
    let server = Installation::start().await;
    let ours = certificate(&PKCS_ECDSA_P256_SHA256);
    let entry = CertificateEntry::New {
        key_id: Uuid::new_v4(),
        display_name: None,
        certificate: ParsedCertificate::parse(&ours.der).unwrap(),
        starts_at: Some(Timestamp(0)),
        ends_at: None,
    };
    let holder = Holder::Application(wharf_metadata::ApplicationId(server.application));
    server.identity.set_certificates(holder, vec![entry]).await.unwrap();
    present(&server, &sign(&ours, Algorithm::ES256, false, &claims_of(&server))).await.ok();
}

#[tokio::test]
async fn an_assertion_for_another_server_is_not_taken_under_its_name() {
    let server = Installation::start().await;
    let ours = certificate(&PKCS_ECDSA_P256_SHA256);
    register(&server, &[&ours], 3_600).await;
    let mut claims = claims_of(&server);
    claims["aud"] = json!(format!("https://login.evil.net/{TENANT}/oauth2/v2.0/token"));
    let stolen = sign(&ours, Algorithm::ES256, false, &claims);
    assert_eq!(present(&server, &stolen).await.error().2, 700_023);
    *server.login_base.lock().unwrap() = "https://login.evil.net".into();
    assert_eq!(present(&server, &stolen).await.error().2, 700_023, "whatever host the thief says that this is");
}
