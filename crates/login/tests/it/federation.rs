//! Workloads and people that an issuer outside vouches for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use serde_json::{Value, json};
use wharf_identity::federation::{FederationError, NewIssuer, NewRule, StandsFor};
use wharf_model::Clock as _;

use crate::setup::{ANNA, ARM, AZ, Browser, Installation, LOGIN, Reply, claims};

/// An OpenID provider on a free port of loopback.
struct Provider {
    issuer: String,
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    issuer: Mutex<String>,
    keys: Mutex<Vec<(String, EncodingKey, Value)>>,
    asked_for_keys: AtomicUsize,
    /// What the next code is good for, and what came with it.
    id_token: Mutex<Option<Value>>,
    exchanged: Mutex<Vec<(String, BTreeMap<String, String>)>>,
}

impl Provider {
    async fn start() -> Self {
        let inside = Arc::new(Inside::default());
        let router = Router::new()
            .route("/dex/.well-known/openid-configuration", get(configuration))
            .route("/dex/keys", get(keys))
            .route("/dex/token", post(token))
            .with_state(inside.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://127.0.0.1:{}/dex", listener.local_addr().unwrap().port());
        tokio::spawn(async move { axum::serve(listener, router).await });
        *inside.issuer.lock().unwrap() = issuer.clone();
        let provider = Self { issuer, inside };
        provider.add_key("first");
        provider
    }

    fn add_key(&self, kid: &str) {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let point = key.der_bytes();
        let [x, y] = [&point[1..33], &point[33..65]].map(|half| BASE64URL.encode(half));
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y});
        let encoding = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
        self.inside.keys.lock().unwrap().insert(0, (kid.to_owned(), encoding, jwk));
    }

    fn sign(&self, claims: &Value) -> String {
        sign(&self.inside, claims)
    }

    fn asked_for_keys(&self) -> usize {
        self.inside.asked_for_keys.load(Ordering::SeqCst)
    }
}

fn sign(inside: &Inside, claims: &Value) -> String {
    let keys = inside.keys.lock().unwrap();
    let (kid, key, _) = &keys[0];
    let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

async fn configuration(State(inside): State<Arc<Inside>>) -> Json<Value> {
    let issuer = inside.issuer.lock().unwrap().clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    }))
}

async fn keys(State(inside): State<Arc<Inside>>) -> Json<Value> {
    inside.asked_for_keys.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<Value> = inside.keys.lock().unwrap().iter().map(|(_, _, jwk)| jwk.clone()).collect();
    Json(json!({ "keys": keys }))
}

async fn token(
    State(inside): State<Arc<Inside>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    inside.exchanged.lock().unwrap().push((authorization, form));
    match inside.id_token.lock().unwrap().take() {
        Some(claims) => (StatusCode::OK, Json(json!({"access_token": "x", "id_token": sign(&inside, &claims)}))),
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))),
    }
}

async fn trust(server: &Installation, provider: &Provider) {
    let new = NewIssuer {
        name: "Dex".into(),
        issuer: provider.issuer.clone(),
        display_name: Some("Company account".into()),
        client_id: Some("wharf".into()),
        client_secret: Some("wharf's secret".into()),
        scopes: vec!["email".into(), "profile".into()],
        ..NewIssuer::default()
    };
    server.identity.add_issuer(new).await.unwrap();
}

fn condition(claim: &str, pattern: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(claim.to_owned(), pattern.to_owned())])
}

/// Lets tokens about a repository's main branch stand for the application.
async fn let_repository_in(server: &Installation) -> uuid::Uuid {
    let rule = NewRule {
        issuer: "dex".into(),
        audience: Some("api://wharf".into()),
        conditions: condition("sub", "repo:contoso/*:ref:refs/heads/main"),
        stands_for: StandsFor::Principal(server.app.id),
    };
    server.identity.add_rule(rule).await.unwrap().id
}

fn workload(server: &Installation, provider: &Provider) -> Value {
    let now = server.clock.now().unix_seconds();
    json!({
        "iss": provider.issuer, "aud": "api://wharf", "sub": "repo:contoso/app:ref:refs/heads/main",
        "iat": now, "nbf": now, "exp": now + 600,
    })
}

async fn present(server: &Installation, client: &str, assertion: &str) -> Reply {
    server
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_assertion", assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("scope", "https://management.example.com/.default"),
        ])
        .await
}

