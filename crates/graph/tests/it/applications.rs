//! Applications, service principals and their credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use wharf_identity::SignInError;

use crate::world::{TENANT, World, filter, names};

/// What `az ad sp create-for-rbac --name ci` sends, one after another.
#[tokio::test]
async fn a_service_principal_is_created_as_az_does_it() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let existing = admin.list(&format!("/servicePrincipals?{}", filter("displayName eq 'ci'"))).await;
    assert!(existing.is_empty());
    assert!(admin.list(&format!("/applications?{}", filter("startswith(displayName,'ci')"))).await.is_empty());

    let body = json!({"displayName": "ci", "keyCredentials": []});
    let application = admin.post("/applications", body).await.expect(StatusCode::CREATED);
    let (id, app_id) = (application["id"].as_str().unwrap(), application["appId"].as_str().unwrap());
    assert_eq!(application["displayName"], "ci");
    for list in ["identifierUris", "passwordCredentials", "keyCredentials", "requiredResourceAccess", "appRoles"] {
        assert_eq!(application[list], json!([]), "{list}");
    }
    assert_eq!(application["signInAudience"], "AzureADMyOrg");

    let body = json!({"passwordCredential": {
        "displayName": "rbac", "startDateTime": "2026-09-21T14:13:22Z", "endDateTime": "2027-09-21T14:13:22Z",
    }});
    let secret = admin.post(&format!("/applications/{id}/addPassword"), body).await.expect(StatusCode::OK);
    let text = secret["secretText"].as_str().unwrap();
    assert_eq!((secret["displayName"].as_str(), secret["hint"].as_str()), (Some("rbac"), text.get(..3)));
    assert_eq!(secret["endDateTime"], "2027-09-21T14:13:22Z");

    let body = json!({"appId": app_id, "accountEnabled": true});
    let principal = admin.post("/servicePrincipals", body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(principal["servicePrincipalNames"], json!([app_id]));
    assert_eq!(principal["servicePrincipalType"], "Application");
    assert_eq!(principal["appOwnerOrganizationId"], json!(TENANT));
    assert_ne!(principal["id"], application["id"]);
    let twin = admin.post("/servicePrincipals", body).await;
    assert_eq!(twin.refused(StatusCode::CONFLICT), "Request_MultipleObjectsWithSameKeyValue");

    // It signs in although its clock was two seconds ahead of ours.
    let signed_in = world.identity.check_client_secret(app_id.parse().unwrap(), text, None).await.unwrap();
    assert_eq!(json!(signed_in.principal.id), principal["id"]);

    // The secret is never shown again.
    for path in [format!("/applications/{id}"), format!("/applications(appId='{app_id}')"), "/applications".to_owned()]
    {
        let shown = admin.get(&path).await.to_string();
        assert!(!shown.contains(text) && shown.contains(&text[..3]), "{shown}");
    }
    // How az finds it by name: application id, object id.
    let found = admin
        .list(&format!("/servicePrincipals?{}", filter(&format!("servicePrincipalNames/any(c:c eq '{app_id}')"))))
        .await;
    assert_eq!(names(&found), ["ci"]);
    let found = admin.get(&format!("/servicePrincipals(appId='{app_id}')")).await;
    assert_eq!(found["id"], principal["id"]);
    let body = json!({"ids": [principal["id"], application["id"], "00000000-0000-0000-0000-000000000001"],
        "types": ["user", "group", "servicePrincipal", "directoryObjectPartnerReference"]});
    let found = admin.post("/directoryObjects/getByIds", body).await.expect(StatusCode::OK);
    assert_eq!(found["value"][0]["@odata.type"], "#microsoft.graph.servicePrincipal");
    assert_eq!(found["value"].as_array().unwrap().len(), 1, "applications were not asked for");

    let key_id = secret["keyId"].as_str().unwrap();
    let body = json!({"keyId": key_id});
    admin.post(&format!("/applications/{id}/removePassword"), body.clone()).await.expect(StatusCode::NO_CONTENT);
    let refusal = world.identity.check_client_secret(app_id.parse().unwrap(), text, None).await;
    assert!(matches!(refusal, Err(SignInError::BadCredentials)));
    admin.post(&format!("/applications/{id}/removePassword"), body).await.refused(StatusCode::BAD_REQUEST);

    admin
        .delete(&format!("/servicePrincipals/{}", principal["id"].as_str().unwrap()))
        .await
        .expect(StatusCode::NO_CONTENT);
    admin.get(&format!("/applications/{id}")).await;
    admin.delete(&format!("/applications/{id}")).await.expect(StatusCode::NO_CONTENT);
    let gone = admin.send(http::Method::GET, &format!("/applications/{id}"), None).await;
    assert_eq!(gone.refused(StatusCode::NOT_FOUND), "Request_ResourceNotFound");
}

