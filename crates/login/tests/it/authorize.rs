//! Programs that send a browser for a code.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use http::{Method, StatusCode};
use serde_json::json;

use crate::setup::{ANNA, ARM, AZ, Browser, Installation, LOGIN, PASSWORD, Reply, TENANT, claims, encode};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const BACK: &str = "http://localhost:41719";

fn challenge() -> String {
    BASE64URL.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// The address that az opens, with some parameters changed; those without a value are left out.
fn address(changes: &[(&str, &str)]) -> String {
    let scope = format!("{ARM}/.default offline_access openid profile");
    let challenge = challenge();
    let mut parameters: Vec<(&str, &str)> = vec![
        ("client_id", AZ),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("scope", &scope),
        ("state", "s t&a=te"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("nonce", "n-1"),
        ("client_info", "1"),
    ];
    parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    format!("/organizations/oauth2/v2.0/authorize?{}", encode(&parameters))
}

async fn redeem(server: &Installation, changes: &[(&str, &str)], code: &str) -> Reply {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", AZ),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("scope", "https://management.example.com/.default offline_access openid profile"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    server.token(&fields).await
}

/// Anna signs in, and the browser is sent back with a code.
async fn code(server: &Installation) -> String {
    let browser = Browser::of(server);
    let page = browser.get(&address(&[])).await;
    let (back, parameters) = browser.give_password(&page).await.redirected();
    assert_eq!(back, format!("{BACK}/"));
    assert_eq!(parameters["state"], "s t&a=te");
    parameters["code"].clone()
}

#[tokio::test]
async fn a_browser_brings_a_code_that_is_good_for_tokens() {
    let server = Installation::start().await;
    let code = code(&server).await;
    let tokens = redeem(&server, &[], &code).await.ok();
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["aud"], &access["upn"]), (&ARM.into(), &ANNA.into()));
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["nonce"], &id["aud"]), (&"n-1".into(), &AZ.into()));
    assert_eq!(id["iss"], format!("{LOGIN}/{TENANT}/v2.0"));
    assert!(tokens["refresh_token"].is_string());
}

#[tokio::test]
async fn az_gets_its_answer_in_a_form() {
    let server = Installation::start().await;
    let browser = Browser::of(&server);
    let page = browser.get(&address(&[("response_mode", "form_post"), ("prompt", "select_account")])).await;
    assert!(page.header("content-security-policy").contains("form-action 'self' http://localhost:41719;"));
    let answer = browser.give_password(&page).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("<form method=\"post\" action=\"http://localhost:41719\">"), "{}", answer.text);
    assert!(!answer.text.contains("<script"), "{}", answer.text);
    assert_eq!(answer.field("state"), "s t&a=te");
    redeem(&server, &[], &answer.field("code")).await.ok();

    // Signed in already, one click is enough; and with no prompt, none.
    let page = browser.get(&address(&[("response_mode", "form_post"), ("prompt", "select_account")])).await;
    assert!(page.text.contains(&format!("Continue as {ANNA}")), "{}", page.text);
    let answer = browser.post("/login/continue", &[("flow", &page.field("flow")), ("account", "same")]).await;
    redeem(&server, &[], &answer.field("code")).await.ok();
    let (_, parameters) = browser.get(&address(&[])).await.redirected();
    redeem(&server, &[], &parameters["code"]).await.ok();
    // Unless credentials are asked for.
    let page = browser.get(&address(&[("prompt", "login"), ("login_hint", "bert@example.com")])).await;
    assert!(page.text.contains("value=\"bert@example.com\""), "{}", page.text);
    let skipped = browser.post("/login/continue", &[("flow", &page.field("flow")), ("account", "same")]).await;
    assert!(skipped.text.contains("name=\"password\""), "{}", skipped.text);
}