#[tokio::test]
async fn a_workload_signs_in_by_a_rule_and_by_nothing_else() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    let (id, claims_) = (server.app_id(), workload(&server, &provider));
    let token = provider.sign(&claims_);
    assert_eq!(present(&server, &id, &token).await.error(), (401, "invalid_client".into(), 700_211));
    trust(&server, &provider).await;
    assert_eq!(present(&server, &id, &token).await.error(), (401, "invalid_client".into(), 700_213));
    let rule = let_repository_in(&server).await;
    let body = present(&server, &id, &token).await.ok();
    let access = body["access_token"].as_str().unwrap();
    assert_eq!(claims(access)["oid"], server.app.id.to_string());
    // The same token again: it lives in a file.
    present(&server, &id, &token).await.ok();
    assert_eq!(provider.asked_for_keys(), 1);

    for (claim, value, code) in [
        ("sub", json!("repo:contoso/app:ref:refs/heads/main2"), 700_213),
        ("sub", json!("repo:evil/app:ref:refs/heads/main"), 700_213),
        ("sub", Value::Null, 700_213),
        ("aud", json!("api://other"), 700_213),
        ("aud", json!([]), 700_213),
        ("iss", json!("https://evil.example.com"), 700_211),
        ("exp", json!(server.clock.now().unix_seconds() - 301), 700_024),
        ("nbf", json!(server.clock.now().unix_seconds() + 301), 700_024),
        ("exp", Value::Null, 50_027),
    ] {
        let mut claims = claims_.clone();
        claims[claim] = value.clone();
        let reply = present(&server, &id, &provider.sign(&claims)).await;
        assert_eq!(reply.error(), (401, "invalid_client".into(), code), "{claim} {value}");
    }
    let (other, _, _) = server.another_client("other").await;
    let other = present(&server, &other.app_id.unwrap().to_string(), &token).await;
    assert_eq!(other.error().2, 700_213, "a rule is one principal's");
    assert_eq!(present(&server, &server.anna.id.to_string(), &token).await.error().2, 700_213);

    // The end of the rule is the end of the tokens.
    server.identity.verify_principal_token(access).await.unwrap();
    server.identity.remove_rule(rule).await.unwrap();
    assert!(server.identity.verify_principal_token(access).await.is_err());
    assert_eq!(present(&server, &id, &token).await.error().2, 700_213);
}

#[tokio::test]
async fn keys_are_asked_for_again_when_they_change_and_not_too_often() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let_repository_in(&server).await;
    let id = server.app_id();
    present(&server, &id, &provider.sign(&workload(&server, &provider))).await.ok();
    provider.add_key("second");
    let token = provider.sign(&workload(&server, &provider));
    let early = present(&server, &id, &token).await;
    assert_eq!(early.error().2, 50_027, "asked a moment ago");
    for _ in 0..5 {
        present(&server, &id, &token).await;
    }
    assert_eq!(provider.asked_for_keys(), 1);
    server.clock.advance(Duration::from_secs(61));
    present(&server, &id, &token).await.ok();
    assert_eq!(provider.asked_for_keys(), 2);
    // A key that is not the issuer's, under a name that is.
    let stranger = Provider::start().await;
    let forged = stranger.sign(&workload(&server, &provider));
    assert_eq!(present(&server, &id, &forged).await.error().2, 50_027);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_done_without_for_a_while() {
    let server = Installation::start().await;
    let provider = Provider::start().await;
    let keys: Vec<Value> = provider.inside.keys.lock().unwrap().iter().map(|(_, _, jwk)| jwk.clone()).collect();
    // Keys that the operator wrote down need no issuer at all.
    let new = NewIssuer {
        name: "cluster".into(),
        issuer: "https://kubernetes.default.svc".into(),
        keys: Some(json!({ "keys": keys }).to_string()),
        ..NewIssuer::default()
    };
    server.identity.add_issuer(new).await.unwrap();
    let rule = NewRule {
        issuer: "cluster".into(),
        audience: Some("api://wharf".into()),
        conditions: condition("sub", "system:serviceaccount:ci:builder"),
        stands_for: StandsFor::Principal(server.app.id),
    };
    server.identity.add_rule(rule).await.unwrap();
    let mut claims = workload(&server, &provider);
    claims["iss"] = json!("https://kubernetes.default.svc");
    claims["sub"] = json!("system:serviceaccount:ci:builder");
    present(&server, &server.app_id(), &provider.sign(&claims)).await.ok();
    assert_eq!(provider.asked_for_keys(), 0);

    // One that cannot be reached says so.
    let new = NewIssuer { name: "gone".into(), issuer: "http://127.0.0.1:9/".into(), ..NewIssuer::default() };
    server.identity.add_issuer(new).await.unwrap();
    claims["iss"] = json!("http://127.0.0.1:9/");
    let reply = present(&server, &server.app_id(), &provider.sign(&claims)).await;
    assert_eq!(reply.error(), (401, "invalid_client".into(), 5_000_224));
    assert!(server.identity.test_issuer("gone", None).await.is_err());
}