/// `az ad sp credential reset|list|delete`.
#[tokio::test]
async fn credentials_are_reset_listed_and_deleted() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let application = admin.post("/applications", json!({"displayName": "ci"})).await.expect(StatusCode::CREATED);
    let body = json!({"appId": application["appId"]});
    let principal = admin.post("/servicePrincipals", body).await.expect(StatusCode::CREATED);
    let path = format!("/servicePrincipals/{}", principal["id"].as_str().unwrap());
    let add = async |name: &str| {
        let body = json!({"passwordCredential": {"displayName": name}});
        admin.post(&format!("{path}/addPassword"), body).await.expect(StatusCode::OK)
    };
    let first = add("first").await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let second = add("second").await;
    let listed = async || {
        let shown = admin.get(&path).await;
        shown["passwordCredentials"].as_array().unwrap().iter().map(|c| c["displayName"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["first", "second"]);
    assert_eq!(first["endDateTime"], "2028-09-20T14:13:20Z", "two years");
    let body = json!({"keyId": second["keyId"]});
    admin.post(&format!("{path}/removePassword"), body).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(listed().await, ["first"]);
    // What is left out of a list goes; none comes so.
    let body = json!({"passwordCredentials": [{"displayName": "third"}]});
    admin.patch(&path, body).await.refused(StatusCode::BAD_REQUEST);
    let body = json!({"passwordCredentials": [{"keyId": first["keyId"], "displayName": "first", "secretText": null}]});
    admin.patch(&path, body).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(listed().await, ["first"]);
    admin.patch(&path, json!({"passwordCredentials": []})).await.expect(StatusCode::NO_CONTENT);
    assert!(listed().await.is_empty());

    for bad in [
        json!({"passwordCredential": "x"}),
        json!({"passwordCredential": {"displayName": 3}}),
        json!({"passwordCredential": {"endDateTime": "tomorrow"}}),
        json!({"passwordCredential": {"endDateTime": "2020-01-01T00:00:00Z"}}),
    ] {
        let refused = admin.post(&format!("{path}/addPassword"), bad.clone()).await;
        assert_eq!(refused.refused(StatusCode::BAD_REQUEST), "Request_BadRequest", "{bad}");
    }
    for bad in [json!({}), json!({"keyId": "x"}), json!({"keyId": 3})] {
        admin.post(&format!("{path}/removePassword"), bad).await.refused(StatusCode::BAD_REQUEST);
    }
}

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    STANDARD.encode(rcgen::CertificateParams::new(vec!["ci".into()]).unwrap().self_signed(&key).unwrap().der())
}

/// `az ad sp create-for-rbac --create-cert`, `credential reset --append --create-cert`, `credential delete --cert`.
#[tokio::test]
async fn certificates_are_added_kept_and_removed() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let key = |id: u128| {
        json!({"@odata.type": "#microsoft.graph.keyCredential", "displayName": null, "key": certificate(),
            "keyId": uuid::Uuid::from_u128(id), "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z",
            "type": "AsymmetricX509Cert", "usage": "Verify"})
    };
    let body = json!({"displayName": "ci", "keyCredentials": [key(1)]});
    let application = admin.post("/applications", body).await.expect(StatusCode::CREATED);
    let path = format!("/applications/{}", application["id"].as_str().unwrap());
    let shown = application["keyCredentials"][0].clone();
    assert_eq!((&shown["key"], &shown["usage"]), (&Value::Null, &json!("Verify")));
    assert_eq!(shown["customKeyIdentifier"].as_str().unwrap().len(), 40);
    assert_eq!(shown["endDateTime"], "2027-01-01T00:00:00Z");

    admin.patch(&path, json!({"keyCredentials": [shown, key(2)]})).await.expect(StatusCode::NO_CONTENT);
    let listed = admin.get(&path).await["keyCredentials"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    admin.patch(&path, json!({"keyCredentials": [listed[1]]})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await["keyCredentials"], json!([listed[1]]));
    admin.patch(&path, json!({"displayName": "renamed"})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await["keyCredentials"], json!([listed[1]]), "what is not named stays");

    let mut symmetric = key(3);
    symmetric["type"] = "Symmetric".into();
    let mut garbage = key(4);
    garbage["key"] = "AAAA".into();
    let mut unknown = key(5);
    unknown["key"] = Value::Null;
    let mut backwards = key(6);
    backwards["endDateTime"] = "2025-01-01T00:00:00Z".into();
    for bad in [symmetric, garbage, unknown, backwards] {
        admin.patch(&path, json!({"keyCredentials": [bad]})).await.refused(StatusCode::BAD_REQUEST);
    }
    assert_eq!(admin.get(&path).await["keyCredentials"], json!([listed[1]]), "a refusal changes nothing");
}

