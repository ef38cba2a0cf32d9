//! Who may read and change the directory.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_model::{PrincipalId, ResourceId};

use crate::world::{ACCESS_ADMINISTRATOR, Caller, OWNER, READER, SUBSCRIPTION, World};

/// Every way of changing something, on things that are there.
async fn changes(world: &World) -> Vec<(Method, String, Value)> {
    let (user, app) = (world.user("victim").await, world.application("target").await);
    let admin = world.administrator().await;
    let application = admin.post("/applications", json!({"displayName": "a"})).await.expect(StatusCode::CREATED);
    let group = admin.post("/groups", json!({"displayName": "g"})).await.expect(StatusCode::CREATED);
    let [application, group] = [application, group].map(|object| object["id"].as_str().unwrap().to_owned());
    let reference = json!({"@odata.id": format!("https://x/directoryObjects/{}", user.id)});
    let profile = json!({"passwordProfile": {"password": "taken over now"}});
    vec![
        (Method::POST, "/applications".into(), json!({"displayName": "x"})),
        (Method::PATCH, format!("/applications/{application}"), json!({"displayName": "x"})),
        (Method::POST, format!("/applications/{application}/addPassword"), json!({})),
        (Method::POST, format!("/applications/{application}/removePassword"), json!({"keyId": user.id})),
        (Method::POST, format!("/applications/{application}/owners/$ref"), reference.clone()),
        (Method::DELETE, format!("/applications/{application}/owners/{}/$ref", admin.id), Value::Null),
        (Method::DELETE, format!("/applications/{application}"), Value::Null),
        (Method::POST, "/servicePrincipals".into(), json!({"appId": app.id})),
        (Method::PATCH, format!("/servicePrincipals/{}", app.id), json!({"accountEnabled": false})),
        (Method::PATCH, format!("/servicePrincipals/{}", admin.id), json!({"keyCredentials": []})),
        (Method::POST, format!("/servicePrincipals/{}/addPassword", admin.id), json!({})),
        (Method::DELETE, format!("/servicePrincipals/{}", app.id), Value::Null),
        (
            Method::POST,
            "/users".into(),
            json!({"userPrincipalName": "a@b.c", "displayName": "x", "passwordProfile": {"password": "long enough"}}),
        ),
        (Method::PATCH, format!("/users/{}", user.id), profile.clone()),
        (Method::PATCH, "/users/victim@example.com".into(), json!({"displayName": "x"})),
        (Method::DELETE, format!("/users/{}", user.id), Value::Null),
        (Method::POST, "/groups".into(), json!({"displayName": "x"})),
        (Method::PATCH, format!("/groups/{group}"), json!({"displayName": "x"})),
        (Method::POST, format!("/groups/{group}/members/$ref"), reference.clone()),
        (Method::DELETE, format!("/groups/{group}/members/{}/$ref", user.id), Value::Null),
        (Method::POST, format!("/groups/{group}/owners/$ref"), reference),
        (Method::DELETE, format!("/groups/{group}"), Value::Null),
    ]
}

async fn try_all(caller: &Caller<'_>, changes: &[(Method, String, Value)]) -> Vec<String> {
    let mut allowed = Vec::new();
    for (method, path, body) in changes {
        let answer = caller.send(method.clone(), path, Some(body.clone())).await;
        if answer.status != StatusCode::FORBIDDEN {
            allowed.push(format!("{method} {path} {}", answer.status));
        } else {
            assert_eq!(answer.refused(StatusCode::FORBIDDEN), "Authorization_RequestDenied");
        }
    }
    allowed
}

