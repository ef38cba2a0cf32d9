//! Users.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, filter, names};

fn new_user(name: &str) -> Value {
    json!({
        "userPrincipalName": format!("{name}@example.com"), "displayName": name, "mailNickname": name,
        "accountEnabled": true,
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": false},
    })
}

/// `az ad user create|show|list|update|delete`.
#[tokio::test]
async fn users_are_created_shown_changed_and_deleted() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let created = admin.post("/users", new_user("anna")).await.expect(StatusCode::CREATED);
    assert_eq!(created["userPrincipalName"], "anna@example.com");
    assert!(!created.to_string().contains(PASSWORD));
    world.identity.check_user_password("anna@example.com", PASSWORD, None).await.unwrap();
    let by_id = format!("/users/{}", created["id"].as_str().unwrap());
    for path in [by_id.as_str(), "/users/ANNA@example.com", "/users('anna%40example.com')"] {
        assert_eq!(admin.get(path).await["id"], created["id"], "{path}");
    }
    let found = admin.list(&format!("/users?{}", filter("userPrincipalName eq 'Anna@example.com'"))).await;
    assert_eq!(names(&found), ["anna"]);
    let shown = admin.get(&format!("{by_id}?$select=accountEnabled,mailNickname,passwordProfile,userType")).await;
    assert_eq!(shown["mailNickname"], "anna");
    assert_eq!((&shown["passwordProfile"], &shown["userType"]), (&Value::Null, &json!("Member")));
    assert!(shown.get("id").is_none(), "it was not asked for");

    let body = json!({"displayName": "Anna M", "passwordProfile": {"password": "another secret"}, "department": "Ops"});
    admin.patch("/users/anna@example.com", body).await.expect(StatusCode::NO_CONTENT);
    let refused = world.identity.check_user_password("anna@example.com", "another secret", None).await;
    assert!(matches!(refused, Err(wharf_identity::SignInError::PasswordChangeRequired)), "as Graph has it");
    admin
        .patch(&by_id, json!({"passwordProfile": {"forceChangePasswordNextSignIn": false}}))
        .await
        .expect(StatusCode::NO_CONTENT);
    world.identity.check_user_password("anna@example.com", "another secret", None).await.unwrap();
    admin.patch(&by_id, json!({"accountEnabled": false})).await.expect(StatusCode::NO_CONTENT);
    assert!(world.identity.find_user("anna@example.com").await.unwrap().is_none());

    admin.delete("/users/anna@example.com").await.expect(StatusCode::NO_CONTENT);
    admin.delete(&by_id).await.refused(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn users_that_cannot_be_are_refused() {
    let world = World::start().await;
    let admin = world.administrator().await;
    admin.post("/users", new_user("anna")).await.expect(StatusCode::CREATED);
    let twin = admin.post("/users", new_user("ANNA")).await.expect(StatusCode::BAD_REQUEST);
    assert!(twin["error"]["message"].as_str().unwrap().contains("userPrincipalName already exists"));
    let with = |name: &str, value: Value| {
        let mut body = new_user("bert");
        body[name] = value;
        body
    };
    for bad in [
        with("userPrincipalName", json!("bert")),
        with("userPrincipalName", Value::Null),
        with("displayName", json!("")),
        with("passwordProfile", json!({"password": "short"})),
        with("passwordProfile", json!({"password": "bert bert bert"})),
        with("passwordProfile", json!({"password": 12345678})),
        with("passwordProfile", json!("x")),
        with("passwordProfile", Value::Null),
        with("accountEnabled", json!("yes")),
        with("department", json!(3)),
        with("planet", json!("x")),
    ] {
        let refused = admin.post("/users", bad.clone()).await;
        let text = refused.expect(StatusCode::BAD_REQUEST).to_string();
        assert!(!text.contains("short") && !text.contains("12345678"), "a refused password is not repeated: {text}");
    }
    for bad in [json!([]), json!("{"), json!(1)] {
        let refused = admin.post("/users", bad).await;
        assert_eq!(refused.refused(StatusCode::BAD_REQUEST), "BadRequest");
    }
}

/// `az ad signed-in-user show|list-owned-objects`, and a password that its user changes.
#[tokio::test]
async fn who_is_signed_in_sees_and_changes_what_is_theirs() {
    let world = World::start().await;
    let anna = world.user("anna").await;
    let me = anna.get("/me").await;
    assert_eq!((&me["id"], &me["userPrincipalName"]), (&json!(anna.id), &json!("anna@example.com")));
    assert!(anna.list("/me/ownedObjects").await.is_empty());
    assert!(anna.list("/me/memberOf").await.is_empty());

    let ci = world.application("ci").await;
    let refused = ci.send(http::Method::GET, "/me", None).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["error"]["message"], "/me request is only valid with delegated authentication flow.");

    let change = async |present: &str, new: &str| {
        anna.post("/me/changePassword", json!({"currentPassword": present, "newPassword": new})).await
    };
    change("wrong", "another secret").await.refused(StatusCode::BAD_REQUEST);
    change(PASSWORD, "short").await.refused(StatusCode::BAD_REQUEST);
    change(PASSWORD, "another secret").await.expect(StatusCode::NO_CONTENT);
    world.identity.check_user_password("anna@example.com", "another secret", None).await.unwrap();
    let old_token = anna.send(http::Method::GET, "/me", None).await;
    old_token.refused(StatusCode::UNAUTHORIZED);
    let bert = world.user("bert").await;
    let body = json!({"currentPassword": "another secret", "newPassword": "a third secret"});
    bert.post("/users/anna@example.com/changePassword", body).await.refused(StatusCode::FORBIDDEN);
}