#[tokio::test]
async fn a_code_is_good_once_and_its_tokens_end_when_it_is_tried_again() {
    let server = Installation::start().await;
    let code = code(&server).await;
    let tokens = redeem(&server, &[], &code).await.ok();
    let refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [("grant_type", "refresh_token"), ("client_id", AZ), ("refresh_token", refresh_token.as_str())];
    server.token(&refresh).await.ok();
    assert_eq!(redeem(&server, &[], &code).await.error(), (400, "invalid_grant".into(), 54_005));
    assert_eq!(server.token(&refresh).await.error(), (400, "invalid_grant".into(), 70_000));
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_address_its_client_and_its_time() {
    let server = Installation::start().await;
    let powershell = "1950a258-227b-4e31-a9cf-717495945fc2";
    for (changes, expected) in [
        ([("code_verifier", "wrong")], 501_481),
        ([("code_verifier", "")], 501_481),
        ([("redirect_uri", "http://localhost:41720")], 500_112),
        ([("client_id", powershell)], 9_002_313),
    ] {
        let code = code(&server).await;
        assert_eq!(redeem(&server, &changes, &code).await.error().2, expected, "{changes:?}");
        assert_eq!(redeem(&server, &[], &code).await.error().2, 54_005, "a code that was tried is gone");
    }
    let code = code(&server).await;
    server.clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(redeem(&server, &[], &code).await.error(), (400, "invalid_grant".into(), 70_008));
    assert_eq!(redeem(&server, &[], "made-up").await.error().2, 9_002_313);
}

#[tokio::test]
async fn nobody_is_sent_where_the_client_did_not_register() {
    let server = Installation::start().await;
    for evil in [
        "https://evil.example.com/",
        "http://localhost.evil.example.com/",
        "http://localhost@evil.example.com/",
        "http://localhost:80\\@evil.example.com",
        "//evil.example.com",
        "javascript:alert(1)",
        "http://localhost/#x",
    ] {
        let reply = server.get(&address(&[("redirect_uri", evil)])).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{evil}");
        assert!(reply.headers.get("location").is_none(), "{evil}");
        assert!(reply.text.contains("AADSTS50011"), "{evil}: {}", reply.text);
        assert!(!reply.text.contains("href=\"http") && !reply.text.contains("action=\"http"), "{}", reply.text);
    }
    for (changes, code) in [([("client_id", "nobody")], "AADSTS700016"), ([("redirect_uri", "")], "AADSTS900144")] {
        let reply = server.get(&address(&changes)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(reply.text.contains(code), "{}", reply.text);
    }
    let out = server.get("/adfs/oauth2/logout?post_logout_redirect_uri=https://evil.example.com/").await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(!out.text.contains("evil"), "{}", out.text);
}

#[tokio::test]
async fn what_is_written_into_a_page_stays_text() {
    let server = Installation::start().await;
    let nasty = "\"><script>alert(1)</script>";
    let pages = [
        server.get(&address(&[("redirect_uri", nasty)])).await,
        server.get(&address(&[("client_id", nasty)])).await,
        server.get(&address(&[("login_hint", nasty)])).await,
        server.get(&address(&[("state", nasty), ("response_type", "token"), ("response_mode", "form_post")])).await,
        server.get(&format!("/login/device?{}", encode(&[("user_code", nasty)]))).await,
    ];
    for page in pages {
        assert!(!page.text.contains("<script"), "{}", page.text);
        assert!(page.header("content-security-policy").starts_with("default-src 'none';"));
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn what_is_wrong_otherwise_is_told_to_the_program() {
    let server = Installation::start().await;
    for (changes, expected) in [
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("scope", "https://a/.default https://b/.default")], "invalid_scope"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("response_mode", "smoke")], "invalid_request"),
    ] {
        let (back, parameters) = server.get(&address(&changes)).await.redirected();
        assert_eq!(back, format!("{BACK}/"), "{changes:?}");
        assert_eq!(parameters["error"], expected, "{changes:?}");
        assert_eq!(parameters["state"], "s t&a=te");
        assert!(!parameters.contains_key("code"));
    }
    let (_, parameters) = server.get(&address(&[("response_mode", "fragment"), ("prompt", "none")])).await.redirected();
    assert_eq!(parameters["error"], "login_required");
}

#[tokio::test]
async fn wrong_passwords_are_told_on_the_page() {
    let server = Installation::start().await;
    let browser = Browser::of(&server);
    let page = browser.get(&address(&[])).await;
    let flow = page.field("flow");
    let again = browser.post("/login/password", &[("flow", &flow), ("username", ANNA), ("password", "wrong")]).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text.contains("role=\"alert\"") && again.text.contains("invalid username or password"));
    let without = browser.post("/login/password", &[("username", ANNA), ("password", PASSWORD)]).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert!(without.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn a_password_that_was_given_is_changed_before_anything_else() {
    let server = Installation::start().await;
    server
        .identity
        .create_user(wharf_identity::directory::NewUser {
            tenant_id: TENANT,
            user_name: "bert@example.com".into(),
            display_name: "Bert".into(),
            password: Some("given by the operator 1".into()),
            must_change_password: true,
            is_enabled: true,
            properties: Default::default(),
        })
        .await
        .unwrap();
    let browser = Browser::of(&server);
    let page = browser.get(&address(&[])).await;
    let flow = page.field("flow");
    let fields = [("flow", flow.as_str()), ("username", "bert@example.com"), ("password", "given by the operator 1")];
    let page = browser.post("/login/password", &fields).await;
    assert!(page.text.contains("Change your password"), "{}", page.text);
    let flow = page.field("flow");
    let change = async |new: &str, again: &str| {
        let fields = [
            ("flow", flow.as_str()),
            ("username", "bert@example.com"),
            ("password", "given by the operator 1"),
            ("new", new),
            ("again", again),
        ];
        browser.post("/login/change-password", &fields).await
    };
    assert!(change("my own and long 1", "my own and lon 1").await.text.contains("differ"));
    assert_eq!(change("", "").await.status, StatusCode::BAD_REQUEST);
    let (_, parameters) = change("my own and long 1", "my own and long 1").await.redirected();
    let tokens = redeem(&server, &[], &parameters["code"]).await.ok();
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["upn"], "bert@example.com");
}

const WEB: &str = "https://portal.example.com/back";

/// An application with a secret, to which browsers are sent with codes.
async fn portal(server: &Installation) -> (String, String) {
    let (principal, application, secret) = server.another_client("Portal").await;
    let properties = json!({
        "web": {"redirectUris": [WEB]},
        "publicClient": {"redirectUris": ["http://localhost/back"]},
    });
    server
        .identity
        .update_application(wharf_metadata::ApplicationId(application), None, move |row| {
            row.properties = serde_json::from_value(properties).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    (principal.app_id.unwrap().to_string(), secret)
}

/// What opens the door to a server: no verifier, since it proves itself.
fn of_web(id: &str) -> [(&str, &str); 4] {
    [("client_id", id), ("redirect_uri", WEB), ("code_challenge", ""), ("code_challenge_method", "")]
}

async fn approve(browser: &Browser<'_>, question: &Reply) -> Reply {
    browser.post("/login/consent", &[("flow", &question.field("flow")), ("answer", "approve")]).await
}

#[tokio::test]
async fn registered_applications_have_their_own_addresses_and_proofs() {
    let server = Installation::start().await;
    let (id, secret) = portal(&server).await;
    let browser = Browser::of(&server);
    let page = browser.get(&address(&[("client_id", &id), ("redirect_uri", "http://localhost:5/back")])).await;
    assert!(page.text.contains("Portal"), "{}", page.text);

    // A server proves itself, with or without a verifier.
    let page = browser.get(&address(&of_web(&id))).await;
    let question = browser.give_password(&page).await;
    let (back, parameters) = approve(&browser, &question).await.redirected();
    assert_eq!(back, WEB);
    let changes = [("client_id", id.as_str()), ("redirect_uri", WEB), ("code_verifier", "")];
    let silent = redeem(&server, &changes, &parameters["code"]).await;
    assert_eq!(silent.error(), (401, "invalid_client".into(), 7_000_218));
    let wrong = [&changes[..], &[("client_secret", "wrong")]].concat();
    assert_eq!(redeem(&server, &wrong, &parameters["code"]).await.error().2, 7_000_215);
    let proven = [&changes[..], &[("client_secret", secret.as_str())]].concat();
    let tokens = redeem(&server, &proven, &parameters["code"]).await.ok();
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["appid"], &access["appidacr"]), (&id.as_str().into(), &"1".into()));

    // A verifier where no challenge was: somebody took it out on the way.
    let question = browser.get(&address(&of_web(&id))).await;
    let (_, parameters) = approve(&browser, &question).await.redirected();
    let downgraded = [("client_id", id.as_str()), ("redirect_uri", WEB), ("client_secret", secret.as_str())];
    assert_eq!(redeem(&server, &downgraded, &parameters["code"]).await.error().2, 501_481);
}

#[tokio::test]
async fn a_registered_application_gets_nothing_before_somebody_approves_it() {
    let server = Installation::start().await;
    let (id, _) = portal(&server).await;
    let browser = Browser::of(&server);
    browser.give_password(&browser.get(&address(&[])).await).await.redirected();

    // Signed in already, in every way that a program may ask.
    for changes in [of_web(&id).to_vec(), [&of_web(&id)[..], &[("response_mode", "form_post")]].concat()] {
        let question = browser.get(&address(&changes)).await;
        assert_eq!(question.status, StatusCode::OK);
        assert!(!question.text.contains("name=\"code\""), "{}", question.text);
        for named in ["Portal", id.as_str(), "https://portal.example.com", ARM, ANNA] {
            assert!(question.text.contains(named), "{named}: {}", question.text);
        }
        assert!(question.header("content-security-policy").contains("form-action 'self' https://portal.example.com;"));
    }
    let page = browser.get(&address(&[&of_web(&id)[..], &[("prompt", "select_account")]].concat())).await;
    let question = browser.post("/login/continue", &[("flow", &page.field("flow")), ("account", "same")]).await;
    assert!(question.text.contains("act for you?"), "{}", question.text);
    let (_, silent) = browser.get(&address(&[&of_web(&id)[..], &[("prompt", "none")]].concat())).await.redirected();
    assert_eq!(silent["error"], "consent_required");
    assert!(silent["error_description"].starts_with("AADSTS65001") && !silent.contains_key("code"));

    // Neither the page before it nor another's answer takes the question's place.
    let early = browser.post("/login/consent", &[("flow", &page.field("flow")), ("answer", "approve")]).await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST);
    let mallory = Browser::of(&server);
    mallory.get(&address(&of_web(&id))).await;
    assert_eq!(approve(&mallory, &question).await.status, StatusCode::BAD_REQUEST);
    let (back, declined) =
        browser.post("/login/consent", &[("flow", &question.field("flow")), ("answer", "decline")]).await.redirected();
    assert_eq!((back.as_str(), declined["error"].as_str()), (WEB, "access_denied"));
    assert!(!declined.contains_key("code"));
    // Approved once is approved once.
    let (_, approved) = approve(&browser, &question).await.redirected();
    assert!(approved.contains_key("code"));
    assert!(browser.get(&address(&of_web(&id))).await.text.contains("act for you?"));
    // Signed out since, nobody has approved.
    browser.get("/login/sign-out").await;
    assert!(approve(&browser, &question).await.text.contains("name=\"password\""));
}

