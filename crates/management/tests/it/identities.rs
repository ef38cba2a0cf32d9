//! Managed identities.

use serde_json::json;

use crate::arm::Arm;

#[tokio::test]
async fn an_identity_is_a_principal_while_it_stands() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let path = arm.identity(&group, "idt", json!({"a": "b"})).await;
    let shown = arm.get(&path).await.body;
    let properties = shown["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 3, "{shown}");
    let principal = properties["principalId"].as_str().unwrap().parse().unwrap();
    let found = arm.server.identity().find_principal(principal).await.unwrap().unwrap();
    assert_eq!(found.name, "idt");
    assert_eq!(found.app_id.unwrap().to_string(), properties["clientId"]);

    let again = arm.put(&path, json!({"location": "eastus", "properties": {"principalId": "x"}})).await;
    assert_eq!((again.status.as_u16(), &again.body["properties"]), (200, &shown["properties"]));
    assert_eq!(arm.patch(&path, json!({"tags": {}})).await.status, 200);
    assert_eq!(arm.delete(&path).await.status, 204);
    assert_eq!(arm.delete(&path).await.status, 204, "it is gone already");
    assert!(arm.server.identity().find_principal(principal).await.unwrap().is_none());
    let short = arm
        .put(
            &format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x"),
            json!({"location": "eastus"}),
        )
        .await;
    assert_eq!((short.status.as_u16(), short.code()), (400, "InvalidResourceName"));
}

#[tokio::test]
async fn what_it_is_to_be_in_must_be_there() {
    let arm = Arm::start().await;
    let path = format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/idt", crate::arm::group("none"));
    for reply in [arm.put(&path, json!({"location": "eastus"})).await, arm.get(&path).await, arm.delete(&path).await] {
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "ResourceGroupNotFound"));
    }
    let elsewhere = path.replace(crate::arm::SUBSCRIPTION, crate::arm::NOWHERE);
    assert_eq!(arm.put(&elsewhere, json!({"location": "eastus"})).await.code(), "SubscriptionNotFound");
    let malformed = path.replace(crate::arm::SUBSCRIPTION, "5ab0");
    assert_eq!(arm.get(&malformed).await.code(), "InvalidSubscriptionId");
}
