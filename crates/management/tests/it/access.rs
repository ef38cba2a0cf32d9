//! Who is let in.

use http::{Method, Request};
use serde_json::json;
use wharf_model::PrincipalId;

use crate::arm::{ACR_PULL, Arm, HOST, OWNER, READER, SUBSCRIPTION, group};

#[tokio::test]
async fn without_a_good_token_there_is_a_challenge() {
    let arm = Arm::start().await;
    let path = format!("/subscriptions/{SUBSCRIPTION}/resourcegroups");
    let refused = arm.send("", Method::GET, &path, None).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "AuthenticationFailed"));
    let challenge = refused.header("www-authenticate");
    assert!(challenge.starts_with("Bearer authorization_uri=\"https://login.example.com/"), "{challenge}");
    assert!(refused.note.caller.is_none());
    for token in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let refused = arm.send(token, Method::GET, &path, None).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (401, "InvalidAuthenticationToken"), "{token}");
    }
    let request = Request::get(format!("{path}?api-version=2022-09-01")).header("authorization", "Basic eDp5");
    let refused = arm.serve(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(refused.status, 401);
    // What is behind is not told before one is known.
    for path in ["/nothing", "/subscriptions/x", "/subscriptions?api-version=1"] {
        assert_eq!(arm.send("", Method::GET, path, None).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_for_us_and_for_now() {
    let arm = Arm::start().await;
    let (identity, now) = (arm.server.identity().clone(), wharf_model::Clock::now(arm.server.clock().as_ref()));
    let new = wharf_identity::directory::NewClient {
        tenant_id: crate::arm::TENANT,
        display_name: "app".into(),
        app_id: None,
        secret: None,
        now,
    };
    let created =
        arm.management.database().write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }));
    let principal: PrincipalId = created.await.unwrap().principal.id;
    arm.assign(principal, OWNER, "/").await;
    let path = format!("/subscriptions/{SUBSCRIPTION}/resourcegroups");
    for (audience, status) in [
        (HOST, 200),
        ("https://management.example.com/", 200),
        ("https://management.azure.com/", 200),
        ("https://management.core.windows.net/", 200),
        ("https://graph.example.com/", 401),
        ("https://management.example.org", 401),
        ("https://containerregistry.azure.net", 401),
    ] {
        let token = arm.token(principal, audience).await;
        assert_eq!(arm.send(&token, Method::GET, &path, None).await.status.as_u16(), status, "{audience}");
    }
    // A token for another service is not ours because the request is sent with that service's name.
    let token = arm.token(principal, "https://foreign.example.org").await;
    let mut context = crate::arm::context();
    let mut endpoints = (*context.endpoints).clone();
    endpoints.management = "https://foreign.example.org".into();
    context.endpoints = std::sync::Arc::new(endpoints);
    let request =
        Request::get(format!("{path}?api-version=2022-09-01")).header("authorization", format!("Bearer {token}"));
    let replayed = arm.management.serve(context, request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(replayed.status(), 401);
    let token = arm.token(principal, HOST).await;
    arm.server.identity().delete_principal(principal).await.unwrap();
    let revoked = arm.send(&token, Method::GET, &path, None).await;
    assert_eq!(revoked.status, 401, "a principal that is gone is gone at once");
    arm.server.advance(std::time::Duration::from_secs(2 * 3600));
    let expired = arm.get(&path).await;
    assert_eq!((expired.status.as_u16(), expired.code()), (401, "ExpiredAuthenticationToken"));
}

#[tokio::test]
async fn roles_decide() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let reader = arm.principal("reader", READER, &path).await;
    assert_eq!(arm.send(&reader, Method::GET, &path, None).await.status, 200);
    let body = Some(json!({"location": "eastus"}));
    for (method, path, body) in [
        (Method::PUT, path.clone(), body.clone()),
        (Method::DELETE, path.clone(), None),
        (Method::GET, group("none"), None),
        (Method::PUT, group("none"), body),
    ] {
        let refused = arm.send(&reader, method, &path, body).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "AuthorizationFailed"), "{path}");
        assert!(refused.body["error"]["message"].as_str().unwrap().contains("resourceGroups/"));
    }
    assert_eq!(
        arm.send(
            &reader,
            Method::POST,
            &format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerRegistry/checkNameAvailability"),
            Some(json!({"name": "x"}))
        )
        .await
        .status,
        403
    );
}