#[tokio::test]
async fn without_a_role_everything_can_be_read_and_nothing_changed() {
    let world = World::start().await;
    let changes = changes(&world).await;
    let (ci, anna) = (world.application("ci").await, world.user("anna").await);
    world.assign(anna.id, READER, ResourceId::root()).await;
    for caller in [&ci, &anna] {
        for path in ["/users", "/groups", "/applications", "/servicePrincipals", "/users/victim@example.com"] {
            caller.get(path).await;
        }
        assert_eq!(try_all(caller, &changes).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_owner_of_a_subscription_creates_applications_and_takes_over_none() {
    let world = World::start().await;
    let changes = changes(&world).await;
    let team = world.subscription_owner().await;
    // A service principal of an application that is not there is refused for that.
    assert_eq!(
        try_all(&team, &changes).await,
        ["POST /applications 201 Created", "POST /servicePrincipals 400 Bad Request"]
    );

    // All of `az ad sp create-for-rbac`, on what is the team's own.
    let application = team.post("/applications", json!({"displayName": "ours"})).await.expect(StatusCode::CREATED);
    let path = format!("/applications/{}", application["id"].as_str().unwrap());
    team.post(&format!("{path}/addPassword"), json!({})).await.expect(StatusCode::OK);
    let body = json!({"appId": application["appId"]});
    let principal = team.post("/servicePrincipals", body).await.expect(StatusCode::CREATED);
    let principal = format!("/servicePrincipals/{}", principal["id"].as_str().unwrap());
    team.post(&format!("{principal}/addPassword"), json!({})).await.expect(StatusCode::OK);
    team.patch(&path, json!({"notes": "ours"})).await.expect(StatusCode::NO_CONTENT);
    let owned = team.list(&format!("/servicePrincipals/{}/ownedObjects", team.id)).await;
    let mut kinds: Vec<&str> = owned.iter().map(|object| object["@odata.type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    // The application that was created above is one of them.
    assert_eq!(
        kinds,
        ["#microsoft.graph.application", "#microsoft.graph.application", "#microsoft.graph.servicePrincipal"]
    );
    let stranger = world.application("stranger").await;
    stranger.post(&format!("{path}/addPassword"), json!({})).await.refused(StatusCode::FORBIDDEN);
    team.delete(&path).await.expect(StatusCode::NO_CONTENT);
    team.send(Method::GET, &principal, None).await.refused(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_may_assign_some_roles_alone_administers_nothing() {
    const ROLE: &str = "@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]";
    let world = World::start().await;
    let changes = changes(&world).await;
    for condition in [
        format!("NOT {ROLE} ForAnyOfAnyValues:GuidEquals {{8e3af657-a8ff-443c-a75c-2fe8c4bcb635}}"),
        format!("{ROLE} ForAnyOfAnyValues:GuidEquals {{acdd72a7-3385-48ef-bd42-f606fba81ae7}}"),
        format!("NotExists {ROLE} OR {ROLE} GuidEquals acdd72a7-3385-48ef-bd42-f606fba81ae7"),
    ] {
        for scope in [ResourceId::root(), ResourceId::of_subscription(SUBSCRIPTION)] {
            let delegate = world.application("delegate").await;
            world.assign_if(delegate.id, ACCESS_ADMINISTRATOR, scope, Some(&condition)).await;
            assert_eq!(try_all(&delegate, &changes).await, Vec::<String>::new(), "{condition}");
        }
    }
}

#[tokio::test]
async fn an_administrator_may_do_everything() {
    let world = World::start().await;
    let changes = changes(&world).await;
    let admin = world.administrator().await;
    assert_eq!(try_all(&admin, &changes).await.len(), changes.len());
}

#[tokio::test]
async fn the_last_owner_is_neither_deleted_nor_switched_off() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let anna = world.user("anna").await;
    let group = admin.post("/groups", json!({"displayName": "owners"})).await.expect(StatusCode::CREATED);
    let group: PrincipalId = group["id"].as_str().unwrap().parse().unwrap();
    let apps = admin.list("/applications").await;
    let [own, application, crowd] = [
        format!("/servicePrincipals/{}", admin.id),
        format!("/applications/{}", apps[0]["id"].as_str().unwrap()),
        format!("/groups/{group}"),
    ];
    let refused = async || {
        for path in [&own, &application] {
            assert_eq!(admin.delete(path).await.refused(StatusCode::BAD_REQUEST), "Request_BadRequest", "{path}");
        }
        let answer = admin.patch(&own, json!({"accountEnabled": false})).await;
        assert_eq!(answer.refused(StatusCode::BAD_REQUEST), "Request_BadRequest");
        admin.get(&own).await;
    };
    refused().await;
    world.assign(group, OWNER, ResourceId::root()).await;
    refused().await;
    let reference = json!({"@odata.id": format!("https://x/directoryObjects/{}", anna.id)});
    admin.post(&format!("{crowd}/members/$ref"), reference).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&own).await.expect(StatusCode::NO_CONTENT);

    // Now it is the group, and whoever is in it.
    for path in [&crowd, &format!("{crowd}/members/{}/$ref", anna.id), &format!("/users/{}", anna.id)] {
        assert_eq!(anna.delete(path).await.refused(StatusCode::BAD_REQUEST), "Request_BadRequest", "{path}");
    }
    let answer = anna.patch(&format!("/users/{}", anna.id), json!({"accountEnabled": false})).await;
    assert_eq!(answer.refused(StatusCode::BAD_REQUEST), "Request_BadRequest");
}

#[tokio::test]
async fn tokens_that_are_not_for_graph_are_refused_on_every_path() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let management = world.caller(admin.id, "https://localhost:5443").await;
    let registry = world.caller(admin.id, "https://containerregistry.azure.net").await;
    for caller in [world.bearer(""), world.bearer("x.y.z"), world.bearer("a b"), management, registry] {
        for path in ["/users", "/me", "/planets", "/applications/x/addPassword"] {
            let answer = caller.send(Method::GET, path, None).await;
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer authorization_uri="));
            assert_eq!(answer.note.caller, None);
            assert_eq!(answer.refused(StatusCode::UNAUTHORIZED), "InvalidAuthenticationToken");
        }
    }
    for audience in [
        "https://localhost:5443/graph",
        "https://LOCALHOST:5443/graph/",
        "https://management.wharf.localhost:5443/graph",
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/",
        "00000003-0000-0000-c000-000000000000",
    ] {
        world.caller(admin.id, audience).await.get("/users").await;
    }
}

#[tokio::test]
async fn errors_and_headers_are_graphs() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let answer = admin.send(Method::GET, "/planets", None).await;
    assert_eq!(answer.headers["request-id"], "00000000-0000-0000-0000-000000000009");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.note.route, "graph.unknown");
    assert!(answer.note.caller.as_deref().is_some_and(|caller| caller.parse::<uuid::Uuid>().is_ok()), "{answer:?}");
    let error = answer.expect(StatusCode::BAD_REQUEST)["error"].clone();
    assert_eq!(error["message"], "Resource not found for the segment 'planets'.");
    assert_eq!(error["innerError"]["request-id"], "00000000-0000-0000-0000-000000000009");
    let answer = admin.send(Method::PUT, "/users/x", None).await;
    answer.refused(StatusCode::METHOD_NOT_ALLOWED);
    let answer = admin.send(Method::HEAD, "/users", None).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!("")));
    let answer = admin.send(Method::GET, "/applications/x", None).await;
    answer.refused(StatusCode::BAD_REQUEST);
    let large = json!({"displayName": "x".repeat(2 << 20)});
    admin.post("/applications", large).await.refused(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(admin.get("/users").await["@odata.context"], "https://localhost:5443/graph/v1.0/$metadata#users");
    assert_eq!(admin.send(Method::GET, "/users", None).await.note.route, "graph.list");
}
