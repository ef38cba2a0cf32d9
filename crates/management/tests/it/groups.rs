//! Resource groups, and what all kinds have in common.

use http::{Method, Request};
use serde_json::json;

use crate::arm::{Arm, SUBSCRIPTION, group};

#[tokio::test]
async fn a_group_is_made_changed_shown_and_deleted() {
    let arm = Arm::start().await;
    let path = group("Rg-1");
    let made = arm.put(&path, json!({"location": "East US", "tags": {"env": "test"}})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.note.route, "management.resourceGroups.put");
    assert_eq!(made.body["id"], path);
    assert_eq!(made.body["name"], "Rg-1");
    assert_eq!(made.body["type"], "Microsoft.Resources/resourceGroups");
    assert_eq!(made.body["location"], "eastus");
    assert_eq!(made.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(made.body["systemData"]["createdByType"], "Application");

    // Names are the same in any casing, and keep the first.
    let lower = format!("/SUBSCRIPTIONS/{SUBSCRIPTION}/resourcegroups/rg-1");
    let again = arm.put(&lower, json!({"location": "eastus"})).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body["name"], "Rg-1");
    assert_eq!(again.body["tags"], json!({}), "PUT replaces tags");
    assert_ne!(again.header("etag"), made.header("etag"));

    let patched = arm.patch(&lower, json!({"tags": {"a": "b"}})).await;
    assert_eq!((patched.status.as_u16(), &patched.body["tags"]), (200, &json!({"a": "b"})));
    assert_eq!(arm.get(&path).await.body["tags"], json!({"a": "b"}));
    let moved = arm.put(&path, json!({"location": "westus"})).await;
    assert_eq!((moved.status.as_u16(), moved.code()), (409, "InvalidResourceGroupLocation"));

    let head = |name: &'static str| arm.send(arm.owner(), Method::HEAD, Box::leak(group(name).into_boxed_str()), None);
    assert_eq!(head("rg-1").await.status, 204);
    assert_eq!(head("other").await.status, 404);
    let deleted = arm.delete(&path).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(arm.get(&path).await.code(), "ResourceGroupNotFound");
    assert_eq!(arm.delete(&path).await.status, 404);
    assert_eq!(arm.patch(&path, json!({})).await.code(), "ResourceGroupNotFound");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told() {
    let arm = Arm::start().await;
    let bad = async |name: &str, body: serde_json::Value| {
        let reply = arm.put(&group(name), body).await;
        (reply.status.as_u16(), reply.code().to_owned(), reply.body["error"]["target"].clone())
    };
    assert_eq!(bad("g", json!({})).await, (400, "LocationRequired".into(), json!("location")));
    assert_eq!(bad("g", json!({"location": "a/b"})).await.1, "LocationNotAvailableForResourceType");
    assert_eq!(bad("g", json!({"location": 7})).await, (400, "InvalidRequestContent".into(), json!("location")));
    assert_eq!(bad("g", json!({"location": "eastus", "tags": {"a": []}})).await.1, "InvalidTag");
    assert_eq!(bad("g.", json!({"location": "eastus"})).await.1, "InvalidResourceGroup");
    assert_eq!(bad("g", json!([])).await.1, "InvalidRequestContent");
    assert_eq!(arm.get(&group("g")).await.status, 404, "nothing was made");
}

#[tokio::test]
async fn etags_decide_between_two_who_change() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let etag = arm.get(&path).await.header("etag").to_owned();
    let change = async |name: &str, value: &str| {
        let request = Request::patch(format!("{path}?api-version=2022-09-01"))
            .header("authorization", format!("Bearer {}", arm.owner()))
            .header(name, value)
            .body(json!({"tags": {"a": "b"}}).to_string().into());
        arm.serve(request.unwrap()).await
    };
    assert_eq!(change("if-match", &etag).await.status, 200);
    let late = change("if-match", &etag).await;
    assert_eq!((late.status.as_u16(), late.code()), (412, "PreconditionFailed"));
    assert_eq!(change("if-match", "*").await.status, 200);
    assert_eq!(change("if-none-match", "*").await.status, 412);
    let request = Request::delete(format!("{path}?api-version=2022-09-01"))
        .header("authorization", format!("Bearer {}", arm.owner()))
        .header("if-match", etag)
        .body(axum::body::Body::empty());
    assert_eq!(arm.serve(request.unwrap()).await.status, 412);
}

#[tokio::test]
async fn a_group_takes_along_what_is_in_it() {
    let arm = Arm::start().await;
    let (one, other) = (arm.group("one").await, arm.group("one-more").await);
    let inside = arm.identity(&one, "idt", json!({})).await;
    let outside = arm.identity(&other, "idt", json!({})).await;
    let principal = arm.get(&inside).await.body["properties"]["principalId"].as_str().unwrap().parse().unwrap();
    assert!(arm.server.identity().find_principal(principal).await.unwrap().is_some());
    assert_eq!(arm.delete(&one).await.status, 200);
    assert_eq!(arm.get(&inside).await.code(), "ResourceGroupNotFound");
    assert!(arm.server.identity().find_principal(principal).await.unwrap().is_none(), "the principal went too");
    assert_eq!(arm.get(&outside).await.status, 200);
}

#[tokio::test]
async fn a_group_with_much_in_it_goes_in_steps() {
    let arm = Arm::start().await;
    let group = arm.group("big").await;
    for n in 0..130 {
        arm.identity(&group, &format!("identity-{n}"), json!({})).await;
    }
    assert_eq!(arm.delete(&group).await.status, 200);
    assert_eq!(arm.get(&group).await.status, 404);
    arm.group("big").await;
    let left = arm.get(&format!("{group}/resources")).await;
    assert_eq!(left.names(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_deletion_that_takes_long_goes_on_behind_its_answer() {
    let arm = Arm::start().await.impatient();
    let group = arm.group("big").await;
    for n in 0..250 {
        let id =
            crate::arm::id(&format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity-{n}"));
        let body = json!({"location": "eastus"}).as_object().unwrap().clone();
        arm.management.put(&arm.operator(), &id, body).await.unwrap();
    }
    let begun = arm.delete(&group).await;
    assert_eq!((begun.status.as_u16(), begun.header("retry-after")), (202, "1"), "{begun:?}");
    let location = begun.header("location").strip_prefix(crate::arm::HOST).expect("it is absolute").to_owned();
    let mut rounds = 0;
    loop {
        let polled = arm.get(&location).await;
        match polled.status.as_u16() {
            202 => assert_eq!(polled.header("location"), begun.header("location")),
            200 => break,
            _ => panic!("{polled:?}"),
        }
        rounds += 1;
        assert!(rounds < 1000, "it never ends");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(arm.get(&group).await.status, 404);
}