#[tokio::test]
async fn internal_issuers_are_not_reached_unless_allowed() {
    let server = Installation::start().await;
    for issuer in
        ["https://10.0.0.1", "https://169.254.169.254/latest", "https://[::1]:1", "https://192.168.0.1:8443/x"]
    {
        let new = NewIssuer { name: "internal".into(), issuer: issuer.into(), ..NewIssuer::default() };
        server.identity.add_issuer(new).await.unwrap();
        let error = server.identity.test_issuer("internal", None).await.unwrap_err();
        let told = wharf_model::error_chain(&error).to_string();
        assert!(told.contains("internal address"), "{issuer}: {told}");
        server.identity.remove_issuer("internal").await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    for (name, issuer) in [
        ("", "https://issuer.example.com"),
        ("with blank", "https://issuer.example.com"),
        ("plain", "http://issuer.example.com"),
        ("none", "issuer.example.com"),
    ] {
        let new = NewIssuer { name: name.into(), issuer: issuer.into(), ..NewIssuer::default() };
        assert!(matches!(server.identity.add_issuer(new).await, Err(FederationError::Invalid { .. })), "{name}");
    }
    let twice = NewIssuer { name: "again".into(), issuer: provider.issuer.clone(), ..NewIssuer::default() };
    assert!(matches!(server.identity.add_issuer(twice).await, Err(FederationError::Taken { .. })));
    let everything = NewRule {
        issuer: "dex".into(),
        audience: Some("a".into()),
        conditions: BTreeMap::new(),
        stands_for: StandsFor::Principal(server.app.id),
    };
    assert!(matches!(server.identity.add_rule(everything).await, Err(FederationError::Invalid { .. })));
    let nobody = NewRule {
        issuer: "dex".into(),
        audience: Some("a".into()),
        conditions: condition("sub", "x"),
        stands_for: StandsFor::Principal(wharf_model::PrincipalId(uuid::Uuid::nil())),
    };
    assert!(matches!(server.identity.add_rule(nobody).await, Err(FederationError::NotFound { .. })));
}

fn address() -> String {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    format!(
        "/organizations/oauth2/v2.0/authorize?client_id={AZ}&response_type=code&redirect_uri=http://localhost:41719\
         &scope={ARM}/.default%20openid%20offline_access&state=s&code_challenge={challenge}&code_challenge_method=S256"
    )
}

/// Goes to the issuer, and returns what it was asked.
async fn go_outside(browser: &Browser<'_>) -> BTreeMap<String, String> {
    let page = browser.get(&address()).await;
    assert!(page.text.contains("Company account"), "{}", page.text);
    let start = page.text.find("/login/external?").expect("a link to the issuer");
    let link = page.text[start..].split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let (there, parameters) = browser.get(&link).await.redirected();
    assert!(there.ends_with("/dex/auth"), "{there}");
    parameters
}

fn id_token(server: &Installation, provider: &Provider, asked: &BTreeMap<String, String>, email: &str) -> Value {
    let now = server.clock.now().unix_seconds();
    json!({
        "iss": provider.issuer, "aud": "wharf", "sub": "CgRhbm5h", "nonce": asked["nonce"], "iat": now, "exp": now + 600,
        "email": email, "email_verified": true, "name": "Anna of Dex", "groups": ["dev"],
    })
}

async fn come_back(browser: &Browser<'_>, asked: &BTreeMap<String, String>) -> Reply {
    let fields = [("code", "c-1"), ("state", asked["state"].as_str())];
    browser.get(&format!("/login/external/callback?{}", crate::setup::encode(&fields))).await
}

async fn let_people_in(server: &Installation, creates: bool, trusts_names: bool) -> uuid::Uuid {
    let rule = NewRule {
        issuer: "dex".into(),
        audience: None,
        conditions: condition("email", "*@example.com"),
        stands_for: StandsFor::User { claim: "email".into(), creates, trusts_names },
    };
    server.identity.add_rule(rule).await.unwrap().id
}

#[tokio::test]
async fn a_person_signs_in_by_an_issuer() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let rule = let_people_in(&server, false, true).await;
    let browser = Browser::of(&server);
    let asked = go_outside(&browser).await;
    assert_eq!(asked["client_id"], "wharf");
    assert_eq!(asked["redirect_uri"], format!("{LOGIN}/login/external/callback"));
    assert_eq!((asked["scope"].as_str(), asked["code_challenge_method"].as_str()), ("openid email profile", "S256"));
    *provider.inside.id_token.lock().unwrap() = Some(id_token(&server, &provider, &asked, ANNA));
    let (back, parameters) = come_back(&browser, &asked).await.redirected();
    assert_eq!(back, "http://localhost:41719/");
    {
        let exchanged = provider.inside.exchanged.lock().unwrap();
        let (authorization, form) = &exchanged[0];
        assert!(authorization.starts_with("Basic "), "{authorization}");
        assert_eq!(form["code"], "c-1");
        assert!(form.contains_key("code_verifier") && !form.contains_key("client_secret"));
    }
    let tokens = server
        .token(&[
            ("grant_type", "authorization_code"),
            ("client_id", AZ),
            ("code", &parameters["code"]),
            ("redirect_uri", "http://localhost:41719"),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ])
        .await
        .ok();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(claims(access)["upn"], ANNA);
    // And stays signed in here, until the rule ends.
    browser.get(&address()).await.redirected();
    server.identity.remove_rule(rule).await.unwrap();
    assert!(browser.get(&address()).await.text.contains("name=\"password\""));
    assert!(server.identity.verify_principal_token(access).await.is_err());
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", AZ),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(server.token(&refresh).await.error().2, 50_173);
}