#[tokio::test]
async fn a_role_on_anything_inside_shows_the_subscription() {
    let arm = Arm::start().await;
    let puller = arm
        .principal("puller", ACR_PULL, &format!("{}/providers/Microsoft.ContainerRegistry/registries/r", group("g")))
        .await;
    let nobody = arm.principal("nobody", ACR_PULL, &format!("/subscriptions/{}", crate::arm::NOWHERE)).await;
    let list =
        async |token: &str| arm.send(token, Method::GET, "/subscriptions", None).await.body["count"]["value"].clone();
    assert_eq!(list(&puller).await, 1);
    assert_eq!(list(&nobody).await, 0);
    assert_eq!(list(arm.owner()).await, 1);
    let path = format!("/subscriptions/{SUBSCRIPTION}");
    assert_eq!(arm.send(&puller, Method::GET, &path, None).await.status, 200);
    assert_eq!(arm.send(&nobody, Method::GET, &path, None).await.status, 403);
}

#[tokio::test]
async fn roles_go_with_what_they_were_given_on() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let reader = arm.principal("reader", READER, &path).await;
    assert_eq!(arm.send(&reader, Method::GET, &path, None).await.status, 200);
    arm.delete(&path).await;
    arm.group("g").await;
    assert_eq!(
        arm.send(&reader, Method::GET, &path, None).await.status,
        403,
        "a new group of that name is another one"
    );
}

/// Every method and path of the document, with names in place of parameters.
async fn every_route(arm: &Arm) -> Vec<(Method, String)> {
    let document = arm.send("", Method::GET, "/openapi.json", None).await.body;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut path = path
                .replace("{subscriptionId}", SUBSCRIPTION)
                .replace("{resourceGroupName}", "default")
                .replace("/{scope}", &group("default"))
                .replace("{namespace}", "Microsoft.ContainerRegistry")
                .replace("{operationId}", "7a1f0a52-0000-4000-8000-000000000001");
            while let Some((before, rest)) = path.split_once('{') {
                let (_, after) = rest.split_once('}').unwrap();
                path = format!("{before}7a1f0a52-0000-4000-8000-000000000001{after}");
            }
            let versions = operation["parameters"].as_array().unwrap().last().unwrap()["schema"]["enum"].clone();
            let version = versions.as_array().and_then(|all| all.last()?.as_str()).unwrap_or("2022-12-01");
            routes.push((method.to_uppercase().parse().unwrap(), format!("{path}?api-version={version}")));
        }
    }
    assert!(routes.len() > 50, "{}", routes.len());
    routes
}

#[tokio::test]
async fn without_a_token_no_route_answers() {
    let arm = Arm::start().await;
    for (method, path) in every_route(&arm).await {
        if path.starts_with("/metadata/") {
            continue;
        }
        for token in ["", "not-a-token"] {
            let reply = arm.send(token, method.clone(), &path, None).await;
            assert_eq!(reply.status, 401, "{method} {path}");
            assert!(reply.header("www-authenticate").starts_with("Bearer "), "{method} {path}");
        }
    }
}

/// What whoever has no role here may know: what is nobody's secret, lists of nothing, and what they may do themselves.
#[tokio::test]
async fn without_a_role_no_route_does_or_tells_anything() {
    let arm = Arm::start().await;
    let nobody = arm.principal("nobody", OWNER, &format!("/subscriptions/{}", crate::arm::NOWHERE)).await;
    let mut told = Vec::new();
    for (method, path) in every_route(&arm).await {
        let reply =
            arm.send(&nobody, method.clone(), &path, Some(json!({"location": "eastus", "properties": {}}))).await;
        let status = reply.status.as_u16();
        if status == 403 || status == 404 && path.contains("operationResults") {
            continue;
        }
        let shown = path
            .split('?')
            .next()
            .unwrap()
            .replace(SUBSCRIPTION, "S")
            .replace("7a1f0a52-0000-4000-8000-000000000001", "x");
        let is_nothing = reply.body["value"].as_array().is_some_and(Vec::is_empty);
        told.push(format!("{method} {shown} {status}{}", if is_nothing { " nothing" } else { "" }));
    }
    insta::assert_snapshot!(told.join("\n"));
}