#[tokio::test]
async fn what_was_approved_is_for_one_resource_and_for_whoever_proved_itself() {
    let server = Installation::start().await;
    let (id, secret) = portal(&server).await;
    let (other, _, _) = server.another_client("Other").await;
    let other = other.app_id.unwrap().to_string();
    let browser = Browser::of(&server);
    let registries = "https://containerregistry.azure.net/.default offline_access";
    let wanted = [&of_web(&id)[..], &[("scope", registries)]].concat();
    let page = browser.get(&address(&wanted)).await;
    let mut question = browser.give_password(&page).await;
    let proven =
        [("client_id", id.as_str()), ("redirect_uri", WEB), ("code_verifier", ""), ("client_secret", secret.as_str())];
    // Another resource than that which was approved.
    let (_, parameters) = approve(&browser, &question).await.redirected();
    assert_eq!(redeem(&server, &proven, &parameters["code"]).await.error(), (400, "invalid_grant".into(), 65_001));
    question = browser.get(&address(&wanted)).await;
    let (_, parameters) = approve(&browser, &question).await.redirected();
    let tokens = redeem(&server, &[&proven[..], &[("scope", "")]].concat(), &parameters["code"]).await.ok();
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["aud"], "https://containerregistry.azure.net");
    let token = tokens["refresh_token"].as_str().unwrap();
    let refresh = async |scope: &str, more: &[(&str, &str)]| {
        let fields = [("grant_type", "refresh_token"), ("client_id", &*id), ("refresh_token", token), ("scope", scope)];
        server.token(&[&fields[..], more].concat()).await
    };
    let secret = [("client_secret", secret.as_str())];
    for good in [registries, "openid"] {
        let tokens = refresh(good, &secret).await.ok();
        let access = claims(tokens["access_token"].as_str().unwrap());
        assert_eq!(access["aud"], "https://containerregistry.azure.net", "{good}");
    }
    for bad in [ARM, "https://management.example.com/graph"] {
        let refused = refresh(&format!("{bad}/.default"), &secret).await;
        assert_eq!(refused.error(), (400, "invalid_grant".into(), 65_001), "{bad}");
    }
    // It has public redirect URIs too, and this token was not got by one.
    assert_eq!(refresh(registries, &[]).await.error(), (401, "invalid_client".into(), 7_000_218));

    // What another application takes for its own is not to be had, approved or not.
    for audience in [other.clone(), format!("api://{other}"), AZ.to_owned()] {
        let scope = format!("{audience}/.default");
        let question = browser.get(&address(&[&of_web(&id)[..], &[("scope", &*scope)]].concat())).await;
        let (_, parameters) = approve(&browser, &question).await.redirected();
        let refused = redeem(&server, &[&proven[..], &[("scope", "")]].concat(), &parameters["code"]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".into(), 65_001), "{audience}");
    }
}

#[tokio::test]
async fn a_posted_request_for_a_code_is_understood() {
    let server = Installation::start().await;
    let address = address(&[]);
    let (path, form) = address.split_once('?').unwrap();
    let page = server.send(Method::POST, path, form, &[]).await;
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
}
