//! Devices that a person lets sign in elsewhere.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::setup::{ANNA, ARM, AZ, Browser, Installation, LOGIN, PASSWORD, Reply, claims};

async fn start(server: &Installation) -> Value {
    let scope = format!("{ARM}/.default offline_access openid profile");
    server.post("/organizations/oauth2/v2.0/devicecode", &[("client_id", AZ), ("scope", &scope)]).await.ok()
}

async fn poll(server: &Installation, code: &Value) -> Reply {
    let code = code["device_code"].as_str().unwrap();
    server
        .token(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", AZ),
            ("device_code", code),
            ("code", code),
            ("client_info", "1"),
        ])
        .await
}

/// Anna types the code, signs in and comes to the question.
async fn reach_question(browser: &Browser<'_>, code: &Value) -> Reply {
    let page = browser.get("/login/device").await;
    let flow = page.field("flow");
    let user_code = code["user_code"].as_str().unwrap().to_lowercase();
    let page = browser.post("/login/device", &[("flow", &flow), ("user_code", &user_code)]).await;
    browser.give_password(&page).await
}

#[tokio::test]
async fn a_person_lets_a_device_sign_in_once() {
    let server = Installation::start().await;
    let code = start(&server).await;
    assert_eq!(code["verification_uri"], format!("{LOGIN}/login/device"));
    assert_eq!((&code["expires_in"], &code["interval"]), (&900.into(), &5.into()));
    let shown = code["user_code"].as_str().unwrap();
    assert!(code["message"].as_str().unwrap().contains(shown));
    assert_eq!(poll(&server, &code).await.error(), (400, "authorization_pending".into(), 70_016));

    let browser = Browser::of(&server);
    let question = reach_question(&browser, &code).await;
    assert_eq!(question.status, StatusCode::OK);
    for expected in ["Azure CLI", shown, ANNA, "203.0.113.7"] {
        assert!(question.text.contains(expected), "{expected}: {}", question.text);
    }
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &code).await.error().1, "authorization_pending");
    let flow = question.field("flow");
    let done = browser.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert!(done.text.contains("You have signed in on your device"), "{}", done.text);
    assert_eq!(done.note.caller.as_deref(), Some(ANNA));

    let tokens = poll(&server, &code).await.ok();
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["aud"], &access["upn"]), (&ARM.into(), &ANNA.into()));
    assert!(tokens["refresh_token"].is_string() && tokens["id_token"].is_string());
    assert_eq!(poll(&server, &code).await.error(), (400, "invalid_grant".into(), 70_000), "a code is good once");
    let again = browser.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn of_many_polls_at_once_one_wins() {
    let server = Installation::start().await;
    let code = start(&server).await;
    let browser = Browser::of(&server);
    let question = reach_question(&browser, &code).await;
    let flow = question.field("flow");
    browser.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    let polls = tokio::join!(poll(&server, &code), poll(&server, &code), poll(&server, &code));
    let statuses = [polls.0.status, polls.1.status, polls.2.status];
    assert_eq!(statuses.iter().filter(|status| status.is_success()).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_device_that_polls_too_often_has_to_wait_longer() {
    let server = Installation::start().await;
    let code = start(&server).await;
    assert_eq!(poll(&server, &code).await.error().1, "authorization_pending");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(poll(&server, &code).await.error().1, "slow_down");
    server.clock.advance(Duration::from_secs(6));
    assert_eq!(poll(&server, &code).await.error().1, "slow_down", "five seconds more than before");
    server.clock.advance(Duration::from_secs(15));
    assert_eq!(poll(&server, &code).await.error().1, "authorization_pending");
}

#[tokio::test]
async fn a_device_is_told_no_and_that_its_time_is_over() {
    let server = Installation::start().await;
    let code = start(&server).await;
    let browser = Browser::of(&server);
    let flow = reach_question(&browser, &code).await.field("flow");
    browser.post("/login/device/answer", &[("flow", &flow), ("answer", "decline")]).await;
    assert_eq!(poll(&server, &code).await.error(), (400, "authorization_declined".into(), 70_018));
    assert_eq!(poll(&server, &code).await.error().1, "invalid_grant");

    let code = start(&server).await;
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(poll(&server, &code).await.error(), (400, "expired_token".into(), 70_020));
}

#[tokio::test]
async fn other_clients_codes_and_made_up_ones_are_worth_nothing() {
    let server = Installation::start().await;
    let code = start(&server).await;
    let device_code = code["device_code"].as_str().unwrap();
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let powershell = "1950a258-227b-4e31-a9cf-717495945fc2";
    for (client, code) in [(powershell, device_code), (AZ, "made-up")] {
        let reply = server.token(&[grant, ("client_id", client), ("device_code", code)]).await;
        assert_eq!(reply.error(), (400, "invalid_grant".into(), 70_000), "{client}");
    }
    let unknown = server.post("/adfs/oauth2/devicecode", &[("client_id", "nobody"), ("scope", "openid")]).await;
    assert_eq!(unknown.error().2, 700_016);
    // An application that holds a secret does not sign people in by codes, unless it is said to.
    let confidential = server.post("/adfs/oauth2/devicecode", &[("client_id", &server.app_id())]).await;
    assert_eq!(confidential.error().2, 7_000_218);
}

#[tokio::test]
async fn forms_of_other_browsers_are_not_taken() {
    let server = Installation::start().await;
    let code = start(&server).await;
    let (anna, mallory) = (Browser::of(&server), Browser::of(&server));
    let question = reach_question(&anna, &code).await;
    let flow = question.field("flow");
    // Mallory's page, sent to Anna's browser and the other way round: the cookie is another.
    let stolen = mallory.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST);
    let own = mallory.get("/login/device").await.field("flow");
    let fields = [("flow", own.as_str()), ("username", ANNA), ("password", PASSWORD)];
    assert_eq!(anna.post("/login/password", &fields).await.status, StatusCode::BAD_REQUEST);
    let without = server.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert_eq!(poll(&server, &code).await.error().1, "authorization_pending");
    // A page's time ends.
    server.clock.advance(Duration::from_secs(31 * 60));
    let late = anna.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn codes_are_not_to_be_guessed() {
    let server = Installation::start().await;
    let browser = Browser::of(&server);
    let flow = browser.get("/login/device").await.field("flow");
    let mut statuses = Vec::new();
    for number in 0..60 {
        let guess = format!("BBBB-{:0>4}", "B".repeat(number % 4));
        statuses.push(browser.post("/login/device", &[("flow", &flow), ("user_code", &guess)]).await.status.as_u16());
    }
    assert_eq!(statuses[0], 400);
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test]
async fn a_person_who_is_signed_in_is_asked_at_once_and_may_be_another() {
    let server = Installation::start().await;
    let browser = Browser::of(&server);
    reach_question(&browser, &start(&server).await).await;
    let code = start(&server).await;
    let flow = browser.get("/login/device").await.field("flow");
    let fields = [("flow", flow.as_str()), ("user_code", code["user_code"].as_str().unwrap())];
    let question = browser.post("/login/device", &fields).await;
    assert!(question.text.contains(ANNA), "{}", question.text);
    let flow = question.field("flow");
    let page = browser.post("/login/continue", &[("flow", &flow), ("account", "other")]).await;
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
    // Signed out, nobody is.
    browser.get("/login/sign-out").await;
    let page = browser.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
}

#[tokio::test]
async fn whoever_is_switched_off_lets_nobody_in() {
    let server = Installation::start().await;
    let code = start(&server).await;
    let browser = Browser::of(&server);
    let flow = reach_question(&browser, &code).await.field("flow");
    browser.post("/login/device/answer", &[("flow", &flow), ("answer", "approve")]).await;
    server.disable(server.anna.id).await;
    assert_eq!(poll(&server, &code).await.error(), (400, "invalid_grant".into(), 50_173));
}

#[tokio::test]
async fn a_network_of_ipv6_takes_no_more_codes_and_guesses_than_an_address() {
    let server = Installation::start().await;
    let path = "/organizations/oauth2/v2.0/devicecode";
    let form = crate::setup::encode(&[("client_id", AZ), ("scope", "openid")]);
    let ask = async |address: &str| server.send_from(address, Method::POST, path, &form, &[]).await.status.as_u16();
    for number in 0..100 {
        assert_eq!(ask(&format!("2001:db8::{number:x}")).await, 200, "{number}");
    }
    assert_eq!(ask("2001:db8::ffff").await, 429);
    assert_eq!(ask("2001:db8:0:1::1").await, 200, "the neighbours' network");
    // What has expired is not in the way, removed or not.
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(ask("2001:db8::ffff").await, 200);

    let mut statuses = Vec::new();
    for number in 0..60 {
        let address = format!("2001:db8:0:7::{number:x}");
        let page = server.send_from(&address, Method::GET, "/login/device", "", &[]).await;
        let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
        let form = crate::setup::encode(&[("flow", &page.field("flow")), ("user_code", "BCDF-GHJK")]);
        let guess = server.send_from(&address, Method::POST, "/login/device", &form, &[("cookie", &cookie)]).await;
        statuses.push(guess.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[59]), (400, 429));
}

#[tokio::test]
async fn a_registered_device_says_what_it_is_and_gets_one_resource() {
    let server = Installation::start().await;
    let (principal, application, _) = server.another_client("Television").await;
    server
        .identity
        .update_application(wharf_metadata::ApplicationId(application), None, |row| {
            row.properties = serde_json::from_value(serde_json::json!({"isFallbackPublicClient": true})).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    let id = principal.app_id.unwrap().to_string();
    let scope = format!("{ARM}/.default offline_access");
    let code = server.post("/adfs/oauth2/devicecode", &[("client_id", &id), ("scope", &scope)]).await.ok();
    let browser = Browser::of(&server);
    let question = reach_question(&browser, &code).await;
    for named in ["Television", id.as_str(), ARM] {
        assert!(question.text.contains(named), "{named}: {}", question.text);
    }
    browser.post("/login/device/answer", &[("flow", &question.field("flow")), ("answer", "approve")]).await;
    let device_code = code["device_code"].as_str().unwrap();
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let tokens = server.token(&[grant, ("client_id", &id), ("device_code", device_code)]).await.ok();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", &id),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    server.token(&refresh).await.ok();
    let elsewhere = [&refresh[..], &[("scope", "https://containerregistry.azure.net/.default")]].concat();
    assert_eq!(server.token(&elsewhere).await.error(), (400, "invalid_grant".into(), 65_001));
}
