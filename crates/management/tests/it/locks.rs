//! Locks.

use serde_json::json;

use crate::arm::{Arm, SUBSCRIPTION};

const LOCK: &str = "providers/Microsoft.Authorization/locks/keep";

#[tokio::test]
async fn a_lock_against_deletion_keeps_what_is_in_and_above() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let identity = arm.identity(&group, "idt", json!({})).await;
    let lock = format!("{identity}/{LOCK}");
    let made = arm.put(&lock, json!({"properties": {"level": "cannotdelete", "notes": "mine"}})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["properties"], json!({"level": "CanNotDelete", "notes": "mine"}));
    assert_eq!(made.body["type"], "Microsoft.Authorization/locks");
    assert!(made.body.get("location").is_none());

    for path in [&identity, &group] {
        let refused = arm.delete(path).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (409, "ScopeLocked"), "{path}");
        assert!(refused.body["error"]["message"].as_str().unwrap().contains(&identity));
    }
    assert_eq!(arm.patch(&identity, json!({"tags": {"a": "b"}})).await.status, 200, "it may be changed");
    let lists = ["", "/resourceGroups/g"];
    for scope in lists {
        let path = format!("/subscriptions/{SUBSCRIPTION}{scope}/providers/Microsoft.Authorization/locks");
        assert_eq!(arm.get(&path).await.names(), ["keep"], "{path}");
    }
    assert_eq!(arm.delete(&lock).await.status, 204);
    assert_eq!(arm.delete(&group).await.status, 200);
}

#[tokio::test]
async fn a_read_only_lock_stands_against_every_change() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let identity = arm.identity(&group, "idt", json!({})).await;
    let lock = format!("{group}/{LOCK}");
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "ReadOnly"}})).await.status, 201);
    let other = identity.replace("idt", "other");
    for reply in [
        arm.patch(&identity, json!({"tags": {}})).await,
        arm.put(&other, json!({"location": "eastus"})).await,
        arm.patch(&group, json!({"tags": {}})).await,
        arm.delete(&identity).await,
    ] {
        assert_eq!((reply.status.as_u16(), reply.code()), (409, "ScopeLocked"));
    }
    assert_eq!(arm.get(&identity).await.status, 200);
    // The lock itself can be changed and removed.
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "CanNotDelete"}})).await.status, 200);
    assert_eq!(arm.patch(&identity, json!({"tags": {}})).await.status, 200);
    assert_eq!(arm.delete(&lock).await.status, 204);
}

#[tokio::test]
async fn locks_are_put_on_what_is_there() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let body = || json!({"properties": {"level": "ReadOnly"}});
    let at = async |scope: &str, body| arm.put(&format!("{scope}/{LOCK}"), body).await;
    assert_eq!(at(&crate::arm::group("none"), body()).await.code(), "ResourceGroupNotFound");
    let nothing = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/none");
    assert_eq!(at(&nothing, body()).await.code(), "ResourceNotFound");
    assert_eq!(at("", body()).await.status, 400, "not on everything");
    assert_eq!(at(&format!("/subscriptions/{SUBSCRIPTION}"), body()).await.status, 201);
    assert_eq!(at(&group, json!({"properties": {"level": "x"}})).await.body["error"]["target"], "properties.level");
    assert_eq!(at(&group, json!({})).await.body["error"]["target"], "properties.level");
}

#[tokio::test]
async fn a_read_only_lock_keeps_the_passwords_of_a_token() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let registry = format!("{group}/providers/Microsoft.ContainerRegistry/registries/contoso");
    arm.put(&registry, json!({"location": "eastus", "sku": {"name": "Premium"}})).await;
    let token = format!("{registry}/tokens/agent");
    let scope_map = format!("{registry}/scopeMaps/_repositories_pull");
    assert_eq!(arm.put(&token, json!({"properties": {"scopeMapId": scope_map}})).await.status, 201);
    let lock = format!("{token}/{LOCK}");
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "ReadOnly"}})).await.status, 201);
    let generate = async || arm.post(&format!("{registry}/generateCredentials"), json!({"tokenId": token})).await;
    let refused = generate().await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "ScopeLocked"), "{refused:?}");
    assert_eq!(arm.delete(&lock).await.status, 204);
    assert_eq!(generate().await.status, 200);
}