#[tokio::test]
async fn only_the_answer_to_our_own_question_counts() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let_people_in(&server, false, true).await;
    for (claim, value) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another-client")),
        ("iss", json!("https://evil.example.com")),
        ("azp", json!("another-client")),
        ("exp", json!(1)),
    ] {
        let browser = Browser::of(&server);
        let asked = go_outside(&browser).await;
        let mut claims = id_token(&server, &provider, &asked, ANNA);
        claims[claim] = value;
        *provider.inside.id_token.lock().unwrap() = Some(claims);
        let reply = come_back(&browser, &asked).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{claim}: {}", reply.text);
        assert!(reply.headers.get("set-cookie").is_none());
    }
    // A state of another browser, and a made-up one.
    let (anna, mallory) = (Browser::of(&server), Browser::of(&server));
    let asked = go_outside(&mallory).await;
    anna.get(&address()).await;
    *provider.inside.id_token.lock().unwrap() = Some(id_token(&server, &provider, &asked, ANNA));
    assert_eq!(come_back(&anna, &asked).await.status, StatusCode::BAD_REQUEST);
    let made_up = BTreeMap::from([("state".to_owned(), "x".to_owned())]);
    assert_eq!(come_back(&mallory, &made_up).await.status, StatusCode::BAD_REQUEST);
    // The issuer says no, or does not know the code.
    let denied = "/login/external/callback?error=access_denied&error_description=No%20way&state=";
    let denied = mallory.get(&format!("{denied}{}", asked["state"])).await;
    assert!(denied.text.contains("No way"), "{}", denied.text);
    provider.inside.id_token.lock().unwrap().take();
    assert_eq!(come_back(&mallory, &asked).await.status, StatusCode::BAD_GATEWAY);
    // Its time is over.
    let asked = go_outside(&mallory).await;
    server.clock.advance(Duration::from_secs(21 * 60));
    assert_eq!(come_back(&mallory, &asked).await.status, StatusCode::BAD_REQUEST);
}

/// Somebody signs in by the issuer, with these claims.
async fn come_with(server: &Installation, provider: &Provider, changes: &[(&str, Value)]) -> Reply {
    let browser = Browser::of(server);
    let asked = go_outside(&browser).await;
    let mut claims = id_token(server, provider, &asked, ANNA);
    for (claim, value) in changes {
        claims[*claim] = value.clone();
    }
    *provider.inside.id_token.lock().unwrap() = Some(claims);
    come_back(&browser, &asked).await
}