/// `az ad app create|update|show|delete|owner`.
#[tokio::test]
async fn applications_keep_what_they_are_told() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let body = json!({
        "displayName": "web", "identifierUris": ["api://web"], "isFallbackPublicClient": true,
        "web": {"homePageUrl": "https://web.example.com", "redirectUris": ["https://web.example.com/cb"],
            "implicitGrantSettings": {"enableIdTokenIssuance": true}},
        "publicClient": {"redirectUris": ["http://localhost"]},
        "requiredResourceAccess": [{"resourceAppId": "x", "resourceAccess": []}],
        "signInAudience": "AzureADMyOrg",
    });
    let created = admin.post("/applications", body).await.expect(StatusCode::CREATED);
    let path = format!("/applications/{}", created["id"].as_str().unwrap());
    let found = admin.list(&format!("/applications?{}", filter("identifierUris/any(s:s eq 'API://WEB')"))).await;
    assert_eq!(names(&found), ["web"]);

    let body =
        json!({"web": {"homePageUrl": "https://new.example.com"}, "notes": "hello", "isFallbackPublicClient": null});
    admin.patch(&path, body).await.expect(StatusCode::NO_CONTENT);
    let shown = admin.get(&path).await;
    assert_eq!(shown["web"]["homePageUrl"], "https://new.example.com");
    assert_eq!(shown["web"]["redirectUris"], json!(["https://web.example.com/cb"]), "objects are merged");
    assert_eq!((&shown["notes"], &shown["isFallbackPublicClient"]), (&json!("hello"), &json!(false)));
    let known =
        world.identity.find_application(created["appId"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(known.public_redirect_uris, ["http://localhost"]);

    let second = admin.post("/applications", json!({"displayName": "web"})).await.expect(StatusCode::CREATED);
    let second = format!("/applications/{}", second["id"].as_str().unwrap());
    for (bad, why) in [
        (json!({"identifierUris": ["api://web"]}), "another has it"),
        (json!({"identifierUris": ["no uri"]}), "it is none"),
        (json!({"displayName": ""}), "it is empty"),
        (json!({"displayName": null, "planet": 1}), "it is unknown"),
        (json!({"appId": "x"}), "it cannot be set"),
        (json!({"web": {"redirectUris": ["javascript:alert(1)"]}}), "it is not safe"),
        (json!({"notes": "x".repeat(2_000)}), "it is too long"),
        (json!({"appRoles": vec![json!({"x": "y".repeat(1_000)}); 100]}), "it is too large"),
    ] {
        assert_eq!(admin.patch(&second, bad).await.refused(StatusCode::BAD_REQUEST), "Request_BadRequest", "{why}");
    }
    admin.post("/applications", json!({})).await.refused(StatusCode::BAD_REQUEST);

    let user = world.user("anna").await;
    let reference = json!({"@odata.id": format!("https://localhost:5443/graph/v1.0/directoryObjects/{}", user.id)});
    admin.post(&format!("{path}/owners/$ref"), reference.clone()).await.expect(StatusCode::NO_CONTENT);
    let again = admin.post(&format!("{path}/owners/$ref"), reference).await;
    assert!(again.expect(StatusCode::BAD_REQUEST)["error"]["message"].as_str().unwrap().contains("already exist"));
    let mut owners: Vec<String> =
        admin.list(&format!("{path}/owners")).await.iter().map(|o| o["id"].to_string()).collect();
    let mut expected = [admin.id, user.id].map(|id| json!(id).to_string());
    owners.sort();
    expected.sort();
    assert_eq!(owners, expected, "who created it owns it too");
    admin.delete(&format!("{path}/owners/{}/$ref", user.id)).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&format!("{path}/owners/{}/$ref", user.id)).await.refused(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_service_principal_is_switched_off_and_keeps_what_it_is_told() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let ci = world.application("ci").await;
    let path = format!("/servicePrincipals/{}", ci.id);
    ci.get("/users").await;
    admin.patch(&path, json!({"accountEnabled": false, "tags": ["t"]})).await.expect(StatusCode::NO_CONTENT);
    let shown = admin.get(&path).await;
    assert_eq!((&shown["accountEnabled"], &shown["tags"]), (&json!(false), &json!(["t"])));
    let refused = ci.send(http::Method::GET, "/users", None).await;
    assert_eq!(refused.refused(StatusCode::UNAUTHORIZED), "InvalidAuthenticationToken", "at once");
    admin.patch(&path, json!({"appId": "x"})).await.refused(StatusCode::BAD_REQUEST);

    let unknown = json!({"appId": "00000000-0000-0000-0000-000000000001"});
    for body in [unknown, json!({"appId": "x"})] {
        let refused = admin.post("/servicePrincipals", body).await.expect(StatusCode::BAD_REQUEST);
        assert!(
            refused["error"]["message"].as_str().unwrap().contains(" does not reference "),
            "az looks for these words"
        );
    }
    admin.post("/servicePrincipals", json!({})).await.refused(StatusCode::BAD_REQUEST);
}