#[tokio::test]
async fn strangers_stay_outside_unless_a_rule_makes_them_users() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let rule = let_people_in(&server, false, true).await;
    let come_as = async |email: &str, verified: bool| {
        let subject = format!("of {email}");
        let claims = [("sub", json!(subject)), ("email", json!(email)), ("email_verified", json!(verified))];
        come_with(&server, &provider, &claims).await.status
    };
    assert_eq!(come_as("bert@example.com", true).await, StatusCode::FORBIDDEN, "not in the directory");
    assert_eq!(come_as("anna@evil.example", true).await, StatusCode::FORBIDDEN, "not by the rule");
    assert_eq!(come_as(ANNA, false).await, StatusCode::FORBIDDEN, "anybody can say so");
    assert_eq!(come_as(ANNA, true).await, StatusCode::SEE_OTHER);
    server.identity.remove_rule(rule).await.unwrap();
    assert_eq!(come_as(ANNA, true).await, StatusCode::FORBIDDEN);

    let_people_in(&server, true, false).await;
    assert_eq!(come_as("bert@example.com", true).await, StatusCode::SEE_OTHER);
    let bert = server.identity.find_user("bert@example.com").await.unwrap().expect("a user was made");
    assert_eq!(come_as("bert@example.com", true).await, StatusCode::SEE_OTHER);
    server.disable(bert.id).await;
    assert_eq!(come_as("bert@example.com", true).await, StatusCode::FORBIDDEN, "switched off, and not made again");
    assert_eq!(come_as("carl@evil.example", true).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_name_that_somebody_chose_elsewhere_takes_nobody_over() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let by_name = NewRule {
        issuer: "dex".into(),
        audience: None,
        conditions: BTreeMap::new(),
        stands_for: StandsFor::User { claim: "preferred_username".into(), creates: true, trusts_names: false },
    };
    server.identity.add_rule(by_name).await.unwrap();
    let come_as = async |subject: &str, name: &str| {
        let claims = [("sub", json!(subject)), ("preferred_username", json!(name))];
        come_with(&server, &provider, &claims).await.status
    };
    assert_eq!(come_as("mallory", ANNA).await, StatusCode::FORBIDDEN, "she was here before, with a password");
    assert_eq!(come_as("b-1", "bert@example.com").await, StatusCode::SEE_OTHER);
    let bert = server.identity.find_user("bert@example.com").await.unwrap().unwrap();
    assert_eq!(come_as("b-2", "bert@example.com").await, StatusCode::FORBIDDEN, "the name has changed hands");
    assert_eq!(come_as("", "dora@example.com").await, StatusCode::FORBIDDEN, "without a subject nobody is known");
    // Who signed in once is the same, whatever they are called now.
    assert_eq!(come_as("b-1", ANNA).await, StatusCode::SEE_OTHER);
    server.disable(bert.id).await;
    assert_eq!(come_as("b-1", "bert.two@example.com").await, StatusCode::FORBIDDEN);
    assert!(server.identity.find_user("bert.two@example.com").await.unwrap().is_none(), "nor are they made anew");

    // Unless the operator says who it is.
    server.identity.link_person("dex", "a-1", server.anna.id).await.unwrap();
    assert_eq!(come_as("a-1", "anything@example.com").await, StatusCode::SEE_OTHER);
    assert!(server.identity.find_user("anything@example.com").await.unwrap().is_none());
    let token = server.annas_tokens().await["access_token"].as_str().unwrap().to_owned();
    server.identity.verify_principal_token(&token).await.unwrap();
    server.identity.unlink_person("dex", "a-1").await.unwrap();
    assert!(server.identity.verify_principal_token(&token).await.is_err(), "what was got ends");
    assert_eq!(come_as("a-1", ANNA).await, StatusCode::FORBIDDEN);
    let refused = server.identity.unlink_person("dex", "a-1").await;
    assert!(matches!(refused, Err(FederationError::NotFound { .. })));
    let refused = server.identity.link_person("dex", "a-1", server.app.id).await;
    assert!(matches!(refused, Err(FederationError::Invalid { .. })), "an application is no person");
}

#[tokio::test]
async fn where_names_are_trusted_the_first_account_is_the_user() {
    let (server, provider) = (Installation::start().await, Provider::start().await);
    trust(&server, &provider).await;
    let_people_in(&server, false, true).await;
    let come_as = async |subject: &str| come_with(&server, &provider, &[("sub", json!(subject))]).await.status;
    assert_eq!(come_as("a-1").await, StatusCode::SEE_OTHER);
    assert_eq!(come_as("a-2").await, StatusCode::FORBIDDEN, "the address has changed hands");
    assert_eq!(come_as("a-1").await, StatusCode::SEE_OTHER);
}
